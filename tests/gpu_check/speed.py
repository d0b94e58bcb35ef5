"""Frames and faces a second: as the product runs, and as it could."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import torch
from facenet_pytorch import MTCNN
from torch import Tensor, nn

from facerec_models.analysis.alignment import DLIB_TEMPLATE, FACENET_TEMPLATE, Template
from facerec_models.analysis.cascade import Cascade
from facerec_models.analysis.detection import reduce_image
from facerec_models.analysis.embedders.dlib_resnet import load_dlib_resnet
from facerec_models.analysis.embedders.torch_embedder import TorchEmbedder
from facerec_models.analysis.faces import detect_faces
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import DLIB, WeightsRegistry
from facerec_models.config import DetectionConfig, EmbeddingConfig
from facerec_models.types import Detections, ImageArray
from tests.gpu_check import material, precision
from tests.gpu_check.clock import Clock, measure
from tests.gpu_check.material import Portrait
from tests.gpu_check.parity import random_facenet
from tests.gpu_check.precision import Precision

SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080)}
_Row = dict[str, object]
_Way = tuple[str, Precision, Callable[[], object]]


def detection(
    portraits: Sequence[Portrait],
    device: torch.device,
    sizes: Sequence[str],
    batches: Sequence[int],
    clock: Clock,
    budget_s: float,
) -> list[_Row]:
    """Time the search for faces in frames, from arrays in memory to boxes in memory.

    As shipped, frames are reduced first and searched in batches of so many pixels; the other ways get them reduced, all at once.
    """
    config = DetectionConfig(device="cuda" if device.type == "cuda" else "cpu", engine="torch")
    detector = MtcnnDetector(config)
    search = Cascade(device, min_face_px=config.min_face_px, thresholds=config.thresholds, factor=config.factor)

    def ways(part: list[ImageArray], reduced: ImageArray) -> list[_Way]:
        one_batch: list[_Way] = [
            (f"one batch, {way.name}", way, partial(search.find, reduced)) for way in precision.of_product(device)
        ]
        return [("as shipped", precision.SHIPPED, partial(detect_faces, part, detector, config)), *one_batch]

    return _detection(portraits, device, sizes, batches, clock, budget_s, config, ways)


def library_detection(
    portraits: Sequence[Portrait],
    device: torch.device,
    sizes: Sequence[str],
    batches: Sequence[int],
    clock: Clock,
    budget_s: float,
) -> list[_Row]:
    """Time facenet-pytorch's own search, from the same networks, for comparison."""
    config = DetectionConfig()
    library = MTCNN(
        min_face_size=config.min_face_px,
        thresholds=list(config.thresholds),
        factor=config.factor,
        keep_all=True,
        device=device,
    ).eval()

    def ways(part: list[ImageArray], reduced: ImageArray) -> list[_Way]:
        return [("facenet-pytorch's own", precision.SHIPPED, partial(library.detect, reduced, landmarks=True))]

    return _detection(portraits, device, sizes, batches, clock, budget_s, config, ways)


def _detection(
    portraits: Sequence[Portrait],
    device: torch.device,
    sizes: Sequence[str],
    batches: Sequence[int],
    clock: Clock,
    budget_s: float,
    config: DetectionConfig,
    ways: Callable[[list[ImageArray], ImageArray], list[_Way]],
) -> list[_Row]:
    """Time ways to search frames; each gets them as they are, and reduced and stacked."""
    rows: list[_Row] = []
    for size in sizes:
        images = material.frames(portraits, *SIZES[size], max(batches))
        for batch in batches:
            part = images[:batch]
            reduced = np.stack([reduce_image(image, config.max_side_px)[0] for image in part])
            for name, way, task in ways(part, reduced):
                if not clock.allows(f"detection, {size}, {batch} frames, {name}"):
                    continue
                with way.on(device):
                    timing = measure(task, device, budget_s=budget_s)
                rows.append(
                    {
                        "frames": size,
                        "batch": batch,
                        "way": name,
                        "frames_per_s": batch / timing.median_s,
                        **asdict(timing),
                    }
                )
    return rows


