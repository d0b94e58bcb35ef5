"""Enrol people from folders of pictures: find the person's face in each picture, judge it, embed it, store it.

What a picture's face is, and whether the picture shows the person at all, decides `training.curate`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from facerec_models.cohort import Cohort, load_cohort
from facerec_models.config import AnalysisConfig, IdentificationConfig, OutlierStrategy
from facerec_models.errors import InputError
from facerec_models.faces import find_faces
from facerec_models.images import encode_crop, read_image
from facerec_models.types import FaceSet, FloatArray
from facerec_models.weights import file_sha256
from serving.enrolments import enrolling
from serving.home import Home, write_atomically
from serving.names import person_id_of, short_id
from serving.networks import Networks
from serving.store.base import Store
from serving.store.rows import Face, FaceStatus
from training.curate import choose_faces, find_outliers

DISABLED_LIST = "disabled.txt"
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
_PREDECESSORS_FOLDER = "training_img_aligned"
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a person before it is looked at.

    Parameters
    ----------
    path : str
        Relative to the imported folder.
    source : str or None
        The address it was fetched from.
    fetched_at : float or None
        When, in seconds since the epoch.
    """

    file: Path
    path: str
    person_id: str
    disabled: bool = False
    source: str | None = None
    fetched_at: float | None = None


def find_pictures(directory: Path) -> list[Picture]:
    """List the pictures of ``DIR/<Person_Name>/*``; those in ``DIR/disabled.txt`` are marked as disabled.

    The predecessor's list names pictures from its data folder on, as ``data/training_img_aligned/<project>/<Person_Name>/1.jpg``: its
    last two parts count.

    Raises
    ------
    InputError
        If there is no such folder, no picture in it, or its list of disabled ones is no text.
    """
    if not directory.is_dir():
        raise InputError(f"{str(directory)!r} is no folder; give one with a folder of pictures for each person")
    listed = directory / DISABLED_LIST
    try:
        lines = listed.read_text(encoding="utf-8-sig").splitlines() if listed.is_file() else []
    except UnicodeDecodeError as error:
        raise InputError(f"{str(listed)!r} is no text in UTF-8 ({error}); save it as such") from error
    disabled = {line.strip() for line in lines if line.strip()}
    disabled |= {"/".join(line.split("/")[-2:]) for line in disabled if _PREDECESSORS_FOLDER in line.split("/")}
    pictures = []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix.lower() in PICTURES:
                path = file.relative_to(directory).as_posix()
                pictures.append(Picture(file, path, person_id_of(folder.name), path in disabled))
    if not pictures:
        raise InputError(
            f"{str(directory)!r} has no pictures: they belong into a folder for each person, as {directory}/Ada_Lovelace/1.jpg"
        )
    return pictures


def enrol(
    store: Store,
    home: Home,
    project: str,
    pictures: Sequence[Picture],
    networks: Networks,
    analysis: AnalysisConfig,
    rules: IdentificationConfig,
    *,
    outliers: OutlierStrategy | None = OutlierStrategy.ROBUST,
    one_face_only: bool = False,
) -> Iterator[Face]:
    """Enrol pictures, person by person; yield what became of each.

    Everything of a person is stored at once, so that an interruption leaves whole people. A picture that is there already, with
    the same content, keeps the status that somebody gave it. A picture whose file cannot be read is refused and not stored.

    Parameters
    ----------
    outliers : OutlierStrategy or None
        How pictures of somebody else are found and disabled; None leaves them enabled.
    one_face_only : bool
        Refuse pictures with more than one face.

    Raises
    ------
    GalleryMismatchError
        If the project was begun with another embedder.
    ConflictError
        If a person was forgotten meanwhile.
    """
    store.create_project(project)
    store.fix_embedder(project, networks.embedder.name)
    cohort = load_cohort(networks.embedder.name)
    for person_id in sorted({picture.person_id for picture in pictures}):
        of_person = [picture for picture in pictures if picture.person_id == person_id]
        known = {face.face_id: face for face in store.list_faces(project, person_id=person_id)}
        ids: list[str] = []
        unread: dict[str, Face] = {}
        for picture in of_person:
            try:
                ids.append(short_id("f", project, person_id, file_sha256(picture.file)))
            except OSError as error:
                ids.append(short_id("f", project, person_id, "unread", picture.path))
                unread[ids[-1]] = _refuse(project, ids[-1], picture, str(error), networks.embedder.name)
        there = known.keys() | unread.keys()
        new = {i: picture for i, picture in dict(zip(ids, of_person, strict=True)).items() if i not in there}
        found = _look(list(new.values()), networks, analysis)
        faces = dict(known)
        own = [face for face in known.values() if face.embedder == networks.embedder.name]
        anchors = [face.embedding for face in own if face.status is FaceStatus.TAKEN]
        chosen = _choose(found, np.array(anchors, np.float32), cohort)
        with enrolling(store, home, project, {person_id: list(new)}) as require_not_forgotten:
            for (face_id, picture), seen, index in zip(new.items(), found, chosen, strict=True):
                faces[face_id] = _enrol_picture(
                    home, project, face_id, picture, seen, index, networks.embedder.name, rules, one_face_only
                )
            if outliers is not None:
                faces.update(disable_outliers(faces.values(), cohort, outliers))
            require_not_forgotten()
            store.put_faces(project, [face for face_id, face in faces.items() if face_id not in known])
        changed = [face for face_id, face in faces.items() if known.get(face_id, face) is not face]
        put_judgements(store, project, changed)
        if changed:
            faces.update({face.face_id: face for face in store.list_faces(project, person_id=person_id)})
        yield from (unread.get(face_id) or faces[face_id] for face_id in ids)


