from __future__ import annotations

import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from facerec_models.analysis.analyze import Analysis
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.config import IdentificationConfig, TrainingConfig
from facerec_models.errors import InputError, ModelNotFoundError, VideoNotFoundError
from facerec_models.metrics import NamedTime
from facerec_models.types import Track
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.evaluation_set import (
    best_analysis,
    evaluate_version,
    keep_truth,
    kept_truths,
    remove_truth,
)
from serving.archive.learning.model_versions import train
from serving.archive.measure import add_baseline, analysis_of, find_video, named
from serving.archive.naming.rename import rename_person
from serving.archive.naming.undo import undo_edit
from serving.archive.videos import summarize
from serving.store.contract import Store
from serving.store.rows import FaceStatus
from tests.archive import put_people
from tests.builders import EMBEDDER, face_of, make_track
from tests.contract.store_cases import make_analysis, make_video
from training.evaluation.counting import evaluate
from training.evaluation.truth import Truth

RULES = IdentificationConfig()
SHA256 = "cd" * 32


def of_person(number: int, track_id: int, times_s: tuple[float, ...], shot: int = 0) -> Track:
    embeddings = np.stack([face_of(number, 40 + at) for at in range(len(times_s))])
    return make_track(track_id, times_s, shot=shot, embeddings=embeddings)


def put_analysis(
    store: Store, analysis_id: str, tracks: tuple[Track, ...], shots: tuple[tuple[float, float], ...]
) -> None:
    info = VideoInfo(Path("v.mp4"), "mp4", "h264", 0, 10.0, 25.0, 0.04, 640, 360, 1.0, 0, 0.0, Fraction(1, 25))
    analysis = Analysis(info, EMBEDDER, tracks, shots, 1.0, "frames", 10, densified=False, complete=True, warnings=())
    row = replace(make_analysis(analysis_id), embedder=EMBEDDER, summary=summarize(analysis))
    store.put_analysis(replace(row, created_at=float(len(store.list_analyses("p")))), tracks)


@pytest.fixture
def store(store: Store) -> Store:
    """Six people of three faces, and a video of the first two; the second is seen from 6 s to 9 s."""
    put_people(store, "p", 6, faces_each=3)
    store.put_video(make_video("v"))
    whole = (of_person(0, 1, (1.0, 2.0, 3.0)), of_person(1, 2, (6.5, 7.5, 8.5), shot=1))
    put_analysis(store, "a-whole", whole, ((0.0, 5.0), (5.0, 10.0)))
    # Asked for last, of a part: not what the video is measured by.
    put_analysis(store, "a-part", (of_person(0, 1, (1.0,)),), ((0.0, 2.0),))
    return store


def truth(**people: tuple[float, float]) -> Truth:
    named = [{"name": name, "intervals": [{"start": a, "end": b}]} for name, (a, b) in people.items()]
    return Truth.model_validate({"duration_s": 10, "people": named})


def kept(archive: Archive) -> dict[str, Truth]:
    """Return what is kept, without when and of what it was made."""
    return {
        sha256: Truth(**{name: getattr(one, name) for name in Truth.model_fields})
        for sha256, one in kept_truths(archive, "p").items()
    }


BOTH = truth(Person_0=(0.5, 3.5), Person_1=(6.0, 9.0))


def test_a_version_is_measured_on_kept_truths(archive: Archive) -> None:
    everybody = train(archive, "p").version
    keep_truth(archive.files, "p", SHA256, BOTH)
    assert kept(archive) == {SHA256: BOTH}
    assert evaluate_version(archive, "p", everybody) == NamedTime(6, 6, 6, 0, 0)


def test_a_version_that_does_not_serve_is_measured_too(archive: Archive, store: Store) -> None:
    everybody = train(archive, "p").version
    store.judge_faces("p", ["f-10", "f-11", "f-12"], FaceStatus.DISABLED, "by hand")
    fewer = train(archive, "p", TrainingConfig(promote="no")).version
    keep_truth(archive.files, "p", SHA256, BOTH)
    before, after = (evaluate_version(archive, "p", version) for version in (everybody, fewer))
    assert before is not None
    assert after is not None
    assert (before.recall, after.recall) == (1, 0.5)
    assert store.get_model("p").version == everybody
    assert [row.cause for row in store.list_edits("p")] == ["training"]


