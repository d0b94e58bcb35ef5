"""One way for everything that changes names: fit once, name what it can change, and write that with the edit, or show it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from facerec_models.errors import ConflictError
from facerec_models.identification.naming_model import NamingModel
from serving.archive.handle import Archive
from serving.archive.naming.affected import Rows, affected
from serving.archive.naming.correction_rows import with_corrections
from serving.archive.naming.current import CurrentNaming, read_current, revision_of
from serving.archive.naming.figures import ScoreFigures
from serving.archive.naming.named import count_named, is_same, rows_by_analysis
from serving.archive.naming.preview import Comparison, IdentificationChange, Perhaps
from serving.archive.naming.whole_archive import (
    BLOCK,
    Again,
    NamingWork,
    NewNames,
    batched,
    name_again,
)
from serving.store.conflicts import require_version
from serving.store.naming_rows import AppearanceRow, Edit, NamedTracks, NamingChange, Stranger
from serving.telemetry.metrics import EDITS, measured

_ATTEMPTS = 5

Files = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedEdit:
    """An edit, and by what the archive is named after it.

    Parameters
    ----------
    model_version, model : str and NamingModel, or None
        None where nobody is enrolled then.
    wanted : collection of str or None
        The analyses that are named again; None: those that the model, or a correction, may name otherwise.
    more : collection of str
        Analyses of which all tracks are named again beside these.
    restored : sequence of NamedTracks
        Analyses of `wanted` that are named so, whatever the model.
    unnamed : collection of str
        Analyses that nothing names any more.
    max_false_names : float or None
        The accepted error of all that is named again; None: each keeps its own.
    limits : mapping of str to float
        The accepted error of some analyses, in place of their own.
    held : mapping of str to NamedTracks
        Whose strangers tracks keep, by analysis, in place of their own.
    stands_for : mapping of str to str
        The analyses whose places others take.
    anew : bool
        Whether strangers are grouped anew; with all analyses alone.
    files : callable
        Writes files, as a context in which their rows are written.
    undoes : int or None
        The number of the edit that this takes back.
    again : mapping of str to (N,) int or None, optional
        The tracks that are named again, where that is known already.
    perhaps : sequence of Perhaps
        Who may be meant as well, and is left as they are.
    work : NamingWork or None
        What was worked out when this edit was planned before, for all tracks of all analyses.
    renamed : (str, str) or None
        The former name and the name of a person to whom this gives an earlier name back.
    before_merge : mapping of str to NamedTracks, optional
        Who tracks were before a merge that this takes back, by analysis: those of the first of `renamed` that were the second's then
        are so again. By default all are.
    """

    edit: Edit
    model_version: str | None
    model: NamingModel | None
    wanted: Collection[str] | None = None
    more: Collection[str] = frozenset()
    restored: Sequence[NamedTracks] = ()
    unnamed: Collection[str] = frozenset()
    max_false_names: float | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    held: Mapping[str, NamedTracks] = field(default_factory=dict)
    stands_for: Mapping[str, str] = field(default_factory=dict)
    anew: bool = False
    files: Files = nullcontext
    undoes: int | None = None
    again: Mapping[str, Rows] | None = None
    perhaps: Sequence[Perhaps] = ()
    work: NamingWork | None = None
    renamed: tuple[str, str] | None = None
    before_merge: Mapping[str, NamedTracks] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WorkedOut:
    """What an edit changes, and what it writes.

    Parameters
    ----------
    again : mapping of str to (N,) int or None
        The tracks that were named again, by analysis; None for all of them.
    known : mapping of str to Stranger
        As of `serving.archive.naming.whole_archive.NewNames`.
    """

    change: IdentificationChange
    names: NamingChange
    again: Mapping[str, Rows]
    known: Mapping[str, Stranger]


def change_names(
    archive: Archive,
    project: str,
    plan: Callable[[CurrentNaming], PlannedEdit],
    *,
    refine: Callable[[CurrentNaming, PlannedEdit, WorkedOut], PlannedEdit | None] | None = None,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Apply an edit, or say what it would change.

    Where something else changes meanwhile that names depend on, it begins again, unless a version is expected.

    Parameters
    ----------
    plan : callable
        Returns the edit, for the project as it is now.
    refine : callable, optional
        Returns what is to be done in its place, once it is known what it changes; None if that may be.
    expected : int, optional
        The version that a preview answered.

    Raises
    ------
    ConflictError
        If the project is not at the expected version, or others were always faster.
    """
    attempts = 1 if expected is not None else _ATTEMPTS
    while True:
        attempts -= 1
        current = read_current(archive, project, None)
        if expected is not None:
            require_version(project, expected, current.version)
        try:
            with _without_collecting(), measured("identify"):
                planned = plan(current)
                worked = work_out(archive, current, planned)
                refined = None if refine is None else refine(current, planned, worked)
                if refined is not None:
                    planned, worked = refined, work_out(archive, current, replace(refined, again=worked.again))
            change = worked.change
            change.perhaps = planned.perhaps
            if preview:
                require_version(project, current.version, archive.store.get_project(project).version)
            else:
                with planned.files():
                    change.edit = archive.store.apply(project, worked.names, if_version=current.version) or None
                change.applied = True
                _count(worked.names)
        except ConflictError:
            if attempts == 0 or archive.store.get_project(project).version == current.version:
                raise
        else:
            return change


