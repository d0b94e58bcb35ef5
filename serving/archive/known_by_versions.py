"""Which model versions know a person who is to be forgotten: by name, by a former name, or by their vectors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from contextlib import suppress

from facerec_models.errors import ModelNotFoundError
from facerec_models.files import remove_tree
from facerec_models.identification.naming_model import NamingModel
from serving.archive.files import Files
from serving.archive.former_names import MERGE, RENAME
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import ModelVersion


def knows(files: Files, project: str, version: str, person_id: str) -> bool:
    """Whether a version knows a person by this name."""
    model = _loaded(files, project, version)
    return model is None or (
        person_id in model.classifier.classes_
        or person_id in model.corrections.denied_people
        or person_id in model.corrections.confirmed.values()
    )


def has_learned(files: Files, project: str, version: str, vectors: Set[bytes]) -> bool:
    """Whether a version has learned one of these vectors, whoever it takes it for."""
    model = _loaded(files, project, version)
    return model is None or any(
        one.tobytes() in vectors for one in (*model.gallery.embeddings, *model.corrections.denied)
    )


def known_otherwise(
    archive: Archive, project: str, leaving: Collection[str], but: Collection[str | None]
) -> list[ModelVersion]:
    """Return the versions that may know a person by a former name: what they know is no more there under the same name.

    Parameters
    ----------
    leaving : collection of str
        People who count as gone already.
    but : collection of str or None
        Versions that are left out.
    """
    store = archive.store
    if not any(edit.cause in (RENAME, MERGE) for edit in store.list_edits(project)):
        return []
    faces = {(face.face_id, face.person_id) for face in store.list_faces(project) if face.person_id not in leaving}
    corrections = [row for row in store.list_corrections(project) if row.person_id not in leaving]
    confirmed = {
        ((row.analysis_id, row.track_id), row.person_id) for row in corrections if row.kind is CorrectionKind.IS
    }
    denied = {(row.person_id, row.embedding.tobytes()) for row in corrections}
    found = []
    for row in store.list_models(project):
        if row.version in but:
            continue
        model = _loaded(archive.files, project, row.version)
        if model is None:
            found.append(row)
            continue
        gallery, known = model.gallery, model.corrections
        if not (
            set(zip(gallery.face_ids.tolist(), gallery.person_ids.tolist(), strict=True)) <= faces
            and set(known.confirmed.items()) <= confirmed
            and {(who, one.tobytes()) for who, one in zip(known.denied_people.tolist(), known.denied, strict=True)}
            <= denied
        ):
            found.append(row)
    return found


def _loaded(files: Files, project: str, version: str) -> NamingModel | None:
    """Return a version; None where an interrupted try has removed its files: it counts as one that knows everybody."""
    try:
        return load_model(files, project, version)
    except ModelNotFoundError:
        return None


def remove_models(archive: Archive, project: str, models: Iterable[ModelVersion]) -> None:
    """Remove versions, files first."""
    for row in models:
        remove_tree(archive.files.model(project, row.version))
        with suppress(ModelNotFoundError):  # its training has found that the faces are gone
            archive.store.delete_model(project, row.version)
