"""An embedding network that OpenVINO computes on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facerec_models.analysis.alignment import Template
from facerec_models.analysis.batching import split
from facerec_models.analysis.embedders.tint import tint_gray
from facerec_models.analysis.embedding import check_crops
from facerec_models.types import FloatArray, ImageArray

# Most crops in one pass: more take no less time for each.
_CROPS = 8


class OpenvinoEmbedder:
    """A network that takes RGB of 0 to 255 as (N, S, S, 3) uint8 and returns (N, D) descriptors.

    Parameters
    ----------
    name, dimension, template, terms, engine
        As in `FaceEmbedder`.
    network : callable
        See `facerec_models.analysis.engines.openvino_network.OpenvinoNetwork`.
    batch_size : int
        Most crops in one pass; it takes a few at a time whatever this says.
    threads : int
        How many parts of the crops are computed at once.
    mirror, tint : bool
        As in `facerec_models.analysis.embedders.torch_embedder.TorchEmbedder`.
    """

    def __init__(
        self,
        network: Callable[[ImageArray], tuple[FloatArray, ...]],
        *,
        name: str,
        dimension: int,
        template: Template,
        terms: str,
        engine: str,
        batch_size: int = _CROPS,
        threads: int = 1,
        mirror: bool = True,
        tint: bool = False,
    ) -> None:
        self.name = name
        self.dimension = dimension
        self.template = template
        self.terms = terms
        self.engine = engine
        self._network = network
        self._mirror = mirror
        self._tint = tint
        self._batch_size = min(batch_size, _CROPS)
        self._threads = ThreadPoolExecutor(threads, "embedder")

    def embed(self, crops: ImageArray) -> FloatArray:
        """Embed aligned faces; see `FaceEmbedder.embed`."""
        check_crops(crops, self.template)
        if self._tint:
            crops = tint_gray(crops)
        parts = [crops[part] for part in split(len(crops), self._batch_size, in_powers=True)]
        found = np.concatenate([np.zeros((0, self.dimension), np.float32), *self._threads.map(self._describe, parts)])
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)

    def _describe(self, crops: ImageArray) -> FloatArray:
        (descriptors,) = self._network(crops)
        if self._mirror:
            descriptors = (descriptors + self._network(crops[:, :, ::-1])[0]) * np.float32(0.5)
        return descriptors.reshape(len(crops), -1)
