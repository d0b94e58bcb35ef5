"""What keeps somebody from writing over what others wrote meanwhile: the same checks, and words, for every store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from facerec_models.errors import ConflictError, GalleryMismatchError
from serving.store.naming_rows import AppearanceRow, Basis, Naming
from serving.store.rows import ModelVersion, Project


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
        raise ConflictError(f"{len(changed)} analyses of project {project!r} were named meanwhile: look again")
    if strangers != naming.known:
        raise ConflictError(f"project {project!r} has {strangers} strangers by now, not {naming.known}: look again")


def require_none_new(project: str, naming: Naming, found: Mapping[str, str | None]) -> None:
    """Raise `ConflictError` if an analysis is named that a naming does not know."""
    known = naming.expected.keys() | naming.beside.keys()
    new = [key for key, revision in found.items() if revision is not None and key not in known]
    if new:
        raise ConflictError(f"{len(new)} analyses of project {project!r} were added meanwhile: look again")


def require_next(project: str, number: int, last: int) -> None:
    """Raise `ConflictError` unless an application follows the last one."""
    if number != last + 1:
        raise ConflictError(f"project {project!r} was named again meanwhile, {last} times by now: look again")


def require_basis(project: str, basis: Basis, found: Basis) -> None:
    """Raise `ConflictError` if what a naming rests on has changed."""
    if found != basis:
        raise ConflictError(
            f"somebody else named project {project!r} again, undid that, corrected it or promoted a version meanwhile: look again"
        )


def require_said(project: str, said: Collection[str], found: Iterable[str]) -> None:
    """Raise `ConflictError` unless a version knows all that people said, and nothing else."""
    if set(said) != set(found):
        raise ConflictError(f"something was said of project {project!r}, or taken back, meanwhile: train again")


def require_last(project: str, number: int, last: int | None) -> None:
    """Raise `ConflictError` unless an application is the last one that is not undone."""
    if number != last:
        raise ConflictError(f"application {number} of project {project!r} is not the last one, which is {last}")


def require_known(project: str, known: int, strangers: int) -> None:
    """Raise `ConflictError` unless the project has as many strangers as somebody knows."""
    if strangers != known:
        raise ConflictError(f"project {project!r} has {strangers} strangers by now, not {known}: look at them again")


def require_same_analyses(naming: Naming) -> None:
    """Raise ValueError unless a naming says of each analysis what names it, and what is to, and of vectors whose they are."""
    if naming.expected.keys() != naming.revisions.keys():
        raise ValueError("every analysis that is named needs the revision that is expected, and no other one does")
    if naming.vectors and naming.embedder is None:
        raise ValueError("vectors of faces need the embedder that they come from")


def require_embedder(model: ModelVersion, embedder: str | None) -> None:
    """Raise `GalleryMismatchError` if a version that is to name was trained for another embedder than the project's."""
    if embedder not in (None, model.embedder):
        raise GalleryMismatchError(
            f"model {model.version!r} of project {model.project!r} is for {model.embedder}, but the project has vectors of "
            f"{embedder}: 'facerec embedder switch' changes both"
        )


def require_present(project: Project, embedders: Iterable[str]) -> None:
    """Raise `GalleryMismatchError` if an analysis that is to be named is not of the project's embedder: it has changed since."""
    strange = sorted(set(embedders) - {project.embedder}) if project.embedder is not None else []
    if strange:
        raise GalleryMismatchError(
            f"project {project.name!r} has vectors of {project.embedder}, and what is to be named has those of "
            f"{', '.join(strange)}: submit the video again"
        )


def require_named(analysis_ids: Collection[str], appearances: Sequence[AppearanceRow]) -> None:
    """Raise ValueError if there are appearances of other analyses."""
    strange = {row.analysis_id for row in appearances} - set(analysis_ids)
    if strange:
        raise ValueError(f"appearances of {', '.join(sorted(strange))}, which is not named")