@torch.inference_mode()
def stages(
    portraits: Sequence[Portrait],
    device: torch.device,
    sizes: Sequence[str],
    batch: int,
    clock: Clock,
    budget_s: float,
) -> list[_Row]:
    """Time what detection consists of, each by itself: reduction, copy to the device, the pyramid with and without P-Net."""
    config = DetectionConfig(device="cuda" if device.type == "cuda" else "cpu", engine="torch")
    network = MTCNN(device=device).eval().pnet.to(memory_format=torch.channels_last)
    rows: list[_Row] = []
    for size in sizes:
        images = material.frames(portraits, *SIZES[size], batch)
        reduced = np.stack([reduce_image(image, config.max_side_px)[0] for image in images])
        on_device = torch.from_numpy(reduced).to(device)
        # Pinned memory is what the device's own engine copies from.
        pinned = torch.from_numpy(reduced).pin_memory() if device.type == "cuda" else torch.from_numpy(reduced)
        as_float = on_device.permute(0, 3, 1, 2).float()
        levels = _pyramid(as_float, config)
        tasks = {
            "reduce to the detector's size, on the CPU": lambda i=images: [
                reduce_image(image, config.max_side_px) for image in i
            ],
            "stack, on the CPU": lambda r=reduced: np.stack(list(r)),
            "copy to the device": lambda r=reduced: torch.from_numpy(r).to(device),
            "copy to the device from pinned memory": lambda p=pinned: p.to(device, non_blocking=True),
            "copy back": lambda f=on_device: f.cpu(),
            "pyramid": lambda f=as_float: _pyramid(f, config),
            "P-Net over the pyramid": lambda v=levels: [network(level) for level in v],
        }
        for name, task in tasks.items():
            if not clock.allows(f"stage {name}, {size}"):
                continue
            timing = measure(task, device, budget_s=budget_s)
            rows.append({"frames": size, "batch": batch, "stage": name, **asdict(timing)})
    return rows


def _pyramid(images: Tensor, config: DetectionConfig) -> list[Tensor]:
    """Return the pictures at every size that P-Net sees."""
    height, width = images.shape[2:]
    levels = []
    scale = 12 / config.min_face_px
    while min(height, width) * scale >= 12:
        size = int(height * scale + 1), int(width * scale + 1)
        level = nn.functional.interpolate(images, size=size, mode="area")
        levels.append((level - 127.5) * 0.0078125)
        scale *= config.factor
    return levels


def embedding(
    portraits: Sequence[Portrait],
    found: Sequence[Detections],
    weights: WeightsRegistry,
    device: torch.device,
    counts: Sequence[int],
    clock: Clock,
    budget_s: float,
) -> list[_Row]:
    """Time the embedding of aligned crops, from arrays in memory to arrays in memory."""
    made: list[tuple[str, nn.Module, Template, int]] = [
        ("dlib ResNet", load_dlib_resnet(weights.locate(DLIB.name)), DLIB_TEMPLATE, 128),
        ("FaceNet, random weights", random_facenet(), FACENET_TEMPLATE, 512),
    ]
    shipped = EmbeddingConfig()
    rows: list[_Row] = []
    for name, network, template, dimension in made:
        crops = material.crops(portraits, found, template, max(counts))

        def embedder(
            batch: int, mirror: bool, network: nn.Module = network, of: Template = template, dimension: int = dimension
        ) -> TorchEmbedder:
            return TorchEmbedder(
                network,
                name="measured",
                dimension=dimension,
                template=of,
                terms="",
                engine="",
                device=device,
                batch_size=batch,
                mirror=mirror,
            )

        for count in counts:
            ways: list[tuple[str, Precision, TorchEmbedder]] = [
                ("as shipped", precision.SHIPPED, embedder(shipped.batch_size, shipped.mirror)),
                ("one batch", precision.SHIPPED, embedder(count, shipped.mirror)),
            ]
            ways += [
                (f"one batch, {way.name}", way, embedder(count, shipped.mirror))
                for way in precision.of_product(device)[1:]
            ]
            ways.append(("one batch, without the mirror image", precision.SHIPPED, embedder(count, False)))
            for label, way, one in ways:
                if not clock.allows(f"embedding, {name}, {count} crops, {label}"):
                    continue
                part = crops[:count]
                with way.on(device):
                    timing = measure(lambda one=one, part=part: one.embed(part), device, budget_s=budget_s)
                rows.append(
                    {
                        "network": name,
                        "crops": count,
                        "way": label,
                        "faces_per_s": count / timing.median_s,
                        **asdict(timing),
                    }
                )
    return rows
