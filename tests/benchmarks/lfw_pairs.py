"""Whether two pictures show one person, on pairs of Labeled Faces in the Wild: ``python -m tests.benchmarks.lfw_pairs --data DIR``.

The protocol of LFW's view 2: the similarity above which a pair is one person is chosen on all folds but one and counted on that
one, each in turn; told is the mean accuracy with its standard error over the folds. A picture without a face makes its pairs "not
the same". Each variant changes one thing of what the product does: MTCNN's five landmarks, the largest face, the mean of the crop
and its mirror image.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

from facerec_models.analysis.alignment import Template, align
from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import find_faces, largest_face
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import DetectionConfig, EmbeddingConfig, LimitsConfig
from facerec_models.images import read_image
from facerec_models.metrics import proportion_interval
from facerec_models.types import Detections, FloatArray, ImageArray
from tests.benchmarks.command import circumstances, say

_PUBLISHED = (
    0.9938  # King, *High Quality Face Recognition with Deep Metric Learning*, blog.dlib.net, 2017: colour, ten folds.
)
_FAR = 0.01
_BATCH = 16
# Of a jittered picture: shift and scale in eye distances, turn in radians.
_SHIFT, _SCALE, _TURN = 0.04, 0.04, 0.06


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures below the data folder, and whether they show one person."""

    a: str
    b: str
    same: bool
    fold: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One way from a picture to a vector.

    Parameters
    ----------
    zoom : float
        How much larger the picture is made before faces are detected.
    is_central : bool
        Take the face nearest to the picture's middle, not the largest.
    by_box : bool
        Align by the detector's box alone, upright, as if the landmarks lay in it where they lie on average.
    reach : float
        How much more than the template of the face's surroundings the crop shows.
    jitters : int
        Slightly moved, scaled and turned pictures that are averaged; 0: one picture.
    min_quality : float
        Pairs with a face below it are left out.
    """

    name: str
    zoom: float = 1.0
    mirror: bool = True
    is_central: bool = False
    by_box: bool = False
    reach: float = 1.0
    jitters: int = 0
    min_quality: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The subject of a picture: its image, detection and quality."""

    image: ImageArray
    face: Detections
    quality: float


@dataclass(frozen=True, slots=True)
class Score:
    """How well pairs are told apart; rates in [0, 1]."""

    pairs: int
    accuracy: float
    standard_error: float
    equal_error: float
    true_accepts: float
    true_accepts_interval: tuple[float, float]


