"""Naming only what an edit can change gives the names that naming everything at once gives."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_models.errors import ConflictError, GalleryError, NotFoundError
from facerec_models.identification.identify import identify_videos
from serving.archive.handle import Archive
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.current import read_current
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.merge_strangers import merge_strangers
from serving.archive.naming.named import owners_of
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.rename import merge_people, rename_person
from serving.archive.naming.undo import undo_edit
from serving.store.naming_rows import CorrectionKind
from tests.archive import put_video
from tests.builders import EMBEDDER

PEOPLE = ["Ann_Lee", "Bob", "Cem", "Dee", "Eve"]


def stored(archive: Archive) -> dict[str, list[str | None]]:
    """Return who the tracks of each analysis are, without strangers."""
    return {
        row.analysis_id: [None if one is None or one.startswith("stranger-") else one for one in owners_of(row)]
        for row in archive.store.list_named("p")
    }


def from_scratch(archive: Archive) -> dict[str, list[str | None]]:
    """Return the same for the model that names now, of everything at once."""
    current = read_current(archive, "p")
    found = {}
    for row in archive.store.list_named("p"):
        columns = archive.store.get_columns("p", [row.analysis_id])
        (names,) = identify_videos(
            list(columns.items()), current.model, archive.rules, max_false_names=row.max_false_names, embedder=EMBEDDER
        )
        found[row.analysis_id] = [match.person_id for match in names.matches]
    return found


def edit(archive: Archive, rng: np.random.Generator, step: int) -> None:
    """Change something at random."""
    store = archive.store
    videos = [row.video_id for row in store.list_videos("p")]
    what = rng.choice(
        ["is", "is not", "stranger", "video", "undo", "limit", "again", "rename", "merge", "faces", "strangers"],
        p=[0.2, 0.15, 0.1, 0.15, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05],
    )
    video = str(rng.choice(videos))
    track = int(rng.integers(1, 1 + len(store.get_tracks("p", [f"a-{video}"])[f"a-{video}"])))
    if what == "is":
        correct(archive, "p", [TrackCorrection(video, track, CorrectionKind.IS, str(rng.choice(PEOPLE)))])
    elif what == "is not":
        known = [person.person_id for person in store.list_people("p")]
        correct(archive, "p", [TrackCorrection(video, track, CorrectionKind.IS_NOT, str(rng.choice(known)))])
    elif what == "stranger":
        shown = sorted({row.stranger_id for row in store.list_stranger_tracks("p")})
        if shown:
            name_stranger(archive, "p", str(rng.choice(shown)), str(rng.choice(PEOPLE)))
    elif what == "video":
        seen = tuple(int(who) for who in rng.integers(1, 12, size=rng.integers(1, 6)))
        assign_current(archive, put_video(archive, f"v-{step + 10}", step + 10, seen, together=bool(rng.integers(2))))
    elif what == "undo":
        undo_edit(archive, "p")
    elif what == "rename":
        rename_person(archive, "p", *map(str, rng.choice(PEOPLE, 2, replace=False)))
    elif what == "merge":
        merge_people(archive, "p", *map(str, rng.choice(PEOPLE, 2, replace=False)))
    elif what == "faces":
        faces = [face.face_id for face in store.list_faces("p")]
        enable_faces(archive, "p", rng.choice(faces, 3).tolist(), enabled=bool(rng.integers(2)))
    elif what == "strangers":
        merge_strangers(archive, "p", str(rng.integers(1, 4)), str(rng.integers(1, 4)))
    elif what == "limit":
        identify_archive(archive, "p", max_false_names=float(rng.choice([0.001, 0.005, 0.1])))
    else:
        identify_archive(archive, "p")


@pytest.mark.parametrize("seed", range(3))
def test_names_after_many_edits_are_those_of_naming_everything_at_once(archive: Archive, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for step in range(25):
        try:
            edit(archive, rng, step)
        except (
            ConflictError,
            GalleryError,
            NotFoundError,
        ):  # nothing is left to undo, nobody to learn from, or to rename
            continue
        assert stored(archive) == from_scratch(archive), f"seed {seed}, step {step}"
