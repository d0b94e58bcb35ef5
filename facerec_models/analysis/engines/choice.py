"""Which engine computes the networks: torch on an accelerator, OpenVINO on a CPU.

The rule, the same for every network: CUDA is used where it is asked for, or with ``auto`` where it is there, and then by torch. On a
CPU ``auto`` is OpenVINO where it is installed, and torch otherwise. OpenVINO computes in bfloat16 where the processor can, unless
another precision is asked for.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from facerec_models.errors import DeviceError

EngineName = Literal["torch", "openvino"]
PrecisionName = Literal["fp32", "bf16"]

# Drivers: NVIDIA's on Linux and on Windows, and AMD's, which torch calls CUDA, too. Without any, torch, which takes seconds to import,
# need not be asked.
_DRIVERS = ("libcuda.so.1", "nvcuda.dll", "libamdhip64.so")
_BF16_FLAGS = ("avx512_bf16", "amx_bf16")


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What computes a network; as text, what a user reads of it."""

    engine: EngineName
    device: Literal["cpu", "cuda"]
    precision: PrecisionName

    def __str__(self) -> str:
        return f"{self.engine} {self.precision} on {self.device}"


def choose_engine(
    engine: Literal["auto", "torch", "openvino"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> EngineChoice:
    """Return what computes a network with these settings on this machine.

    Raises
    ------
    DeviceError
        If what is asked for by name is not there, or does not go together: never a silent fallback.

    Examples
    --------
    >>> str(choose_engine("torch", "cpu"))
    'torch fp32 on cpu'
    """
    if device == "cuda" and engine == "openvino":
        raise DeviceError("engine 'openvino' computes on CPUs: set device to 'cpu' or 'auto', or engine to 'torch'")
    if device == "cuda" and not has_cuda():
        raise DeviceError(
            "device 'cuda' was asked for, but torch sees no CUDA device: check the driver and "
            "CUDA_VISIBLE_DEVICES, or set device to 'auto' or 'cpu'"
        )
    is_on_cuda = device == "cuda" or (device == "auto" and engine != "openvino" and has_cuda())
    if engine == "openvino" and not _has_openvino():
        raise DeviceError("engine 'openvino' was asked for, but OpenVINO is not installed: 'pip install openvino'")
    if is_on_cuda or engine == "torch" or not _has_openvino():
        if precision == "bf16":
            raise DeviceError("precision 'bf16' needs engine 'openvino' on a CPU: set precision to 'auto' or 'fp32'")
        return EngineChoice("torch", "cuda" if is_on_cuda else "cpu", "fp32")
    if precision == "bf16" and not has_bf16():
        raise DeviceError(
            "precision 'bf16' was asked for, but this processor has neither AVX-512 BF16 nor AMX: use 'auto'"
        )
    return EngineChoice(
        "openvino", "cpu", "bf16" if precision == "bf16" or (precision == "auto" and has_bf16()) else "fp32"
    )


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def has_cuda() -> bool:
    """Whether torch sees a CUDA device; torch is imported only where there is a driver."""
    if not any(map(_can_load, _DRIVERS)):
        return False
    import torch

    return torch.cuda.is_available()


@lru_cache(maxsize=1)
def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 numbers."""
    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:  # no Linux: fp32 is right everywhere
        return False
    return any(flag in flags for flag in _BF16_FLAGS)


def _has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
