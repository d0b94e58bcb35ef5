"""What all tests share."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

# Before numpy and torch are imported: several processes compute on the same cores, where a second thread of each only waits.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray's workers are polite by default, and would wait for whatever else the cores do; tests wait for them.
os.environ.setdefault("RAY_worker_niceness", "0")

import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from xdist.scheduler import LoadFileScheduling

from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.networks import Networks
from facerec_models.analysis.weights import FACENET_VGGFACE2, WeightsRegistry, file_sha256
from facerec_models.config import DetectionConfig, EmbeddingConfig
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.store.contract import Store
from serving.store.opening import open_store

pytest_plugins = [
    "tests.serving.service",
    "tests.mongodb",
    "tests.bucket",
    "tests.mounts",
    "tests.picture_site",
    "tests.demo",
]


# One process tests all of these, for two services would wait for the same cores; of the others each file is tested by one.
_START_RAY = {
    "test_corrections.py",
    "test_demo.py",
    "test_graph.py",
    "test_live.py",
    "test_naming_tasks.py",
    "test_nodes.py",
    "test_recovery.py",
    "test_seen.py",
    "test_serve_process.py",
    "test_serve_run.py",
    "test_slow_clients.py",
    "test_soak.py",
    "test_training.py",
}
# The last of them: what it tests ends the service that many share.
_ENDS_SERVICE = "test_serve_process.py"
# Folders whose tests share what takes long to make.
_TOGETHER = {"tests/serving/second_embedder"}


_CACHE = "XDG_CACHE_HOME"


def pytest_configure(config: pytest.Config) -> None:
    """Keep networks that tests convert, random ones among them, out of the user's cache; all processes share one for the session."""
    if not hasattr(config, "workerinput"):
        os.environ[_CACHE] = tempfile.mkdtemp(prefix="facerec-cache-")
        config.add_cleanup(partial(shutil.rmtree, os.environ[_CACHE], ignore_errors=True))


def _starts_ray(path: Path) -> bool:
    return "unit" not in path.parts and path.name in _START_RAY


class _Scheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        folder = file.parent.as_posix()
        return "ray" if _starts_ray(file) else folder if folder in _TOGETHER else str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    config.option.loadscopereorder = False  # what takes longest begins first: see below
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what starts Ray come first, and in it a service of its own before the one that many share."""

    def shares_service(item: pytest.Item) -> bool:
        return "service" in getattr(item, "fixturenames", ())

    unlisted = {item.path.name for item in items if shares_service(item)} - _START_RAY
    if unlisted:
        raise pytest.UsageError(f"add {', '.join(sorted(unlisted))} to those that start Ray, in {__file__}")
    items.sort(key=lambda item: (not _starts_ray(item.path), shares_service(item), item.path.name == _ENDS_SERVICE))


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
def embedder(tmp_path_factory: pytest.TempPathFactory) -> FaceEmbedder:
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


@pytest.fixture(scope="session")
def networks(detector: MtcnnDetector, embedder: FaceEmbedder) -> Networks:
    """Return both real networks."""
    return Networks(detector, embedder)


@pytest.fixture
def home(tmp_path: Path) -> Files:
    """Return the files of an archive of the test's own."""
    return Files(tmp_path / "home")


@pytest.fixture
def store(home: Files) -> Iterator[Store]:
    """Open the embedded store of that archive; it has the empty project ``p``."""
    with closing(open_store(home.root)) as store:
        store.create_project("p")
        yield store


@pytest.fixture
def archive(store: Store, home: Files) -> Archive:
    """Return that store and those files, with the rules that are the default."""
    return Archive(store, home)


@pytest.fixture(autouse=True)
def no_unexpected_errors(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that logged an error, unless it is marked `expects_errors`."""
    yield
    if request.node.get_closest_marker("expects_errors"):
        return
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, f"unexpected errors were logged: {errors}"
