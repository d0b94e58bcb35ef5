from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from facerec_models.metrics import NamedTime
from serving.archive.handle import open_archive
from serving.archive.learning.evaluation_set import evaluate_version, kept_truths
from serving.settings import Settings
from tests.ui.command import Place


@pytest.fixture(scope="module")
def truths(place: Place) -> Path:
    """The demo's reel beside its truth."""
    folder = place.home.parent / "truths"
    folder.mkdir()
    shutil.copyfile(place.material.reel, folder / "reel.mp4")
    shutil.copyfile(place.material.truth, folder / "reel.json")
    return folder


def evaluate(place: Place, truth: Path, report: Path, *arguments: object, code: int = 0) -> dict[str, dict[str, float]]:
    document = place.json("evaluate", "--truth", truth, "--report", report, *arguments, code=code)
    assert isinstance(document, dict)
    return document


def test_a_video_beside_its_truth_is_recognised_counted_and_reported(
    place: Place, truths: Path, tmp_path: Path
) -> None:
    document = evaluate(place, truths, tmp_path / "report", "--baseline", "predecessor")
    assert document["pooled"]["recall"] > 0.8
    assert document["pooled"]["precision"] > 0.9
    assert document["baseline"]["pooled"]["clear_s"] == document["pooled"]["clear_s"]  # type: ignore[index]
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert written == document
    assert "Eileen_Collins" in (tmp_path / "report" / "report.txt").read_text()
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<svg") >= 3
    # One file, that asks nobody for anything; SVG names its vocabulary by addresses that are never fetched.
    assert not re.search(r"<script|<link|<img|@import|(?:src|href)=\"(?!#)", page)


def test_results_are_counted_as_what_was_recognised(place: Place, truths: Path, tmp_path: Path) -> None:
    place.run("recognize", truths / "reel.mp4", "--out-dir", tmp_path / "results")
    live = evaluate(place, truths, tmp_path / "a")
    for options in ((), ("--baseline", "predecessor")):
        read = evaluate(place, truths, tmp_path / "b", "--results", tmp_path / "results", *options)
        assert read["pooled"] == live["pooled"]


def test_versions_are_measured_on_kept_truths(place: Place, truths: Path, tmp_path: Path) -> None:
    document = evaluate(place, truths, tmp_path / "report", "--keep")
    with open_archive(Settings(home=place.home)) as archive:
        (sha256,) = kept_truths(archive, "default")
        assert sha256 == archive.store.list_videos("default")[0].sha256
        found = evaluate_version(archive, "default", archive.store.get_model("default").version)
    assert isinstance(found, NamedTime)
    assert found.to_dict() == pytest.approx(document["pooled"])


def test_a_broken_gate_exits_with_3_and_the_reason(place: Place, truths: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text("recall = 0.5\nwrong_s = -1\n")
    run = place.run("evaluate", "--truth", truths, "--report", tmp_path / "report", "--gate", gate, code=3)
    assert "gate: wrong_s is" in run.stderr
    assert "recall" not in run.stderr
    assert "Gate: failed" in (tmp_path / "report" / "report.html").read_text()
    gate.write_text("recall = 0.5\n")
    evaluate(place, truths, tmp_path / "report", "--gate", gate)


def test_an_evaluation_that_cannot_run_is_one_error_line(place: Place, truths: Path, tmp_path: Path) -> None:
    (tmp_path / "gate.json").write_text('{"recal": 0.5}')
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "other.json").write_text('{"people": []}')
    for arguments, message in (
        (("--truth", truths, "--gate", tmp_path / "gate.json"), "unknown figure 'recal'"),
        (("--truth", tmp_path / "absent"), "no folder of truths"),
        (("--truth", tmp_path / "alone"), "the video of the truth 'other'"),
        (("--truth", truths, "--results", tmp_path / "alone"), "no result of a video"),
    ):
        run = place.run("evaluate", "--report", tmp_path / "report", *arguments, code=1)
        assert message in run.stderr
        assert len(run.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "report").exists()
