"""Corrections and names of strangers: what they change, and what they teach."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_models.errors import ConflictError, InputError, NotFoundError, PersonNotFoundError, VideoNotFoundError
from serving.archive.handle import Archive
from serving.archive.naming import faces_of_tracks
from serving.archive.naming.aliases import find_stranger
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.rename import rename_person
from serving.archive.search.strangers import StrangerSummary, rank_strangers
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind, NamingChange
from serving.store.rows import FaceStatus
from tests.archive import RULES, SEEN
from tests.unit.serving.archive.edits import add_named_video, labels_in, result_in


def strangers(archive: Archive) -> list[StrangerSummary]:
    return rank_strangers(archive, "p").strangers


def test_a_stranger_has_one_id_in_both_videos(archive: Archive) -> None:
    assert labels_in(archive, "v-1") == labels_in(archive, "v-2") == ["Ann Lee", "Bob", "Unknown 1", "Unknown 2"]
    first, second = strangers(archive)
    assert (first.videos, second.videos) == (2, 2)
    assert first.screen_time_s == pytest.approx(sum(s.end_s - s.start_s for s in first.sightings))
    assert all(sighting.crop.is_file() for sighting in first.sightings)


def test_confirming_a_track_enrols_its_faces_and_names_its_likes(archive: Archive, store: Store) -> None:
    change = correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem Tan")])
    assert change.added == {"Cem_Tan": 2}
    assert labels_in(archive, "v-1") == labels_in(archive, "v-2") == ["Ann Lee", "Bob", "Cem Tan", "Unknown 2"]
    faces = store.list_faces("p", person_id="Cem_Tan")
    assert {(face.status, face.by_hand) for face in faces} == {(FaceStatus.TAKEN, True)}
    assert {face.source for face in faces} == {"track:a-v-1/3/0", "track:a-v-1/3/1"}
    assert all(archive.files.face_crop("p", face.face_id).is_file() for face in faces)
    confirmed = result_in(archive, "v-1").tracks[2]
    assert (confirmed.decision, confirmed.probability) == ("named", 1.0)


def test_poor_faces_of_a_confirmed_track_are_not_enrolled(archive: Archive, store: Store) -> None:
    strict = RULES.model_copy(update={"min_quality_enrolled": 0.95})
    of_strict = Archive(store, archive.files, strict)
    change = correct(of_strict, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem Tan")])
    assert change.not_enrolled == ["Cem_Tan"]
    assert store.list_faces("p", person_id="Cem_Tan") == []
    assert labels_in(archive, "v-1")[2] == "Cem Tan"
    assert labels_in(archive, "v-2")[2] == "Unknown 1"
    # She has other faces.
    assert correct(of_strict, "p", [TrackCorrection("v-1", 4, CorrectionKind.IS, "Ann_Lee")]).not_enrolled == []
    # Whoever has no face is known all the same.
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS_NOT, "Cem_Tan")])
    assert labels_in(archive, "v-1")[2].startswith("Unknown")


def test_denying_a_name_holds_until_it_is_confirmed_again(archive: Archive, store: Store) -> None:
    change = correct(archive, "p", [TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "Ann_Lee")])
    assert change.removed["Ann_Lee"] >= 1
    assert labels_in(archive, "v-1")[0].startswith("Unknown")
    denied = result_in(archive, "v-1").tracks[0]
    assert denied.probability > 0.5  # that it is nobody else
    # Corrected back, it is her again.
    correct(archive, "p", [TrackCorrection("v-1", 1, CorrectionKind.IS, "Ann_Lee")])
    assert labels_in(archive, "v-1")[0] == "Ann Lee"
    assert [c.kind for c in store.list_corrections("p")] == [CorrectionKind.IS]


def test_a_track_is_taken_out_of_a_stranger(archive: Archive, store: Store) -> None:
    stranger = find_stranger(store, "p", "Unknown 1").stranger_id
    change = correct(archive, "p", [TrackCorrection("v-2", 3, CorrectionKind.IS_NOT, "Unknown 1")])
    assert store.list_edits("p")[-1].note == change.note == "is not Unknown 1 (track 3 of v-2.mp4)"
    assert result_in(archive, "v-1").appearances[2].stranger == stranger
    assert result_in(archive, "v-2").appearances[2].stranger not in {stranger, None}


def test_naming_a_stranger_names_them_everywhere(archive: Archive, store: Store) -> None:
    change = name_stranger(archive, "p", "Unknown 2", "Dee")
    assert change.added == {"Dee": 2}
    assert labels_in(archive, "v-1")[3] == labels_in(archive, "v-2")[3] == "Dee"
    assert [one.number for one in strangers(archive)] == [1]
    assert find_stranger(store, "p", "Unknown 2").person_id == "Dee"
    assert len(store.list_faces("p", person_id="Dee")) == 4


@pytest.mark.parametrize(
    ("correction", "error", "message"),
    [
        (TrackCorrection("v-9", 1, CorrectionKind.IS, "Bob"), VideoNotFoundError, "no video 'v-9'"),
        (TrackCorrection("v-1", 9, CorrectionKind.IS, "Bob"), VideoNotFoundError, "no track 9: it has 4"),
        (TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "Zoe"), PersonNotFoundError, "no person 'Zoe'"),
        (TrackCorrection("v-1", 1, CorrectionKind.IS, "stranger-aaaaaaaaaa"), InputError, "is a stranger"),
        (TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "stranger-aaaaaaaaaa"), NotFoundError, "no stranger"),
    ],
)
def test_an_impossible_correction_is_refused_and_changes_nothing(
    archive: Archive, store: Store, correction: TrackCorrection, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        correct(archive, "p", [correction])
    assert store.list_corrections("p") == []
    assert len(store.list_models("p")) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [(3, "is", "Dee"), (3, "is", "Cem Tan")],
            "track 3 of v-1.mp4 cannot be corrected twice, is Dee and is Cem_Tan",
        ),
        ([(1, "is_not", "Bob"), (1, "is", "Bob")], "is not Bob and is Bob"),
        ([], "at least one"),
    ],
)
def test_corrections_that_contradict_each_other_and_none_at_all_are_refused(
    archive: Archive, store: Store, given: list[tuple[int, str, str]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        correct(archive, "p", [TrackCorrection("v-1", track, CorrectionKind(kind), who) for track, kind, who in given])
    assert store.list_corrections("p") == []


def test_a_new_name_that_differs_in_case_alone_is_refused(archive: Archive, store: Store) -> None:
    for change in (
        lambda: correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "ann lee")]),
        lambda: name_stranger(archive, "p", "Unknown 1", "AnnLee"),
        lambda: rename_person(archive, "p", "Bob", "ANN_LEE"),
    ):
        with pytest.raises(ConflictError, match="but 'Ann_Lee'"):
            change()
    assert store.list_edits("p")[1:] == []
    assert rename_person(archive, "p", "Ann_Lee", "ann_lee").added == {"ann_lee": 2}


def test_an_edit_writes_only_what_it_changes(archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add_named_video(archive, SEEN[:2])
    written: list[NamingChange] = []
    apply = store.apply
    monkeypatch.setattr(
        store, "apply", lambda project, change, **how: written.append(change) or apply(project, change, **how)
    )
    name_stranger(archive, "p", "Unknown 2", "Dee")
    (change,) = written
    # In each of the two videos that show the stranger, the fourth track and its appearance; in the third video nothing.
    tracks = [("a-v-1", 4), ("a-v-2", 4)]
    assert [row.analysis_id for row in change.named] == ["a-v-1", "a-v-2"]
    assert [(row.analysis_id, row.track_id) for row in change.freed] == tracks
    assert [(row.analysis_id, row.first_track) for row in change.lost] == tracks
    assert [(row.analysis_id, row.first_track) for row in change.appearances] == tracks
    assert (change.stranger_tracks, change.strangers, change.unnamed) == ([], [], [])


def test_only_crops_of_the_best_faces_are_read(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    monkeypatch.setattr(faces_of_tracks, "ENROLLED_OF_TRACK", 1)
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem Tan")], preview=True)
    crops = {path.name for path in read if path.suffix == ".jpg"}
    assert len(crops) == 1
    assert crops < {archive.files.track_crop("p", "a-v-1", 3, k).name for k in range(2)}
