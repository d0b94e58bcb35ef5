"""The embedders that a setting may name, and who computes them; what of them needs torch is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facerec_models.analysis.alignment import DLIB_TEMPLATE, FACENET_TEMPLATE, TEMPLATES, Template
from facerec_models.analysis.embedders.manifest import Manifest, added_manifests
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.engines.choice import EngineChoice, available_cores, choose_engine
from facerec_models.analysis.weights import (
    DLIB,
    FACENET_CASIA,
    FACENET_VGGFACE2,
    Weights,
    WeightsRegistry,
    package_folder,
)
from facerec_models.config import EmbeddingConfig
from facerec_models.errors import DeviceError, WeightsError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class _Architecture:
    """Module and function that load a network into torch, and facenet-pytorch's file that builds it."""

    module: str
    function: str
    library: str | None = None

    def code(self) -> list[Path]:
        """Return the files that build the network: ours, and a library's."""
        own = Path(__file__).with_name(f"{self.module}.py")
        return [own] if self.library is None else [own, package_folder("facenet_pytorch") / self.library]

    def load(self, path: Path) -> nn.Module:
        """Return the network with its weights, ready to infer."""
        module = importlib.import_module(f"facerec_models.analysis.embedders.{self.module}")
        load: Callable[[Path], nn.Module] = getattr(module, self.function)
        return load(path)


@dataclass(frozen=True, slots=True)
class KnownEmbedder:
    """What is known of an embedder before it is loaded: as in `FaceEmbedder`, and what its network is built from.

    `tint` says whether gray faces are tinted for it, see `facerec_models.analysis.embedders.tint`: where that was measured.
    """

    name: str
    dimension: int
    template: Template
    terms: str
    network: _Architecture | Manifest
    tint: bool = False

    @property
    def is_onnx(self) -> bool:
        """Whether it is a user's own network, which the CPU computes."""
        return isinstance(self.network, Manifest)


_FACENET = _Architecture("facenet", "load_facenet", "models/inception_resnet_v1.py")
_BUILT_IN: dict[str, tuple[Weights, Template, _Architecture]] = {
    "dlib": (DLIB, DLIB_TEMPLATE, _Architecture("dlib_resnet", "load_dlib_resnet")),
    "facenet-vggface2": (FACENET_VGGFACE2, FACENET_TEMPLATE, _FACENET),
    "facenet-casia": (FACENET_CASIA, FACENET_TEMPLATE, _FACENET),
}


def find_embedder(given: str, weights: WeightsRegistry) -> KnownEmbedder:
    """Return the embedder that has this name, or that this value of `EmbeddingConfig.embedder` chooses.

    ``auto`` is FaceNet trained on VGGFace2 where its weights have been fetched, and dlib's network, whose weights are installed with
    FaceRec, otherwise. ``onnx`` is the network that a user has added, where it is the only one.

    Raises
    ------
    WeightsError
        If there is no such embedder, or a manifest is damaged.
    """
    if given == "auto":
        given = "dlib" if weights.find(FACENET_VGGFACE2.name) is None else "facenet-vggface2"
    for choice, (known, template, architecture) in _BUILT_IN.items():
        if given in (choice, known.name):
            is_tinted = known is DLIB
            return KnownEmbedder(known.name, known.dimension, template, known.terms, architecture, is_tinted)
    added = added_manifests(weights.directory)
    if given == "onnx" and len(added) == 1:
        (given,) = added
    if given in added:
        manifest = added[given]
        return KnownEmbedder(given, manifest.dimension, manifest.aligned, manifest.licence, manifest, manifest.tint)
    if given == "onnx":
        names = f"one of {', '.join(added)}" if added else "none was added: run 'facerec weights add MANIFEST'"
        raise WeightsError(f"the embedder 'onnx' is the ONNX network that was added; {names}")
    names = ", ".join([*(known.name for known, _, _ in _BUILT_IN.values()), *added])
    raise WeightsError(
        f"there is no embedder {given!r} on this machine; known: {names}. 'facerec weights add MANIFEST' adds a network of your own"
    )


def known_templates(weights: WeightsRegistry) -> list[Template]:
    """Return how stored crops may be aligned: for built-in networks, and for those that were added."""
    return [*TEMPLATES, *(manifest.aligned for manifest in added_manifests(weights.directory).values())]


def build_embedder(config: EmbeddingConfig, weights: WeightsRegistry, *, threads: int | None = None) -> FaceEmbedder:
    """Load the embedder that `config` names; see `find_embedder`.

    Parameters
    ----------
    threads : int, optional
        How many compute at once, by default as many as there are cores. Torch has one setting for the whole process.

    Raises
    ------
    WeightsError
        If the weights are absent, or have another checksum: damaged weights never lead to another network.
    DeviceError
        If the device or engine that is asked for is not there, or cannot compute this network.
    """
    known = find_embedder(config.embedder, weights)
    path = weights.locate(known.name)
    engine = choose_embedder_engine(known, config)
    if engine.engine == "torch" and isinstance(known.network, _Architecture):
        return _on_torch(known, known.network.load(path), engine, config, threads)
    return _on_openvino(known, path, engine, config, threads or available_cores())


def choose_embedder_engine(known: KnownEmbedder, config: EmbeddingConfig) -> EngineChoice:
    """Return what computes an embedder: OpenVINO on the CPU for every ONNX file, whatever else is there.

    Raises
    ------
    DeviceError
        If what the settings ask for is not there, or cannot compute this network.
    """
    if not isinstance(known.network, Manifest):
        return choose_engine(config.engine, config.device, config.precision)
    if config.device == "cuda" or config.engine == "torch":
        raise DeviceError(
            f"the ONNX network {known.name!r} is computed by OpenVINO on the CPU: set FACEREC_ANALYSIS__EMBEDDING__DEVICE and "
            "FACEREC_ANALYSIS__EMBEDDING__ENGINE to 'auto'"
        )
    return choose_engine("openvino", "cpu", config.precision)


def _on_torch(
    known: KnownEmbedder, network: nn.Module, engine: EngineChoice, config: EmbeddingConfig, threads: int | None
) -> FaceEmbedder:
    import torch

    from facerec_models.analysis.embedders.torch_embedder import TorchEmbedder

    if threads is not None:
        torch.set_num_threads(threads)
    return TorchEmbedder(
        network,
        name=known.name,
        dimension=known.dimension,
        template=known.template,
        terms=known.terms,
        engine=str(engine),
        device=torch.device(engine.device),
        batch_size=config.batch_size,
        mirror=config.mirror,
        tint=known.tint,
    )


def _on_openvino(
    known: KnownEmbedder, path: Path, engine: EngineChoice, config: EmbeddingConfig, threads: int
) -> FaceEmbedder:
    from facerec_models.analysis.embedders.openvino_embedder import OpenvinoEmbedder
    from facerec_models.analysis.engines.openvino_network import OpenvinoNetwork, read_or_convert

    if isinstance(known.network, Manifest):
        from facerec_models.analysis.embedders.onnx_file import compile_onnx

        network = compile_onnx(path, known.network, engine.precision, threads)
    else:
        size, sources = known.template.size, [path, *known.network.code()]
        model = read_or_convert(known.name, sources, partial(known.network.load, path), (2, 3, size, size))
        network = OpenvinoNetwork(model, precision=engine.precision, threads=threads)
    return OpenvinoEmbedder(
        network,
        batch_size=config.batch_size,
        threads=threads,
        name=known.name,
        dimension=known.dimension,
        template=known.template,
        terms=known.terms,
        engine=str(engine),
        mirror=config.mirror,
        tint=known.tint,
    )
