from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from facerec_models.errors import InputError, NotFoundError, PersonNotFoundError, VideoNotFoundError
from facerec_models.result import Result
from facerec_models.types import Decision
from serving.archive.files import Files
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import drop_loaded_models
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.one_video import stored_result
from serving.archive.naming.strangers import find_stranger
from serving.archive.naming.undo import undo_application
from serving.archive.naming.whole_archive import identify_archive
from serving.archive.search.strangers import StrangerSummary, rank_strangers
from serving.store import Store, open_store
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import FaceStatus
from tests.archive import RULES, put_mirror, put_video
from tests.contract.store_cases import make_face


def result(store: Store, home: Files, video_id: str) -> Result:
    return stored_result(Archive(store, home, RULES), "p", video_id, lambda *_: "")


def strangers(store: Store, home: Files) -> list[StrangerSummary]:
    return rank_strangers(Archive(store, home, RULES), "p").strangers


def who(store: Store, home: Files, video_id: str) -> list[str]:
    return [a.label for a in result(store, home, video_id).appearances]


def test_without_a_word_people_are_named_and_strangers_are_the_same_in_both_videos(store: Store, home: Files) -> None:
    assert who(store, home, "v-1") == who(store, home, "v-2") == ["Ann Lee", "Bob", "Unknown 1", "Unknown 2"]
    first, second = strangers(store, home)
    assert (first.videos, second.videos) == (2, 2)
    assert first.screen_time_s == pytest.approx(sum(s.end_s - s.start_s for s in first.sightings))
    assert all(sighting.crop.is_file() for sighting in first.sightings)


def test_a_track_that_is_somebody_teaches_who_they_are(store: Store, home: Files) -> None:
    change = correct(Archive(store, home, RULES), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem Tan")])
    assert change.added == {"Cem_Tan": 2}
    assert who(store, home, "v-1") == who(store, home, "v-2") == ["Ann Lee", "Bob", "Cem Tan", "Unknown 2"]
    faces = store.list_faces("p", person_id="Cem_Tan")
    assert {(face.status, face.by_hand) for face in faces} == {(FaceStatus.TAKEN, True)}
    assert {face.source for face in faces} == {"track:a-v-1/3/0", "track:a-v-1/3/1"}
    assert all(home.face_crop("p", face.face_id).is_file() for face in faces)
    confirmed = result(store, home, "v-1").tracks[2]
    assert (confirmed.decision, confirmed.probability) == ("named", 1.0)


def test_poor_faces_of_a_confirmed_track_are_not_enrolled(store: Store, home: Files) -> None:
    strict = RULES.model_copy(update={"min_quality_enrolled": 0.95})
    correct(Archive(store, home, strict), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem Tan")])
    assert store.list_faces("p", person_id="Cem_Tan") == []
    assert who(store, home, "v-1")[2] == "Cem Tan"
    assert who(store, home, "v-2")[2] == "Unknown 1"


def test_a_track_that_is_not_somebody_is_never_named_so_again_nor_are_its_likes(store: Store, home: Files) -> None:
    change = correct(Archive(store, home, RULES), "p", [TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "Ann_Lee")])
    assert change.removed["Ann_Lee"] >= 1
    assert who(store, home, "v-1")[0].startswith("Unknown")
    denied = result(store, home, "v-1").tracks[0]
    assert denied.probability > 0.5  # that it is nobody else
    # Said the other way round, it is her again.
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-1", 1, CorrectionKind.IS, "Ann_Lee")])
    assert who(store, home, "v-1")[0] == "Ann Lee"
    assert [c.kind for c in store.list_corrections("p")] == [CorrectionKind.IS]


def test_a_track_is_taken_out_of_a_stranger(store: Store, home: Files) -> None:
    stranger = find_stranger(store, "p", "Unknown 1").stranger_id
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-2", 3, CorrectionKind.IS_NOT, stranger)])
    assert result(store, home, "v-1").appearances[2].stranger == stranger
    assert result(store, home, "v-2").appearances[2].stranger not in {stranger, None}


def test_naming_a_stranger_names_them_everywhere(store: Store, home: Files) -> None:
    change = name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee")
    assert change.added == {"Dee": 2}
    assert who(store, home, "v-1")[3] == who(store, home, "v-2")[3] == "Dee"
    assert [one.number for one in strangers(store, home)] == [1]
    assert find_stranger(store, "p", "Unknown 2").person_id == "Dee"
    assert len(store.list_faces("p", person_id="Dee")) == 4


def test_forgetting_leaves_nothing_of_a_person(store: Store, home: Files) -> None:
    name_stranger(Archive(store, home, RULES), "p", "Unknown 2", "Dee")
    old = [row.version for row in store.list_models("p")]
    receipt = forget(Archive(store, home, RULES), "p", "Dee")
    assert (receipt.faces, receipt.crops, receipt.tracks, receipt.track_crops, receipt.videos) == (4, 4, 2, 4, 2)
    assert receipt.corrections == 2
    assert receipt.models == old[1:]
    assert [row.version for row in store.list_models("p")] == [receipt.new_model]
    assert who(store, home, "v-1") == who(store, home, "v-2") == ["Ann Lee", "Bob", "Unknown 1", "Undecidable"]
    assert not list(home.analysis("p", "a-v-1").glob("4-*"))
    assert all(len(t.embeddings) == 0 for t in store.get_tracks("p", ["a-v-1"])["a-v-1"] if t.track_id == 4)
    everything = b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())
    assert b"Dee" not in everything
    assert "Dee" in str(asdict(receipt))
    with pytest.raises(PersonNotFoundError, match="no person 'Dee'"):
        forget(Archive(store, home, RULES), "p", "Dee")


