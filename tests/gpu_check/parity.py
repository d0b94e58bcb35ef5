"""Does the device compute what the CPU computes: each network by itself, and the answers of the whole product."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import Tensor, nn

from facerec_models.analysis import boxes
from facerec_models.analysis.alignment import DLIB_TEMPLATE, FACENET_TEMPLATE
from facerec_models.analysis.embedders.dlib_resnet import load_dlib_resnet
from facerec_models.analysis.embedders.facenet import FaceNet
from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.faces import find_faces, largest_face
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import DLIB, WeightsRegistry
from facerec_models.config import DetectionConfig, EmbeddingConfig, IdentificationConfig
from facerec_models.identification.cohort import load_cohort
from facerec_models.identification.fit import fit_model
from facerec_models.identification.identify import identify_faces
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.types import Detections, FaceSet, ImageArray, Match
from tests.gpu_check import material, precision
from tests.gpu_check.clock import Clock
from tests.gpu_check.material import Material, Portrait
from tests.gpu_check.precision import Precision

# What the platform's notes call the same result.
SAME_BOX_PX = 2.0
_SAME_FACE_IOU = 0.5
_NAMED = 20
_LEAST_PICTURES = 2
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Network:
    """A network on the CPU with inputs that it meets in the product."""

    name: str
    module: nn.Module
    inputs: Tensor
    outputs: tuple[str, ...]


def random_facenet() -> FaceNet:
    """Return FaceNet with numbers that are always the same and mean nothing: its own have to be fetched."""
    torch.manual_seed(0)
    return FaceNet().eval()


def networks(
    portraits: Sequence[Portrait], found: Sequence[Detections], weights: WeightsRegistry, count: int
) -> list[Network]:
    """Return every network, with `count` inputs made of pictures."""
    dlib = load_dlib_resnet(weights.locate(DLIB.name))
    frame = _scaled(np.stack(material.frames(portraits, 320, 180, max(1, count // 8))))
    return [
        Network("P-Net", PNet(), frame, ("boxes", "scores")),
        Network("R-Net", RNet(), _scaled(material.patches(portraits, found, 24, count)), ("boxes", "scores")),
        Network("O-Net", ONet(), _scaled(material.patches(portraits, found, 48, count)), ("boxes", "points", "scores")),
        Network("dlib ResNet", dlib, _pixels(material.crops(portraits, found, DLIB_TEMPLATE, count)), ("embedding",)),
        Network(
            "FaceNet, random weights",
            random_facenet(),
            _pixels(material.crops(portraits, found, FACENET_TEMPLATE, count)),
            ("embedding",),
        ),
    ]


def _pixels(images: ImageArray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def _scaled(images: ImageArray) -> Tensor:
    return (_pixels(images) - 127.5) * 0.0078125


@torch.inference_mode()
def compare_networks(tested: Sequence[Network], device: torch.device, clock: Clock) -> list[dict[str, object]]:
    """Return how far each network's outputs are from those of the CPU in float32, for each way to compute."""
    rows: list[dict[str, object]] = []
    for network in tested:
        expected = _outputs(network, precision.FP32, _CPU, torch.float32)
        ways = [(way, device, torch.float32) for way in precision.of_networks(device)]
        ways.append((Precision("fp64 on the CPU"), _CPU, torch.float64))
        for way, where, dtype in ways:
            if not clock.allows(f"parity of {network.name} in {way.name}"):
                continue
            found = _outputs(network, way, where, dtype)
            for name, a, b in zip(network.outputs, expected, found, strict=True):
                rows.append(
                    {
                        "network": network.name,
                        "precision": way.name,
                        "output": name,
                        "inputs": len(network.inputs),
                        "largest": float(a.abs().max()),
                        "max_abs": float((a - b).abs().max()),
                        "max_cosine_distance": float((1 - _cosine(a, b)).max()) if name == "embedding" else None,
                    }
                )
    return rows


