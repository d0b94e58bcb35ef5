"""Hide strangers whom nobody wants to see in lists: passers-by, a face on a poster. Whom tracks show does not change."""

from __future__ import annotations

from dataclasses import replace

from facerec_models.errors import ConflictError
from serving.archive.handle import Archive
from serving.archive.naming.aliases import find_stranger
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.preview import IdentificationChange
from serving.store.naming_rows import Edit


def hide_stranger(
    archive: Archive,
    project: str,
    given: str,
    *,
    is_hidden: bool = True,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Leave a stranger out of lists from now on, or show them again. Results and exports of videos still have them.

    Parameters
    ----------
    given : str
        An id or its beginning, which may be an alias's, or ``Unknown n``.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    ConflictError
        If it is so already; and as `change_names`.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        stranger = find_stranger(archive.store, project, given)
        if stranger.is_hidden == is_hidden:
            raise ConflictError(f"Unknown {stranger.number} is {'hidden already' if is_hidden else 'not hidden'}")
        note = f"Unknown {stranger.number} is {'hidden' if is_hidden else 'shown again'}"
        edit = Edit("hide", note, strangers=[replace(stranger, is_hidden=is_hidden)])
        return PlannedEdit(edit, current.model_version, current.model, wanted=())

    return change_names(archive, project, plan, preview=preview, expected=expected)
