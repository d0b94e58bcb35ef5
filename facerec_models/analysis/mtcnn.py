"""MTCNN, a `FaceDetector`; the search itself is in `facerec_models.analysis.cpu_cascade` and `facerec_models.analysis.cascade`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from facerec_models.analysis import boxes
from facerec_models.analysis.batching import split
from facerec_models.analysis.engines.choice import EngineChoice, available_cores, choose_engine
from facerec_models.analysis.weights import package_folder
from facerec_models.config import DetectionConfig
from facerec_models.types import Detections, FloatArray, ImageArray

if TYPE_CHECKING:
    from torch import nn

# Pixels that go through P-Net at once: enough to fill an accelerator. A CPU gains nothing from more than a picture or two: a quarter
# of the pixels takes a tenth to a quarter less time, and less than half the memory between its layers.
_CPU_PIXELS, _ACCELERATOR_PIXELS = 1_000_000, 4_000_000
# Sides of the pictures that each network is converted with.
_SIDES = {"PNet": 96, "RNet": 24, "ONet": 48}
# How its pixels are taken.
_MEAN, _SCALE = 127.5, 128.0


Search = Callable[[Sequence[ImageArray]], Iterable[tuple[FloatArray, FloatArray, FloatArray]]]
"""Boxes, scores and landmarks of each of some pictures, which have sides of `min_face_px` at least."""


class MtcnnDetector:
    """MTCNN with the weights of facenet-pytorch's wheel.

    Parameters
    ----------
    threads : int, optional
        How many compute at once, by default as many as there are cores. Torch has one setting for the whole process.

    Attributes
    ----------
    engine : str
        As in `FaceDetector`.

    Raises
    ------
    DeviceError
        If the device or engine that is asked for is not there.
    """

    def __init__(self, config: DetectionConfig, *, threads: int | None = None) -> None:
        self._config = config
        engine = choose_engine(config.engine, config.device, config.precision)
        self.engine = str(engine)
        load = _torch_search if engine.engine == "torch" else _openvino_search
        self._search = load(config, engine, threads)

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Find the faces of each picture; see `FaceDetector.detect`."""
        found = [Detections.empty()] * len(images)
        # Below this the pyramid has no level at all. Rounded as the search rounds: 47 * (12 / 47) is less than 12.
        places = [i for i, one in enumerate(images) if min(one.shape[:2]) * (12.0 / self._config.min_face_px) >= 12]
        for i, (face_boxes, scores, landmarks) in zip(places, self._search([images[i] for i in places]), strict=True):
            height, width = images[i].shape[:2]
            clipped = boxes.clip(face_boxes, width, height)
            # A regression far off the picture leaves nothing after clipping, or not-a-number.
            sound = (boxes.area(clipped) > 0) & np.isfinite(landmarks).all(axis=(1, 2))
            found[i] = Detections(clipped, np.clip(scores, 0, 1), landmarks).select(sound)
        return found


def _torch_search(config: DetectionConfig, engine: EngineChoice, threads: int | None) -> Search:
    """Load the networks into torch, which computes pictures of one size as a batch."""
    import torch

    from facerec_models.analysis.cascade import Cascade

    if threads is not None:
        torch.set_num_threads(threads)
    device = torch.device(engine.device)
    cascade = Cascade(device, min_face_px=config.min_face_px, thresholds=config.thresholds, factor=config.factor)
    is_on_cpu = engine.device == "cpu"
    pixels = _CPU_PIXELS if is_on_cpu else _ACCELERATOR_PIXELS

    def search(images: Sequence[ImageArray]) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        found: dict[int, tuple[FloatArray, FloatArray, FloatArray]] = {}
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, image in enumerate(images):
            by_size[(image.shape[0], image.shape[1])].append(i)
        for (height, width), members in by_size.items():
            for batch_of in split(len(members), max(1, pixels // (height * width)), in_powers=is_on_cpu):
                part = members[batch_of]
                found |= zip(part, cascade.find(np.stack([images[i] for i in part])), strict=True)
        return [found[i] for i in range(len(images))]

    return search


def _openvino_search(config: DetectionConfig, engine: EngineChoice, threads: int | None) -> Search:
    """Load the networks into OpenVINO; each picture is searched by one thread."""
    from facerec_models.analysis.cpu_cascade import CascadeNetworks, CpuCascade
    from facerec_models.analysis.engines.openvino_network import OpenvinoNetwork, read_or_convert

    # One more than cores: what one does in Python leaves its core to another.
    count = 1 + (threads or available_cores())
    package, networks = package_folder("facenet_pytorch"), []
    for name, side in _SIDES.items():
        sources = package / "data" / f"{name.lower()}.pt", package / "models" / "mtcnn.py"
        load = partial(_torch_network, name)
        model = read_or_convert(f"mtcnn-{name.lower()}", sources, load, (2, 3, side, side))
        # P-Net sees pictures of any size, the others batches of a few sizes.
        shape = (1, -1, -1, 3) if name == "PNet" else None
        networks.append(
            OpenvinoNetwork(
                model,
                precision=engine.precision,
                threads=count,
                shape=shape,
                kind=np.float32,
                mean=_MEAN,
                scale=_SCALE,
            )
        )
    cascade = CpuCascade(
        CascadeNetworks(*networks),
        min_face_px=config.min_face_px,
        thresholds=config.thresholds,
        factor=config.factor,
    )
    return partial(ThreadPoolExecutor(count, "detector").map, cascade.find)


def _torch_network(name: str) -> nn.Module:
    from facenet_pytorch.models import mtcnn

    network: nn.Module = getattr(mtcnn, name)()
    return network.eval()