def _outputs(network: Network, way: Precision, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    module = copy.deepcopy(network.module).to(device, dtype, memory_format=layout)
    with way.on(device):
        found = module(network.inputs.to(device, dtype, memory_format=layout))
    return [one.to(_CPU, torch.float64) for one in (found if isinstance(found, tuple) else (found,))]


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return nn.functional.cosine_similarity(a, b, dim=1)


def reference_faces(
    portraits: Sequence[Portrait], weights: WeightsRegistry, clock: Clock, reserve_s: float
) -> list[FaceSet]:
    """Find and describe the faces of pictures on the CPU; where time is short only of the first ones, but of two at least."""
    chain = _Chain(_CPU, weights)
    found: list[FaceSet] = []
    for portrait in portraits:
        left = len(portraits) - len(found)
        if len(found) >= _LEAST_PICTURES and not clock.allows(f"{left} of {len(portraits)} pictures", reserve_s):
            break
        found.append(chain.faces(portrait.image))
    return found


class _Chain:
    """Detector and packaged embedder on one device, as the product makes them."""

    def __init__(self, device: torch.device, weights: WeightsRegistry) -> None:
        name = "cuda" if device.type == "cuda" else "cpu"
        self._config = DetectionConfig(device=name, engine="torch")
        self._detector = MtcnnDetector(self._config)
        self._embedder = build_embedder(EmbeddingConfig(embedder="dlib", device=name, engine="torch"), weights)

    def faces(self, image: ImageArray) -> FaceSet:
        (found,) = find_faces([image], self._detector, self._embedder, self._config)
        return found


def compare_decisions(
    pictures: Material,
    reference: Sequence[FaceSet],
    weights: WeightsRegistry,
    device: torch.device,
    clock: Clock,
    reserve_s: float,
) -> list[dict[str, object]]:
    """Return, for each way to compute, how faces, embeddings and names differ from the CPU's.

    Parameters
    ----------
    reference : sequence of FaceSet
        Of the first of ``pictures.portraits``, as `reference_faces` finds them.
    """
    portraits = pictures.portraits[: len(reference)]
    enrolled = min(len(pictures.gallery), len(portraits))
    model = _model(portraits[:enrolled], reference[:enrolled])
    expected = _answers(reference[enrolled:], model)
    rows: list[dict[str, object]] = []
    for way in precision.of_product(device):
        name = f"decisions, {way.name}"
        if not clock.allows(name, reserve_s):
            continue
        chain = _Chain(device, weights)
        found: list[FaceSet] = []
        with way.on(device):
            for portrait in portraits:
                if not clock.allows(f"{name}, {len(portraits) - len(found)} of {len(portraits)} pictures", reserve_s):
                    break
                found.append(chain.faces(portrait.image))
        if len(found) < len(portraits):
            continue
        row: dict[str, object] = {"precision": way.name, **_compare_faces(portraits, reference, found)}
        own = _model(portraits[:enrolled], found[:enrolled])
        probes, faces = portraits[enrolled:], found[enrolled:]
        pairs = [_pairs(a.detections, b.detections) for a, b in zip(reference[enrolled:], faces, strict=True)]
        row["named_by_the_cpus_gallery"] = _compare_answers(probes, pairs, expected, _answers(faces, model))
        row["named_by_its_own_gallery"] = _compare_answers(probes, pairs, expected, _answers(faces, own))
        rows.append(row)
    return rows


def _model(portraits: Sequence[Portrait], faces: Sequence[FaceSet]) -> NamingModel:
    """Enrol the largest face of each picture that has one."""
    shown = [(p, f, largest_face(f.detections)) for p, f in zip(portraits, faces, strict=True) if len(f)]
    gallery = Gallery(
        DLIB.name,
        np.stack([f.embeddings[i] for _, f, i in shown]),
        np.array([p.person_id for p, _, _ in shown]),
        np.array([p.name for p, _, _ in shown]),
    )
    return fit_model(gallery, load_cohort(DLIB.name), IdentificationConfig().prior_known)


def _answers(faces: Sequence[FaceSet], model: NamingModel) -> list[list[Match]]:
    config = IdentificationConfig()
    return [identify_faces(f.embeddings, f.quality, f.detections.scores, model, config) for f in faces]


def _pairs(a: Detections, b: Detections) -> list[tuple[int, int]]:
    """Return which faces of two searches are the same."""
    if not len(a) or not len(b):
        return []
    overlap = boxes.iou(a.boxes, b.boxes)
    best = overlap.argmax(axis=1)
    return [(i, int(j)) for i, j in enumerate(best) if overlap[i, j] >= _SAME_FACE_IOU and overlap[:, j].argmax() == i]


def _compare_faces(
    portraits: Sequence[Portrait], expected: Sequence[FaceSet], found: Sequence[FaceSet]
) -> dict[str, object]:
    differ: list[str] = []
    apart: list[tuple[float, float, float, float]] = []
    for portrait, a, b in zip(portraits, expected, found, strict=True):
        pairs = _pairs(a.detections, b.detections)
        if not len(pairs) == len(a) == len(b):
            differ.append(f"{portrait.name}: {len(a)} faces on the CPU, {len(b)} here, {len(pairs)} the same")
        for i, j in pairs:
            apart.append(
                (
                    float(np.abs(a.detections.boxes[i] - b.detections.boxes[j]).max()),
                    float(np.abs(a.detections.landmarks[i] - b.detections.landmarks[j]).max()),
                    float(abs(a.detections.scores[i] - b.detections.scores[j])),
                    float(1 - a.embeddings[i] @ b.embeddings[j]),
                )
            )
    measured = np.array(apart, np.float64).reshape(-1, 4)
    largest = measured.max(axis=0, initial=0.0)
    return {
        "pictures": len(portraits),
        "faces": sum(map(len, expected)),
        "pictures_that_differ": len(differ),
        "which": differ[:_NAMED],
        "boxes_further_than_2_px": int((measured[:, 0] > SAME_BOX_PX).sum()),
        "max_box_px": float(largest[0]),
        "max_landmark_px": float(largest[1]),
        "max_score": float(largest[2]),
        "max_cosine_distance": float(largest[3]),
    }


def _compare_answers(
    portraits: Sequence[Portrait],
    pairs: Sequence[list[tuple[int, int]]],
    expected: Sequence[list[Match]],
    found: Sequence[list[Match]],
) -> dict[str, object]:
    differ: list[str] = []
    rate = probability = 0.0
    faces = named = 0
    for portrait, same, a, b in zip(portraits, pairs, expected, found, strict=True):
        for i, j in same:
            faces += 1
            named += a[i].person_id is not None
            nearest = a[i].candidates[0].person_id, b[j].candidates[0].person_id
            rate = max(rate, abs(a[i].false_name_rate - b[j].false_name_rate))
            probability = max(probability, abs(a[i].probability - b[j].probability))
            if (a[i].decision, a[i].person_id) != (b[j].decision, b[j].person_id) or nearest[0] != nearest[1]:
                differ.append(
                    f"{portrait.name}: {a[i].decision} {nearest[0]} on the CPU, {b[j].decision} {nearest[1]} here"
                )
    return {
        "faces": faces,
        "named": named,
        "faces_that_differ": len(differ),
        "which": differ[:_NAMED],
        "max_false_name_rate": rate,
        "max_probability": probability,
    }
