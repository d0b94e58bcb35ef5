"""Make the cohort that is shipped for the packaged network: ``python -m tests.benchmarks.cohort --data DIR --out FILE``.

Strangers are the people of ``lfw_verify/``, the first picture of each. A track of one is the mean of some looks at one picture or two
as a video would show them: reduced, blurred, dull, grainy, compressed, landmarks off by as much as the detector's are; tracks that are
too poor to be named are left out. These pictures are gray: half of the stills and most tracks get the blurred colours of some face of
``gallery/``, for strangers in colour are nearer to people enrolled in colour. What the right person's similarity is comes from
``gallery/``, each picture against the mean of that person's others; what two pictures tell of each other from its pairs and those of
``lfw_verify/pairs.csv``. Nothing here looks at ``probes/``, ``unknowns/`` or ``videos/``.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from facerec_models.analysis import quality
from facerec_models.analysis.alignment import align
from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import find_faces, largest_face
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import DetectionConfig, EmbeddingConfig, IdentificationConfig, LimitsConfig
from facerec_models.identification.calibration import GenuineScale
from facerec_models.identification.cohort import Cohort, save_cohort
from facerec_models.images import read_image
from facerec_models.types import Detections, FloatArray, ImageArray
from facerec_models.vectors import PairScale, normalize
from tests.benchmarks.command import circumstances, say
from tests.benchmarks.lfw_pairs import read_pairs

# Looks at a stranger that a track averages, and how often they are at two photographs, where there are two: real faces turn.
_LOOKS, _TWO_PHOTOGRAPHS = (1, 2, 4, 8), 0.5
_TRIES = 20
# Of a video: the least and greatest width of its faces in pixels, how much that varies within it, JPEG's quality.
_WIDTH_PX, _ZOOM, _QUALITY = (24.0, 110.0), 0.08, (35.0, 92.0)
# How often it is blurred, and how much; of low contrast; grainy, in levels of brightness; and how soft the grain is.
_BLURRED, _BLUR_PX = 0.5, (0.3, 1.6)
_DULL, _CONTRAST, _BRIGHTNESS = 0.25, (0.4, 1.0), (0.4, 1.1)
_GRAINY, _GRAIN, _SOFT_PX = 0.3, (3.0, 14.0), (0.3, 0.8)
# How often a track is in colour, a picture; how far colours are blurred, and from which spread of a pixel's channels on a face has any.
_COLOURED_TRACKS, _COLOURED_STILLS, _BLUR_COLOUR_PX, _LEAST_SPREAD = 0.7, 0.5, 5.0, 4.0
# Landmarks are off by this many eye distances each, and all together.
_POINT, _SHIFT = 0.025, 0.02


@dataclass(frozen=True, slots=True)
class Footage:
    """What a video does to all faces in it: their width in pixels, blur, contrast, brightness, grain, and compression."""

    width_px: float
    blur_px: float
    contrast: float
    brightness: float
    grain: float
    soft_px: float
    quality: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Footage:
        """Return any."""
        return cls(
            width_px=float(np.exp(rng.uniform(*np.log(_WIDTH_PX)))),
            blur_px=rng.uniform(*_BLUR_PX) if rng.random() < _BLURRED else 0.0,
            contrast=rng.uniform(*_CONTRAST) if rng.random() < _DULL else 1.0,
            brightness=rng.uniform(*_BRIGHTNESS),
            grain=rng.uniform(*_GRAIN) if rng.random() < _GRAINY else 0.0,
            soft_px=rng.uniform(*_SOFT_PX),
            quality=rng.uniform(*_QUALITY),
        )

    def show(self, image: ImageArray, scale: float, rng: np.random.Generator) -> ImageArray:
        """Return a picture as one frame of this footage shows it, `scale` times as large."""
        reduced = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        if self.contrast < 1:
            middle = reduced.mean()
            reduced = (reduced - middle) * self.contrast + middle * self.brightness
        if self.blur_px:
            reduced = cv2.GaussianBlur(reduced, (0, 0), self.blur_px * rng.uniform(0.5, 1.3))
        if self.grain:
            # Of brightness alone: a gray picture stays gray.
            noise = rng.normal(0, self.grain, reduced.shape[:2]).astype(np.float32)
            reduced = cv2.GaussianBlur(reduced + noise[..., None], (0, 0), self.soft_px)
        shown = np.clip(reduced, 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(self.quality)])[1]
        return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """The largest face of a picture: whose it is, where, and its embedding."""

    person: str
    path: Path
    image: ImageArray
    box: FloatArray
    landmarks: FloatArray
    embedding: FloatArray


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cohort", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/ and lfw_verify/")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    arguments = parser.parse_args()
    data: Path = arguments.data
    say(circumstances(data))
    detector = MtcnnDetector(DetectionConfig())
    embedder = build_embedder(EmbeddingConfig(embedder="dlib"), WeightsRegistry(Path("none")))
    people = [(path.parent.name, path) for path in sorted((data / "gallery").rglob("*")) if path.is_file()]
    gallery = find_subjects(people, detector, embedder)
    people = [(path.stem.rpartition("_")[0], path) for path in sorted((data / "lfw_verify" / "images").iterdir())]
    others = find_subjects(people, detector, embedder)
    strangers = list(by_person(others).values())
    colours = face_colours(gallery, embedder)
    rng = np.random.default_rng(0)
    crops = np.stack([crop_of(pictures[0], embedder) for pictures in strangers])
    for i in np.flatnonzero(rng.random(len(crops)) < _COLOURED_STILLS):
        crops[i] = coloured(crops[i], colours[rng.integers(len(colours))])
    vectors = {str(one.path.relative_to(data)): one.embedding for one in others}
    pairs = [pair for pair in read_pairs(data / "lfw_verify" / "pairs.csv") if {pair.a, pair.b} <= vectors.keys()]
    own, same = all_pairs(gallery)
    cohort = Cohort(
        embedder.name,
        embedder.embed(crops),
        as_tracks(strangers, embedder, colours),
        pair_scale(
            np.append(own, [vectors[pair.a] @ vectors[pair.b] for pair in pairs]),
            np.append(same, [pair.same for pair in pairs]),
        ),
        genuine_scale(gallery, np.stack([one.embedding for one in gallery])),
        genuine_scale(gallery, as_tracks([[one] for one in gallery], embedder, [])),
        f"Labeled Faces in the Wild, view 2, folds 1 to 5: {len(strangers)} people, as videos show them",
    )
    save_cohort(cohort, arguments.out)
    say(f"{cohort.source}; {cohort.pair}, of stills {cohort.genuine_stills}, of tracks {cohort.genuine_tracks}")


def find_subjects(
    people: Sequence[tuple[str, Path]], detector: MtcnnDetector, embedder: FaceEmbedder, batch: int = 16
) -> list[Portrait]:
    """Find the largest face of each person's picture; pictures without any are left out."""
    found: list[Portrait] = []
    for start in range(0, len(people), batch):
        part = people[start : start + batch]
        images = [read_image(path, LimitsConfig()) for _, path in part]
        for (person, path), image, faces in zip(
            part, images, find_faces(images, detector, embedder, DetectionConfig()), strict=True
        ):
            if len(faces):
                i = largest_face(faces.detections)
                box, landmarks = faces.detections.boxes[i], faces.detections.landmarks[i]
                found.append(Portrait(person, path, image, box, landmarks, faces.embeddings[i]))
    return found


