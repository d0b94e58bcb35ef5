"""What all tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported: several processes compute on the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from facenet_pytorch import InceptionResnetV1

from facerec_models.config import DetectionConfig, EmbeddingConfig
from facerec_models.embedders.torch_embedder import TorchEmbedder, build_embedder
from facerec_models.mtcnn import MtcnnDetector
from facerec_models.weights import FACENET_VGGFACE2, WeightsRegistry, file_sha256

pytest_plugins = ["tests.serving.service", "tests.mongodb", "tests.bucket"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process test all that starts Ray: two services wait for the same cores. Of the rest, a file is tested by one."""

    def needs_shared_service(item: pytest.Item) -> bool:
        return "service" in getattr(item, "fixturenames", ())

    # The service that many tests share runs until the end: what starts its own comes before.
    items.sort(key=needs_shared_service)
    for item in items:
        starts_ray = needs_shared_service(item) or item.get_closest_marker("starts_ray") is not None
        item.add_marker(pytest.mark.xdist_group("ray" if starts_ray else item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def eval_data() -> Path:
    """Real people and footage to measure with."""
    folder = os.environ.get("FACEREC_EVAL_DATA")
    if not folder:
        pytest.skip("FACEREC_EVAL_DATA names no folder of evaluation data")
    return Path(folder)


@pytest.fixture(scope="session")
def detector() -> MtcnnDetector:
    """The real detector on the CPU."""
    return MtcnnDetector(DetectionConfig(device="cpu"))


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> TorchEmbedder:
    """The packaged network on the CPU."""
    registry = WeightsRegistry(tmp_path_factory.mktemp("weights"))
    return build_embedder(EmbeddingConfig(embedder="dlib", device="cpu"), registry)


@pytest.fixture(scope="session")
def facenet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with a FaceNet whose numbers are random: a network all the same."""
    folder = tmp_path_factory.mktemp("facenet")
    torch.manual_seed(0)
    torch.save(InceptionResnetV1(pretrained=None).state_dict(), folder / "random.pt")
    registry = WeightsRegistry(folder / "weights")
    registry.fetch(FACENET_VGGFACE2.name, source=folder / "random.pt", sha256=file_sha256(folder / "random.pt"))
    return registry.directory


@pytest.fixture(autouse=True)
def no_unexpected_errors(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that logged an error, unless it is marked `expects_errors`."""
    yield
    if request.node.get_closest_marker("expects_errors"):
        return
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, f"unexpected errors were logged: {errors}"
