"""Two sets of vectors of one project, by two embedders: which of them counts, and what of one belongs to what of the other.

A second set is made from stored crops, see `serving.archive.second_embedder.prepare`. Its analyses have the tracks of those that
they were made from, under the same numbers. What is named, searched and shown are the analyses of the project's embedder alone;
`serving.archive.second_embedder.switch` changes it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from facerec_models.files import write_atomically
from facerec_models.names import short_id
from facerec_models.types import FloatArray
from facerec_models.vectors import track_embedding
from serving.archive.coverage import JOINED, MADE_FROM
from serving.archive.files import Files
from serving.archive.naming.correction_rows import correction_id
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, StrangerTrack
from serving.store.rows import AnalysisRow, FaceStatus

TrackKey = tuple[str, int]
"""Analysis and number of a track."""


def present_analyses(store: Store, project: str) -> list[AnalysisRow]:
    """Return the analyses of the project's embedder, oldest first."""
    embedder = store.get_project(project).embedder
    return [row for row in store.list_analyses(project) if embedder in (None, row.embedder)]


def second_analyses(store: Store, project: str, embedder: str) -> dict[str, AnalysisRow | None]:
    """Return what was made with another embedder of the latest analysis of every video, by that one's id; None: nothing yet."""
    latest = {row.video_id: row.analysis_id for row in present_analyses(store, project)}
    made = {row.summary.get(MADE_FROM): row for row in store.list_analyses(project) if row.embedder == embedder}
    return {analysis_id: made.get(analysis_id) for analysis_id in latest.values()}


def origins(analyses: Iterable[AnalysisRow]) -> Callable[[str, int], TrackKey]:
    """Return what says for a track, given by analysis and number, of which it is a copy in the end: one of a video's pictures."""
    summaries = {row.analysis_id: row.summary for row in analyses}

    def origin(analysis_id: str, track_id: int) -> TrackKey:
        while (summary := summaries.get(analysis_id)) is not None:
            if (parent := summary.get(MADE_FROM)) is not None:
                analysis_id = parent
            elif JOINED in summary and track_id <= len(summary[JOINED]["tracks"]):
                place, track_id = summary[JOINED]["tracks"][track_id - 1]
                analysis_id = summary[JOINED]["parts"][place][0]
            else:
                break
        return analysis_id, track_id

    return origin


def in_all_sets(store: Store, project: str, tracks: Sequence[TrackKey]) -> list[TrackKey]:
    """Return tracks, given as (analysis_id, track_id), and their copies: in every other set, and in joined analyses."""
    analyses = store.list_analyses(project)
    origin = origins(analyses)
    wanted = {origin(*key) for key in tracks}
    of_root: dict[str, list[int]] = {}
    for analysis_id, track_id in sorted(wanted):
        of_root.setdefault(analysis_id, []).append(track_id)
    found: list[TrackKey] = []
    for row in analyses:
        if JOINED in row.summary:
            numbers = range(1, len(row.summary[JOINED]["tracks"]) + 1)
            found += [(row.analysis_id, one) for one in numbers if origin(row.analysis_id, one) in wanted]
        else:
            root, _ = origin(row.analysis_id, 0)
            found += [(row.analysis_id, track_id) for track_id in of_root.get(root, ())]
    return found


def origins_of(store: Store, project: str, analysis_ids: Collection[str]) -> Callable[[str, int], TrackKey]:
    """Return what says the same for tracks of these analyses, without reading all others."""
    known: dict[str, AnalysisRow] = {}
    wanted = set(analysis_ids)
    while wanted:
        found = {row.analysis_id: row for row in store.list_analyses(project, sorted(wanted))}
        known |= found
        wanted = {parent for row in found.values() for parent in _parents(row)} - known.keys()
    return origins(known.values())


def _parents(row: AnalysisRow) -> list[str]:
    if MADE_FROM in row.summary:
        return [row.summary[MADE_FROM]]
    return [analysis_id for analysis_id, _ in row.summary[JOINED]["parts"]] if JOINED in row.summary else []


def empty_forgotten(store: Store, files: Files, project: str, copies: Sequence[tuple[TrackKey, TrackKey]]) -> None:
    """Remove from copies of tracks what a person who was forgotten meanwhile has lost in those that were copied.

    Parameters
    ----------
    copies : sequence of (TrackKey, TrackKey)
        Tracks that had vectors, and their copies.
    """
    now = store.get_tracks(project, sorted({analysis_id for (analysis_id, _), _ in copies}))
    left = {(one, track.track_id) for one, tracks in now.items() for track in tracks if len(track.embedded)}
    gone = [copy for copied, copy in copies if copied not in left]
    if gone:
        store.empty_tracks(project, gone)
    for analysis_id, track_id in gone:
        for path in files.analysis(project, analysis_id).glob(f"{track_id}-*.jpg"):
            path.unlink(missing_ok=True)