def crop_of(subject: Portrait, embedder: FaceEmbedder) -> ImageArray:
    """Return the aligned face of a subject."""
    return align(subject.image, subject.landmarks[None], embedder.template)[0][0]


def face_colours(subjects: Sequence[Portrait], embedder: FaceEmbedder) -> list[ImageArray]:
    """Return the two colour differences of all aligned faces that are in colour, blurred, (S, S, 2) uint8 each."""
    crops = [crop_of(one, embedder) for one in subjects]
    return [
        cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2YCrCb)[..., 1:], (0, 0), _BLUR_COLOUR_PX)
        for crop in crops
        if np.ptp(crop, axis=-1).mean() >= _LEAST_SPREAD
    ]


def coloured(crop: ImageArray, colour: ImageArray) -> ImageArray:
    """Return a crop in another face's colours; its brightness stays."""
    return cv2.cvtColor(np.dstack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), colour]), cv2.COLOR_YCrCb2RGB)


def as_tracks(
    people: Sequence[Sequence[Portrait]], embedder: FaceEmbedder, colours: Sequence[ImageArray]
) -> FloatArray:
    """Return a track of each person as a video would give it, (N, D) unit vectors; none that is too poor to be named.

    Parameters
    ----------
    colours : sequence of (S, S, 2) uint8
        Colours that most tracks get; none for people who are in colour.
    """
    rng = np.random.default_rng(0)
    means = []
    for pictures in people:
        crops, weights = _good_looks(pictures, embedder, rng)
        if colours and rng.random() < _COLOURED_TRACKS:
            colour = colours[rng.integers(len(colours))]
            crops = [coloured(crop, colour) for crop in crops]
        means.append((weights[:, None] * embedder.embed(np.stack(crops))).sum(axis=0))
    return normalize(np.stack(means))


