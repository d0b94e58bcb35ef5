"""Every view of the page, and what opens on them, as a visitor comes to see it; and what must hold on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

PERSON = "Eileen_Collins"
SERVICE_PARTS = ("health", "jobs", "history", "projects", "keys", "audit")
_AXE = Axe()
# What sticks out of the window, where nothing scrolls to it and no ellipsis tells of it. What only screen readers get is not seen.
_CUT_OFF = """() => {
    const isMeant = (element) => {
        for (let one = element.parentElement; one; one = one.parentElement) {
            const {overflowX, textOverflow} = getComputedStyle(one);
            if (['auto', 'scroll'].includes(overflowX) || textOverflow === 'ellipsis') return true;
        }
        return false;
    };
    return [...(document.querySelector('fr-app')?.shadowRoot ?? document).querySelectorAll('*')].filter((one) => {
        const {left, right, width, height} = one.getBoundingClientRect();
        const isSeen = width > 1 && height > 1 && one.checkVisibility({visibilityProperty: true, opacityProperty: true});
        return isSeen && (right > innerWidth + 1 || left < -1) && !isMeant(one) && !one.closest('.boxes, svg');
    }).map((one) => `${one.localName}.${one.className}: ${one.textContent.slice(0, 60)}`);
}"""


@dataclass(frozen=True, slots=True)
class Place:
    """A view in one of its states: its address, what is seen once it is there, and what opens it."""

    name: str
    address: str
    ready: str
    open: Callable[[Page], None] = lambda page: None

    def __str__(self) -> str:
        return self.name


def places(project: str, video_id: str, stranger: str, strangers: str) -> list[Place]:
    """Return every place.

    Parameters
    ----------
    project, video_id, stranger : str
        A project in which the demonstration's reel was analysed, and one of its strangers.
    strangers : str
        A project in which two strangers are alike.
    """

    def at(path: str, **query: str) -> str:
        return f"{path}?project={project}" + "".join(f"&{name}={quote(value)}" for name, value in query.items())

    return [
        Place("videos", at("/"), ".videos .card"),
        Place("video", at("/video", video=video_id), ".list-row"),
        Place("video, a face chosen", at("/video", video=video_id), ".list-row", choose_a_face),
        Place("video, exports open", at("/video", video=video_id), ".list-row", open_exports),
        Place("no video", at("/video"), ".state.empty"),
        Place("people", at("/people"), "[aria-label=People] .face"),
        Place("people, adding", at("/people"), "[aria-label=People] .face", lambda page: page.keyboard.press("a")),
        Place("person", at("/person", person=PERSON), ".moments .face"),
        Place("person, renaming and merging", at("/person", person=PERSON), ".moments .face", rename_and_merge),
        Place("no person", at("/person"), ".state.empty"),
        Place("a person who is not there", at("/person", person="Nobody"), ".state.empty"),
        Place("strangers", at("/strangers"), "button.candidate"),
        Place("a name's suggestions", at("/strangers"), "button.candidate", type_a_name),
        Place("all scenes of a stranger", at("/strangers", stranger=stranger), ".group-tile"),
        Place("same person?", f"/strangers?project={strangers}&show=same", ".same"),
        Place("search", at("/search"), ".state.empty"),
        Place("search, found", at("/search", who=PERSON, q="e"), ".results .face"),
        Place("train", at("/train"), ".plot"),
        Place("train, a preview", at("/train"), ".plot", preview_a_limit),
        Place("measure", at("/measure"), "main"),
        Place("measure, labelling", at("/measure", video=video_id), ".label-card"),
        *(Place(f"service, {part}", at("/service", show=part), ".service-part h2") for part in SERVICE_PARTS),
        Place("keys", at("/"), ".videos .card", open_keys),
    ]


def choose_a_face(page: Page) -> None:
    page.locator(".list-row").first.click()
    expect(page.get_by_role("region", name="Evidence")).to_be_visible()


def open_exports(page: Page) -> None:
    page.locator("details.menu summary").first.click()


def rename_and_merge(page: Page) -> None:
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_label("New name")).to_be_visible()
    page.get_by_role("button", name="Merge with…").click()


def type_a_name(page: Page) -> None:
    page.get_by_label("Name of this person").fill("e")
    expect(page.locator(".names li").first).to_be_visible()


def preview_a_limit(page: Page) -> None:
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="Show what that changes").click()
    expect(page.locator(".preview")).to_be_visible()


def open_keys(page: Page) -> None:
    page.get_by_role("button", name="Keys").click()
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def open_place(page: Page, page_url: str, place: Place) -> None:
    """Go there, and wait until all is read."""
    page.goto(page_url + place.address)
    expect(page.locator(place.ready).first).to_be_visible()
    settle(page)
    place.open(page)
    settle(page)


def settle(page: Page) -> None:
    """Wait until nothing loads or moves any more."""
    page.wait_for_function(
        """() => {
            const root = document.querySelector('fr-app').shadowRoot;
            return !root.querySelector('.main .spinner') && root.querySelector('.main h1') &&
                document.getAnimations().every((one) => one.playState !== 'running');
        }"""
    )


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong, within the shadow root, too."""
    found: dict[str, Any] = _AXE.run(page).response
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}: {' '.join(node['failureSummary'].split())}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def cut_off(page: Page) -> list[str]:
    """Return what sticks out of the window."""
    wide: bool = page.evaluate("document.scrollingElement.scrollWidth > innerWidth")
    names: list[str] = page.evaluate(_CUT_OFF)
    return [*names, *(["the page scrolls sideways"] if wide else [])]