def test_the_last_person_can_be_forgotten_too(store: Store, home: Files) -> None:
    forget(Archive(store, home, RULES), "p", "Ann_Lee")
    receipt = forget(Archive(store, home, RULES), "p", "Bob")
    assert receipt.new_model is None
    assert store.list_models("p") == []
    assert store.list_people("p") == []


@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("are_deleted", [True, False])
def test_forgetting_that_ends_at_the_last_model_is_ended_by_the_next_try(
    store: Store, home: Files, monkeypatch: pytest.MonkeyPatch, is_last: bool, are_deleted: bool
) -> None:
    if is_last:
        forget(Archive(store, home, RULES), "p", "Ann_Lee")
    delete = store.delete_model

    def die(project: str, version: str) -> None:
        if are_deleted:
            delete(project, version)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "delete_model", die)
    with pytest.raises(KeyboardInterrupt):
        forget(Archive(store, home, RULES), "p", "Bob")
    monkeypatch.undo()
    drop_loaded_models()
    if are_deleted:
        with pytest.raises(PersonNotFoundError):
            forget(Archive(store, home, RULES), "p", "Bob")
    else:
        empty = store.empty_tracks

        def come_late(project: str, tracks: Sequence[tuple[str, int]]) -> int:
            put_video(store, home, "v-3", 2)
            return empty(project, tracks)

        monkeypatch.setattr(store, "empty_tracks", come_late)
        assert len(forget(Archive(store, home, RULES), "p", "Bob").models) == 1
    assert len(store.list_models("p")) == (0 if is_last else 1)
    assert [row.undo for row in store.list_applications("p") if row.undo is not None] == []
    assert "Bob" not in {row.owner for row in store.list_appearances("p", ["a-v-1", "a-v-2"])}


