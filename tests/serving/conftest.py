from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.weights import FACENET_VGGFACE2, WeightsRegistry
from facerec_models.config import EmbeddingConfig
from facerec_models.identification.cohort import Cohort, load_cohort
from tests.builders import sample_picture
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="session")
def client(service_url: str, material: DemoMaterial) -> Iterator[FacerecClient]:
    """A client of the running service, where the project ``shown`` has the demonstration's people and a model."""
    with FacerecClient(service_url) as client:
        client.create_project("shown")
        for folder in sorted(material.people.iterdir()):
            client.add_pictures("shown", folder.name, sorted(folder.iterdir()))
        client.wait(client.start_training("shown"))
        yield client


@pytest.fixture(scope="session")
def facenet(facenet_weights: Path) -> FaceEmbedder:
    """The random FaceNet on the CPU."""
    return build_embedder(EmbeddingConfig(embedder="facenet-vggface2", device="cpu"), WeightsRegistry(facenet_weights))


@pytest.fixture(scope="session")
def facenet_strangers(facenet: FaceEmbedder) -> Cohort:
    """Strangers for the random network, which none are shipped for: patches of pictures, to it as good as faces."""
    rng = np.random.default_rng(4)
    patches = []
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"):
        picture = sample_picture(name)
        corners = [rng.integers(0, np.array(picture.shape[:2]) - 160) for _ in range(12)]
        patches += [picture[y : y + 160, x : x + 160] for y, x in corners]
    found = facenet.embed(np.stack(patches))
    return replace(load_cohort(FACENET_VGGFACE2.name), stills=found, tracks=found, source="patches")
