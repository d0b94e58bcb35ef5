"""What a figure must name: the machine, the versions and the commit that it was measured with."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import torch

_ROOT = Path(__file__).parents[2]
_VERSIONS = ("torch", "torchvision", "facenet-pytorch", "numpy", "opencv-python-headless", "scipy", "pydantic", "av")


def describe(device: torch.device, commit: str | None) -> dict[str, object]:
    """Return device, driver, processor, versions and commit as JSON values.

    Parameters
    ----------
    commit : str or None
        What was checked out, where no Git repository tells.
    """
    on_gpu = device.type == "cuda"
    properties = torch.cuda.get_device_properties(device) if on_gpu else None
    return {
        "device": properties.name if properties is not None else "cpu",
        "device_memory_mb": properties.total_memory / 2**20 if properties is not None else None,
        "capability": f"{properties.major}.{properties.minor}" if properties is not None else None,
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if on_gpu else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _VERSIONS},
        "commit": commit or _output("git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _output(program: str, *arguments: str) -> str | None:
    """Return what a program prints, None where it is not installed or fails."""
    if shutil.which(program) is None:
        return None
    run = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return run.stdout.strip() or None if run.returncode == 0 else None
