"""Which processor the networks run on."""

from __future__ import annotations

import torch

from facerec_models.errors import DeviceError


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`; ``auto`` is CUDA when there is one, and the CPU otherwise.

    Raises
    ------
    DeviceError
        If CUDA is asked for by name and there is no device: never a silent fallback.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "device 'cuda' was asked for, but torch sees no CUDA device: check the driver and "
            "CUDA_VISIBLE_DEVICES, or set device to 'auto' or 'cpu'"
        )
    return torch.device(name)
