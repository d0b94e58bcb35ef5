"""dlib's face-recognition network (ResNet, 29 convolutions, 128 numbers) in torch, read from dlib's own file.

Network and weights: Davis King, *dlib_face_recognition_resnet_model_v1*, dlib.net, 2017, in the public domain (CC0).
The architecture is that of He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, with half the filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facerec_models.errors import WeightsError
from facerec_models.types import FloatArray

INPUT_SIZE = 150
DIMENSION = 128
MEAN = (122.782, 117.001, 104.298)
SCALE = 256.0

# Filters of the stem and of each residual block, and whether that block halves the resolution.
_STEM = 32
_BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True), *[(64, False)] * 3],
    *[(128, True), *[(128, False)] * 2],
    *[(256, True), *[(256, False)] * 2, (256, True)],
)


def _block_sizes() -> Iterator[tuple[int, int, bool]]:
    """Yield input channels, filters and whether it halves, for each block."""
    for (inputs, _), (filters, halves) in pairwise([(_STEM, False), *_BLOCKS]):
        yield inputs, filters, halves


class DlibResNet(nn.Module):
    """The network: RGB of 0 to 255 as (N, 3, 150, 150) float32, to (N, 128) descriptors of free length.

    Each of dlib's affine layers, a batch normalisation frozen after training, is folded into the convolution before it.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.stem = nn.Conv2d(3, _STEM, 7, stride=2)
        self.blocks = nn.Sequential(*(_ResidualBlock(*sizes) for sizes in _block_sizes()))
        self.head = nn.Linear(_BLOCKS[-1][0], DIMENSION, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the descriptors."""
        x = self.stem((x - self.mean) / SCALE)
        x = F.max_pool2d(F.relu(x), 3, stride=2)
        descriptors: Tensor = self.head(self.blocks(x).mean(dim=(2, 3)))
        return descriptors


class _ResidualBlock(nn.Module):
    def __init__(self, inputs: int, filters: int, halves: bool) -> None:
        super().__init__()
        # dlib pads what keeps its size, and nothing that halves it.
        self.first = nn.Conv2d(inputs, filters, 3, stride=2) if halves else nn.Conv2d(inputs, filters, 3, padding=1)
        self.second = nn.Conv2d(filters, filters, 3, padding=1)
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        branch = self.second(F.relu(self.first(x)))
        return F.relu(_padded_sum(branch, F.avg_pool2d(x, 2) if self.halves else x))


def _padded_sum(a: Tensor, b: Tensor) -> Tensor:
    """Add feature maps as dlib does: the smaller is extended by zeros at the bottom, at the right and in channels."""
    if a.shape == b.shape:
        return a + b
    channels, height, width = (max(sizes) for sizes in zip(a.shape[1:], b.shape[1:], strict=True))
    padded = (F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2], 0, channels - x.shape[1])) for x in (a, b))
    return next(padded) + next(padded)


def load_dlib_resnet(path: Path) -> DlibResNet:
    """Build the network with the weights of dlib's file, ready to infer.

    Raises
    ------
    WeightsError
        As in `read_dat`.
    """
    network = DlibResNet()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in read_dat(path).items()})
    return network.eval()


def read_dat(path: Path) -> dict[str, FloatArray]:
    """Read dlib's serialised network as the arrays of a `DlibResNet`, by parameter name.

    Raises
    ------
    WeightsError
        If the file cannot be read, deviates anywhere from what dlib writes for this network, or does not end with it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}") from error
    return _Reader(path, data).network()


