"""The pictures of the documentation: ``python -m tests.ui.page.screenshots docs/application``.

The demonstration's people and reel go through the real service, and each view of the page is taken as a visitor sees it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from tests.serving.service import running_service
from tests.ui.chromium import running_chromium
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial, prepare

_PROJECT = "archive"
_WIDE, _NARROW = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
_QUALITY = 82


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.ui.page.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        material = prepare(Path(temporary) / "demo")
        with running_service(Path(temporary) / "home", with_page=True) as service, FacerecClient(service.url) as client:
            video_id = fill(client, material)
            with running_chromium() as browser:
                page = browser.new_page(viewport=_WIDE, color_scheme="light")
                take_all(page, service.page, video_id, material, folder)
                phone = browser.new_page(viewport=_NARROW, color_scheme="dark", device_scale_factor=2)
                open_video(phone, service.page, video_id)
                shoot(phone, folder / "phone.jpg")


def fill(client: FacerecClient, material: DemoMaterial) -> str:
    """Enrol and train, analyse the reel, and return its id."""
    client.create_project(_PROJECT)
    for person in sorted(path for path in material.people.iterdir() if path.is_dir()):
        client.add_pictures(_PROJECT, person.name, sorted(person.iterdir()))
    client.wait(client.start_training(_PROJECT))
    job_id, video_id = client.submit_video(_PROJECT, material.reel)
    client.wait(job_id)
    return video_id


def take_all(page: Page, url: str, video_id: str, material: DemoMaterial, folder: Path) -> None:
    """Take each view."""
    at = f"?project={_PROJECT}"
    page.goto(f"{url}/{at}")
    page.locator(".videos .card").first.wait_for()
    shoot(page, folder / "videos.jpg")
    open_video(page, url, video_id)
    shoot(page, folder / "video.jpg")
    page.goto(f"{url}/people{at}")
    page.locator("fr-people-view img").first.wait_for()
    shoot(page, folder / "people.jpg")
    page.goto(f"{url}/person{at}&person=Eileen_Collins")
    page.get_by_role("list", name="Appearances").get_by_role("link").first.wait_for()
    shoot(page, folder / "person.jpg")
    page.goto(f"{url}/strangers{at}")
    page.locator(".stage-pictures img").first.wait_for()
    page.get_by_text("Comparing…").wait_for(state="hidden")
    shoot(page, folder / "strangers.jpg")
    page.goto(f"{url}/search{at}")
    page.locator("input[type=file]").first.set_input_files(next((material.people / "Eileen_Collins").iterdir()))
    page.locator(".found img, .hits img").first.wait_for()
    shoot(page, folder / "search.jpg")
    page.goto(f"{url}/train{at}")
    page.get_by_role("img", name="What a stricter limit costs").wait_for()
    shoot(page, folder / "train.jpg")
    page.goto(f"{url}/measure{at}&video={video_id}")
    page.locator(".label-crops img").first.wait_for()
    shoot(page, folder / "measure.jpg")
    page.goto(f"{url}/service{at}&show=history")
    page.get_by_text("A trained version names").first.wait_for()
    shoot(page, folder / "service.jpg")


def open_video(page: Page, url: str, video_id: str) -> None:
    """Open a video where a face is named, and choose it."""
    page.goto(f"{url}/video?project={_PROJECT}&video={video_id}")
    page.locator(".list-row").filter(has_text="Eileen Collins").first.click()
    page.get_by_role("region", name="Evidence").locator("img").first.wait_for()


def shoot(page: Page, path: Path) -> None:
    """Take what is in the window once its pictures are there."""
    page.wait_for_function(
        """() => [...document.querySelector('fr-app').shadowRoot.querySelectorAll('img')].every(one => one.complete)"""
    )
    page.wait_for_timeout(800)
    page.screenshot(path=path, type="jpeg", quality=_QUALITY)


if __name__ == "__main__":
    main()
