"""A network compiled by OpenVINO for a CPU.

It is converted from torch once, and kept as a file under a name that tells weights and version: whoever has the file needs no torch,
which takes seconds to import. OpenVINO's own ``convert_model`` is not used: it tells its makers of every call.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from platformdirs import user_cache_path

from facerec_models.analysis.engines.choice import PrecisionName
from facerec_models.analysis.weights import file_sha256
from facerec_models.errors import PlaceError
from facerec_models.files import write_atomically
from facerec_models.types import FloatArray, ImageArray

if TYPE_CHECKING:
    from torch import nn

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


class _Requests(threading.local):
    """What computes pictures of each size, for one thread: a request computes one input at a time."""

    def __init__(self) -> None:
        self.by_shape: dict[tuple[int, ...], ov.InferRequest] = {}


class OpenvinoNetwork:
    """A network over pictures: RGB of 0 to 255 as (N, H, W, 3), to arrays of N rows.

    It is compiled for each size that it meets and kept, some 30 ms for a small one: offer few, or give `shape`. Each call computes on
    one core, so that as many threads may call at once as there are cores: for small networks that is faster than to divide each among
    all.

    Parameters
    ----------
    model : openvino.Model
        Takes (N, 3, H, W) or (N, H, W, 3) float32.
    precision : {"fp32", "bf16"}
    threads : int
        How many may call at once.
    shape : four of int, optional
        N, H, W and C of all inputs, -1 where they vary: it is then compiled once for all of them, and is a fifth slower.
    kind : numpy.dtype
        Of the pictures.
    mean, scale : float, or a sequence of three
        Pixels are taken as ``(pixel - mean) / scale``.
    is_bgr : bool
        Whether the network takes blue first; means and scales are then in that order.
    """

    def __init__(
        self,
        model: ov.Model,
        *,
        precision: PrecisionName,
        threads: int = 1,
        shape: tuple[int, int, int, int] | None = None,
        kind: type[np.uint8] | type[np.float32] = np.uint8,
        mean: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
        is_bgr: bool = False,
    ) -> None:
        prepared = ov.preprocess.PrePostProcessor(model)
        given = prepared.input()
        given.tensor().set_element_type(ov.Type(kind)).set_layout(ov.Layout("NHWC"))
        steps = given.preprocess().convert_element_type(ov.Type.f32)
        if is_bgr:
            steps = steps.reverse_channels()
        steps.mean(mean).scale(scale)
        channels = model.input().partial_shape[-1]
        given.model().set_layout(ov.Layout("NHWC" if channels.is_static and channels.get_length() == 3 else "NCHW"))
        self._model = prepared.build()
        self._shape = shape
        self._config = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            # Or all processes that compute on some cores would compute on the same.
            "ENABLE_CPU_PINNING": False,
        }
        self._core = ov.Core()
        self._compiled: dict[tuple[int, ...], ov.CompiledModel] = {}
        self._lock = threading.Lock()
        self._own = _Requests()

    def __call__(self, pixels: ImageArray | FloatArray) -> tuple[FloatArray, ...]:
        """Compute all outputs, as float32."""
        request = self._request(self._shape or pixels.shape)
        # One tensor and shared outputs: what Python does for each call then takes half as long, a third of P-Net's on a small picture.
        # It takes no read-only memory, such as Ray's arrays are.
        own = np.require(pixels, requirements=["C", "W"])
        found = request.infer(ov.Tensor(own, shared_memory=True), share_outputs=True)
        return tuple(np.array(output, np.float32) for output in found.values())

    def _request(self, shape: tuple[int, ...]) -> ov.InferRequest:
        """Return what computes inputs of this shape for this thread."""
        requests = self._own.by_shape
        if shape not in requests:
            with self._lock:
                if shape not in self._compiled:
                    model = self._model.clone()
                    model.reshape(list(shape))
                    self._compiled[shape] = self._core.compile_model(model, "CPU", self._config)
                requests[shape] = self._compiled[shape].create_infer_request()
        return requests[shape]


def read_or_convert(
    name: str, sources: Sequence[Path], load: Callable[[], nn.Module], example: tuple[int, int, int, int]
) -> ov.Model:
    """Return a network as OpenVINO has it: from the user's cache, or else converted from torch and kept there where that is possible.

    Parameters
    ----------
    name : str
        Begins the file's name.
    sources : sequence of Path
        The files of weights and code that the network is made of. Their checksum and OpenVINO's version are in the name, so that what
        is made of others is another file.
    load : callable
        Returns the network in evaluation mode.
    example : (N, C, H, W)
        Size of an input, of which N, H and W may be others later as far as the network allows.
    """
    digest = hashlib.sha256("".join(map(file_sha256, sources)).encode()).hexdigest()
    version = ov.get_version().partition("-")[0]
    path = user_cache_path("facerec") / "networks" / f"{name}-{digest[:16]}-{version}.npz"
    if (kept := _read(path)) is not None:
        return kept
    model = _convert(load(), example)
    # Where nothing can be written, the next process converts it again.
    with suppress(PlaceError, OSError, RuntimeError):
        _keep(model, path)
    return model


def _read(path: Path) -> ov.Model | None:
    """Return a network that was kept; None if there is none, or what is there is not what was written."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            structure, weights, sha256 = file["structure"], file["weights"], str(file["sha256"])
        if _sha256(structure, weights) != sha256:
            return None
        return ov.Core().read_model(structure.tobytes(), ov.Tensor(weights))
    except (OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _convert(network: nn.Module, example: tuple[int, int, int, int]) -> ov.Model:
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings(), torch.inference_mode():
        # That tracing is deprecated, and that it holds for these sizes alone.
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(network, example_input=torch.zeros(example))
        return frontend.convert(frontend.load(decoder))


def _keep(model: ov.Model, path: Path) -> None:
    """Write a network as one file."""
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "network.xml"
        ov.serialize(model, written)
        structure, weights = (
            np.frombuffer(written.with_suffix(suffix).read_bytes(), np.uint8) for suffix in (".xml", ".bin")
        )
    np.savez(content, structure=structure, weights=weights, sha256=np.array(_sha256(structure, weights)))
    write_atomically(path, content.getvalue())


def _sha256(structure: ImageArray, weights: ImageArray) -> str:
    return hashlib.sha256(structure.tobytes() + weights.tobytes()).hexdigest()
