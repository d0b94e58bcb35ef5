"""What keeps one writer from overwriting another's changes: checks and messages that are the same for every store."""

from __future__ import annotations

from collections.abc import Iterable

from facerec_models.errors import ConflictError, GalleryMismatchError, StoreError
from serving.store.naming_rows import NamingChange
from serving.store.rows import ModelVersion, Project

# The version of the tables and of what is kept in them. A program reads and writes the stores of its own version alone.
SCHEMA = 20


# The oldest version that can be brought to the present one.
OLDEST_UPGRADED = 19


def require_schema(store: str, found: int) -> None:
    """Raise `StoreError` if a store has other tables than this program's."""
    if OLDEST_UPGRADED <= found < SCHEMA:
        raise StoreError(
            f"the store {store} has schema {found}, and this program needs schema {SCHEMA}: 'facerec store upgrade' brings it there"
        )
    if found != SCHEMA:
        raise StoreError(
            f"the store {store} has schema {found}, and this program needs schema {SCHEMA}: begin a new home (--home, FACEREC_HOME) or "
            "a new database (FACEREC_STORE), or use the program that wrote it"
        )


def require_version(project: str, expected: int, found: int) -> None:
    """Raise `ConflictError` unless nothing has changed, since a version, that names depend on."""
    if found != expected:
        raise ConflictError(
            f"project {project!r} has changed meanwhile: it is at version {found}, not {expected}; try again, or preview again"
        )


def require_last(project: str, number: int, last: int | None) -> None:
    """Raise `ConflictError` unless an edit is the last one that is not undone."""
    if number != last:
        raise ConflictError(f"edit {number} of project {project!r} is not the last one that stands, which is {last}")


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


def require_named(change: NamingChange) -> None:
    """Raise ValueError if an analysis is named twice, or rows are of one whose names are not written."""
    ids = change.analysis_ids
    of_tracks = {row.analysis_id for row in (*change.freed, *change.stranger_tracks)}
    of_rows = {row.analysis_id for row in (*change.lost, *change.appearances)} | of_tracks
    strange = of_rows - set(ids)
    if strange or len(set(ids)) != len(ids):
        raise ValueError(
            f"names of {', '.join(sorted(strange or set(ids)))} are written twice, or their rows without them"
        )
