"""Add a user's own embedding network to the folder of weights, once it was tried."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facerec_models.analysis.alignment import template_of_size
from facerec_models.analysis.embedders.known import known_templates
from facerec_models.analysis.embedders.manifest import Manifest, added_manifests, manifest_file, read_manifest
from facerec_models.analysis.embedders.onnx_file import compile_onnx
from facerec_models.analysis.weights import KNOWN, WeightsRegistry, file_sha256
from facerec_models.errors import SourceError, WeightsError
from facerec_models.files import write_atomically, writing_to

_RESERVED = frozenset({"auto", "dlib", "onnx", *KNOWN})
# Two embeddings of one crop, computed alone and among others, are nearer than this.
_LEAST_LIKE = 0.999


def add_network(path: Path, weights: WeightsRegistry) -> Manifest:
    """Copy the ONNX network that a manifest describes into the folder of weights, once it has embedded some crops.

    Adding the same again changes nothing.

    Parameters
    ----------
    path : Path
        The manifest, see `facerec_models.analysis.embedders.manifest.Manifest`; the network is beside it.

    Returns
    -------
    Manifest
        As it is kept.

    Raises
    ------
    SourceError
        If manifest or network cannot be read.
    WeightsError
        If the manifest is wrong, the network is not what it says, or the name stands for another network.
    """
    given = read_manifest(path)
    network = path.parent / given.file
    if not network.is_file():
        raise SourceError(f"there is no file {network}, which {path} names")
    if (found := file_sha256(network)) != given.sha256:
        raise WeightsError(f"the SHA-256 of {network} is {found}, not {given.sha256}, which {path} says")
    manifest = given.model_copy(update={"file": f"{given.name}.onnx"})
    _check_name(manifest, weights)
    _check_template(manifest, weights)
    _try(network, manifest)
    with writing_to(weights.directory):
        weights.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(weights.directory / manifest.file, network.read_bytes())
        # Last: what has no manifest is no network.
        write_atomically(manifest_file(weights.directory, manifest.name), manifest.model_dump_json(indent=1).encode())
    return manifest


def _check_name(manifest: Manifest, weights: WeightsRegistry) -> None:
    name, before = manifest.name, added_manifests(weights.directory).get(manifest.name)
    if name in _RESERVED:
        raise WeightsError(f"the name {name!r} stands for a network of FaceRec: give yours another one")
    if before is not None and before != manifest:
        raise WeightsError(
            f"another network or manifest was added as {name!r}, and projects may hold its vectors: give this one another name"
        )


def _check_template(manifest: Manifest, weights: WeightsRegistry) -> None:
    """Raise `WeightsError` if faces of this size are aligned otherwise: a stored crop says by its size what it was aligned to."""
    size = manifest.input_size
    other = template_of_size(size, size, known_templates(weights))
    if other is not None and other != manifest.aligned:
        raise WeightsError(
            f"the template of {manifest.name!r} is not that of the other network of {size} px, which stored crops of that size are "
            f"aligned to: {other.points}"
        )


def _try(path: Path, manifest: Manifest) -> None:
    """Raise `WeightsError` unless the network gives each crop of a batch the vector that it gives it alone."""
    network = compile_onnx(path, manifest, "fp32", threads=1)
    size = manifest.input_size
    crops = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    try:
        together = network(crops)[0].reshape(3, -1)
        alone = network(crops[:1])[0].reshape(1, -1)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(
            f"{path} does not compute batches of {size}x{size} pictures: export it with a batch of any size ({reason})"
        ) from error
    if not np.isfinite(together).all():
        raise WeightsError(f"{path} returns numbers that are not finite: check mean and scale")
    lengths = np.linalg.norm(together[0]) * np.linalg.norm(alone[0])
    if together[0] @ alone[0] < _LEAST_LIKE * lengths:
        raise WeightsError(f"{path} gives a crop another vector when it is in a batch: export it for inference")
