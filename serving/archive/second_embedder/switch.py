"""Change a project's embedder for that of a prepared second set: seen before, done at once, and undone like any edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from facerec_models.errors import ConflictError
from facerec_models.types import Decision
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming.current import CurrentNaming, read_current
from serving.archive.naming.edits import PlannedEdit, change_names, work_out
from serving.archive.naming.named import rows_by_analysis
from serving.archive.naming.preview import IdentificationChange
from serving.archive.vector_sets import (
    carry_corrections,
    drop_vectors,
    learned_state,
    present_analyses,
    read_vectors,
    second_analyses,
    write_vectors,
)
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, Edit, Promotion
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
    current = read_current(archive, project, None)
    planned = _plan(archive, current, version)
    worked = work_out(archive, current, planned)
    first = sorted(planned.unnamed)
    before = rows_by_analysis(archive.store.list_appearances(project, first))
    after = {planned.stands_for.get(key, key): rows for key, rows in rows_by_analysis(worked.names.appearances).items()}
    row = archive.store.get_model(project, planned.model_version)
    return Swap(row, worked.change, _agreement(before, after))


def switch_embedder(
    archive: Archive,
    project: str,
    version: str | None = None,
    *,
    expected: int | None = None,
) -> IdentificationChange:
    """Let a prepared second set take the place of the present one: embedder, version, analyses, faces, and corrections.

    `serving.archive.naming.undo` takes that back. What is enrolled and analysed afterwards is of the new embedder.

    Parameters
    ----------
    version : str, optional
        As of `preview_swap`.
    expected : int, optional
        The version of the project that a preview answered.

    Raises
    ------
    ModelNotFoundError, ConflictError
        As `preview_swap`, and `ConflictError` as `serving.archive.naming.edits.change_names`.
    """
    return change_names(archive, project, lambda current: _plan(archive, current, version), expected=expected)


def _plan(archive: Archive, current: CurrentNaming, version: str | None) -> PlannedEdit:
    store, project = archive.store, current.project
    row = _prepared(store, project, version)
    pairs = _complete(store, project, row)
    second = [*pairs.values(), *_without_first(store, project, row.embedder)]
    vectors = read_vectors(archive.files, project, row.embedder)
    faces = [
        replace(face, embedder=row.embedder, embedding=vectors[face.face_id])
        for face in current.faces()
        if face.embedder == current.embedder and face.embedding is not None and face.face_id in vectors
    ]
    edit = Edit(
        "embedder",
        f"{row.embedder} in place of {current.embedder}",
        corrections=carry_corrections(store, project, pairs),
        withdrawn=[one.correction_id for one in current.corrections],
        faces=faces,
        promotion=Promotion.PROMOTE,
        model_version=row.version,
        embedder=row.embedder,
    )
    return PlannedEdit(
        edit,
        row.version,
        load_model(archive.files, project, row.version),
        wanted={one.analysis_id for one in second},
        unnamed={one.analysis_id for one in present_analyses(store, project)},
        # The tracks of both are the same, in the same order.
        held={pair.analysis_id: current.named[first] for first, pair in pairs.items() if first in current.named},
        stands_for={pair.analysis_id: first for first, pair in pairs.items()},
        anew=True,
        files=lambda: _keeping_vectors(archive, project),
    )


@contextmanager
def _keeping_vectors(archive: Archive, project: str) -> Iterator[None]:
    """Keep the vectors that faces have, for the way back."""
    embedder = archive.store.get_project(project).embedder
    faces = [face for face in archive.store.list_faces(project) if face.embedder == embedder]
    vectors = {face.face_id: face.embedding for face in faces if face.embedding is not None}
    if embedder is not None:
        write_vectors(archive.files, project, embedder, vectors)
    try:
        yield
    except BaseException:
        # A person may have been forgotten meanwhile.
        there = {face.face_id for face in archive.store.list_faces(project)}
        drop_vectors(archive.files, project, vectors.keys() - there)
        raise


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
