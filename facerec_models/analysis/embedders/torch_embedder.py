"""The one class behind every network in torch, and which network a setting means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facerec_models.analysis.alignment import DLIB_TEMPLATE, FACENET_TEMPLATE, Template
from facerec_models.analysis.batching import split
from facerec_models.analysis.devices import resolve_device
from facerec_models.analysis.embedders import dlib_resnet, facenet
from facerec_models.analysis.weights import DLIB, FACENET_CASIA, FACENET_VGGFACE2, Weights, WeightsRegistry
from facerec_models.config import EmbeddingConfig
from facerec_models.errors import WeightsError
from facerec_models.types import FloatArray, ImageArray

# Most crops in one pass on a CPU: compared with 32, dlib's network takes 8 % less time for each, and 80 MiB less between its layers.
_CPU_CROPS = 8


@dataclass(frozen=True, slots=True)
class _Architecture:
    weights: Weights
    dimension: int
    template: Template
    load: Callable[[Path], nn.Module]


_ARCHITECTURES = {
    "dlib": _Architecture(DLIB, dlib_resnet.DIMENSION, DLIB_TEMPLATE, dlib_resnet.load_dlib_resnet),
    "facenet-vggface2": _Architecture(FACENET_VGGFACE2, facenet.DIMENSION, FACENET_TEMPLATE, facenet.load_facenet),
    "facenet-casia": _Architecture(FACENET_CASIA, facenet.DIMENSION, FACENET_TEMPLATE, facenet.load_facenet),
}


class TorchEmbedder:
    """A network that takes RGB of 0 to 255 as (N, 3, S, S) float32 and returns (N, D) descriptors.

    Only `infer` touches the accelerator.

    Parameters
    ----------
    name, dimension, template, terms
        As in `FaceEmbedder`.
    network : torch.nn.Module
        In evaluation mode.
    device : torch.device
    batch_size : int
        Most crops in one pass; a CPU takes a few at a time whatever this says.
    mirror : bool
        Average each descriptor with that of the mirrored crop, for twice the time: it names three in a hundred more of
        59 people's photographs at the same rate of false names.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        dimension: int,
        template: Template,
        terms: str,
        device: torch.device,
        batch_size: int = 32,
        mirror: bool = True,
    ) -> None:
        self.name = name
        self.dimension = dimension
        self.template = template
        self.terms = terms
        self.device = device
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._batch_size = min(batch_size, _CPU_CROPS) if device.type == "cpu" else batch_size
        self._mirror = mirror

    def embed(self, crops: ImageArray) -> FloatArray:
        """Embed aligned faces; see `FaceEmbedder.embed`."""
        return self.finish(self.infer(self.prepare(crops)))

    def prepare(self, crops: ImageArray) -> Tensor:
        """Check the crops and view them as (N, 3, S, S) uint8; in memory they stay as they are, channels last."""
        size = self.template.size
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
            raise ValueError(
                f"crops must be Nx{size}x{size}x3 uint8, not {'x'.join(map(str, crops.shape))} {crops.dtype}"
            )
        # Torch warns of read-only memory, such as Ray's arrays are.
        return torch.from_numpy(np.require(crops, requirements=["C", "W"])).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def infer(self, crops: Tensor) -> Tensor:
        """Run the network over (N, 3, S, S) uint8 in batches; return (N, D) descriptors on the CPU."""
        # Fetched at the end: each copy to the CPU waits for the accelerator, which then waits for its next batch.
        described = [torch.zeros(0, self.dimension, device=self.device)]
        for part in split(len(crops), self._batch_size, self.device):
            batch = crops[part].to(self.device).float()
            descriptors = self._network(batch)
            if self._mirror:
                descriptors = (descriptors + self._network(batch.flip(3))) / 2
            described.append(descriptors.float())
        return torch.cat(described).cpu()

    def finish(self, descriptors: Tensor) -> FloatArray:
        """Scale descriptors to unit length."""
        return np.asarray(nn.functional.normalize(descriptors).numpy(), np.float32)


def choice_of(name: str) -> str:
    """Return the setting `EmbeddingConfig.embedder` that gives the embedder called `name`.

    Raises
    ------
    WeightsError
        If there is no such embedder.
    """
    for choice, architecture in _ARCHITECTURES.items():
        if architecture.weights.name == name:
            return choice
    raise WeightsError(
        f"there is no embedder {name!r}; known: {', '.join(a.weights.name for a in _ARCHITECTURES.values())}"
    )


def embedder_named(given: str) -> str:
    """Return the name of the embedder that is called so, or that this setting gives; raise `WeightsError` if there is none."""
    return _ARCHITECTURES[given if given in _ARCHITECTURES else choice_of(given)].weights.name


def dimension_of(name: str) -> int:
    """Return the length of the vectors of the embedder called `name`; raise `WeightsError` if there is none."""
    return _ARCHITECTURES[choice_of(name)].dimension


def template_of(name: str) -> Template:
    """Return how faces must be aligned for the embedder called `name`; raise `WeightsError` if there is none."""
    return _ARCHITECTURES[choice_of(name)].template


def build_embedder(config: EmbeddingConfig, weights: WeightsRegistry) -> TorchEmbedder:
    """Load the embedder that `config` names.

    ``auto`` is FaceNet trained on VGGFace2 where its weights have been fetched, and dlib's network, whose weights are
    installed with FaceRec, otherwise.

    Raises
    ------
    WeightsError
        If the weights are absent, or have another checksum: damaged weights never lead to another network.
    DeviceError
        If ``cuda`` is asked for and is not there.
    """
    device = resolve_device(config.device)
    choice = config.embedder
    if choice == "auto":
        choice = "dlib" if weights.find(FACENET_VGGFACE2.name) is None else "facenet-vggface2"
    architecture = _ARCHITECTURES[choice]
    return TorchEmbedder(
        architecture.load(weights.locate(architecture.weights.name)),
        name=architecture.weights.name,
        dimension=architecture.dimension,
        template=architecture.template,
        terms=architecture.weights.terms,
        device=device,
        batch_size=config.batch_size,
        mirror=config.mirror,
    )
