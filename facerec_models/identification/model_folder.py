"""A model as a folder of arrays and JSON, which is there whole or not at all."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec_models.errors import ModelNotFoundError
from facerec_models.files import UNFINISHED, AnyPath, RemotePath, writing_to

_ARRAYS, _FACTS = "model.npz", "model.json"
# Writing takes a second or two.
_ABANDONED_AFTER_S = 600.0


def write_folder(directory: AnyPath, arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write a model's folder so that a reader finds all of it or nothing, whenever this process or the machine stops.

    A readable model that is there already stays: a version's name follows from its content. In a bucket, where nothing can be renamed,
    the facts are written last, and without them there is no model.

    Raises
    ------
    StoreError
        If the bucket does not answer.
    """
    if isinstance(directory, RemotePath):
        _write_remote(directory, arrays, facts)
    else:
        _write_local(directory, arrays, facts)


def _write_remote(directory: RemotePath, arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> None:
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    written = json.dumps(facts, indent=1, ensure_ascii=False).encode()
    with contextlib.suppress(ModelNotFoundError):
        read_folder(directory)
        return
    (directory / _FACTS).unlink(missing_ok=True)
    (directory / _ARRAYS).write_bytes(packed.getvalue())
    (directory / _FACTS).write_bytes(written)


def _write_local(directory: Path, arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> None:
    with writing_to(directory):
        _write_beside(directory, arrays, facts)


def _write_beside(directory: Path, arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=UNFINISHED, dir=directory.parent))
    try:
        with (temporary / _ARRAYS).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        with (temporary / _FACTS).open("w", encoding="utf-8") as text:
            json.dump(facts, text, indent=1, ensure_ascii=False)
            text.flush()
            os.fsync(text.fileno())
        _settle_folder(temporary)
        _put_in_place(temporary, directory)
        _settle_folder(directory.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_folder(directory: AnyPath) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Read a model's arrays and facts; no code of the file's runs.

    Raises
    ------
    ModelNotFoundError
        If the folder holds no whole model.
    StoreError
        If the bucket does not answer.
    """
    try:
        facts: dict[str, Any] = json.loads((directory / _FACTS).read_bytes())
        with (directory / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}, facts
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise unreadable(directory) from error


def unreadable(directory: AnyPath) -> ModelNotFoundError:
    """Return the error of a folder without a whole model."""
    return ModelNotFoundError(f"{directory} holds no readable model: train the project again")


def remove_abandoned(models: AnyPath) -> None:
    """Remove what writers that were killed left in a folder of models; nobody reads it."""
    if isinstance(models, RemotePath):
        _remove_abandoned_remote(models)
        return
    for path in models.glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir() and time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(path)


def _remove_abandoned_remote(models: RemotePath) -> None:
    there = models.files()
    for path, facts in there.items():
        is_old = time.time() - facts.modified_at > _ABANDONED_AFTER_S
        if path.name == _ARRAYS and is_old and path.parent / _FACTS not in there:
            path.unlink(missing_ok=True)


def _put_in_place(temporary: Path, directory: Path) -> None:
    try:
        temporary.rename(directory)
    except OSError:
        if not directory.is_dir():
            raise
        try:
            read_folder(directory)
        except ModelNotFoundError:
            shutil.rmtree(directory)
            temporary.rename(directory)


def _settle_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
