"""The page where keys are asked for: who is let in, by a real browser, and what each role can do there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.access import keys
from serving.archive.handle import Archive
from serving.settings import AccessConfig, Settings
from serving.store.access_rows import Role
from tests.contract.store_cases import make_face, make_model, promote
from tests.local_servers import running
from tests.serving.in_process import in_process
from tests.ui.test_page import choose, running_page
from tests.waiting import WAIT_S
from ui.sign_in import SIGN_IN

pytestmark = pytest.mark.browser

_TIMEOUT_MS = 1000 * WAIT_S


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector, embedder: FaceEmbedder
) -> Iterator[tuple[Archive, str]]:
    """An archive with the projects ``p``, whose model names, and ``q``, and the page of its service, which asks for keys."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), access=AccessConfig(keys=True))
    with in_process(settings, detector, embedder) as (client, service):
        archive = service.archive
        for name in ("p", "q"):
            archive.store.create_project(name)
        archive.store.put_faces("p", [make_face("f")])
        archive.store.add_model(make_model("m"))
        promote(archive.store, "m")
        with running(client.app) as url, running_page(url) as page_url:
            yield archive, page_url


@pytest.fixture
def archive(served: tuple[Archive, str]) -> Archive:
    return served[0]


@pytest.fixture
def page_url(served: tuple[Archive, str]) -> str:
    return served[1]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.set_default_timeout(_TIMEOUT_MS)
    expect.set_options(timeout=_TIMEOUT_MS)
    yield page
    page.close()


def make_key(archive: Archive, role: Role, project: str = "p") -> str:
    return keys.create_key(archive.store, "for the page", {project: role})[1]


def sign_in(page: Page, url: str, key: str) -> None:
    page.goto(url)
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_nobody_gets_further_without_a_key(page_url: str) -> None:
    with httpx.Client(base_url=page_url, trust_env=False, timeout=WAIT_S) as visitor:
        answer = visitor.get("/", headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, SIGN_IN)
        for path in ("/config", "/gradio_api/info", "/gradio_api/file=/etc/passwd", "/gradio_api/queue/data"):
            assert visitor.get(path).status_code == 401, path
        assert visitor.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
        assert visitor.post("/gradio_api/queue/join", json={}).status_code == 401
        assert visitor.get("/", headers={"cookie": "facerec_visit=guessed", "accept": "text/html"}).status_code == 303
        assert visitor.post(SIGN_IN, data={"key": "wrong"}).status_code == 401
        assert visitor.post(SIGN_IN, content=b"key=" + b"x" * 20_000).status_code == 413
        foreign = visitor.post(SIGN_IN, data={"key": "wrong"}, headers={"origin": "https://other.example"})
        assert foreign.status_code == 403


def test_a_visitor_reaches_the_page_alone(page_url: str, archive: Archive) -> None:
    headers = {"authorization": f"Bearer {make_key(archive, Role.READ)}"}
    with httpx.Client(base_url=page_url, trust_env=False, timeout=WAIT_S, headers=headers) as visitor:
        for path in ("/config", "/gradio_api/info", "/theme.css"):
            assert visitor.get(path).status_code == 200, path
        for path in (
            "dev/reload",
            "deep_link?session_hash=x",
            "vibe-code",
            "openapi.json",
            "proxy=https://x.hf.space/a",
        ):
            assert visitor.get(f"/gradio_api/{path}").status_code == 404, path
        assert visitor.post("/gradio_api/process_recording", files={"video": b"x"}).status_code == 404
        assert visitor.get("/openapi.json").status_code == 404


def test_a_wrong_key_is_refused_with_the_reason(page: Page, page_url: str) -> None:
    sign_in(page, page_url, "facerec_wrong")
    expect(page.get_by_role("alert")).to_contain_text("no key")


def test_a_curator_sees_their_projects_and_may_analyse(
    page: Page, page_url: str, archive: Archive, tmp_path: Path
) -> None:
    sign_in(page, page_url, make_key(archive, Role.CURATE))
    expect(page.locator("#analyse")).to_be_enabled()
    page.locator("#project input").click()
    expect(page.get_by_role("option", name="p", exact=True)).to_be_visible()
    expect(page.get_by_role("option", name="q", exact=True)).to_have_count(0)
    page.screenshot(path=tmp_path / "page.png")
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert "facerec_" not in cookie["value"]


def test_a_reader_is_told_what_the_key_is_for(page: Page, page_url: str, archive: Archive) -> None:
    sign_in(page, page_url, make_key(archive, Role.READ))
    expect(page.get_by_text("for reading alone")).to_be_visible()
    expect(page.locator("#analyse")).to_be_disabled()


def test_a_revoked_key_ends_the_visit(page: Page, page_url: str, archive: Archive) -> None:
    row, key = keys.create_key(archive.store, "for the page", {"*": Role.CURATE})
    sign_in(page, page_url, key)
    expect(page.locator("#analyse")).to_be_visible()
    archive.store.revoke_key(row.key_id)
    choose_again = page.locator("#project input")
    expect(choose_again).not_to_have_value("")
    choose(page, "q")
    expect(page.get_by_text("was revoked")).to_be_visible()
