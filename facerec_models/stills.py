"""Who is in these pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from facerec_models.analysis.faces import find_faces
from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig, IdentificationConfig
from facerec_models.confinement.pictures import read_image_apart
from facerec_models.documents import Document
from facerec_models.errors import InputError
from facerec_models.identification.identify import identify_faces
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.reasons import reason_of
from facerec_models.names import identity_of
from facerec_models.result import CandidateView
from facerec_models.types import FaceSet, ImageArray

# Pictures whose faces are searched for together: so many, and fewer of large ones, so that they fit into memory.
_BATCH, _BATCH_PIXELS = 8, 40_000_000


class FaceView(Document):
    """A face of a still and who it is. `reason` says why it is undecidable, and is null where it is not."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    quality: float
    decision: Literal["named", "unknown", "undecidable"]
    reason: str | None
    person_id: str | None
    identity: str | None
    probability: float
    false_name_rate: float
    candidates: list[CandidateView]


class StillResult(Document):
    """Who is in a picture; `error` says why it could not be read."""

    path: str
    faces: list[FaceView]
    error: str | None


def find_stills(
    pictures: Iterable[tuple[str, Path | bytes]], networks: Networks, analysis: AnalysisConfig
) -> list[FaceSet | StillResult]:
    """Find the faces of pictures, given as names with files or contents; a picture that cannot be read gives its error.

    However many and large they are, a few are in memory at a time.
    """
    find = partial(find_faces, detector=networks.detector, embedder=networks.embedder, config=analysis.detection)
    return read_stills(pictures, find, analysis)


def read_stills(
    pictures: Iterable[tuple[str, Path | bytes]],
    find: Callable[[Sequence[ImageArray]], list[FaceSet]],
    analysis: AnalysisConfig,
) -> list[FaceSet | StillResult]:
    """Do as `find_stills` does, with another way to find the faces of a few pictures."""
    found: dict[int, FaceSet | StillResult] = {}
    images: dict[int, ImageArray] = {}
    i = -1
    for i, (name, source) in enumerate(pictures):
        try:
            images[i] = read_image_apart(source, analysis.limits, name=name)
        except InputError as error:
            found[i] = StillResult(path=name, faces=[], error=str(error))
        pixels = sum(image.shape[0] * image.shape[1] for image in images.values())
        if len(images) == _BATCH or pixels >= _BATCH_PIXELS:
            found.update(zip(images, find(list(images.values())) if images else [], strict=True))
            images = {}
    found.update(zip(images, find(list(images.values())) if images else [], strict=True))
    return [found[k] for k in range(i + 1)]


def name_still(
    name: str,
    found: FaceSet | StillResult,
    model: NamingModel,
    rules: IdentificationConfig,
    max_false_names: float | None,
) -> StillResult:
    """Name the faces of one picture."""
    if isinstance(found, StillResult):
        return found
    matches = identify_faces(
        found.embeddings, found.quality, found.detections.scores, model, rules, max_false_names=max_false_names
    )
    return StillResult(
        path=name,
        faces=[
            FaceView(
                box_xyxy=tuple(found.detections.boxes[i].tolist()),
                score=float(found.detections.scores[i]),
                quality=float(found.quality[i]),
                decision=match.decision.value,
                reason=reason_of(match, identity_of(match.beside)),
                person_id=match.person_id,
                identity=identity_of(match.person_id),
                probability=match.probability,
                false_name_rate=match.false_name_rate,
                candidates=[CandidateView.of(candidate) for candidate in match.candidates],
            )
            for i, match in enumerate(matches)
        ],
        error=None,
    )
