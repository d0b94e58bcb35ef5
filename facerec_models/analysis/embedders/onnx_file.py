"""Embedding networks that users bring as ONNX files; OpenVINO reads and computes them."""

from __future__ import annotations

from pathlib import Path

import openvino as ov

from facerec_models.analysis.embedders.manifest import Manifest
from facerec_models.analysis.engines.choice import PrecisionName
from facerec_models.analysis.engines.openvino_network import OpenvinoNetwork
from facerec_models.errors import WeightsError


def compile_onnx(path: Path, manifest: Manifest, precision: PrecisionName, threads: int) -> OpenvinoNetwork:
    """Return an ONNX network that takes RGB of 0 to 255 as (N, S, S, 3) uint8.

    Raises
    ------
    WeightsError
        If OpenVINO cannot read the file.
    """
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(
            f"{path} is no ONNX file that OpenVINO reads, or its weights lie in another file (save it as one): {reason}"
        ) from error
    if len(model.inputs) != 1:
        raise WeightsError(f"{path} takes {len(model.inputs)} inputs, not one picture: it is no face-embedding network")
    model = _with_output(model, manifest.dimension, path)
    return OpenvinoNetwork(
        model,
        precision=precision,
        threads=threads,
        mean=manifest.mean,
        scale=manifest.scale,
        is_bgr=manifest.colour_order == "bgr",
    )


def _with_output(model: ov.Model, dimension: int, path: Path) -> ov.Model:
    """Return a network with its embeddings as the only output: some also tell how long these were, or what the people are."""
    sizes = [
        [one.get_length() if one.is_static else -1 for one in output.partial_shape][1:] for output in model.outputs
    ]
    fitting = [i for i, size in enumerate(sizes) if size[:1] == [dimension] and all(one == 1 for one in size[1:])]
    if len(fitting) != 1:
        raise WeightsError(
            f"{path} has {len(fitting)} outputs of {dimension} numbers for each picture, not one: it returns {sizes}; correct the "
            "manifest's dimension, or export the network with its embeddings alone"
        )
    return ov.Model([model.get_results()[fitting[0]]], model.get_parameters())
