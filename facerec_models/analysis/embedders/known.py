"""The embedders that a setting may name, and who computes them; what of them needs torch is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facerec_models.analysis.alignment import DLIB_TEMPLATE, FACENET_TEMPLATE, Template
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.engines.choice import available_cores, choose_engine
from facerec_models.analysis.weights import (
    DLIB,
    FACENET_CASIA,
    FACENET_VGGFACE2,
    Weights,
    WeightsRegistry,
    package_folder,
)
from facerec_models.config import EmbeddingConfig
from facerec_models.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class _Architecture:
    """A network: its weights, its crops, module and function that load it into torch, and facenet-pytorch's file that builds it.

    `tint` says whether gray faces are tinted for it, see `facerec_models.analysis.embedders.tint`: where that was measured.
    """

    weights: Weights
    template: Template
    module: str
    function: str
    library: str | None = None
    tint: bool = False

    def code(self) -> list[Path]:
        """Return the files that build the network: ours, and a library's."""
        own = Path(__file__).with_name(f"{self.module}.py")
        return [own] if self.library is None else [own, package_folder("facenet_pytorch") / self.library]

    def load(self, path: Path) -> nn.Module:
        """Return the network with its weights, ready to infer."""
        module = importlib.import_module(f"facerec_models.analysis.embedders.{self.module}")
        load: Callable[[Path], nn.Module] = getattr(module, self.function)
        return load(path)


_INCEPTION = "models/inception_resnet_v1.py"
_ARCHITECTURES = {
    "dlib": _Architecture(DLIB, DLIB_TEMPLATE, "dlib_resnet", "load_dlib_resnet", tint=True),
    "facenet-vggface2": _Architecture(FACENET_VGGFACE2, FACENET_TEMPLATE, "facenet", "load_facenet", _INCEPTION),
    "facenet-casia": _Architecture(FACENET_CASIA, FACENET_TEMPLATE, "facenet", "load_facenet", _INCEPTION),
}


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
    return _ARCHITECTURES[choice_of(name)].weights.dimension


def template_of(name: str) -> Template:
    """Return how faces must be aligned for the embedder called `name`; raise `WeightsError` if there is none."""
    return _ARCHITECTURES[choice_of(name)].template


def build_embedder(config: EmbeddingConfig, weights: WeightsRegistry, *, threads: int | None = None) -> FaceEmbedder:
    """Load the embedder that `config` names.

    ``auto`` is FaceNet trained on VGGFace2 where its weights have been fetched, and dlib's network, whose weights are
    installed with FaceRec, otherwise.

    Parameters
    ----------
    threads : int, optional
        How many compute at once, by default as many as there are cores. Torch has one setting for the whole process.

    Raises
    ------
    WeightsError
        If the weights are absent, or have another checksum: damaged weights never lead to another network.
    DeviceError
        If the device or engine that is asked for is not there.
    """
    choice = config.embedder
    if choice == "auto":
        choice = "dlib" if weights.find(FACENET_VGGFACE2.name) is None else "facenet-vggface2"
    architecture = _ARCHITECTURES[choice]
    known = architecture.weights
    path = weights.locate(known.name)
    engine = choose_engine(config.engine, config.device, config.precision)
    if engine.engine == "openvino":
        from facerec_models.analysis.embedders.openvino_embedder import OpenvinoEmbedder
        from facerec_models.analysis.engines.openvino_network import OpenvinoNetwork, read_or_convert

        size = architecture.template.size
        sources = [path, *architecture.code()]
        model = read_or_convert(known.name, sources, partial(architecture.load, path), (2, 3, size, size))
        count = threads or available_cores()
        return OpenvinoEmbedder(
            OpenvinoNetwork(model, precision=engine.precision, threads=count),
            batch_size=config.batch_size,
            threads=count,
            name=known.name,
            dimension=known.dimension,
            template=architecture.template,
            terms=known.terms,
            engine=str(engine),
            mirror=config.mirror,
            tint=architecture.tint,
        )
    import torch

    from facerec_models.analysis.embedders.torch_embedder import TorchEmbedder

    if threads is not None:
        torch.set_num_threads(threads)
    return TorchEmbedder(
        architecture.load(path),
        name=known.name,
        dimension=known.dimension,
        template=architecture.template,
        terms=known.terms,
        engine=str(engine),
        device=torch.device(engine.device),
        batch_size=config.batch_size,
        mirror=config.mirror,
        tint=architecture.tint,
    )
