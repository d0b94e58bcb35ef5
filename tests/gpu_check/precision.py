"""The ways in which a device may compute: full and reduced precision, and the order of numbers in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Precision:
    """How networks compute.

    Parameters
    ----------
    name : str
    tf32 : bool or None
        Whether products of float32 may be rounded to 10 bits on CUDA; None leaves torch's own choice.
    dtype : torch.dtype or None
        Of `torch.autocast`, None without it.
    channels_last : bool
    """

    name: str
    tf32: bool | None = None
    dtype: torch.dtype | None = None
    channels_last: bool = True

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        """Compute so within the context."""
        convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        if self.tf32 is not None:
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.tf32
        try:
            with nullcontext() if self.dtype is None else torch.autocast(device.type, self.dtype):
                yield
        finally:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products


SHIPPED = Precision("as shipped")
FP32 = Precision("fp32", tf32=False)
TF32 = Precision("tf32", tf32=True)
FP16 = Precision("fp16", dtype=torch.float16)
BF16 = Precision("bf16", dtype=torch.bfloat16)
CONTIGUOUS = Precision("fp32, channels first", tf32=False, channels_last=False)


def of_networks(device: torch.device) -> list[Precision]:
    """Return what single networks are compared in."""
    return [FP32, TF32, FP16, BF16, CONTIGUOUS] if device.type == "cuda" else [FP32, BF16, CONTIGUOUS]


def of_product(device: torch.device) -> list[Precision]:
    """Return what the whole detector and embedder are run in; the first is what users get."""
    return [SHIPPED, FP32, FP16] if device.type == "cuda" else [SHIPPED]
