"""Who a project's models learn."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from facerec_models.errors import EmptyGalleryError
from facerec_models.identification.naming_model import Gallery
from serving.store.contract import Store
from serving.store.rows import Face, FaceStatus


def read_gallery(
    store: Store, project: str, changed: Sequence[Face] = (), removed: Collection[str] = frozenset()
) -> Gallery:
    """Return the enabled faces of a project.

    Parameters
    ----------
    changed : sequence of Face
        Faces as they are to be: further ones, or in place of those with the same ids.
    removed : collection of str
        Ids of faces that are not to be there.

    Raises
    ------
    EmptyGalleryError
        If there is none.
    """
    embedder = store.get_project(project).embedder
    faces_now = {face.face_id: face for face in store.list_faces(project, status=FaceStatus.TAKEN)}
    faces_then = faces_now | {face.face_id: face for face in changed}
    enrolled = sorted(
        (face for face in faces_then.values() if face.status is FaceStatus.TAKEN and face.face_id not in removed),
        key=lambda face: (face.person_id, face.path, face.face_id),
    )
    faces = [face for face in enrolled if face.embedding is not None and face.embedder == embedder]
    if embedder is None or not faces:
        raise EmptyGalleryError(
            f"project {project!r} has no enabled face to learn from: import people first, as in 'facerec people import DIR'"
        )
    return Gallery(
        embedder,
        np.stack([face.embedding for face in faces if face.embedding is not None]),
        np.array([face.person_id for face in faces]),
        np.array([face.face_id for face in faces]),
    )
