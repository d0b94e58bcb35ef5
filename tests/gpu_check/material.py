"""Pictures of people, and what is made of them: frames of any size, aligned crops, patches for the small networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from facerec_models.analysis.alignment import Template, align
from facerec_models.config import LimitsConfig
from facerec_models.images import read_image
from facerec_models.types import Detections, ImageArray

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_VIDEOS = {".mp4", ".mkv", ".webm", ".mov"}


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture, and whom it shows: None where nobody enrolled, or not told."""

    person_id: str | None
    name: str
    image: ImageArray


@dataclass(frozen=True, slots=True)
class Material:
    """What is measured with.

    Parameters
    ----------
    gallery, probes : tuple of Portrait
        Whom to enrol, and whom to ask about.
    clips : tuple of Path
        Videos; there may be none.
    source : str
        Where the pictures come from.
    """

    gallery: tuple[Portrait, ...]
    probes: tuple[Portrait, ...]
    clips: tuple[Path, ...]
    source: str

    @property
    def portraits(self) -> tuple[Portrait, ...]:
        return self.gallery + self.probes


def load(folder: Path | None, most: int) -> Material:
    """Read pictures from a folder, else from the evaluation data, else from installed packages.

    Parameters
    ----------
    folder : Path or None
        With ``gallery/<Person>/*``, and where there are such: ``probes/<Person>/*``, ``groups/*``, ``unknowns/*/*``, ``videos/*``.
    most : int
        Pictures to enrol, and as many of each kind to ask about.
    """
    if folder is None and os.environ.get("FACEREC_EVAL_DATA"):
        folder = Path(os.environ["FACEREC_EVAL_DATA"])
    if folder is None:
        return _of_packages()
    gallery = _people(folder / "gallery", most)
    if not gallery:
        raise SystemExit(f"{folder} has no pictures in gallery/<Person>/: name a folder that has, or none")
    enrolled = {portrait.person_id for portrait in gallery}
    probes = [probe for probe in _people(folder / "probes", most) if probe.person_id in enrolled]
    others = [_read(path, None) for path in _spread(_files(folder / "groups", "*"), most)]
    others += [_read(path, None) for path in _spread(_files(folder / "unknowns", "*/*"), most)]
    clips = sorted(path for path in (folder / "videos").glob("*") if path.suffix in _VIDEOS)
    return Material(tuple(gallery), tuple(probes + others), tuple(clips), str(folder))


def _people(folder: Path, most: int) -> list[Portrait]:
    """Read up to `most` pictures, everybody's first before anybody's second."""
    by_person: dict[str, list[Path]] = {}
    for path in _files(folder, "*/*"):
        by_person.setdefault(path.parent.name, []).append(path)
    rounds = range(max(map(len, by_person.values()), default=0))
    paths = [files[n] for n in rounds for files in by_person.values() if n < len(files)]
    return [_read(path, path.parent.name) for path in paths[:most]]


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.suffix.lower() in _SUFFIXES)


def _spread(paths: Sequence[Path], most: int) -> list[Path]:
    return list(paths[:: max(1, -(-len(paths) // most))])


def _read(path: Path, person_id: str | None) -> Portrait:
    return Portrait(person_id, f"{path.parent.name}/{path.name}", read_image(path, LimitsConfig()))


def _of_packages() -> Material:
    """Two people of scikit-image and matplotlib, and altered pictures of them to ask about."""
    # Here and not above: with other pictures, neither is needed.
    import matplotlib
    import skimage.data

    files = {
        "Eileen_Collins": Path(skimage.data.__file__).parent / "astronaut.png",
        "Grace_Hopper": Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
    }
    gallery = tuple(_read(path, person_id) for person_id, path in files.items())
    probes = [
        Portrait(person.person_id, f"{person.name}, {how}", image)
        for person in gallery
        for how, image in {
            "mirrored": np.ascontiguousarray(person.image[:, ::-1]),
            "darker": (person.image * 0.6).astype(np.uint8),
            "reduced": np.asarray(
                cv2.resize(person.image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA), np.uint8
            ),
            "blurred": np.asarray(cv2.GaussianBlur(person.image, (0, 0), 1.5), np.uint8),
        }.items()
    ]
    return Material(gallery, tuple(probes), (), "scikit-image's astronaut and matplotlib's grace_hopper")


def frames(portraits: Sequence[Portrait], width: int, height: int, count: int) -> list[ImageArray]:
    """Make frames that pictures fill, as a film fills its frame: cut to the frame's shape around their upper middle.

    Every other time through, the pictures are mirrored.
    """
    made = []
    for i, portrait in enumerate(islice(cycle(portraits), count)):
        image = portrait.image
        shown = min(image.shape[1], image.shape[0] * width / height)
        size = max(1, round(shown)), max(1, round(shown * height / width))
        left, top = (image.shape[1] - size[0]) // 2, max(0, (image.shape[0] - size[1]) // 4)
        window = image[top : top + size[1], left : left + size[0]]
        larger = width > size[0]
        frame = cv2.resize(window, (width, height), interpolation=cv2.INTER_CUBIC if larger else cv2.INTER_AREA)
        made.append(np.ascontiguousarray(frame[:, ::-1] if i // len(portraits) % 2 else frame).astype(np.uint8))
    return made


def crops(portraits: Sequence[Portrait], found: Sequence[Detections], template: Template, count: int) -> ImageArray:
    """Cut out aligned faces; where there are fewer than `count`, they are taken again, mirrored and lighter or darker."""
    faces = np.concatenate(
        [align(p.image, faces.landmarks, template)[0] for p, faces in zip(portraits, found, strict=True)]
    )
    random = np.random.default_rng(0)
    made = list(faces[:count])
    while len(made) < count:
        face = faces[len(made) % len(faces)].astype(np.float32) * random.uniform(0.7, 1.3)
        made.append(np.clip(face[:, :: random.choice([-1, 1])], 0, 255).astype(np.uint8))
    return np.stack(made)


def patches(portraits: Sequence[Portrait], found: Sequence[Detections], side: int, count: int) -> ImageArray:
    """Cut out squares of `side` pixels as the detector's later networks see them: faces, half-faces and surroundings."""
    random = np.random.default_rng(0)
    boxes = [(p.image, box) for p, faces in zip(portraits, found, strict=True) for box in faces.boxes]
    made = []
    for image, box in islice(cycle(boxes), count):
        extent = max(box[2] - box[0], box[3] - box[1]) * random.uniform(0.6, 1.6)
        middle = (box[:2] + box[2:]) / 2 + random.normal(0, 0.2, 2) * extent
        x0, y0 = np.clip(middle - extent / 2, 0, np.array(image.shape[1::-1]) - 4).astype(int)
        x1, y1 = np.maximum((x0 + 4, y0 + 4), (middle + extent / 2).astype(int))
        made.append(cv2.resize(image[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_AREA))
    return np.stack(made).astype(np.uint8)
