"""Which enrolled faces are learned from: enabled or disabled by hand, at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from facerec_models.errors import ConflictError, NotFoundError
from serving.archive.handle import Archive
from serving.archive.learning.shared_faces import LearnedFaces, read_face
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.refit import plan_faces
from serving.store.naming_rows import Edit
from serving.store.rows import Face, FaceStatus


def enable_faces(
    archive: Archive,
    project: str,
    face_ids: Sequence[str],
    *,
    enabled: bool = True,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Learn from faces, or no longer, and name the archive again; no import takes that back.

    Where nothing was trained yet, the next training learns it.

    Parameters
    ----------
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    NotFoundError
        If an id is no face's, or no face was found in its picture.
    ConflictError
        If all are so already, or one is the very face that is learned as another person's, or is to be.
    """
    return judge_by_hand(archive, project, dict.fromkeys(face_ids, enabled), preview=preview, expected=expected)


def judge_by_hand(
    archive: Archive,
    project: str,
    enabled: Mapping[str, bool],
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Enable some faces, by id, and disable others, as one edit; see `enable_faces`."""

    def plan(current: CurrentNaming) -> PlannedEdit:
        faces = {face.face_id: face for face in current.faces()}
        changed = []
        for face_id, is_enabled in enabled.items():
            if face_id not in faces or faces[face_id].embedding is None:
                raise NotFoundError(
                    f"project {project!r} has no face {face_id!r} with an embedding: 'facerec people show' lists all"
                )
            status, reason = (FaceStatus.TAKEN, None) if is_enabled else (FaceStatus.DISABLED, "by hand")
            if (faces[face_id].status, faces[face_id].by_hand) != (status, True):
                changed.append(replace(faces[face_id], status=status, reason=reason, by_hand=True))
        if not changed:
            told = " and ".join(sorted({_told(is_enabled) for is_enabled in enabled.values()}))
            raise ConflictError(f"{', '.join(enabled)} of project {project!r} was {told} by hand already")
        if taken := {face.face_id for face in changed if face.status is FaceStatus.TAKEN}:
            _require_one_person(archive, project, faces, taken)
        notes = [_note([face for face in changed if enabled[face.face_id] is one], one) for one in (True, False)]
        return plan_faces(archive, current, Edit("faces", "; ".join(filter(None, notes)), faces=changed))

    return change_names(archive, project, plan, preview=preview, expected=expected)


def _told(is_enabled: bool) -> str:
    return "enabled" if is_enabled else "disabled"


def _note(changed: Sequence[Face], is_enabled: bool) -> str:
    """Say of whom how many faces are changed; nothing where none is."""
    if not changed:
        return ""
    people = ", ".join(sorted({face.person_id for face in changed}))
    if len(changed) > 1:
        return f"{len(changed)} faces of {people} are {_told(is_enabled)}"
    return f"{changed[0].face_id} of {people} is {_told(is_enabled)}"


def _require_one_person(archive: Archive, project: str, faces: Mapping[str, Face], wanted: Collection[str]) -> None:
    """Raise `ConflictError` if one of these faces is the very face that is learned as another person's, or is to be."""
    learned = [face for face in faces.values() if face.status is FaceStatus.TAKEN or face.face_id in wanted]
    for face_id in wanted:
        face = faces[face_id]
        if face.embedding is None or (crop := read_face(archive.files, project, face)) is None:
            continue
        others = [one for one in learned if one.person_id != face.person_id and one.embedder == face.embedder]
        twin = LearnedFaces(archive.files, project, others).same_as(face.embedding, crop)
        if twin is not None:
            raise ConflictError(
                f"{face.face_id} of {face.person_id} ({face.path!r}) is the same face as {twin.face_id} of "
                f"{twin.person_id} ({twin.path!r}): one face is learned as one person's, disable the wrong one first"
            )