_PRODUCT = Variant("as the product does")
_VARIANTS = (
    _PRODUCT,
    Variant("without the mirror image", mirror=False),
    Variant("the face nearest to the middle", is_central=True),
    Variant("the detector's box, no landmarks", by_box=True),
    *(
        Variant(f"crop reaches {reach:.2f} times as far", reach=reach)
        for reach in (0.7, 0.78, 0.85, 0.92, 1.08, 1.15, 1.3)
    ),
    Variant("average of 10 jittered pictures", jitters=10),
    *(Variant(f"picture enlarged {zoom:g} times", zoom=zoom) for zoom in (1.5, 2.0, 3.0)),
    *(Variant(f"pairs of quality {least:g} at least", min_quality=least) for least in (0.3, 0.5, 0.7)),
    Variant("reaches 0.85 times as far, middle face", reach=0.85, is_central=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lfw_pairs", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with lfw_verify/pairs.csv")
    parser.add_argument("--only", default="", help="only variants whose name has this in it")
    data, only = parser.parse_args().data, parser.parse_args().only
    say(circumstances(data))
    pairs = read_pairs(data / "lfw_verify" / "pairs.csv")
    looker = Looker(data, sorted({path for pair in pairs for path in (pair.a, pair.b)}))
    say(f"{len(pairs)} pairs in {len({pair.fold for pair in pairs})} folds; published with ten folds: {_PUBLISHED:.4f}")
    say(f"{'':48s}  pairs  accuracy         EER    TAR at FAR {_FAR:g}")
    for variant in (one for one in _VARIANTS if only in one.name):
        kept, similarity = looker.similarities(pairs, variant)
        found = score(similarity, kept)
        low, high = found.true_accepts_interval
        say(
            f"{variant.name:48s}  {found.pairs:5d}  {found.accuracy:.4f} ± {found.standard_error:.4f}  "
            f"{found.equal_error:.4f}  {found.true_accepts:.4f} ({low:.3f} to {high:.3f})"
        )
    for pair, similarity_ in looker.worst(pairs):
        say(f"wrong as the product does: {Path(pair.a).stem} and {Path(pair.b).stem}, {similarity_:.3f}")


def read_pairs(path: Path) -> list[Pair]:
    """Read ``a,b,same,lfw_fold``."""
    with path.open(newline="", encoding="utf-8") as file:
        return [Pair(row["a"], row["b"], row["same"] == "1", int(row["lfw_fold"])) for row in csv.DictReader(file)]


class Looker:
    """Finds the subject of every picture, once for each size, and embeds it as a variant says."""

    def __init__(self, data: Path, paths: Sequence[str]) -> None:
        self._detector = MtcnnDetector(DetectionConfig())
        registry = WeightsRegistry(Path("none"))
        self._embedders = {
            mirror: build_embedder(EmbeddingConfig(embedder="dlib", mirror=mirror), registry)
            for mirror in (True, False)
        }
        self._images = {path: read_image(data / path, LimitsConfig()) for path in paths}
        self._seen: dict[tuple[float, bool], dict[str, Seen]] = {}

    def similarities(self, pairs: Sequence[Pair], variant: Variant) -> tuple[list[Pair], npt.NDArray[np.float64]]:
        """Return the pairs that the variant judges, and the similarity of each; -1 where a picture has no face."""
        seen = self._subjects(variant.zoom, variant.is_central)
        vectors = dict(zip(seen, self._embed(list(seen.values()), variant), strict=True))
        kept = [
            pair
            for pair in pairs
            if all(path in seen and seen[path].quality >= variant.min_quality for path in (pair.a, pair.b))
            or not variant.min_quality
        ]
        return kept, np.array([vectors[p.a] @ vectors[p.b] if {p.a, p.b} <= seen.keys() else -1.0 for p in kept])

    def worst(self, pairs: Sequence[Pair], count: int = 8) -> list[tuple[Pair, float]]:
        """Return the pairs that are farthest on the wrong side of the threshold that is best for all."""
        kept, similarity = self.similarities(pairs, _PRODUCT)
        same = np.array([pair.same for pair in kept])
        excess = (best_threshold(similarity, same) - similarity) * np.where(same, 1, -1)
        return [(kept[i], float(similarity[i])) for i in np.argsort(-excess)[:count] if excess[i] > 0]

    def _subjects(self, zoom: float, is_central: bool) -> dict[str, Seen]:
        key = (zoom, is_central)
        if key not in self._seen:
            self._seen[key] = {}
            for start in range(0, len(self._images), _BATCH):
                part = dict(list(self._images.items())[start : start + _BATCH])
                images = [_enlarged(image, zoom) for image in part.values()]
                found = find_faces(images, self._detector, self._embedders[False], DetectionConfig())
                for path, image, faces in zip(part, images, found, strict=True):
                    if len(faces):
                        i = _central(faces.detections, image) if is_central else largest_face(faces.detections)
                        only = faces.detections.select(np.arange(len(faces)) == i)
                        self._seen[key][path] = Seen(image, only, float(faces.quality[i]))
            say(f"{len(self._seen[key])} of {len(self._images)} pictures have a face, enlarged {zoom:g} times")
        return self._seen[key]

    def _embed(self, seen: Sequence[Seen], variant: Variant) -> FloatArray:
        embedder = self._embedders[variant.mirror]
        template = _reaching(embedder.template, variant.reach)
        landmarks = np.concatenate([one.face.landmarks for one in seen])
        if variant.by_box:
            landmarks = _average_landmarks(np.concatenate([one.face.boxes for one in seen]), landmarks)
        total = _embed_looks(embedder, template, seen, landmarks)
        if variant.jitters:
            rng = np.random.default_rng(0)
            total = np.zeros_like(total)
            for _ in range(variant.jitters):
                total += _embed_looks(embedder, template, seen, _jittered(landmarks, rng))
        return np.asarray(total / np.linalg.norm(total, axis=1, keepdims=True), np.float32)


def _embed_looks(embedder: FaceEmbedder, template: Template, seen: Sequence[Seen], landmarks: FloatArray) -> FloatArray:
    crops = [align(one.image, points[None], template)[0] for one, points in zip(seen, landmarks, strict=True)]
    return embedder.embed(np.concatenate(crops))


def _enlarged(image: ImageArray, zoom: float) -> ImageArray:
    if zoom == 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC), np.uint8)


