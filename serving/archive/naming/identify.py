"""Name the whole archive again: by another model, another accepted error, or with its strangers grouped anew."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from facerec_models.errors import ConflictError
from facerec_models.identification.naming_model import NamingModel
from serving.archive.former_names import renamed_tracks
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, WorkedOut, change_alone, change_names
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.whole_archive import NamingWork
from serving.archive.vector_sets import present_analyses
from serving.store.conflicts import require_embedder
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind, Edit, Promotion
from serving.store.rows import ModelVersion


def identify_archive(
    archive: Archive,
    project: str,
    *,
    max_false_names: float | None = None,
    model_version: str | None = None,
    goes_back: bool = False,
    preview: bool = False,
    expected: int | None = None,
    work: NamingWork | None = None,
    note: str = "",
    on_worked_out: Callable[[IdentificationChange], object] = lambda _: None,
) -> IdentificationChange:
    """Name all stored tracks again, from stored embeddings; unless another version is promoted, their strangers are grouped anew.

    Others go on editing, naming and reading meanwhile. Where they have changed something, what that changes is worked out again. Where
    they are always faster they wait in the end, until that little is worked out and all is written.

    Parameters
    ----------
    max_false_names : float, optional
        Accepted error of all from now on; by default each video keeps its own.
    model_version : str, optional
        The promoted version by default; another one is promoted with it.
    goes_back : bool
        Whether the version that was promoted before the present one names again.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.
    work : NamingWork, optional
        Who is told of it and may stop it, and where it is done.
    note : str
        The edit's.
    on_worked_out : callable, optional
        Is given what will be applied, right before that; again, where it was not.

    Raises
    ------
    ModelNotFoundError
        If there is no such version, or none was promoted before.
    ConflictError
        If the project is not at the expected version, or the version knows people by names that they have no more.
    TrainingStoppedError
        If it was stopped; nothing has changed.
    """
    kept = NamingWork() if work is None else work

    def plan(current: CurrentNaming) -> PlannedEdit:
        store = archive.store
        version = store.former_model(project).version if goes_back else current.model_version
        if model_version is not None:
            version = store.get_model(project, model_version).version
        cause = "rollback" if goes_back else "identify" if model_version is None else "promotion"
        planned = _by_version(archive, current, version, cause, goes_back=goes_back)
        edit = replace(planned.edit, note=note, max_false_names=max_false_names)
        return replace(planned, edit=edit, max_false_names=max_false_names, anew=cause == "identify", work=kept)

    def refine(_current: CurrentNaming, _planned: PlannedEdit, worked: WorkedOut) -> None:
        on_worked_out(worked.change)

    try:
        return change_names(archive, project, plan, refine=refine, preview=preview, expected=expected)
    except ConflictError:
        if expected is not None:
            raise
    return change_alone(archive, project, plan, on_worked_out, preview=preview)


def promote_learned(archive: Archive, row: ModelVersion, corrections: Collection[str]) -> IdentificationChange:
    """Let a version that was trained just now name, from now on and all that is stored.

    Parameters
    ----------
    corrections : collection of str
        Ids of those that it learned.

    Raises
    ------
    ConflictError
        If there are others by now: it would take them back.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        if {one.correction_id for one in current.corrections} != set(corrections):
            raise ConflictError(f"corrections of project {row.project!r} were added or removed meanwhile: train again")
        return _by_version(archive, current, row.version, "training")

    return change_names(archive, row.project, plan)


def name_nobody(archive: Archive, project: str, cause: str) -> IdentificationChange:
    """Let no model name any more: everybody is a stranger."""
    return change_names(archive, project, lambda current: _by_version(archive, current, None, cause))


def _by_version(
    archive: Archive, current: CurrentNaming, version: str | None, cause: str, *, goes_back: bool = False
) -> PlannedEdit:
    model = None
    if version is not None:
        require_embedder(archive.store.get_model(current.project, version), current.embedder)
        model = load_model(archive.files, current.project, version)
        if version != current.model_version:
            _require_names(archive.store, current, version, model)
    promotion = (
        Promotion.GO_BACK if goes_back else Promotion.KEEP if version == current.model_version else Promotion.PROMOTE
    )
    if version is None:
        promotion = Promotion.NONE
    return PlannedEdit(
        Edit(cause, promotion=promotion, model_version=version),
        version,
        model,
        wanted={row.analysis_id for row in present_analyses(archive.store, current.project)},
    )


def _require_names(store: Store, current: CurrentNaming, version: str, model: NamingModel) -> None:
    """Raise `ConflictError` if a version knows people by names that they have no more."""
    project = current.project
    faces = {face.face_id: face.person_id for face in current.faces()}
    tracks = {
        (row.analysis_id, row.track_id): row.person_id for row in current.corrections if row.kind is CorrectionKind.IS
    }
    learned = [
        *(
            (former, faces.get(face_id, former), "faces")
            for face_id, former in zip(model.gallery.face_ids.tolist(), model.gallery.person_ids.tolist(), strict=True)
        ),
        *(
            (former, tracks.get(track, former), "tracks")
            for track, former in renamed_tracks(store, project)
            if model.corrections.confirmed.get(track) == former
        ),
    ]
    for former, person_id, what in learned:
        if person_id != former:
            raise ConflictError(
                f"version {version} of project {project!r} learned {what} of {person_id} as {former}'s: "
                "take that back with 'facerec history undo', or train a version"
            )
