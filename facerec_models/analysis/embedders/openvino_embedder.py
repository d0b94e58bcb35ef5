"""An embedding network that OpenVINO computes on a CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from facerec_models.analysis.alignment import Template
from facerec_models.analysis.batching import split
from facerec_models.analysis.embedding import check_crops
from facerec_models.types import FloatArray, ImageArray

# Most crops in one pass: more take no less time for each.
_CROPS = 8


class OpenvinoEmbedder:
    """A network that takes RGB of 0 to 255 as (N, S, S, 3) uint8 and returns (N, D) descriptors.

    Parameters
    ----------
    name, dimension, template, terms
        As in `FaceEmbedder`.
    network : callable
        See `facerec_models.analysis.openvino_network.OpenvinoNetwork`.
    mirror : bool
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
        mirror: bool = True,
    ) -> None:
        self.name = name
        self.dimension = dimension
        self.template = template
        self.terms = terms
        self._network = network
        self._mirror = mirror

    def embed(self, crops: ImageArray) -> FloatArray:
        """Embed aligned faces; see `FaceEmbedder.embed`."""
        check_crops(crops, self.template)
        described = [np.zeros((0, self.dimension), np.float32)]
        for part in split(len(crops), _CROPS, in_powers=True):
            (descriptors,) = self._network(crops[part])
            if self._mirror:
                descriptors = (descriptors + self._network(crops[part][:, :, ::-1])[0]) * np.float32(0.5)
            described.append(descriptors)
        found = np.concatenate(described)
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)
