"""What people were called before they were renamed, or merged with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from serving.archive.vector_sets import TrackKey
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind

RENAME, MERGE = "rename", "merge"


def name_now(store: Store, project: str, person_id: str, since: float) -> str:
    """Return the present name of the person who had a name at a time, in seconds since the epoch; renamings that were undone count."""
    return names_now(store, project)(person_id, since)


def names_now(store: Store, project: str) -> Callable[[str, float], str]:
    """Return what says the present names of people, as `name_now` does, of many of them."""
    moves: list[tuple[float, str, str]] = []
    for edit in store.list_edits(project):
        if edit.renamed is None:
            continue
        former, name = edit.renamed
        if edit.cause == RENAME or (edit.cause == MERGE and edit.undone_at is None):
            moves.append((edit.created_at, former, name))
        if edit.cause == RENAME and edit.undone_at is not None:
            moves.append((edit.undone_at, name, former))
    moves.sort()

    def name_of(person_id: str, since: float) -> str:
        for at, former, name in moves:
            if at > since and former == person_id:
                person_id = name
        return person_id

    return name_of


def renamed_tracks(store: Store, project: str) -> Iterator[tuple[TrackKey, str]]:
    """Yield the tracks that were confirmed as people who were renamed or merged, with the former names."""
    for edit in store.list_edits(project):
        if edit.cause in (RENAME, MERGE) and edit.undone_at is None:
            for row in store.get_inverse(project, edit.number).corrections:
                if row.kind is CorrectionKind.IS:
                    yield (row.analysis_id, row.track_id), row.person_id
