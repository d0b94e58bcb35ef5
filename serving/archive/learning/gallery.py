"""Who a project's models learn."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from facerec_models.errors import EmptyGalleryError
from facerec_models.identification.naming_model import Gallery
from serving.store.contract import Store
from serving.store.rows import Face, FaceStatus


def read_gallery(store: Store, project: str) -> Gallery:
    """Return the enabled faces of a project; see `gallery_of`."""
    faces = store.list_faces(project, status=FaceStatus.TAKEN)
    return gallery_of(project, store.get_project(project).embedder, faces)


def gallery_of(
    project: str,
    embedder: str | None,
    faces: Sequence[Face],
    changed: Sequence[Face] = (),
    removed: Collection[str] = frozenset(),
) -> Gallery:
    """Return those of a project's faces that are enabled.

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
    then = {face.face_id: face for face in (*faces, *changed) if face.face_id not in removed}
    enrolled = sorted(
        (face for face in then.values() if face.status is FaceStatus.TAKEN),
        key=lambda face: (face.person_id, face.path, face.face_id),
    )
    learned = [face for face in enrolled if face.embedding is not None and face.embedder == embedder]
    if embedder is None or not learned:
        raise EmptyGalleryError(
            f"project {project!r} has no enabled face to learn from: import people first, as in 'facerec people import DIR'"
        )
    return Gallery(
        embedder,
        np.stack([face.embedding for face in learned if face.embedding is not None]),
        np.array([face.person_id for face in learned]),
        np.array([face.face_id for face in learned]),
    )
