"""Strangers who resemble one who gets a name, and whom the grouping has told apart."""

from __future__ import annotations

import numpy as np
import pytest

from serving.archive.handle import Archive
from serving.archive.naming.aliases import find_stranger
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from tests.archive import put_tracks
from tests.builders import face_of, make_track, near
from tests.unit.serving.archive.edits import labels_in, result_in


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """Show in a third video a person who is so alike to Unknown 1 that a model would give them one name."""
    face = near(face_of(7, 30), 0.96)
    track = make_track(1, [3.0, 4.0], embeddings=np.stack([face, face]))
    assign_current(archive, put_tracks(archive, "v-3", 2, [track]))
    return archive


def test_a_stranger_who_is_told_apart_stays_who_they_are_and_is_listed(archive: Archive, store: Store) -> None:
    assert labels_in(archive, "v-3") == ["Unknown 3"]
    preview = name_stranger(archive, "p", "Unknown 1", "Cem", preview=True)
    change = name_stranger(archive, "p", "Unknown 1", "Cem")
    assert labels_in(archive, "v-1")[2] == labels_in(archive, "v-2")[2] == "Cem"
    assert labels_in(archive, "v-3") == ["Unknown 3"]
    stranger = find_stranger(store, "p", "Unknown 3").stranger_id
    expected = [{"person_id": "Cem", "stranger": stranger, "label": "Unknown 3", "tracks": 1}]
    assert change.to_dict()["perhaps"] == preview.to_dict()["perhaps"] == expected


def test_who_is_perhaps_the_same_gets_the_name_when_told_so(archive: Archive, store: Store) -> None:
    name_stranger(archive, "p", "Unknown 1", "Cem")
    name_stranger(archive, "p", "Unknown 3", "Cem")
    assert labels_in(archive, "v-3") == ["Cem"]
    assert {row.kind for row in store.list_corrections("p")} == {CorrectionKind.IS}


@pytest.mark.parametrize(("named", "other"), [("v-1", "v-2"), ("v-2", "v-1")])
def test_a_track_that_was_corrected_not_to_be_a_stranger_does_not_get_their_name(
    archive: Archive, named: str, other: str
) -> None:
    stranger = str(result_in(archive, "v-2").appearances[2].stranger)
    correct(archive, "p", [TrackCorrection("v-2", 3, CorrectionKind.IS_NOT, stranger)])
    one, two = (str(result_in(archive, video).appearances[2].stranger) for video in (named, other))
    change = name_stranger(archive, "p", one, "Cem")
    assert labels_in(archive, named)[2] == "Cem"
    assert result_in(archive, other).appearances[2].stranger == two
    assert two not in {perhaps.stranger for perhaps in change.perhaps}


def test_an_undo_takes_back_that_they_were_held_apart(archive: Archive, store: Store) -> None:
    before = [labels_in(archive, video) for video in ("v-1", "v-2", "v-3")]
    edit = name_stranger(archive, "p", "Unknown 1", "Cem").edit
    assert edit is not None
    undo_edit(archive, "p", edit)
    assert [labels_in(archive, video) for video in ("v-1", "v-2", "v-3")] == before
    assert store.list_corrections("p") == []
