"""Change a project's embedder for that of a prepared second set: seen before, done at once, and undone like any application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from facerec_models.errors import ConflictError
from facerec_models.types import Decision, FloatArray
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming import strangers
from serving.archive.naming.correction_rows import inverse_to_json
from serving.archive.naming.one_video import revision_of
from serving.archive.naming.preview import IdentificationChange, compare
from serving.archive.naming.strangers import Grouping
from serving.archive.naming.whole_archive import (
    before_naming,
    name_analyses,
    read_state,
    record,
    require_state,
    rows_by_analysis,
    state_of,
    usual_error,
)
from serving.archive.vector_sets import (
    carry_corrections,
    carry_strangers,
    learned_state,
    present_analyses,
    read_vectors,
    second_analyses,
    write_vectors,
)
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, Correction, EditInverse, Naming, Revision, Stranger
from serving.store.rows import AnalysisRow, ModelVersion


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two sets name the same tracks.

    Parameters
    ----------
    tracks : int
        In both sets.
    same : int
        Named so by both, unknown to both, or undecidable to both.
    other_person : int
        Named by both, but not as one person.
    """

    tracks: int
    same: int
    other_person: int


@dataclass(frozen=True, slots=True)
class Swap:
    """A change of embedder that is worked out, and not made.

    Parameters
    ----------
    version : ModelVersion
        Which would name.
    change : IdentificationChange
        What that would change.
    """

    version: ModelVersion
    change: IdentificationChange
    agreement: Agreement


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A second set, named by its version; nothing of it is stored.

    Parameters
    ----------
    first, second : sequence of AnalysisRow
        All analyses of the present embedder; those that take their places.
    pairs : mapping of str to AnalysisRow
        Those of `second` that were made from one of `first`, by that one's id.
    rows : mapping of str to sequence of AppearanceRow
        By the ids of `second`.
    corrections : sequence of Correction
        Of the tracks of `second`.
    known : sequence of Stranger
        All of the project, so far.
    """

    swap: Swap
    revision: Revision
    first: Sequence[AnalysisRow]
    second: Sequence[AnalysisRow]
    pairs: Mapping[str, AnalysisRow]
    rows: Mapping[str, Sequence[AppearanceRow]]
    corrections: Sequence[Correction]
    grouping: Grouping
    known: Sequence[Stranger]


def preview_swap(archive: Archive, project: str, version: str | None = None) -> Swap:
    """Say what changing to a prepared second set would change; nothing is stored.

    Parameters
    ----------
    version : str, optional
        A version that was prepared; by default the last one.

    Raises
    ------
    ModelNotFoundError
        If there is no such version.
    ConflictError
        If none was prepared, or not all of the project is.
    """
    return _plan(archive, project, version).swap


def switch_embedder(
    archive: Archive,
    project: str,
    version: str | None = None,
    *,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Let a prepared second set take the place of the present one: embedder, version, analyses, faces, and corrections.

    `serving.archive.naming.undo` takes that back. What is enrolled and analysed afterwards is of the new embedder.

    Parameters
    ----------
    version : str, optional
        As of `preview_swap`.
    expected_state : str, optional
        What a preview answered as `state`.

    Raises
    ------
    ModelNotFoundError, ConflictError
        As `preview_swap`, and `ConflictError` if the archive is not in the expected state, or changes meanwhile.
    """
    before, state = read_state(archive.store, project)
    plan = _plan(archive, project, version)
    change, model = plan.swap.change, plan.swap.version
    require_state(project, change.state, expected_state)
    embedder = archive.store.get_project(project).embedder
    naming = Naming(
        expected={row.analysis_id: row.revision for row in (*plan.first, *plan.second)},
        revisions={
            **{row.analysis_id: None for row in plan.first},
            **{row.analysis_id: plan.revision.revision for row in plan.second},
        },
        appearances=[row for rows in plan.rows.values() for row in rows],
        strangers=plan.grouping.strangers,
        stranger_tracks=plan.grouping.tracks,
        known=len(plan.known),
        promoted=model.version,
        inverse=EditInverse([row.correction_id for row in before], plan.corrections),
        embedder=model.embedder,
        vectors=_second_vectors(archive, project, model.embedder),
        state=state,
    )
    undo = {
        **before_naming(archive.store, project, naming, plan.known),
        "effect": inverse_to_json(EditInverse([row.correction_id for row in plan.corrections], before)),
        "embedder": embedder,
    }
    note = f"{model.embedder} in place of {embedder}"
    change.application = record(archive.store, project, plan.revision, naming, undo, "embedder", note)
    change.applied = True
    return change