def count_corrections(store: Store, project: str, corrections: Sequence[Correction]) -> int:
    """Return how many corrections were made: one that holds in other analyses of its video, too, counts once."""
    origin = origins(store.list_analyses(project))
    # What is carried keeps the time at which it was made.
    first = {
        (row.created_at, row.kind, row.person_id): (row.analysis_id, row.track_id) for row in reversed(corrections)
    }
    tracks = [(first[row.created_at, row.kind, row.person_id], row) for row in corrections]
    return len({(origin(*track), row.kind, row.person_id) for track, row in tracks})


def carry_corrections(store: Store, project: str, second: Mapping[str, AnalysisRow]) -> list[Correction]:
    """Return the corrections of tracks as corrections of the same tracks in a second set.

    "Is not" needs a vector: without a crop there is none. Nothing is carried from analyses without a second one.

    Parameters
    ----------
    second : mapping of str to AnalysisRow
        As of `second_analyses`.
    """
    corrections = [row for row in store.list_corrections(project) if row.analysis_id in second]
    found = store.get_tracks(project, sorted({second[row.analysis_id].analysis_id for row in corrections}))
    carried = []
    for row in corrections:
        analysis = second[row.analysis_id]
        track = next((one for one in found[analysis.analysis_id] if one.track_id == row.track_id), None)
        if track is None or (row.kind is not CorrectionKind.IS and not len(track.embedded)):
            continue
        analysis_id = analysis.analysis_id
        carried.append(
            replace(
                row,
                correction_id=correction_id(project, row.kind, row.person_id, analysis_id, row.track_id),
                analysis_id=analysis_id,
                embedder=analysis.embedder,
                embedding=track_embedding(track),
            )
        )
    return carried


def carry_strangers(store: Store, project: str, second: Mapping[str, AnalysisRow]) -> list[StrangerTrack]:
    """Return which strangers the tracks of a second set show, as those of the first do; tracks without vectors show nobody."""
    rows = [row for row in store.list_stranger_tracks(project) if row.analysis_id in second]
    carried = []
    for analysis_id in sorted({row.analysis_id for row in rows}):
        other = second[analysis_id].analysis_id
        tracks = {track.track_id: track for track in store.get_tracks(project, [other])[other] if len(track.embedded)}
        carried += [
            StrangerTrack(project, other, row.track_id, row.stranger_id, track_embedding(tracks[row.track_id]))
            for row in rows
            if row.analysis_id == analysis_id and row.track_id in tracks
        ]
    return carried


def learned_state(store: Store, project: str) -> str:
    """Return a short text that is the same as long as a version learns the same: enabled faces, and corrections."""
    faces = [f"{face.face_id}/{face.person_id}" for face in store.list_faces(project, status=FaceStatus.TAKEN)]
    corrections = [row.correction_id for row in store.list_corrections(project)]
    return short_id("s", *sorted(faces), "", *sorted(corrections))


def read_vectors(files: Files, project: str, embedder: str) -> dict[str, FloatArray]:
    """Return the vectors of enrolled faces that are kept for another embedder than the project's, by face."""
    path = files.face_vectors(project, embedder)
    if not path.is_file():
        return {}
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return dict(zip(data["face_ids"].tolist(), data["vectors"], strict=True))


def write_vectors(files: Files, project: str, embedder: str, vectors: Mapping[str, FloatArray]) -> None:
    """Keep vectors of enrolled faces, in place of those before."""
    data = io.BytesIO()
    found = np.stack(list(vectors.values())) if vectors else np.zeros((0, 0), np.float32)
    np.savez(data, face_ids=np.array(list(vectors), np.str_), vectors=found.astype(np.float32))
    write_atomically(files.face_vectors(project, embedder), data.getvalue())


def drop_vectors(files: Files, project: str, face_ids: Collection[str]) -> None:
    """Remove the vectors of faces from what is kept for any embedder."""
    folder = files.face_vectors(project, "x").parent
    for path in folder.iterdir() if folder.is_dir() else ():
        embedder = path.name.removesuffix(".npz")
        kept = read_vectors(files, project, embedder)
        if not kept.keys().isdisjoint(face_ids):
            write_vectors(files, project, embedder, {one: kept[one] for one in kept if one not in face_ids})
