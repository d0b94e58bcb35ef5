"""``facerec doctor``: what FaceRec stands on in this place."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import uuid
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from facerec_models.analysis.engines.choice import choose_engine, has_cuda
from facerec_models.confinement.trial import missing_guards
from facerec_models.errors import DeviceError, FacerecError, PlaceError, WeightsError
from facerec_models.files import AnyPath, write_atomically
from serving.archive.files import Files
from serving.settings import Settings
from serving.store.opening import open_store
from training.ray_environment import INGRESS_HOOK, INGRESS_VARIABLE
from ui.cli.common import read_settings
from ui.ray_ports import examine_ray

Finding = tuple[str, Literal["ok", "note", "bad"], str]

_LEAST_FREE_GB = 2
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_PACKAGES = ("ray", "torch", "openvino", "facenet-pytorch", "av", "opencv-python-headless", "gradio")


def examine(path: Path | None) -> list[Finding]:
    """Examine the system, the packages, Ray's ports, the store, the disk, the networks and the codecs."""
    import av

    findings: list[Finding] = [
        ("system", "ok", f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}"),
        ("packages", "ok", ", ".join(f"{name} {version(name)}" for name in _PACKAGES)),
    ]
    if has_cuda():
        import torch

        findings.append(("device", "ok", f"CUDA: {torch.cuda.get_device_name()}"))
    else:
        findings.append(("device", "note", "no CUDA device: everything runs on the CPU"))
    h264 = "libx264" in av.codecs_available
    findings.append(
        (
            "codecs",
            "ok" if h264 else "bad",
            "H.264 can be written" if h264 else "PyAV lacks libx264: no annotated video",
        )
    )
    findings.append(_examine_decoders())
    settings = read_settings(path)
    home = Files(settings.home.resolve())
    findings.append(_examine_engines(settings, home.weights))
    if "RAY_ADDRESS" in os.environ or INGRESS_VARIABLE in os.environ:
        findings.append(_examine_ingress())
    findings += [examine_ray(), _examine_store(settings), *_examine_home(home.root)]
    try:
        findings.append(_examine_files(Files.at(settings.home, settings.files).shared_root))
    except FacerecError as error:
        findings.append(("files", "bad", str(error)))
    return findings + _examine_weights(home.weights)


def _examine_decoders() -> Finding:
    """Say what keeps a file that is made to take over its decoder from doing harm here."""
    missing = missing_guards()
    if not missing:
        return (
            "decoders",
            "ok",
            "pictures and videos are decoded in processes without network, other files or more memory",
        )
    return "decoders", "note", "a decoder that a file has taken over can " + "; it can ".join(missing)


def _examine_engines(settings: Settings, weights: Path) -> Finding:
    """Say what computes the networks, or why what is configured cannot."""
    from facerec_models.analysis.embedders.known import choose_embedder_engine, find_embedder
    from facerec_models.analysis.weights import WeightsRegistry

    detection, embedding = settings.analysis.detection, settings.analysis.embedding
    try:
        detector = choose_engine(detection.engine, detection.device, detection.precision)
        known = find_embedder(embedding.embedder, WeightsRegistry(weights))
        embedder = choose_embedder_engine(known, embedding)
    except (DeviceError, WeightsError) as error:
        return "engine", "bad", str(error)
    return "engine", "ok", f"detector: {detector}; embedder {known.name}: {embedder}"


def _examine_ingress() -> Finding:
    """Say whether a Ray that is started from here bounds what comes in before it keeps it; `facerec serve` always does."""
    if os.environ.get(INGRESS_VARIABLE) == INGRESS_HOOK:
        return "ingress", "ok", "Ray bounds bodies and connections before it keeps anything of them"
    return (
        "ingress",
        "bad",
        f"export {INGRESS_VARIABLE}={INGRESS_HOOK} before 'ray start': nothing bounds connections without it",
    )


def _examine_store(settings: Settings) -> Finding:
    try:
        with closing(open_store(settings.home, settings.store)) as opened:
            store = opened.describe()
    except FacerecError as error:
        return "store", "bad", str(error)
    return "store", "ok", f"{store.kind}, {store.address}, {store.rows['projects']} projects: {store.promise}"


def _examine_home(root: Path) -> list[Finding]:
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    free_gb = shutil.disk_usage(there).free / 2**30
    return [
        ("home", "ok", str(root)),
        ("disk", "ok" if free_gb >= _LEAST_FREE_GB else "bad", f"{free_gb:.0f} GB free"),
    ]


def _examine_files(files: AnyPath) -> Finding:
    """Write a file where crops and models go, read it, and remove it again."""
    probe, content = files / f"probe-{uuid.uuid4().hex}", uuid.uuid4().bytes
    try:
        write_atomically(probe, content)
        try:
            same = probe.read_bytes() == content
        finally:
            probe.unlink()
        if not same or probe.is_file():
            return "files", "bad", f"{files} does not give back what was written, or keeps what was removed"
    except PlaceError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in _CLOSED and files.is_dir():
            return "files", "note", f"{files}: what is there can be read, nothing can be added ({cause.strerror})"
        return "files", "bad", str(error)
    except (FacerecError, OSError) as error:
        return "files", "bad", str(error)
    return "files", "ok", f"{files}: crops and models can be written, read and removed"


def _examine_weights(directory: Path) -> list[Finding]:
    from facerec_models.analysis.weights import WeightsRegistry

    findings: list[Finding] = []
    try:
        entries = WeightsRegistry(directory).entries()
    except WeightsError as error:
        return [("weights", "bad", str(error))]
    for entry in entries:
        state: Literal["ok", "note", "bad"] = {"packaged": "ok", "present": "ok", "absent": "note"}.get(
            entry.status, "bad"
        )  # type: ignore[assignment]
        findings.append((f"weights {entry.weights.name}", state, str(entry.status)))
    return findings