def test_somebody_is_forgotten_though_too_few_are_left_to_learn_from(tmp_path: Path) -> None:
    home = Files(tmp_path / "no-cohort")
    with closing(open_store(home.root)) as store:
        store.create_project("p")
        store.fix_embedder("p", "facenet-vggface2")
        vectors = np.random.default_rng(0).standard_normal((40, 512)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        people = [f"Person_{i // 2}" for i in range(40)]
        store.put_faces(
            "p",
            [
                make_face(f"f{i}", who, embedder="facenet-vggface2", embedding=vectors[i])
                for i, who in enumerate(people)
            ],
        )
        version = train(Archive(store, home, RULES), "p").version
        assert store.get_model("p").version == version
        receipt = forget(Archive(store, home, RULES), "p", "Person_3")
        assert (receipt.faces, receipt.models, receipt.new_model) == (2, [version], None)
        assert store.list_models("p") == []
        assert not home.model("p", version).exists()
        with pytest.raises(PersonNotFoundError):
            forget(Archive(store, home, RULES), "p", "Person_3")


# One face twice in a frame


def test_a_person_and_their_image_are_both_confirmed_and_stay_so(store: Store, home: Files) -> None:
    put_mirror(store, home, "v-3", 2, 1)
    assert sorted(who(store, home, "v-3")) == ["Ann Lee", "Undecidable", "Unknown 3"]
    image = next(track.track_id for track in result(store, home, "v-3").tracks if track.decision == "undecidable")
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-3", image, CorrectionKind.IS, "Ann Lee")])
    # The face that was named by its evidence alone is the image now, until confirmed as well.
    other = result(store, home, "v-3").tracks[2 - image]
    assert (other.decision, "Ann Lee, who is named beside it" in (other.reason or "")) == ("undecidable", True)
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-3", other.track_id, CorrectionKind.IS, "Ann Lee")])

    def both() -> list[str | None]:
        return [track.person_id for track in result(store, home, "v-3").tracks[:2]]

    assert both() == ["Ann_Lee"] * 2
    assert {face.source for face in store.list_faces("p", person_id="Ann_Lee") if face.source} == {
        f"track:a-v-3/{track}/{k}" for track in (1, 2) for k in (0, 1)
    }
    identify_archive(Archive(store, home, RULES), "p", apply=True)
    assert both() == ["Ann_Lee"] * 2
    train(Archive(store, home, RULES), "p")
    identify_archive(Archive(store, home, RULES), "p", apply=True)
    assert both() == ["Ann_Lee"] * 2
    put_mirror(store, home, "v-4", 3, 1)
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-4", 3, CorrectionKind.IS, "Dee")])
    assert both() == ["Ann_Lee"] * 2
    assert [a.label for a in result(store, home, "v-3").appearances] == ["Ann Lee", "Unknown 3"]
    # In one go, in another video.
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-4", i, CorrectionKind.IS, "Ann Lee") for i in (1, 2)])
    assert [track.person_id for track in result(store, home, "v-4").tracks[:2]] == ["Ann_Lee"] * 2


def test_undoing_a_confirmation_makes_the_image_undecidable_again(store: Store, home: Files) -> None:
    put_mirror(store, home, "v-3", 2, 1)
    before = result(store, home, "v-3")
    both = [TrackCorrection("v-3", i, CorrectionKind.IS, "Ann Lee") for i in (1, 2)]
    preview = correct(Archive(store, home, RULES), "p", both, preview=True)
    (example,) = (one for one in preview.examples["Ann_Lee"] if one.video_id == "v-3" and one.before != "Ann Lee")
    assert (example.before, example.after) == ("Ann Lee, Undecidable", "Ann Lee")
    assert "who is named beside it" in (example.reason or "")
    change = correct(Archive(store, home, RULES), "p", both)
    undo_application(Archive(store, home, RULES), "p", change.revision)
    assert result(store, home, "v-3").appearances == before.appearances
    rows = store.list_appearances("p", ["a-v-3"])
    assert [row.reason for row in rows] == [view.reason for view in before.appearances]
    assert [row.reason for row in rows if row.decision is Decision.UNDECIDABLE] != [None]


def test_an_image_of_a_stranger_is_no_stranger_and_gets_their_name_when_confirmed(store: Store, home: Files) -> None:
    put_mirror(store, home, "v-3", 2, 7)
    first, image, _ = result(store, home, "v-3").tracks
    assert sorted((first.decision, image.decision)) == ["undecidable", "unknown"]
    assert [label for label in who(store, home, "v-3") if label != "Undecidable"] == ["Unknown 1", "Unknown 3"]
    name_stranger(Archive(store, home, RULES), "p", "Unknown 1", "Dee")
    undecided = next(track for track in result(store, home, "v-3").tracks if track.decision == "undecidable")
    assert "Dee, who is named beside it" in (undecided.reason or "")
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-3", undecided.track_id, CorrectionKind.IS, "Dee")])
    assert sorted(who(store, home, "v-3")) == ["Dee", "Unknown 3"]


def test_an_image_that_a_correction_takes_from_the_stranger_is_a_stranger_of_its_own(store: Store, home: Files) -> None:
    put_mirror(store, home, "v-3", 2, 7)
    image = next(track for track in result(store, home, "v-3").tracks if track.decision == "undecidable")
    stranger = find_stranger(store, "p", "Unknown 1").stranger_id
    correct(Archive(store, home, RULES), "p", [TrackCorrection("v-3", image.track_id, CorrectionKind.IS_NOT, stranger)])
    assert "Undecidable" not in who(store, home, "v-3")
    assert len(set(who(store, home, "v-3"))) == 3
    train(Archive(store, home, RULES), "p")
    drop_loaded_models()
    identify_archive(Archive(store, home, RULES), "p", apply=True)
    assert "Undecidable" not in who(store, home, "v-3")


def test_who_is_forgotten_is_in_no_reason_any_more(store: Store, home: Files) -> None:
    put_mirror(store, home, "v-3", 2, 7)
    name_stranger(Archive(store, home, RULES), "p", "Unknown 1", "Dee")
    assert any("Dee" in (row.reason or "") for row in store.list_appearances("p", ["a-v-3"]))
    forget(Archive(store, home, RULES), "p", "Dee")
    everything = b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())
    assert b"Dee" not in everything


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        (TrackCorrection("v-9", 1, CorrectionKind.IS, "Bob"), VideoNotFoundError, "no video 'v-9'"),
        (TrackCorrection("v-1", 9, CorrectionKind.IS, "Bob"), VideoNotFoundError, "no track 9: it has 4"),
        (TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "Zoe"), PersonNotFoundError, "no person 'Zoe'"),
        (TrackCorrection("v-1", 1, CorrectionKind.IS, "stranger-aaaaaaaaaa"), InputError, "is a stranger"),
        (TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "stranger-aaaaaaaaaa"), NotFoundError, "no stranger"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    store: Store, home: Files, statement: TrackCorrection, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        correct(Archive(store, home, RULES), "p", [statement])
    assert store.list_corrections("p") == []
    assert len(store.list_models("p")) == 1
