from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from pydantic import ValidationError

from facerec_models import config
from facerec_models.config import (
    AnalysisConfig,
    Config,
    DetectionConfig,
    EmbeddingConfig,
    IdentificationConfig,
    LimitsConfig,
    SamplingConfig,
)
from facerec_models.errors import InputError
from serving.settings import read_settings
from ui.cli.common import read_settings as read_settings_of_command

GROUPS = [kind for kind in vars(config).values() if isinstance(kind, type) and issubclass(kind, Config)]

# Another value of every setting that decides what an analysis contains, and of every one that does not.
MATTERS: dict[tuple[str, str], Any] = {
    ("sampling", "period_frames"): 10,
    ("sampling", "fps"): 2.0,
    ("sampling", "stream"): 1,
    ("sampling", "densify"): 3,
    ("sampling", "still_overlap"): 0.7,
    ("sampling", "fragment"): (1.0, 2.0),
    ("shots", "threshold"): 0.21,
    ("shots", "ratio"): 2.3,
    ("shots", "window_frames"): 11,
    ("shots", "min_shot_frames"): 7,
    ("detection", "min_face_px"): 31,
    ("detection", "max_side_px"): 641,
    ("detection", "thresholds"): (0.61, 0.72, 0.83),
    ("detection", "factor"): 0.81,
    ("detection", "precision"): "bf16",
    ("embedding", "mirror"): False,
    ("tracking", "min_log_odds"): 1.3,
    ("tracking", "max_gap_s"): 3.3,
    ("tracking", "position_noise"): 0.11,
    ("tracking", "acceleration"): 1.3,
    ("tracking", "max_kept"): 7,
}
CHANGES_NOTHING: dict[tuple[str, str], Any] = {
    ("detection", "device"): "cpu",
    ("detection", "engine"): "torch",
    ("detection", "min_still_face_px"): 61,
    ("embedding", "device"): "cpu",
    ("embedding", "engine"): "torch",
    ("embedding", "precision"): "fp32",
    ("embedding", "batch_size"): 7,
    # The embedder that was resolved is given by name.
    ("embedding", "embedder"): "dlib",
    ("limits", "max_image_pixels"): 1_000_000,
    ("limits", "max_frame_pixels"): 1_000_000,
    ("limits", "max_video_duration_s"): 60.0,
    ("limits", "max_upload_bytes"): 1_000_000,
    ("limits", "max_picture_bytes"): 1_000_000,
    ("limits", "max_pictures_per_request"): 7,
    ("limits", "max_pictures_bytes"): 1_000_000,
    ("limits", "max_streams"): 7,
    ("limits", "decoder_memory_bytes"): 2**30,
    ("limits", "decoder_silence_s"): 5.0,
    ("limits", "picture_timeout_s"): 5.0,
}


def settings() -> Iterator[tuple[str, str]]:
    for stage, field in AnalysisConfig.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Config)
        yield from ((stage, name) for name in field.annotation.model_fields)


def changed(setting: tuple[str, str], value: Any) -> AnalysisConfig:
    return AnalysisConfig.model_validate({setting[0]: {setting[1]: value}})


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_unknown_settings_are_refused(group: type[Config]) -> None:
    with pytest.raises(ValidationError, match="min_face_pixels"):
        group.model_validate({"min_face_pixels": 1})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        DetectionConfig().min_face_px = 30


def test_every_setting_is_classed_by_its_effect_on_an_analysis() -> None:
    assert set(settings()) == {*MATTERS, *CHANGES_NOTHING}


@pytest.mark.parametrize("setting", MATTERS, ids=".".join)
def test_a_setting_that_changes_an_analysis_changes_its_key(setting: tuple[str, str]) -> None:
    other = changed(setting, MATTERS[setting])
    assert other != AnalysisConfig()
    assert other.key("net") != AnalysisConfig().key("net")


@pytest.mark.parametrize("setting", CHANGES_NOTHING, ids=".".join)
def test_other_settings_keep_the_key(setting: tuple[str, str]) -> None:
    other = changed(setting, CHANGES_NOTHING[setting])
    assert other != AnalysisConfig()
    assert other.key("net") == AnalysisConfig().key("net")


def test_the_key_names_the_network() -> None:
    assert AnalysisConfig().key("one") != AnalysisConfig().key("other")


@pytest.mark.parametrize(
    ("group", "values"),
    [
        (SamplingConfig, {"period_frames": 25, "fps": 1.0}),
        (SamplingConfig, {"period_frames": 0}),
        (SamplingConfig, {"fps": 0}),
        (SamplingConfig, {"densify": 0}),
        (SamplingConfig, {"fragment": (5.0, 5.0)}),
        (SamplingConfig, {"fragment": (-1.0, 5.0)}),
        (DetectionConfig, {"min_face_px": 5}),
        (DetectionConfig, {"device": "tpu"}),
        (EmbeddingConfig, {"batch_size": 0}),
        (EmbeddingConfig, {"embedder": ""}),
        (LimitsConfig, {"max_video_duration_s": 0}),
        (IdentificationConfig, {"max_false_names_tracks": 0}),
        (IdentificationConfig, {"max_false_names_stills": 1}),
        (IdentificationConfig, {"prior_known": 1}),
        (IdentificationConfig, {"min_quality_named_tracks": 1.5}),
    ],
)
def test_values_out_of_bounds_are_refused(group: type[Config], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values)).split("_")[0]):
        group.model_validate(values)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.example", {"a.example"}),
        ("a.example, b.example", {"a.example", "b.example"}),
        ('["a,b", "c"]', {"a,b", "c"}),
    ],
)
def test_lists_in_the_environment_are_json_or_have_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, names: set[str]
) -> None:
    for name in ("FACEREC_WEBHOOK__HOSTS", "FACEREC_ALLOWED_HOSTS", "FACEREC_MEDIA_ROOTS"):
        monkeypatch.setenv(name, text)
    settings = read_settings()
    assert settings.webhook.hosts == settings.allowed_hosts == names
    assert {str(path) for path in settings.media_roots} == names


@pytest.mark.parametrize(
    ("name", "text"),
    [("FACEREC_WEBHOOK", "{"), ("FACEREC_MEDIA_ROOTS", '["a'), ("FACEREC_SEGMENT_S", "-1"), ("FACEREC_ANALYSIS", "x")],
)
def test_a_variable_that_cannot_be_taken_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(InputError) as raised:
        read_settings()
    assert str(raised.value).startswith(name)
    assert "\n" not in str(raised.value)
    with pytest.raises(typer.BadParameter, match=name):
        read_settings_of_command(None)
