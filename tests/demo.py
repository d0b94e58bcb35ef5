"""The demonstration's people and reel, and a home that knows them: made once for all processes that test.

`tests.conftest` loads this module as a plugin. Copy what you change.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from facerec_models.analysis.networks import Networks
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig, LimitsConfig
from facerec_models.video_writer import VideoWriter
from serving.archive.handle import open_archive
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.settings import Settings
from training.pictures import find_pictures
from ui.demo_material import DemoMaterial, prepare

Shared = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shared:
    """Return a folder of a name, which the first process that asks for it fills."""
    base = tmp_path_factory.getbasetemp()
    root = base if worker_id == "master" else base.parent

    def folder(name: str, fill: Callable[[Path], object]) -> Path:
        whole, unfinished = root / name, root / f"{name}.unfinished"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                unfinished.mkdir()
                fill(unfinished)
                unfinished.rename(whole)
        return whole

    return folder


@pytest.fixture(scope="session")
def material(shared_folder: Shared) -> DemoMaterial:
    """The demonstration's people and reel."""
    return prepare(shared_folder("material", prepare))


@pytest.fixture(scope="session")
def clip(material: DemoMaterial, shared_folder: Shared) -> Path:
    """Nine seconds of the reel: Eileen Collins, a cyclist, the man in the car."""

    def write(folder: Path) -> None:
        with Video(material.reel, LimitsConfig()) as video:
            info = video.info
            with VideoWriter(folder / "clip.mp4", info.fps, info.width, info.height) as writer:
                for frame in video.frames(4.0, 13.0):
                    writer.write(frame.to_frame().image, frame.time_s)

    return shared_folder("clip", write) / "clip.mp4"


@pytest.fixture(scope="session")
def trained_home(material: DemoMaterial, networks: Networks, shared_folder: Shared) -> Path:
    """A home whose project ``default`` has the demonstration's people and a model."""

    def enrol_and_train(home: Path) -> None:
        with open_archive(Settings(home=home)) as archive:
            list(enrol(archive, "default", find_pictures(material.people), networks, AnalysisConfig()))
            train(archive, "default")

    return shared_folder("trained-home", enrol_and_train)


@pytest.fixture
def own_trained_home(trained_home: Path, tmp_path: Path) -> Path:
    """Return a copy of that home, of the test's own."""
    return shutil.copytree(trained_home, tmp_path / "home")
