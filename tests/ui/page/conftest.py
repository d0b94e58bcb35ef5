"""A page, its service with real networks, and a reel that was analysed there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.names import DEFAULT_PROJECT
from serving.archive.handle import Archive
from serving.settings import Settings
from serving.sources.config import SourcesConfig
from tests.local_servers import running
from tests.serving.in_process import in_process
from tests.ui.page.running import TIMEOUT_MS, Watched, running_page
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial


@dataclass(frozen=True, slots=True)
class Analysed:
    """A project that knows the reel's people, and the reel as it was analysed there."""

    project: str
    video_id: str
    file: Path

    def at(self, view: str = "/video", **query: object) -> str:
        """Return an address of the page."""
        given = {"project": self.project, "video": self.video_id, **query}
        return f"{view}?" + "&".join(f"{name}={value}" for name, value in given.items())


@dataclass(frozen=True, slots=True)
class Served:
    """A service, its archive, and its page."""

    archive: Archive
    service_url: str
    page_url: str


@pytest.fixture(scope="module")
def sources() -> SourcesConfig:
    """From where the module's service fetches videos; a module may have its own."""
    return SourcesConfig()


@pytest.fixture(scope="module")
def served(
    trained_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    detector: MtcnnDetector,
    embedder: FaceEmbedder,
    sources: SourcesConfig,
) -> Iterator[Served]:
    """A service of the module's own, whose project ``default`` knows the reel's people, and its page."""
    home = shutil.copytree(trained_home, tmp_path_factory.mktemp("page") / "home")
    with (
        in_process(Settings(home=home, sources=sources), detector, embedder) as (client, service),
        running(client.app) as service_url,
        running_page(service_url) as page_url,
    ):
        yield Served(service.archive, service_url, page_url)


@pytest.fixture(scope="module")
def service_url(served: Served) -> str:
    """The service of the module's own."""
    return served.service_url


@pytest.fixture(scope="module")
def page_url(served: Served) -> str:
    """Its page."""
    return served.page_url


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab that must have nothing to complain of, unless the test expects it to."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    watched = Watched(page)
    yield page
    context.close()
    if not request.node.get_closest_marker("complaints"):
        assert watched.complaints == []


@pytest.fixture(scope="module")
def analysed(service_url: str, material: DemoMaterial) -> Analysed:
    """The reel, analysed in the project that knows its people."""
    with FacerecClient(service_url) as client:
        job_id, video_id = client.submit_video(DEFAULT_PROJECT, material.reel)
        client.wait(job_id)
    return Analysed(DEFAULT_PROJECT, video_id, material.reel)
