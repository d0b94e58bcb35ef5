"""Training as a Ray task."""

from __future__ import annotations

from pathlib import Path

import ray

from facerec_models.config import IdentificationConfig
from serving.home import Home
from serving.store import open_store
from training.train import train


@ray.remote(num_cpus=0.1, max_retries=0)
def train_project(home: str, project: str, rules: IdentificationConfig) -> str:
    """Train a project's model in its own process and promote it; return the version."""
    store = open_store(Path(home))
    try:
        return train(store, Home(Path(home)), project, rules).version
    finally:
        store.close()
