"""Trained models: which one names, and those that stay in memory."""

from __future__ import annotations

from functools import lru_cache

from facerec_models.errors import ModelNotFoundError
from facerec_models.files import AnyPath
from facerec_models.identification.naming_model import NamingModel
from serving.archive.files import Files
from serving.store.contract import Store
from serving.store.rows import ModelVersion


def load_model(files: Files, project: str, version: str) -> NamingModel:
    """Return a trained model; the latest ones stay in memory."""
    return _load(files.model(project, version))


@lru_cache(maxsize=8)
def _load(directory: AnyPath) -> NamingModel:
    return NamingModel.load(directory)


def drop_loaded_models() -> None:
    """Keep no trained model in memory: one of them knows a person who was forgotten."""
    _load.cache_clear()


def promoted_model(store: Store, project: str) -> ModelVersion | None:
    """Return the row of the version that is promoted, if there is one."""
    try:
        return store.get_model(project)
    except ModelNotFoundError:
        return None


def promoted_version(store: Store, project: str) -> str | None:
    """Return the version that is promoted, if there is one."""
    promoted = promoted_model(store, project)
    return None if promoted is None else promoted.version
