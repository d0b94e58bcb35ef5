"""What people were called before they were renamed, or merged with others; and which merges still hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from serving.archive.vector_sets import TrackKey
from serving.store.contract import Store
from serving.store.naming_rows import AppliedEdit, CorrectionKind

RENAME, MERGE, UNMERGE = "rename", "merge", "unmerge"


@dataclass(frozen=True, slots=True)
class StandingMerge:
    """A person was merged with another one, was not taken apart since, and what undoing needs is kept.

    Parameters
    ----------
    edit : AppliedEdit
        The merge.
    former : str
        What the person was called who was merged.
    holder : str
        Who has what was theirs, by the present name.
    later : tuple of AppliedEdit
        The merges by which it went on to others since, in order.
    """

    edit: AppliedEdit
    former: str
    holder: str
    later: tuple[AppliedEdit, ...] = ()

    @property
    def edits(self) -> tuple[AppliedEdit, ...]:
        """All merges by which what was theirs came to who has it."""
        return (self.edit, *self.later)


def standing_merges(edits: Iterable[AppliedEdit]) -> list[StandingMerge]:
    """Return the merges that hold, of all edits of a project, in order.

    An edit is undone after all that came later: those that were undone can be passed over.
    """
    merges: list[StandingMerge] = []
    for edit in edits:
        if edit.renamed is None or edit.undone_at is not None:
            continue
        first, second = edit.renamed
        if edit.cause == RENAME:
            merges = [replace(one, holder=second) if one.holder == first else one for one in merges]
        elif edit.cause == MERGE:
            merges = [_went_on(one, edit, second) if one.holder == first else one for one in merges]
            merges.append(StandingMerge(edit, first, second))
        elif edit.cause == UNMERGE:
            merges = list(_without(merges, holder=first, former=second))
    return merges


def _went_on(merge: StandingMerge, edit: AppliedEdit, holder: str) -> StandingMerge:
    return replace(merge, holder=holder, later=(*merge.later, edit))


def _without(merges: Iterable[StandingMerge], *, holder: str, former: str) -> Iterator[StandingMerge]:
    """Yield the merges that hold once a person is apart again: who had been merged with that person before is so again."""
    apart = {one.edit.number for one in merges if (one.former, one.holder) == (former, holder)}
    for one in merges:
        numbers = [edit.number for edit in one.later]
        at = next((i for i, number in enumerate(numbers) if number in apart), None)
        if one.edit.number in apart:
            continue
        yield one if at is None else replace(one, holder=former, later=one.later[:at])


def name_now(store: Store, project: str, person_id: str, since: float) -> str:
    """Return the present name of the person who had a name at a time, in seconds since the epoch; renamings that were undone count."""
    return names_now(store, project)(person_id, since)


def names_now(store: Store, project: str) -> Callable[[str, float], str]:
    """Return what says the present names of people, as `name_now` does, of many of them."""
    moves: list[tuple[float, str, str]] = []
    edits = store.list_edits(project)
    merges = {one.edit.number for one in standing_merges(edits)}
    for edit in edits:
        if edit.renamed is None:
            continue
        former, name = edit.renamed
        if edit.cause == RENAME or edit.number in merges:
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
    """Yield the tracks that were confirmed as people who were renamed, merged or taken apart, with the former names."""
    for edit in store.list_edits(project):
        if edit.cause in (RENAME, MERGE, UNMERGE) and edit.undone_at is None:
            for row in store.get_inverse(project, edit.number).corrections:
                if row.kind is CorrectionKind.IS:
                    yield (row.analysis_id, row.track_id), row.person_id