def _good_looks(
    pictures: Sequence[Portrait], embedder: FaceEmbedder, rng: np.random.Generator
) -> tuple[list[ImageArray], FloatArray]:
    """Draw footage until its best looks are good enough for a name; pictures that never are give their best."""
    tries = []
    for _ in range(_TRIES):
        footage, count = Footage.drawn(rng), int(rng.choice(_LOOKS))
        shown = pictures[: 2 if rng.random() < _TWO_PHOTOGRAPHS else 1]
        looks = [_look(shown[k * len(shown) // count], footage, embedder, rng) for k in range(count)]
        weights = np.array([quality for _, quality in looks], np.float32)
        tries.append((float(np.sort(weights)[-3:].mean()), [crop for crop, _ in looks], weights))
        if tries[-1][0] >= IdentificationConfig().min_quality_named_tracks:
            break
    _, crops, weights = max(tries, key=lambda one: one[0])
    return crops, weights


def _look(
    subject: Portrait, footage: Footage, embedder: FaceEmbedder, rng: np.random.Generator
) -> tuple[ImageArray, float]:
    """Return a crop of the subject as the footage might show it, and its quality."""
    # A border around the face is enough, and a large picture takes long.
    middle, reach = (subject.box[:2] + subject.box[2:]) / 2, 1.6 * float((subject.box[2:] - subject.box[:2]).max())
    left, top = np.maximum(np.floor(middle - reach), 0).astype(int)
    right, bottom = np.ceil(middle + reach).astype(int)
    corner = np.array([left, top], np.float32)
    side = float((subject.box[2:] - subject.box[:2]).min())
    scale = min(1.0, footage.width_px * float(np.exp(rng.normal(0, _ZOOM))) / side)
    image = footage.show(subject.image[top:bottom, left:right], scale, rng)
    eyes = float(np.linalg.norm(subject.landmarks[1] - subject.landmarks[0])) * scale
    points = (subject.landmarks - corner) * scale
    points = points + rng.normal(0, _POINT * eyes, (5, 2)) + rng.normal(0, _SHIFT * eyes, (1, 2))
    box = (subject.box - np.tile(corner, 2)) * scale
    found = Detections(box[None].astype(np.float32), np.ones(1, np.float32), points[None].astype(np.float32))
    crops, residual_px = align(image, found.landmarks, embedder.template)
    measured = quality.features(found, crops, residual_px, image.shape[1], image.shape[0])
    return crops[0], max(float(quality.score(measured)[0]), 1e-3)


def by_person(subjects: Sequence[Portrait]) -> dict[str, list[Portrait]]:
    """Return everybody's pictures, in the order given."""
    found: dict[str, list[Portrait]] = defaultdict(list)
    for one in subjects:
        found[one.person].append(one)
    return found


def genuine_scale(gallery: Sequence[Portrait], looks: FloatArray) -> GenuineScale:
    """Return mean and deviation of the similarity of each look to the mean of the person's other pictures."""
    people = by_person(gallery)
    similarity = []
    for one, look in zip(gallery, looks, strict=True):
        others = [other.embedding for other in people[one.person] if other is not one]
        if others:
            similarity.append(float(look @ normalize(np.sum(others, axis=0))))
    return GenuineScale(float(np.mean(similarity)), float(np.std(similarity)))


def all_pairs(subjects: Sequence[Portrait]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the similarity of every two pictures, and whether they show one person."""
    vectors, people = np.stack([one.embedding for one in subjects]), np.array([one.person for one in subjects])
    first, second = np.triu_indices(len(subjects), 1)
    return (vectors[first] * vectors[second]).sum(axis=1), people[first] == people[second]


def pair_scale(similarity: npt.NDArray[np.floating], same: npt.NDArray[np.bool_]) -> PairScale:
    """Fit the log odds that two pictures show one person, where both are as likely beforehand."""
    centre, unit = 0.9, 0.01
    fitted = LogisticRegression(C=1e9, max_iter=100_000).fit(((similarity - centre) / unit)[:, None], same)
    slope = float(fitted.coef_[0, 0]) / unit
    prior = float(np.log(same.mean() / (1 - same.mean())))
    return PairScale(centre - (float(fitted.intercept_[0]) - prior) / slope, slope)


if __name__ == "__main__":
    main()
