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

    def plan(current: CurrentNaming) -> PlannedEdit:
        faces = {face.face_id: face for face in current.faces()}
        for face_id in face_ids:
            if face_id not in faces or faces[face_id].embedding is None:
                raise NotFoundError(
                    f"project {project!r} has no face {face_id!r} with an embedding: 'facerec people show' lists all"
                )
        status, reason = (FaceStatus.TAKEN, None) if enabled else (FaceStatus.DISABLED, "by hand")
        changed = [
            replace(faces[face_id], status=status, reason=reason, by_hand=True)
            for face_id in dict.fromkeys(face_ids)
            if (faces[face_id].status, faces[face_id].by_hand) != (status, True)
        ]
        told = "enabled" if enabled else "disabled"
        if not changed:
            raise ConflictError(f"{', '.join(face_ids)} of project {project!r} was {told} by hand already")
        if enabled:
            _require_one_person(archive, project, faces, {face.face_id for face in changed})
        people = ", ".join(sorted({face.person_id for face in changed}))
        note = (
            f"{len(changed)} faces of {people} are {told}"
            if len(changed) > 1
            else f"{changed[0].face_id} of {people} is {told}"
        )
        return plan_faces(archive, current, Edit("faces", note, faces=changed))

    return change_names(archive, project, plan, preview=preview, expected=expected)


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
