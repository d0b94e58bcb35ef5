"""What keeps one writer from overwriting another's changes: checks and messages that are the same for every store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from facerec_models.errors import ConflictError, GalleryMismatchError, StoreError
from serving.store.naming_rows import AppearanceRow, Naming, ProjectState
from serving.store.rows import ModelVersion, Project

# The version of the tables. A program reads and writes the stores of its own version alone.
SCHEMA = 10


def require_schema(store: str, found: int) -> None:
    """Raise `StoreError` if a store has other tables than this program's."""
    if found != SCHEMA:
        raise StoreError(
            f"the store {store} has schema {found}, and this program needs schema {SCHEMA}: begin a new home (--home, FACEREC_HOME) or "
            "a new database (FACEREC_STORE), or use the program that wrote it"
        )


def require_unchanged(project: str, naming: Naming, found: Mapping[str, str | None], strangers: int) -> None:
    """Raise `ConflictError` unless the archive is as a naming expects it.

    Parameters
    ----------
    found : mapping of str to str or None
        Which revision names each analysis of the project.
    strangers : int
        How many the project has.
    """
    expected = {**naming.expected, **naming.beside}
    # One that is only beside may be gone.
    changed = [key for key, revision in expected.items() if found.get(key, revision) != revision]
    if changed:
        raise ConflictError(f"{len(changed)} analyses of project {project!r} were named meanwhile: try again")
    require_stranger_count(project, naming.known, strangers)


def require_none_new(project: str, naming: Naming, found: Mapping[str, str | None]) -> None:
    """Raise `ConflictError` if an analysis is named that a naming does not know."""
    known = naming.expected.keys() | naming.beside.keys()
    new = [key for key, revision in found.items() if revision is not None and key not in known]
    if new:
        raise ConflictError(f"{len(new)} analyses of project {project!r} were added meanwhile: try again")


def require_next(project: str, number: int, last: int) -> None:
    """Raise `ConflictError` unless an application follows the last one."""
    if number != last + 1:
        raise ConflictError(f"project {project!r} was named again meanwhile, {last} times by now: try again")


def require_state(project: str, expected: ProjectState, found: ProjectState) -> None:
    """Raise `ConflictError` if the state that a naming depends on has changed."""
    if found != expected:
        raise ConflictError(
            f"project {project!r} changed meanwhile (it was named again, corrected or undone, or a version was promoted): try again"
        )


def require_corrections(project: str, expected: Collection[str], found: Iterable[str]) -> None:
    """Raise `ConflictError` unless a version was trained with all corrections, and no others."""
    if set(expected) != set(found):
        raise ConflictError(f"corrections of project {project!r} were added or removed meanwhile: train again")


def require_last(project: str, number: int, last: int | None) -> None:
    """Raise `ConflictError` unless an application is the last one that is not undone."""
    if number != last:
        raise ConflictError(f"application {number} of project {project!r} is not the last one, which is {last}")


def require_stranger_count(project: str, expected: int, found: int) -> None:
    """Raise `ConflictError` unless the project has as many strangers as expected."""
    if found != expected:
        raise ConflictError(f"project {project!r} has {found} strangers by now, not {expected}: try again")


def require_same_analyses(naming: Naming) -> None:
    """Raise ValueError unless a naming has an expected and a new revision for each analysis, and an embedder for its vectors."""
    if naming.expected.keys() != naming.revisions.keys():
        raise ValueError("every analysis that is named needs the revision that is expected, and no other one does")
    if naming.vectors and naming.embedder is None:
        raise ValueError("vectors of faces need the embedder that they come from")


def require_fixed(project: Project, embedder: str) -> Project:
    """Return a project; raise `GalleryMismatchError` if it has another embedder."""
    if project.embedder != embedder:
        raise GalleryMismatchError(
            f"project {project.name!r} has embeddings of {project.embedder}, not of {embedder}; set "
            f"FACEREC_ANALYSIS__EMBEDDING__EMBEDDER, or use another project"
        )
    return project


def require_embedder(model: ModelVersion, embedder: str | None) -> None:
    """Raise `GalleryMismatchError` if a version that is to name was trained for another embedder than the project's."""
    if embedder not in (None, model.embedder):
        raise GalleryMismatchError(
            f"model {model.version!r} of project {model.project!r} is for {model.embedder}, but the project has vectors of "
            f"{embedder}: 'facerec embedder switch' changes both"
        )


def require_own_embedder(project: Project, embedders: Iterable[str]) -> None:
    """Raise `GalleryMismatchError` if an analysis that is to be named is of another embedder: the project's has changed since."""
    others = sorted(set(embedders) - {project.embedder}) if project.embedder is not None else []
    if others:
        raise GalleryMismatchError(
            f"project {project.name!r} has vectors of {project.embedder}, and what is to be named has those of "
            f"{', '.join(others)}: submit the video again"
        )


def require_named(analysis_ids: Collection[str], appearances: Sequence[AppearanceRow]) -> None:
    """Raise ValueError if there are appearances of other analyses."""
    strange = {row.analysis_id for row in appearances} - set(analysis_ids)
    if strange:
        raise ValueError(f"appearances of {', '.join(sorted(strange))}, which is not named")
