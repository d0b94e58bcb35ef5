"""Videos that were analysed in several ways: which analysis is the answer, and what an edit takes from each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facerec_models.config import AnalysisConfig, SamplingConfig
from facerec_models.errors import ConflictError
from serving.archive.handle import Archive
from serving.archive.naming import strangers
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.rename import rename_person
from serving.archive.naming.undo import undo_edit
from serving.archive.videos import analysis_id_of, find_analysis
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import AnalysisRow, FaceStatus
from tests.builders import EMBEDDER
from tests.unit.serving.archive.edits import add_named_video, result_in

OTHER = AnalysisConfig(sampling=SamplingConfig(fps=7.0))


def analyse_again(archive: Archive, store: Store, created_at: float) -> AnalysisRow:
    """Store another analysis of the first video, with its tracks, and name it."""
    analysis_id = analysis_id_of(store.get_video("p", "v-1"), OTHER, EMBEDDER)
    row = replace(store.get_analysis("p", "a-v-1"), analysis_id=analysis_id, created_at=created_at)
    tracks = store.get_tracks("p", ["a-v-1"])["a-v-1"]
    store.put_analysis(row, tracks)
    for track in tracks:
        for k in range(2):
            crop = archive.files.track_crop("p", "a-v-1", track.track_id, k).read_bytes()
            copy = archive.files.track_crop("p", analysis_id, track.track_id, k)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(crop + b"other settings, other bytes")
    assign_current(archive, row)
    return row


def test_measuring_leaves_the_answer_and_asking_again_changes_it(archive: Archive, store: Store) -> None:
    row = analyse_again(archive, store, -1.0)
    video = store.get_video("p", "v-1")
    version = store.get_project("p").version
    assert find_analysis(store, video, OTHER, EMBEDDER, is_answer=False) is not None
    assert store.latest_analysis("p", "v-1").analysis_id == "a-v-1"
    assert store.get_project("p").version == version
    assert find_analysis(store, video, OTHER, EMBEDDER) is not None
    assert store.latest_analysis("p", "v-1").analysis_id == row.analysis_id


def test_a_preview_does_not_hold_once_another_analysis_is_the_answer(archive: Archive, store: Store) -> None:
    given = [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")]
    seen = correct(archive, "p", given, preview=True).version
    store.touch_analysis("p", "a-v-1", 5.0)
    assert store.get_project("p").version == seen
    analyse_again(archive, store, -1.0)
    store.touch_analysis("p", analysis_id_of(store.get_video("p", "v-1"), OTHER, EMBEDDER), 9.0)
    with pytest.raises(ConflictError, match="preview again"):
        correct(archive, "p", given, expected=seen)


@pytest.mark.parametrize("name", ["Cem", "Dee"])
def test_a_frame_that_was_analysed_twice_gives_one_face(archive: Archive, store: Store, name: str) -> None:
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])
    paths = sorted(face.path for face in store.list_faces("p", person_id="Cem"))
    if name != "Cem":
        rename_person(archive, "p", "Cem", name)
    row = analyse_again(archive, store, 9.0)
    assert store.latest_analysis("p", "v-1").analysis_id == row.analysis_id
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, name)])
    assert sorted(face.path for face in store.list_faces("p", person_id=name)) == paths


def test_a_track_is_taken_out_of_one_stranger_after_the_other(archive: Archive) -> None:
    shown = [result_in(archive, "v-1").appearances[2].stranger]
    for _ in range(2):
        correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS_NOT, str(shown[-1]))])
        shown.append(result_in(archive, "v-1").appearances[2].stranger)
    assert len({*shown}) == 3
    assert None not in shown


def test_a_track_stays_out_of_a_stranger_when_the_video_is_analysed_again(archive: Archive) -> None:
    add_named_video(archive, (9,))
    first = str(result_in(archive, "v-3").appearances[0].stranger)
    correct(archive, "p", [TrackCorrection("v-3", 1, CorrectionKind.IS_NOT, first)])
    add_named_video(archive, (9,))
    assert result_in(archive, "v-3").appearances[0].stranger not in (None, first)


def test_a_track_stays_out_of_a_stranger_whose_tracks_are_compared_later(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [str(result_in(archive, video).appearances[2].stranger) for video in ("v-1", "v-2")]
    assert both[0] == both[1]
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS_NOT, both[0])])
    monkeypatch.setattr(strangers, "_MOST_AT_ONCE", 1)
    identify_archive(archive, "p")
    assert result_in(archive, "v-1").appearances[2].stranger not in (None, both[0])
    assert result_in(archive, "v-2").appearances[2].stranger == both[0]


def test_an_undo_does_not_bring_back_faces_that_were_deleted_since(archive: Archive, store: Store) -> None:
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Dee")])
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])
    faces = store.list_faces("p", person_id="Dee")
    assert len(faces) == 2
    store.delete_faces("p", [faces[0].face_id])
    undo_edit(archive, "p")
    assert [(face.face_id, face.status) for face in store.list_faces("p", person_id="Dee")] == [
        (faces[1].face_id, FaceStatus.TAKEN)
    ]