def change_alone(
    archive: Archive,
    project: str,
    plan: Callable[[CurrentNaming], PlannedEdit],
    on_worked_out: Callable[[IdentificationChange], object],
    *,
    preview: bool,
) -> IdentificationChange:
    """Apply an edit of which most is worked out already, or say what it would change, while nobody else writes to the project.

    Parameters
    ----------
    plan, preview
        As of `change_names`.
    on_worked_out : callable
        Is given what will be applied, right before that.
    """
    found: list[WorkedOut] = []

    def work() -> NamingChange | None:
        current = read_current(archive, project, None)
        with _without_collecting(), measured("identify"):
            planned = plan(current)
            worked = work_out(archive, current, planned)
        on_worked_out(worked.change)
        found.append(worked)
        return None if preview else worked.names

    number = archive.store.apply_alone(project, work)
    change = found[-1].change
    change.edit, change.applied = number or None, not preview
    if not preview:
        _count(found[-1].names)
    return change


def _count(written: NamingChange) -> None:
    count_named(written.named)
    if written.edit is not None:
        EDITS.labels(written.edit.cause).inc()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Let no garbage collector look through a hundred thousand rows, none of which refers to another: a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def work_out(archive: Archive, current: CurrentNaming, planned: PlannedEdit) -> WorkedOut:
    """Return what an edit changes, and what would be written; nothing is."""
    store, project, edit = archive.store, current.project, planned.edit
    named = current.named
    again: dict[str, Rows]
    if planned.again is not None:
        again = dict(planned.again)
    elif planned.wanted is None:
        again = affected(store, project, named, current.model, planned.model) | dict.fromkeys(planned.more)
        # What nothing has named yet is named when it is corrected.
        again |= dict.fromkeys({row.analysis_id for row in edit.corrections} - named.keys())
    else:
        again = dict.fromkeys(planned.wanted)
    limit = planned.max_false_names
    own = {one: row.max_false_names for one, row in {**planned.held, **named}.items()} | dict(planned.limits)
    limits = {one: limit or own.get(one, current.max_false_names) for one in again}
    rows = store.list_analyses(project, sorted(again))
    change = IdentificationChange(
        revision_of(project, planned.model_version, current.max_false_names if limit is None else limit),
        current.version,
        edit.note,
        strangers=len(edit.strangers),
    )
    counted = _Counted(archive, current, planned, change)
    names = name_again(
        archive,
        project,
        sorted(rows, key=lambda row: (limits[row.analysis_id], row.created_at, row.analysis_id)),
        planned.model,
        Again(
            rows=again,
            limits=limits,
            now=named,
            held=planned.held,
            corrections=with_corrections(current.corrections, edit.corrections, edit.withdrawn),
            anew=planned.anew,
            restored={row.analysis_id: row for row in planned.restored},
            unnamed=planned.unnamed,
            strangers=edit.strangers,
            work=planned.work,
            renamed=edit.renamed or planned.renamed,
            before_merge=planned.before_merge,
        ),
        counted.add,
    )
    counted.finish(names, {**named, **{row.analysis_id: row for row in names.named}})
    moved = {row.analysis_id for row in (*names.lost, *names.appearances)}
    same = {
        row.analysis_id
        for row in names.named
        if row.analysis_id not in moved and is_same(row, named.get(row.analysis_id))
    }
    written = NamingChange(
        [row for row in names.named if row.analysis_id not in same],
        sorted(set(planned.unnamed) & named.keys()),
        names.lost,
        names.appearances,
        [row for row in names.freed if row.analysis_id not in same],
        [row for row in names.stranger_tracks if row.analysis_id not in same],
        names.strangers,
        edit,
        planned.undoes,
    )
    return WorkedOut(change, written, again, names.known)


class _Counted:
    """What an edit changes in the answers of videos: each counts by its latest analysis."""

    def __init__(
        self, archive: Archive, current: CurrentNaming, planned: PlannedEdit, change: IdentificationChange
    ) -> None:
        self._store = archive.store
        self._project = current.project
        self._planned = planned
        self._change = change
        self._latest = set(current.latest.values())
        figures = ScoreFigures(current.model), ScoreFigures(planned.model)
        self._comparison = Comparison(archive.store, current.project, figures, change)

    def add(self, lost: Sequence[AppearanceRow], appearances: Sequence[AppearanceRow]) -> None:
        """Count what differs; an analysis that takes the place of another one is compared with that."""
        stands_for, latest = self._planned.stands_for, self._latest
        before = rows_by_analysis([row for row in lost if row.analysis_id in latest])
        after = rows_by_analysis(
            [row for row in appearances if stands_for.get(row.analysis_id, row.analysis_id) in latest]
        )
        others = {one: stands_for[one] for one in after if one in stands_for}
        was = self._read(list(others.values()))
        self._comparison.add(before | {one: was.get(other, []) for one, other in others.items()}, after)

    def finish(self, names: NewNames, named: Mapping[str, NamedTracks]) -> None:
        """Count what nothing names any more."""
        stands_for, unnamed = self._planned.stands_for, self._planned.unnamed
        for part in batched(sorted(self._latest & set(unnamed) - set(stands_for.values())), BLOCK):
            self._comparison.add(self._read(part), {})
        self._comparison.finish([*names.known.values(), *names.strangers])
        answers = [
            row for one, row in named.items() if (one in self._latest or one in stands_for) and one not in unnamed
        ]
        self._change.videos = len(answers)
        self._change.tracks = sum(map(len, answers))

    def _read(self, analysis_ids: Sequence[str]) -> dict[str, list[AppearanceRow]]:
        if not analysis_ids:
            return {}
        return rows_by_analysis(self._store.list_appearances(self._project, sorted(analysis_ids)))