def disable_outliers(faces: Iterable[Face], cohort: Cohort, strategy: OutlierStrategy) -> dict[str, Face]:
    """Return a person's faces whose status changes, by id: outliers are disabled, former outliers enabled again.

    What somebody decided by hand is left alone, and speaks for itself: a face enabled by hand is never an outlier.
    """
    judged = [
        face
        for face in faces
        if face.embedding is not None
        and face.embedder == cohort.embedder
        and (face.status is FaceStatus.TAKEN or _is_machine_outlier(face))
    ]
    if not judged:
        return {}
    reasons = find_outliers(
        np.stack([face.embedding for face in judged if face.embedding is not None]), cohort, strategy
    )
    changed = {}
    for face, reason in zip(judged, reasons, strict=True):
        status = FaceStatus.TAKEN if reason is None else FaceStatus.DISABLED
        if not face.by_hand and (status, reason) != (face.status, face.reason):
            changed[face.face_id] = replace(face, status=status, reason=reason)
    return changed


def put_judgements(store: Store, project: str, judged: Iterable[Face]) -> None:
    """Store the status of faces that `disable_outliers` judged, except of those that somebody has decided on since."""
    alike: dict[tuple[FaceStatus, str | None], list[str]] = {}
    for face in judged:
        alike.setdefault((face.status, face.reason), []).append(face.face_id)
    for (status, reason), face_ids in alike.items():
        store.set_face_status(project, face_ids, status, reason, by_hand=False)


def _is_machine_outlier(face: Face) -> bool:
    return face.status is FaceStatus.DISABLED and not face.by_hand


def _enrol_picture(
    home: Home,
    project: str,
    face_id: str,
    picture: Picture,
    found: FaceSet | str,
    chosen: int | None,
    embedder: str,
    rules: IdentificationConfig,
    one_face_only: bool,
) -> Face:
    """Make the row of one picture, and keep its aligned face."""
    status, reason, quality, crop = FaceStatus.REFUSED, None, 0.0, None
    embedding: FloatArray | None = None
    by_hand = False
    if isinstance(found, str):
        reason = found
    elif chosen is None:
        reason = "no face was found"
    elif one_face_only and len(found) > 1:
        reason = f"{len(found)} faces were found, and only pictures of one were to be taken"
    else:
        quality = float(found.quality[chosen])
        embedding = found.embeddings[chosen]
        if quality < rules.min_quality_enrolled:
            reason = (
                f"too small, blurred, turned or cut off: quality {quality:.2f}, least {rules.min_quality_enrolled:.2f}"
            )
        elif picture.disabled:
            status, reason, by_hand = FaceStatus.DISABLED, f"listed in {DISABLED_LIST}", True
        else:
            status = FaceStatus.TAKEN
        path = home.face_crop(project, face_id)
        write_atomically(path, encode_crop(found.crops[chosen]))
        crop = path.name
    return Face(
        face_id=face_id,
        project=project,
        person_id=picture.person_id,
        path=picture.path,
        sha256=file_sha256(picture.file),
        status=status,
        reason=reason,
        quality=quality,
        embedder=embedder,
        embedding=embedding,
        crop=crop,
        created_at=time.time(),
        source=picture.source,
        fetched_at=picture.fetched_at,
        by_hand=by_hand,
    )


def _refuse(project: str, face_id: str, picture: Picture, reason: str, embedder: str) -> Face:
    """Make the row of a picture whose content is not known."""
    return Face(
        face_id=face_id,
        project=project,
        person_id=picture.person_id,
        path=picture.path,
        sha256="",
        status=FaceStatus.REFUSED,
        reason=reason,
        quality=0.0,
        embedder=embedder,
        embedding=None,
        crop=None,
        created_at=time.time(),
        source=picture.source,
        fetched_at=picture.fetched_at,
    )


def _look(pictures: Sequence[Picture], networks: Networks, analysis: AnalysisConfig) -> list[FaceSet | str]:
    """Find the faces of pictures; a text says why one could not be read."""
    found: dict[int, FaceSet | str] = {}
    for start in range(0, len(pictures), _BATCH):
        images = {}
        for i, picture in enumerate(pictures[start : start + _BATCH], start):
            try:
                images[i] = read_image(picture.file, analysis.limits)
            except InputError as error:
                found[i] = str(error)
        faces = find_faces(list(images.values()), networks.detector, networks.embedder, analysis.detection)
        found.update(zip(images, faces, strict=True))
    return [found[i] for i in range(len(pictures))]


def _choose(found: Sequence[FaceSet | str], anchors: FloatArray, cohort: Cohort) -> list[int | None]:
    readable = {i: faces for i, faces in enumerate(found) if isinstance(faces, FaceSet)}
    chosen = dict(zip(readable, choose_faces(list(readable.values()), anchors, cohort.pair), strict=True))
    return [chosen.get(i) for i in range(len(found))]