class _Reader:
    """Walks through the file as the network prescribes it; every method consumes the bytes of what it names."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data
        self._at = 0

    def network(self) -> dict[str, FloatArray]:
        self._layer_versions()
        arrays: dict[str, FloatArray] = {}
        arrays["stem.weight"], arrays["stem.bias"] = self._convolution(3, _STEM, 7, 2, innermost=True)
        self._plain("relu_")
        self._pool("max_pool_2", 3, 2)
        for i, (inputs, filters, halves) in enumerate(_block_sizes()):
            first, second = f"blocks.{i}.first", f"blocks.{i}.second"
            arrays[f"{first}.weight"], arrays[f"{first}.bias"] = self._convolution(inputs, filters, 3, 1 + halves)
            self._plain("relu_")
            arrays[f"{second}.weight"], arrays[f"{second}.bias"] = self._convolution(filters, filters, 3, 1)
            if halves:
                self._pool("avg_pool_2", 2, 2)
            self._plain("add_prev_")
            self._plain("relu_")
        self._pool("avg_pool_2", 0, 1)
        arrays["head.weight"] = self._fully_connected(_BLOCKS[-1][0])
        if self._at != len(self._data):
            raise self._error(f"{len(self._data) - self._at} bytes follow the end of the network")
        return arrays

    def _layer_versions(self) -> None:
        """Consume the header: the loss, a version for each layer from the loss inwards, and the input layer."""
        self._expect(1)
        self._expect("loss_metric_2")
        self._floats(2)
        # 107 layers, 22 tags and skips (which have no body), and the innermost layer.
        versions = [self._integer() for _ in range(130)]
        if (versions.count(2), versions.count(1), versions[-1]) != (107, 22, 3):
            raise self._error("the list of layers is another network's")
        self._expect("input_rgb_image_sized")
        mean = self._floats(3)
        if not np.allclose(mean, MEAN, rtol=1e-6):
            raise self._error(f"the mean of the input is {mean}, not {MEAN}")
        self._expect(INPUT_SIZE, INPUT_SIZE)

    def _convolution(
        self, inputs: int, filters: int, kernel: int, stride: int, *, innermost: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Consume a convolution and its affine layer; return weight and bias of both in one: gamma (w x + b) + beta."""
        shape = (filters, inputs, kernel, kernel)
        count = filters * inputs * kernel * kernel
        padding = kernel // 2 if stride == 1 else 0
        self._expect("con_4")
        params = self._tensor(count + filters, 1, 1, 1)
        self._expect(filters, kernel, kernel, stride, stride, padding, padding)
        self._expect(1, *shape)
        self._expect(1, 1, filters, 1, 1)
        self._floats(4)
        self._training_state()
        if innermost:
            self._expect(1)
        self._expect("affine_")
        gamma, beta = np.split(self._tensor(2 * filters, 1, 1, 1), 2)
        self._expect(1, 1, filters, 1, 1)
        self._expect(1, 1, filters, 1, 1)
        self._expect(0)
        self._training_state()
        weight = params[:count].reshape(shape) * gamma[:, None, None, None]
        return weight.astype(np.float32), (params[count:] * gamma + beta).astype(np.float32)

    def _plain(self, name: str) -> None:
        self._expect(name)
        self._training_state()

    def _pool(self, name: str, kernel: int, stride: int) -> None:
        self._expect(name)
        self._expect(kernel, kernel, stride, stride, 0, 0)
        self._training_state()

    def _fully_connected(self, inputs: int) -> FloatArray:
        self._expect("fc_2")
        self._expect(DIMENSION, inputs)
        weight = self._tensor(inputs, DIMENSION, 1, 1).reshape(inputs, DIMENSION)
        self._expect(1, inputs, DIMENSION, 1, 1)
        self._expect(1, 0, 0, 0, 0)
        self._expect(1)
        self._floats(4)
        self._training_state()
        return weight.T.astype(np.float32)

    def _training_state(self) -> None:
        """Consume what dlib keeps with every layer for training: three flags and three empty tensors."""
        for flag in self._take(3):
            if flag not in b"01":
                raise self._error(f"byte {flag:#x} where a flag belongs")
        for _ in range(3):
            self._tensor(0, 0, 0, 0)

    def _tensor(self, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        self._expect(2, *shape)
        count = int(np.prod(shape))
        return np.frombuffer(self._take(4 * count), "<f4").astype(np.float64)

    def _expect(self, *values: int | str) -> None:
        for value in values:
            found = self._integer() if isinstance(value, int) else self._string()
            if found != value:
                raise self._error(f"{found!r} where {value!r} belongs")

    def _floats(self, count: int) -> list[float]:
        return [self._integer() * 2.0 ** self._integer() for _ in range(count)]

    def _string(self) -> str:
        return self._take(self._integer()).decode("latin-1")

    def _integer(self) -> int:
        """Consume a control byte (sign and length) and a little-endian magnitude."""
        control = self._take(1)[0]
        magnitude = int.from_bytes(self._take(control & 0x0F), "little")
        return -magnitude if control & 0x80 else magnitude

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._at:
            raise self._error(f"it ends {count} bytes early" if count > 0 else f"a length of {count}")
        self._at += count
        return self._data[self._at - count : self._at]

    def _error(self, what: str) -> WeightsError:
        return WeightsError(f"{self._path} is not dlib's face network: {what}, near byte {self._at}")
