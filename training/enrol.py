"""Enrol people from folders of pictures: find the person's face in each picture, judge it, embed it, store it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec_models.config import AnalysisConfig, IdentificationConfig
from facerec_models.errors import InputError
from facerec_models.faces import find_faces
from facerec_models.images import read_image
from facerec_models.tracking import encode_crop
from facerec_models.types import FaceSet, FloatArray
from facerec_models.weights import file_sha256
from serving.home import Home, write_atomically
from serving.names import person_id_of, short_id
from serving.networks import Networks
from serving.store.base import Store
from serving.store.rows import Face, FaceStatus

DISABLED_LIST = "disabled.txt"
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
_BATCH = 8
# A second face at least this large, relative to the largest, leaves open who of them is meant.
_RIVAL = 0.5


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a person before it is looked at. `path` is relative to the imported folder.

    `source` is the address it was fetched from, at `fetched_at` (seconds since the epoch), if it was.
    """

    file: Path
    path: str
    person_id: str
    disabled: bool
    source: str | None = None
    fetched_at: float | None = None


def find_pictures(directory: Path) -> list[Picture]:
    """List the pictures of ``DIR/<Person_Name>/*``; those in ``DIR/disabled.txt`` are marked as disabled.

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
    pictures = []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix.lower() in _PICTURES:
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
    one_face_only: bool = False,
) -> Iterator[Face]:
    """Enrol pictures, person by person; yield what became of each.

    Everything of a person is stored at once, so that an interruption leaves whole people. A picture that is there already, with
    the same content, keeps the status that somebody gave it. With `one_face_only` new pictures of several faces are refused.

    Raises
    ------
    GalleryMismatchError
        If the project was begun with another embedder.
    """
    store.create_project(project)
    store.fix_embedder(project, networks.embedder.name)
    known = {face.face_id: face for face in store.list_faces(project)}
    for person_id in sorted({picture.person_id for picture in pictures}):
        faces = _enrol_person(
            home,
            project,
            [p for p in pictures if p.person_id == person_id],
            networks,
            analysis,
            rules,
            known,
            one_face_only,
        )
        store.put_faces(project, faces)
        yield from faces


def _enrol_person(
    home: Home,
    project: str,
    pictures: Sequence[Picture],
    networks: Networks,
    analysis: AnalysisConfig,
    rules: IdentificationConfig,
    known: dict[str, Face],
    one_face_only: bool,
) -> list[Face]:
    ids = [short_id("f", project, picture.person_id, file_sha256(picture.file)) for picture in pictures]
    found: dict[int, FaceSet | str] = {}
    new = [i for i, face_id in enumerate(ids) if face_id not in known]
    for start in range(0, len(new), _BATCH):
        found.update(_look(pictures, new[start : start + _BATCH], networks, analysis))
    usual = _usual_face([faces for faces in found.values() if isinstance(faces, FaceSet)])
    rows = []
    for i, picture in enumerate(pictures):
        if i not in found:
            rows.append(known[ids[i]])
            continue
        faces = found[i]
        status, reason, quality, crop = FaceStatus.REFUSED, None, 0.0, None
        embedding: FloatArray | None = None
        if isinstance(faces, str):
            reason = faces
        elif len(faces) == 0:
            reason = "no face was found"
        elif one_face_only and len(faces) > 1:
            reason = f"{len(faces)} faces were found, and only pictures of one were to be taken"
        else:
            chosen = _choose(faces, usual)
            quality = float(faces.quality[chosen])
            embedding = faces.embeddings[chosen]
            if quality < rules.min_quality_enrolled:
                reason = f"too small, blurred, turned or cut off: quality {quality:.2f}, least {rules.min_quality_enrolled:.2f}"
            else:
                status = FaceStatus.TAKEN
            if picture.disabled and status is FaceStatus.TAKEN:
                status, reason = FaceStatus.DISABLED, f"listed in {DISABLED_LIST}"
            path = home.face_crop(project, ids[i])
            write_atomically(path, encode_crop(faces.crops[chosen]))
            crop = path.name
        rows.append(
            Face(
                face_id=ids[i],
                project=project,
                person_id=picture.person_id,
                path=picture.path,
                sha256=file_sha256(picture.file),
                status=status,
                reason=reason,
                quality=quality,
                embedder=networks.embedder.name,
                embedding=embedding,
                crop=crop,
                created_at=time.time(),
            )
        )
    return rows


def _look(
    pictures: Sequence[Picture], wanted: Sequence[int], networks: Networks, analysis: AnalysisConfig
) -> dict[int, FaceSet | str]:
    """Find the faces of some pictures; a text says why a picture could not be read."""
    found: dict[int, FaceSet | str] = {}
    images = {}
    for i in wanted:
        try:
            images[i] = read_image(pictures[i].file, analysis.limits)
        except InputError as error:
            found[i] = str(error)
    faces = find_faces(list(images.values()), networks.detector, networks.embedder, analysis.detection)
    found.update(zip(images, faces, strict=True))
    return found


def _usual_face(faces: Sequence[FaceSet]) -> FloatArray | None:
    """Mean embedding of the pictures that show one face only."""
    alone = [one.embeddings[0] for one in faces if len(one) == 1]
    return np.mean(alone, axis=0) if alone else None


def _choose(faces: FaceSet, usual: FloatArray | None) -> int:
    """Pick the person's face: the largest, or, where another is about as large, the one most like their other pictures."""
    boxes = faces.detections.boxes
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    rivals = np.flatnonzero(area >= _RIVAL * area.max())
    if usual is None or len(rivals) == 1:
        return int(area.argmax())
    return int(rivals[(faces.embeddings[rivals] @ usual).argmax()])
