"""Make a model version from the enabled faces of a project."""

from __future__ import annotations

import time

import numpy as np

from facerec_models.cohort import load_cohort
from facerec_models.config import IdentificationConfig
from facerec_models.errors import EmptyGalleryError
from facerec_models.gallery import Gallery, fit_model
from serving.home import Home
from serving.names import short_id
from serving.store.base import Store
from serving.store.rows import FaceStatus, ModelVersion

CLASSIFIER = "prototype"


def read_gallery(store: Store, project: str) -> Gallery:
    """Return the enabled faces of a project.

    Raises
    ------
    EmptyGalleryError
        If there is none.
    """
    embedder = store.get_project(project).embedder
    faces = [face for face in store.list_faces(project, status=FaceStatus.TAKEN) if face.embedding is not None]
    if embedder is None or not faces:
        raise EmptyGalleryError(
            f"project {project!r} has no enabled face to learn from: import people first, as in 'facerec people import DIR'"
        )
    return Gallery(
        embedder,
        np.stack([face.embedding for face in faces if face.embedding is not None]),
        tuple(face.person_id for face in faces),
        tuple(face.face_id for face in faces),
    )


def train(store: Store, home: Home, project: str, rules: IdentificationConfig, *, promote: bool = True) -> ModelVersion:
    """Train a project's model; the same faces give the same version.

    Its metrics say which similarity a face and a track must reach, and whether the cohort could check that.
    """
    gallery = read_gallery(store, project)
    cohort = load_cohort(gallery.embedder)
    started = time.perf_counter()
    model = fit_model(gallery, cohort, rules.prior_known)
    version = short_id(
        "m", project, gallery.embedder, CLASSIFIER, cohort.source, str(rules.prior_known), *sorted(gallery.face_ids)
    )
    directory = home.model(project, version)
    model.save(directory)
    people = len(model.classifier.classes_)
    row = ModelVersion(
        version=version,
        project=project,
        created_at=time.time(),
        embedder=gallery.embedder,
        classifier=CLASSIFIER,
        people=people,
        faces=len(gallery.face_ids),
        directory=directory.relative_to(home.root).as_posix(),
        metrics={
            "seconds": time.perf_counter() - started,
            "cohort": cohort.source,
            "strangers": len(model.stills.strangers),
            "limit_stills": model.stills.limit(rules.max_false_names_stills),
            "limit_tracks": model.tracks.limit(rules.max_false_names_tracks),
            "extrapolated_tracks": model.tracks.is_extrapolated(rules.max_false_names_tracks),
        },
    )
    store.add_model(row)
    if promote:
        store.promote_model(project, version)
    return row