def _central(found: Detections, image: ImageArray) -> int:
    middle = np.array(image.shape[1::-1]) / 2
    return int(np.linalg.norm((found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - middle, axis=1).argmin())


def _reaching(template: Template, reach: float) -> Template:
    middle = template.size / 2
    points = tuple((middle + (x - middle) / reach, middle + (y - middle) / reach) for x, y in template.points)
    return replace(template, points=points)


def _average_landmarks(boxes: FloatArray, landmarks: FloatArray) -> FloatArray:
    """Return the landmarks that boxes alone suggest: where they lie in a box on average over all pictures."""
    middle, side = (boxes[:, :2] + boxes[:, 2:]) / 2, np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    relative = ((landmarks - middle[:, None]) / side[:, None, None]).mean(axis=0)
    return np.asarray(middle[:, None] + side[:, None, None] * relative, np.float32)


def _jittered(landmarks: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Move, scale and turn the landmarks of each face a little, as one."""
    count = len(landmarks)
    middle = landmarks.mean(axis=1, keepdims=True)
    span = np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1)[:, None, None]
    turn, scale = rng.normal(0, _TURN, count), rng.normal(1, _SCALE, count)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    turned = np.einsum(
        "nij,nkj->nki", np.array([[cosine, -sine], [sine, cosine]]).transpose(2, 0, 1), landmarks - middle
    )
    return np.asarray(middle + turned + span * rng.normal(0, _SHIFT, (count, 1, 2)), np.float32)


def best_threshold(similarity: npt.NDArray[np.float64], same: npt.NDArray[np.bool_]) -> float:
    """Return the similarity that tells most pairs apart rightly; the middle one of equals."""
    candidates = np.unique(similarity)
    candidates = np.concatenate([candidates, [candidates[-1] + 1]])
    right = ((similarity[None] >= candidates[:, None]) == same).sum(axis=1)
    return float(np.median(candidates[right == right.max()]))


def score(similarity: npt.NDArray[np.float64], pairs: Sequence[Pair]) -> Score:
    """Score pairs by the protocol of LFW's view 2, and by their error rates over all thresholds."""
    same, fold = np.array([pair.same for pair in pairs]), np.array([pair.fold for pair in pairs])
    accuracies = []
    for one in np.unique(fold):
        threshold = best_threshold(similarity[fold != one], same[fold != one])
        accuracies.append(float(((similarity[fold == one] >= threshold) == same[fold == one]).mean()))
    false, true, _ = roc_curve(same, similarity, drop_intermediate=False)
    accepted = round(float(true[false <= _FAR].max() * same.sum()))
    return Score(
        pairs=len(pairs),
        accuracy=float(np.mean(accuracies)),
        standard_error=float(np.std(accuracies, ddof=1) / np.sqrt(len(accuracies))),
        equal_error=float(brentq(lambda rate: 1 - np.interp(rate, false, true) - rate, 0, 1)),
        true_accepts=accepted / int(same.sum()),
        true_accepts_interval=proportion_interval(accepted, int(same.sum())),
    )


if __name__ == "__main__":
    main()
