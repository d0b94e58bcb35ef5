"""One face twice in a frame: a person and their image, each of which can be confirmed."""

from __future__ import annotations

from facerec_models.types import Decision
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import drop_loaded_models
from serving.archive.learning.model_versions import train
from serving.archive.naming.aliases import find_stranger
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from tests.archive import put_mirror
from tests.unit.serving.archive.edits import labels_in, result_in


def test_a_person_and_their_mirror_image_stay_confirmed(archive: Archive, store: Store) -> None:
    put_mirror(archive, "v-3", 2, 1)
    assert sorted(labels_in(archive, "v-3")) == ["Ann Lee", "Undecidable", "Unknown 3"]
    image = next(track.track_id for track in result_in(archive, "v-3").tracks if track.decision == "undecidable")
    correct(archive, "p", [TrackCorrection("v-3", image, CorrectionKind.IS, "Ann Lee")])
    # The face that was named by its evidence alone is the image now, until confirmed as well.
    other = result_in(archive, "v-3").tracks[2 - image]
    assert (other.decision, "Ann Lee, who is named beside it" in (other.reason or "")) == ("undecidable", True)
    correct(archive, "p", [TrackCorrection("v-3", other.track_id, CorrectionKind.IS, "Ann Lee")])

    def both() -> list[str | None]:
        return [track.person_id for track in result_in(archive, "v-3").tracks[:2]]

    assert both() == ["Ann_Lee"] * 2
    assert {face.source for face in store.list_faces("p", person_id="Ann_Lee") if face.source} == {
        f"track:a-v-3/{track}/{k}" for track in (1, 2) for k in (0, 1)
    }
    identify_archive(archive, "p")
    assert both() == ["Ann_Lee"] * 2
    train(archive, "p")
    identify_archive(archive, "p")
    assert both() == ["Ann_Lee"] * 2
    put_mirror(archive, "v-4", 3, 1)
    correct(archive, "p", [TrackCorrection("v-4", 3, CorrectionKind.IS, "Dee")])
    assert both() == ["Ann_Lee"] * 2
    assert [a.label for a in result_in(archive, "v-3").appearances] == ["Ann Lee", "Unknown 3"]
    # In one go, in another video.
    correct(archive, "p", [TrackCorrection("v-4", i, CorrectionKind.IS, "Ann Lee") for i in (1, 2)])
    assert [track.person_id for track in result_in(archive, "v-4").tracks[:2]] == ["Ann_Lee"] * 2


def test_undoing_a_confirmation_makes_the_image_undecidable_again(archive: Archive, store: Store) -> None:
    put_mirror(archive, "v-3", 2, 1)
    before = result_in(archive, "v-3")
    both = [TrackCorrection("v-3", i, CorrectionKind.IS, "Ann Lee") for i in (1, 2)]
    preview = correct(archive, "p", both, preview=True)
    (example,) = (one for one in preview.examples["Ann_Lee"] if one.video_id == "v-3" and one.before != "Ann Lee")
    assert (example.before, example.after) == ("Ann Lee, Undecidable", "Ann Lee")
    assert "who is named beside it" in (example.reason or "")
    correct(archive, "p", both)
    undo_edit(archive, "p")
    assert result_in(archive, "v-3").appearances == before.appearances
    rows = store.list_appearances("p", ["a-v-3"])
    assert [row.reason for row in rows] == [view.reason for view in before.appearances]
    assert [row.reason for row in rows if row.decision is Decision.UNDECIDABLE] != [None]


def test_a_strangers_mirror_image_is_undecidable_until_confirmed(archive: Archive) -> None:
    put_mirror(archive, "v-3", 2, 7)
    first, image, _ = result_in(archive, "v-3").tracks
    assert sorted((first.decision, image.decision)) == ["undecidable", "unknown"]
    assert [label for label in labels_in(archive, "v-3") if label != "Undecidable"] == ["Unknown 1", "Unknown 3"]
    name_stranger(archive, "p", "Unknown 1", "Dee")
    undecided = next(track for track in result_in(archive, "v-3").tracks if track.decision == "undecidable")
    assert "Dee, who is named beside it" in (undecided.reason or "")
    correct(archive, "p", [TrackCorrection("v-3", undecided.track_id, CorrectionKind.IS, "Dee")])
    assert sorted(labels_in(archive, "v-3")) == ["Dee", "Unknown 3"]


def test_a_mirror_image_denied_to_a_stranger_becomes_another_stranger(archive: Archive, store: Store) -> None:
    put_mirror(archive, "v-3", 2, 7)
    image = next(track for track in result_in(archive, "v-3").tracks if track.decision == "undecidable")
    stranger = find_stranger(store, "p", "Unknown 1").stranger_id
    correct(archive, "p", [TrackCorrection("v-3", image.track_id, CorrectionKind.IS_NOT, stranger)])
    assert "Undecidable" not in labels_in(archive, "v-3")
    assert len(set(labels_in(archive, "v-3"))) == 3
    train(archive, "p")
    drop_loaded_models()
    identify_archive(archive, "p")
    assert "Undecidable" not in labels_in(archive, "v-3")
