"""The service's page where keys are asked for: projects, keys, policy, jobs and logs, and what a key that only reads is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.access import keys
from serving.archive.handle import Archive
from serving.archive.privacy.policy import read_policy
from serving.settings import AccessConfig, Settings
from serving.store.access_rows import Role
from tests.contract.store_cases import make_face, make_job, make_model, promote
from tests.local_servers import running
from tests.serving.in_process import in_process
from tests.ui.page.running import Watched, running_page
from tests.waiting import WAIT_S

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector, embedder: FaceEmbedder
) -> Iterator[tuple[Archive, str]]:
    """An archive with the project ``p``, whose model names, and the page of its service, which asks for keys."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), access=AccessConfig(keys=True))
    with in_process(settings, detector, embedder) as (client, service):
        archive = service.archive
        archive.store.create_project("p")
        archive.store.put_faces("p", [make_face("f")])
        archive.store.add_model(make_model("m"))
        promote(archive.store, "m")
        for number in range(60):
            # A kind of its own: nobody works on it here.
            archive.store.submit_job(make_job(f"j-{number:016x}", float(number), kind="training:by-hand"))
        with running(client.app) as url, running_page(url) as page_url:
            yield archive, page_url


@pytest.fixture
def archive(place: tuple[Archive, str]) -> Archive:
    return place[0]


Visit = Callable[..., tuple[Page, Watched]]


@pytest.fixture
def visit(browser: Browser, place: tuple[Archive, str]) -> Iterator[Visit]:
    """Sign in with a new key of a role, and open a part of the service's page, which must have nothing to complain of."""
    archive, url = place
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * WAIT_S)
    expect.set_options(timeout=1000 * WAIT_S)
    seen: list[Watched] = []

    def sign_in(role: Role, project: str, show: str = "health") -> tuple[Page, Watched]:
        key = keys.create_key(archive.store, f"the {role} key", {project: role})[1]
        page.goto(url)
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Videos", exact=True)).to_be_visible()
        seen.append(Watched(page))
        page.goto(f"{url}/service?project=p&show={show}")
        return page, seen[-1]

    yield sign_in
    context.close()
    assert [one.complaints for one in seen] == [[]]


def test_an_admin_sees_health_and_pages_through_jobs(visit: Visit) -> None:
    page, _ = visit(Role.ADMIN, "*")
    expect(page.get_by_text("works", exact=True)).to_be_visible()
    expect(page.get_by_text("60 jobs, the oldest for")).to_be_visible()
    expect(page.get_by_role("meter", name="Room on the disk")).to_be_visible()
    page.get_by_role("link", name="Jobs").click()
    rows = page.locator("li.job")
    expect(rows).to_have_count(25)
    page.get_by_role("button", name="Show older ones").click()
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Show older ones").click()
    expect(rows).to_have_count(60)
    rows.first.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(rows.first.get_by_text("cancelled", exact=True)).to_be_visible()
    rows.first.get_by_role("button", name=re.compile("^Retry")).click()
    expect(rows.first.get_by_text("waiting", exact=True)).to_be_visible()


def test_a_key_is_shown_once_and_revoked_at_the_second_press(visit: Visit, archive: Archive) -> None:
    page, _ = visit(Role.ADMIN, "*", "keys")
    page.get_by_label("Name", exact=True).fill("for <b>Ada</b>")
    page.get_by_label("Where").select_option("p")
    page.get_by_label("May").select_option("curate")
    page.get_by_role("button", name="Make a key").click()
    shown = page.get_by_label("The new key")
    expect(shown).to_have_value(re.compile("^facerec_"))
    (made,) = [key for key in archive.store.list_keys() if key.name == "for <b>Ada</b>"]
    assert made.grants == {"p": Role.CURATE}
    page.get_by_role("button", name="I have it").click()
    expect(shown).to_have_count(0)
    row = page.get_by_role("listitem").filter(has_text="for <b>Ada</b>")
    row.get_by_role("button", name="Revoke").click()
    assert archive.store.get_key(made.key_id).revoked_at is None, "once is not enough"
    row.get_by_role("button", name="Revoke").click()
    expect(row.get_by_text(re.compile("^revoked"))).to_be_visible()
    assert archive.store.get_key(made.key_id).revoked_at is not None
    page.get_by_role("link", name="Audit log").click()
    page.get_by_label("Of what").select_option("service")
    expect(page.get_by_role("listitem").first).to_contain_text("key revoked")


def test_projects_are_made_kept_by_a_policy_and_deleted_by_typing(visit: Visit, archive: Archive) -> None:
    page, _ = visit(Role.ADMIN, "*", "projects")
    page.get_by_label("Name of a new project").fill("gone")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile("project=gone"))
    expect(page.get_by_role("heading", name="What gone keeps, and for how long")).to_be_visible()
    page.get_by_label("Videos, with all that was found in them").fill("30")
    page.get_by_role("button", name="Show what would go").click()
    expect(page.get_by_text("By this, nothing would go now.")).to_be_visible()
    assert read_policy(archive.store, "gone").videos_days is None, "a preview sets nothing"
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert read_policy(archive.store, "gone").videos_days == 30
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("What is kept is as it was")).to_be_visible()
    assert read_policy(archive.store, "gone").videos_days is None
    delete = page.get_by_role("button", name="Delete the project for good")
    expect(delete).to_be_disabled()
    page.get_by_label(re.compile("^All its videos")).fill("gone")
    delete.click()
    expect(page.get_by_text("Project gone is deleted")).to_be_visible()
    assert "gone" not in {one.name for one in archive.store.list_projects()}


def test_a_key_that_only_reads_is_told_what_it_may_not(visit: Visit) -> None:
    page, watched = visit(Role.READ, "p")
    expect(page.get_by_text("works", exact=True)).to_be_visible()
    expect(page.get_by_text("told to keys that may read every project")).to_be_visible()
    expect(page.get_by_text("You are signed in as key:")).to_be_visible()
    for part in ("Keys", "Audit log"):
        page.get_by_role("link", name=part).click()
        expect(page.get_by_role("heading", name="Your key may not see this")).to_be_visible()
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("button", name=re.compile("^Cancel")).first).to_be_disabled()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("button", name="Undo", exact=True).first).to_be_disabled()
    page.get_by_role("link", name="Projects").click()
    expect(page.get_by_label("Videos, with all that was found in them")).to_be_disabled()
    expect(page.get_by_role("button", name="Create")).to_be_disabled()
    page.get_by_role("link", name="Health").click()
    assert watched.complaints == []
    # Who has gone is asked for a key, which the browser complains of.
    with page.expect_event("console"):
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_visible()
    watched.complaints.clear()
