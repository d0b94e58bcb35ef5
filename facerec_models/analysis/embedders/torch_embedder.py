"""An embedding network that torch computes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from facerec_models.analysis.alignment import Template
from facerec_models.analysis.batching import split
from facerec_models.analysis.embedders.tint import tint_gray
from facerec_models.analysis.embedding import check_crops
from facerec_models.types import FloatArray, ImageArray

# Most crops in one pass on a CPU: compared with 32, dlib's network takes 8 % less time for each, and 80 MiB less between its layers.
_CPU_CROPS = 8


class TorchEmbedder:
    """A network that takes RGB of 0 to 255 as (N, 3, S, S) float32 and returns (N, D) descriptors.

    Only `infer` touches the accelerator.

    Parameters
    ----------
    name, dimension, template, terms, engine
        As in `FaceEmbedder`.
    network : torch.nn.Module
        In evaluation mode.
    device : torch.device
    batch_size : int
        Most crops in one pass; a CPU takes a few at a time whatever this says.
    mirror : bool
        Average each descriptor with that of the mirrored crop, for twice the time: it names three in a hundred more of
        59 people's photographs at the same rate of false names.
    tint : bool
        Give gray crops the colour of faces first; see `facerec_models.analysis.embedders.tint`.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        dimension: int,
        template: Template,
        terms: str,
        engine: str,
        device: torch.device,
        batch_size: int = 32,
        mirror: bool = True,
        tint: bool = False,
    ) -> None:
        self.name = name
        self.dimension = dimension
        self.template = template
        self.terms = terms
        self.engine = engine
        self.device = device
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._batch_size = min(batch_size, _CPU_CROPS) if device.type == "cpu" else batch_size
        self._mirror = mirror
        self._tint = tint

    def embed(self, crops: ImageArray) -> FloatArray:
        """Embed aligned faces; see `FaceEmbedder.embed`."""
        return self.finish(self.infer(self.prepare(crops)))

    def prepare(self, crops: ImageArray) -> Tensor:
        """Check the crops, tint gray ones, and view them as (N, 3, S, S) uint8; in memory they stay as they are, channels last."""
        check_crops(crops, self.template)
        if self._tint:
            crops = tint_gray(crops)
        # Torch warns of read-only memory, such as Ray's arrays are.
        return torch.from_numpy(np.require(crops, requirements=["C", "W"])).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def infer(self, crops: Tensor) -> Tensor:
        """Run the network over (N, 3, S, S) uint8 in batches; return (N, D) descriptors on the CPU."""
        # Fetched at the end: each copy to the CPU waits for the accelerator, which then waits for its next batch.
        described = [torch.zeros(0, self.dimension, device=self.device)]
        for part in split(len(crops), self._batch_size, in_powers=self.device.type == "cpu"):
            batch = crops[part].to(self.device).float()
            descriptors = self._network(batch)
            if self._mirror:
                descriptors = (descriptors + self._network(batch.flip(3))) / 2
            described.append(descriptors.float())
        return torch.cat(described).cpu()

    def finish(self, descriptors: Tensor) -> FloatArray:
        """Scale descriptors to unit length."""
        return np.asarray(nn.functional.normalize(descriptors).numpy(), np.float32)