def _plan(archive: Archive, project: str, version: str | None) -> _Plan:
    row = _prepared(archive.store, project, version)
    pairs = _complete(archive.store, project, row)
    second = [*pairs.values(), *_without_first(archive.store, project, row.embedder)]
    second.sort(key=lambda one: (one.created_at, one.analysis_id))
    first = present_analyses(archive.store, project)
    revision = revision_of(project, row.version, archive.rules, usual_error(archive.store, project))
    change = IdentificationChange(revision.revision, state_of(archive.store, project, revision, row.embedder))
    model = load_model(archive.files, project, row.version)
    named = name_analyses(archive, project, [(one, revision, model) for one in second])
    corrections = carry_corrections(archive.store, project, pairs)
    before = rows_by_analysis(archive.store.list_appearances(project, [one.analysis_id for one in first]))
    shown = carry_strangers(archive.store, project, pairs)
    # Not before these: all whom they show must be among them.
    known = archive.store.list_strangers(project)
    grouping = strangers.regroup(project, named.unknown, shown, known, corrections)
    rows = named.rows(grouping)
    # Counted as if the first set's analyses were named anew: the tracks are the same.
    stands_for = {pair.analysis_id: analysis_id for analysis_id, pair in pairs.items()}
    after = {
        stands_for.get(key, key): [replace(one, analysis_id=stands_for.get(key, key)) for one in found]
        for key, found in rows.items()
    }
    compare(archive.store, project, before, after, [*known, *grouping.strangers], change)
    change.videos, change.tracks = len(second), sum(map(len, named.spans.values()))
    swap = Swap(row, change, _agreement(before, after))
    return _Plan(swap, revision, first, second, pairs, rows, corrections, grouping, known)


def _prepared(store: Store, project: str, version: str | None) -> ModelVersion:
    """Return a version that a second set was prepared with."""
    own = store.get_project(project).embedder
    remedy = "'facerec embedder prepare' makes one"
    if version is None:
        rows = [row for row in store.list_models(project) if "second_set" in row.metrics and row.embedder != own]
        if not rows:
            raise ConflictError(f"project {project!r} has no second set of vectors: {remedy}")
        return rows[-1]
    row = store.get_model(project, version)
    if row.embedder == own:
        raise ConflictError(
            f"model {version!r} is for {own}, which project {project!r} uses: 'facerec identify --model {version}' applies it"
        )
    if "second_set" not in row.metrics:
        raise ConflictError(f"model {version!r} of project {project!r} belongs to no second set of vectors: {remedy}")
    return row


def _complete(store: Store, project: str, row: ModelVersion) -> dict[str, AnalysisRow]:
    """Return the second analyses, by those that they were made from; raise `ConflictError` if anything came since."""
    found = second_analyses(store, project, row.embedder)
    complete = {key: second for key, second in found.items() if second is not None}
    again = f"'facerec embedder prepare {row.embedder}' does what is missing"
    if missing := len(found) - len(complete):
        raise ConflictError(
            f"{missing} of {len(found)} videos of project {project!r} have no vectors of {row.embedder}: {again}"
        )
    if row.metrics["second_set"]["state"] != learned_state(store, project):
        raise ConflictError(
            f"model {row.version!r} of project {project!r} knows other faces or corrections than there are by now: {again}"
        )
    return complete


def _without_first(store: Store, project: str, embedder: str) -> list[AnalysisRow]:
    """Return the latest analyses of videos that were only ever analysed with an embedder that is not the present one."""
    seen = {row.video_id for row in present_analyses(store, project)}
    rows = [row for row in store.list_analyses(project) if row.embedder == embedder and row.video_id not in seen]
    return list({row.video_id: row for row in rows}.values())


def _second_vectors(archive: Archive, project: str, embedder: str) -> dict[str, FloatArray]:
    """Return the vectors that faces get, and keep those that they have for the way back."""
    own = archive.store.get_project(project).embedder
    faces = [face for face in archive.store.list_faces(project) if face.embedder == own and face.embedding is not None]
    if own is not None:
        write_vectors(
            archive.files, project, own, {face.face_id: face.embedding for face in faces if face.embedding is not None}
        )
    second = read_vectors(archive.files, project, embedder)
    return {face.face_id: second[face.face_id] for face in faces if face.face_id in second}


def _agreement(
    before: Mapping[str, Sequence[AppearanceRow]], after: Mapping[str, Sequence[AppearanceRow]]
) -> Agreement:
    was, is_now = (
        {
            (key, track_id): (row.decision, row.owner if row.decision is Decision.NAMED else None)
            for key, rows in found.items()
            for row in rows
            for track_id in row.track_ids
        }
        for found in (before, after)
    )
    both = was.keys() & is_now.keys()
    same = sum(was[key] == is_now[key] for key in both)
    named_both = [key for key in both if was[key][0] is is_now[key][0] is Decision.NAMED]
    return Agreement(len(both), same, sum(was[key] != is_now[key] for key in named_both))
