"""Who a project's models learn."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from facerec_models.errors import EmptyGalleryError
from facerec_models.identification.naming_model import Gallery
from serving.store.contract import Store
from serving.store.rows import Face, FaceStatus


def read_gallery(store: Store, project: str, more: Sequence[Face] = (), less: Collection[str] = frozenset()) -> Gallery:
    """Return the enabled faces of a project.

    Parameters
    ----------
    more : sequence of Face
        Others that are to be taken for enrolled.
    less : collection of str
        Ids of faces that are not to be.

    Raises
    ------
    EmptyGalleryError
        If there is none.
    """
    embedder = store.get_project(project).embedder
    enrolled = sorted(
        [*(f for f in store.list_faces(project, status=FaceStatus.TAKEN) if f.face_id not in less), *more],
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