def test_without_kept_truths_there_is_nothing_to_measure(archive: Archive) -> None:
    version = train(archive, "p").version
    assert evaluate_version(archive, "p", version) is None
    with pytest.raises(ModelNotFoundError):
        evaluate_version(archive, "p", "m-absent")


def test_a_deleted_video_is_passed_over_with_a_warning(
    archive: Archive, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    version = train(archive, "p").version
    keep_truth(archive.files, "p", SHA256, BOTH)
    store.delete_video("p", "v")
    with caplog.at_level(logging.WARNING):
        assert evaluate_version(archive, "p", version) is None
    assert SHA256 in caplog.text


def test_a_truth_is_kept_once_a_video(archive: Archive) -> None:
    keep_truth(archive.files, "p", SHA256, truth(Person_3=(0, 1)))
    keep_truth(archive.files, "p", SHA256, BOTH)
    assert kept(archive) == {SHA256: BOTH}
    assert remove_truth(archive.files, "p", SHA256)
    assert not remove_truth(archive.files, "p", SHA256)
    assert kept(archive) == {}


def test_truths_follow_who_is_renamed_and_that_being_undone(archive: Archive) -> None:
    train(archive, "p")
    keep_truth(archive.files, "p", SHA256, BOTH)
    change = rename_person(archive, "p", "Person 0", "Ada")
    assert {one.name for one in kept(archive)[SHA256].people} == {"Ada", "Person_1"}
    undo_edit(archive, "p", change.edit)
    assert kept(archive) == {SHA256: BOTH}


def test_who_is_forgotten_is_a_stranger_in_truths(archive: Archive) -> None:
    train(archive, "p")
    keep_truth(archive.files, "p", SHA256, BOTH)
    rename_person(archive, "p", "Person 1", "Bob")
    receipt = forget(archive, "p", "Person_0")
    assert receipt.truths == 1
    left = kept(archive)[SHA256]
    assert [one.name for one in left.people] == ["Bob"]
    assert left.present(1.0, 2.0) == {"?forgotten 1"}
    assert "Person_0" not in archive.files.truth("p", SHA256).read_bytes().decode()


def test_the_analysis_that_covers_most_counts(store: Store) -> None:
    video = store.get_video("p", "v")
    assert store.latest_analysis("p", "v").analysis_id == "a-part"
    best = best_analysis(store, video, EMBEDDER)
    assert best is not None
    assert best.analysis_id == "a-whole"
    assert best_analysis(store, replace(video, video_id="v-other"), EMBEDDER) is None
    assert best_analysis(store, video, "another") is None


def test_a_result_is_led_back_to_its_analysis(archive: Archive, store: Store) -> None:
    train(archive, "p")
    version = store.get_model("p").version
    for analysis_id in ("a-whole", "a-part"):
        result = named(archive, store.get_analysis("p", analysis_id), version, 0.01)
        assert analysis_of(store, "p", "v", result).analysis_id == analysis_id
    with pytest.raises(VideoNotFoundError, match="no analysis with the tracks of the result 'v'"):
        analysis_of(store, "p", "v", result.model_copy(update={"tracks": ()}))


def test_the_baseline_is_counted_beside_ours(archive: Archive, store: Store) -> None:
    train(archive, "p")
    analysis = store.get_analysis("p", "a-whole")
    result = named(archive, analysis, store.get_model("p").version, archive.rules.max_false_names_tracks)
    ours = evaluate({"v": BOTH}, {"v": result})
    assert ours.baseline is None
    both = add_baseline(store, "p", ours, {"v": BOTH}, {"v": analysis})
    assert both.pooled == ours.pooled
    assert both.baseline is not None
    assert both.baseline.pooled.clear_s == 6
    # With three pictures a person its confidence stays low; without a threshold it has both names.
    assert both.baseline.records.at(0).found == 2


def test_a_video_is_found_beside_its_truth(tmp_path: Path) -> None:
    for name in ("clip.json", "clip.mkv", "clip.txt", "two.json", "two.mp4", "two.mov", "named.json", "other.MP4"):
        (tmp_path / name).touch()
    assert find_video(tmp_path, "clip", BOTH).name == "clip.mkv"
    assert find_video(tmp_path, "named", BOTH.model_copy(update={"video": "other.MP4"})).name == "other.MP4"
    with pytest.raises(InputError, match=r"2 files could be it: two\.mov, two\.mp4"):
        find_video(tmp_path, "two", BOTH)
    with pytest.raises(InputError, match="there is none; or give --results"):
        find_video(tmp_path / "truth.csv", "absent", BOTH)
