"""The page where keys are asked for: who is let in, by a real browser, and what each role can do there."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
from tests.ui.page.running import running_page
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
        for path in ("/config", "/gradio_api/info", "/gradio_api/file=/etc/passwd", "/fr/v1/me", "/fr/v1/projects"):
            assert visitor.get(path).status_code == 401, path
        assert visitor.get("/favicon.ico").status_code == 200, "browsers ask for it by themselves"
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


def test_a_curator_sees_their_projects_and_may_add_videos(page: Page, page_url: str, archive: Archive) -> None:
    sign_in(page, page_url, make_key(archive, Role.CURATE))
    expect(page.get_by_role("button", name="Choose videos")).to_be_enabled()
    expect(page.get_by_label("Project").get_by_role("option")).to_have_text(["p"])
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert "facerec_" not in cookie["value"]
    # A project of others is told neither here nor by its address.
    page.goto(f"{page_url}/?project=q")
    expect(page.get_by_role("heading", name="Your key may not see this")).to_be_visible()


def test_a_reader_is_told_what_the_key_may_not_do(page: Page, page_url: str, archive: Archive) -> None:
    sign_in(page, page_url, make_key(archive, Role.READ))
    choose = page.get_by_role("button", name="Choose videos")
    expect(choose).to_be_disabled()
    expect(choose).to_have_attribute("title", re.compile("curate"))


def test_a_revoked_key_ends_the_visit(page: Page, page_url: str, archive: Archive) -> None:
    row, key = keys.create_key(archive.store, "for the page", {"*": Role.CURATE})
    sign_in(page, page_url, key)
    expect(page.get_by_role("button", name="Choose videos")).to_be_enabled()
    archive.store.revoke_key(row.key_id)
    # The page asks by itself, and comes to where one signs in.
    expect(page.get_by_label("Key", exact=True)).to_be_visible()


def test_every_role_is_asked_for_through_the_page_as_by_the_service(page_url: str, archive: Archive) -> None:
    """What a reader may not do at the service, they may not do through the page, which holds no key of its own."""
    headers = {"authorization": f"Bearer {make_key(archive, Role.READ)}"}
    with httpx.Client(base_url=page_url, trust_env=False, timeout=WAIT_S, headers=headers) as visitor:
        assert visitor.get("/fr/v1/projects/p/videos").status_code == 200
        assert visitor.get("/fr/v1/projects/q/videos").status_code == 403
        assert visitor.post("/fr/v1/projects/p/training", json={}).status_code == 403
        assert visitor.get("/fr/v1/projects/p/audit").status_code == 403
        assert visitor.get("/fr/v1/keys").status_code == 403
