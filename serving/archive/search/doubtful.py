"""Names given by hand that the faces speak against: what a reviewer is asked to look at again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from facerec_models.identification.naming_model import NamingModel
from serving.archive.handle import Archive
from serving.archive.naming.current import read_current
from serving.archive.naming.faces_of_tracks import faces_of_track
from serving.archive.search.cursors import read_cursor, write_cursor
from serving.archive.search.likely import Likely, likely_people
from serving.archive.search.strangers import Sighting, read_sightings
from serving.store.naming_rows import Correction, CorrectionKind

# Corrections that are examined for one page.
_AT_ONCE = 500
# From here on another person is likely enough to be asked about.
_LEAST_CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class DoubtfulName:
    """A track whose name was given by hand, and the person whose faces it is more like.

    Parameters
    ----------
    similarity : float
        To the nearest enrolled face of the person who was named, faces of this very track left out.
    face_id : str
        That face.
    """

    sighting: Sighting
    person_id: str
    similarity: float
    face_id: str
    other: Likely


@dataclass(frozen=True, slots=True)
class DoubtfulNames:
    """Some of them; `next_cursor` leads to the rest, and is None at the end."""

    names: list[DoubtfulName]
    next_cursor: str | None


def find_doubtful(archive: Archive, project: str, *, cursor: str | None = None) -> DoubtfulNames:
    """Return names given by hand where another enrolled person is likely and nearer, the latest first.

    Some hundred corrections are examined for one page, so it may be empty; who has no other face to compare with is left out. So is a
    person of whom a user has told that the track is not theirs.

    Raises
    ------
    InputError
        If the cursor is none.
    """
    search = ("doubtful", project)
    latest = set(archive.store.latest_analyses(project).values())
    told = [row for row in archive.store.list_corrections(project) if row.analysis_id in latest]
    given = [row for row in told if row.kind is CorrectionKind.IS]
    denied: dict[tuple[str, int], set[str]] = defaultdict(set)
    for row in told:
        if row.kind is CorrectionKind.IS_NOT:
            denied[row.analysis_id, row.track_id].add(row.person_id)
    given.sort(key=lambda row: (-row.created_at, row.correction_id))
    if cursor is not None:
        after = read_cursor(search, cursor, float, str)
        given = [row for row in given if (-row.created_at, row.correction_id) > after]
    page = given[:_AT_ONCE]
    model = read_current(archive, project).model
    found = [] if model is None else _doubted(archive, project, model, page, denied)
    if len(given) <= _AT_ONCE:
        return DoubtfulNames(found, None)
    return DoubtfulNames(found, write_cursor(search, (-page[-1].created_at, page[-1].correction_id)))


def _doubted(
    archive: Archive,
    project: str,
    model: NamingModel,
    given: Sequence[Correction],
    denied: Mapping[tuple[str, int], Set[str]],
) -> list[DoubtfulName]:
    doubted = {}
    for row in given:
        if row.embedder != model.gallery.embedder or (own := _nearest_other_face(model, row)) is None:
            continue
        without = {row.person_id, *denied.get((row.analysis_id, row.track_id), ())}
        for other in likely_people(model, model.tracks, row.embedding, without=without, count=1):
            nearest = model.nearest_faces(row.embedding, other.person_id, 1)
            if other.probability >= _LEAST_CHANCE and nearest and nearest[0][1] > own[1]:
                doubted[row.analysis_id, row.track_id] = (row, own, other)
    videos = {
        one.analysis_id: one.video_id for one in archive.store.list_analyses(project, sorted({a for a, _ in doubted}))
    }
    sightings = read_sightings(archive, project, {key: videos[key[0]] for key in doubted if key[0] in videos})
    return [
        DoubtfulName(sightings[key], row.person_id, similarity, face_id, other)
        for key, (row, (face_id, similarity), other) in doubted.items()
        if key in sightings
    ]


def _nearest_other_face(model: NamingModel, given: Correction) -> tuple[str, float] | None:
    """Return the person's enrolled face that is most like a track, those of that track left out, with the similarity."""
    rows = model.gallery.rows_of(given.person_id)
    own = faces_of_track(given.project, given.person_id, given.analysis_id, given.track_id)
    others = [i for i in rows.tolist() if str(model.gallery.face_ids[i]) not in own]
    if not others:
        return None
    similarity = model.gallery.embeddings[others] @ given.embedding
    best = int(np.argmax(similarity))
    return str(model.gallery.face_ids[others[best]]), float(similarity[best])
