"""Search over a small archive: by person, by company, by face."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from facerec_models.errors import InputError, NotFoundError, PersonNotFoundError
from serving.archive import identify_archive
from serving.home import Home
from serving.search import Page, search_face, search_people
from serving.store import Store, open_store
from serving.store.naming_rows import AppearanceQuery
from serving.strangers import resolve
from serving.track_index import TrackIndex
from tests.archive import RULES, fill, put_video
from tests.builders import look
from training.corrections import name_stranger

WHOLE = AppearanceQuery()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    """Ann, Bob and two strangers one after the other in two videos; Ann, Bob and one stranger together in the third."""
    with closing(open_store(home.root)) as store:
        fill(store, home)
        put_video(store, home, "v-3", 3, (1, 2, 7), together=True)
        identify_archive(store, home, "p", RULES, apply=True)
        yield store


def find(store: Store, home: Home, *who: str, query: AppearanceQuery = WHOLE, **paging: object) -> Page:
    return search_people(store, home, "p", who, query, RULES, **paging)  # type: ignore[arg-type]


def places(page: Page) -> list[tuple[str, str, float]]:
    return [(hit.video, hit.label, hit.row.start_s) for hit in page.hits]


def test_somebody_is_found_in_all_videos(store: Store, home: Home) -> None:
    page = find(store, home, "Ann Lee")
    assert places(page) == [("v-1.mp4", "Ann Lee", 2.5), ("v-2.mp4", "Ann Lee", 2.5), ("v-3.mp4", "Ann Lee", 2.5)]
    assert page.next_cursor is None
    assert [hit.shots for hit in page.hits] == [(0,), (0,), (0,)]
    assert len(find(store, home).hits) == 11
    assert find(store, home, "Ann_Lee", query=AppearanceQuery(video_id="v-2")).hits == page.hits[1:2]


def test_several_are_found_where_they_share_a_shot(store: Store, home: Home) -> None:
    page = find(store, home, "Ann_Lee", "Unknown 1")
    assert places(page) == [("v-3.mp4", "Ann Lee", 2.5)]
    assert [other.label for other in page.hits[0].company] == ["Unknown 1"]
    page = find(store, home, "Ann_Lee", "Bob")
    assert [hit.video for hit in page.hits] == ["v-1.mp4", "v-2.mp4", "v-3.mp4"]
    assert places(find(store, home, "Unknown 1", "Ann_Lee", "Bob")) == [("v-3.mp4", "Unknown 1", 2.5)]
    assert find(store, home, "Unknown 1", "Unknown 2", "Ann_Lee").hits == []


def test_pages_follow_each_other(store: Store, home: Home) -> None:
    whole = find(store, home).hits
    seen, cursor = [], None
    for number in range(1, 7):
        page = find(store, home, limit=2, cursor=cursor)
        seen += page.hits
        cursor = page.next_cursor
        assert (cursor is None) == (number == 6)
    assert seen == whole
    page = find(store, home, "Ann_Lee", "Unknown 1", limit=1)
    assert (len(page.hits), page.next_cursor) == (1, None)


def test_an_alias_and_a_name_lead_to_the_same_person(store: Store, home: Home) -> None:
    (stranger,) = [one.stranger_id for one in store.list_strangers("p") if one.number == 2]
    before = find(store, home, stranger)
    assert places(before) == [("v-1.mp4", "Unknown 2", 11.5), ("v-2.mp4", "Unknown 2", 11.5)]
    name_stranger(store, home, "p", "Unknown 2", "Dee", RULES)
    for who in (stranger, "Unknown 2", "Dee"):
        assert [hit.label for hit in find(store, home, who).hits] == ["Dee", "Dee"]


def test_who_is_not_there_is_told_from_who_is_not_known(store: Store, home: Home) -> None:
    assert find(store, home, "Bob", query=AppearanceQuery(video_id="v-none")).hits == []
    with pytest.raises(PersonNotFoundError, match="no person 'Bop'"):
        find(store, home, "Bop")
    with pytest.raises(NotFoundError, match="no stranger 'Unknown 99'"):
        find(store, home, "Unknown 99")
    for no_number in ("Unknown ²", f"Unknown {'9' * 5000}", f"Unknown {'9' * 18}"):
        with pytest.raises(NotFoundError, match=r"no (person|stranger) 'Unknown"):
            find(store, home, no_number)
        with pytest.raises(NotFoundError, match="no stranger"):
            resolve(store, "p", no_number)
    for cursor in ("x", "bm9uZQ", "WzEsMl0", "é"):
        with pytest.raises(InputError, match="begin again"):
            find(store, home, "Bob", cursor=cursor)
    with pytest.raises(InputError, match="limit 0"):
        find(store, home, "Bob", limit=0)


def test_archives_of_earlier_versions_are_searched_too(store: Store, home: Home) -> None:
    whole = find(store, home).hits
    with closing(sqlite3.connect(home.root / "facerec.sqlite3")) as db, db:
        db.execute("DELETE FROM appearances WHERE analysis_id != 'a-v-2'")
        db.execute("INSERT INTO unindexed_analyses SELECT project, analysis_id FROM analyses")
    assert find(store, home).hits == whole


def test_a_face_finds_who_looks_like_it_known_or_not(store: Store, home: Home) -> None:
    index = TrackIndex(store, "p")
    hits = search_face(store, home, index, look(7, 99), RULES, limit=4)
    assert [one.hit.label for one in hits[:3]] == ["Unknown 1"] * 3
    assert [one.is_match for one in hits] == [True, True, True, False]
    assert {one.hit.video for one in hits[:3]} == {"v-1.mp4", "v-2.mp4", "v-3.mp4"}
    assert [one.similarity for one in hits] == sorted((one.similarity for one in hits), reverse=True)
    assert hits[0].probability > 0.5 > hits[3].probability
    known = search_face(store, home, index, look(1, 99), RULES, limit=3)
    assert [one.hit.label for one in known] == ["Ann Lee"] * 3
    (only,) = search_face(store, home, index, look(1, 99), RULES, video_id="v-2", min_probability=0.5)
    assert (only.hit.video, only.hit.row.decision, only.track_id) == ("v-2.mp4", "named", 1)
    assert search_face(store, home, index, look(1, 99), RULES, video_id="v-none") == []


def test_a_face_is_found_in_videos_that_nothing_has_named(store: Store, home: Home) -> None:
    put_video(store, home, "v-4", 4, (9,))
    (first, *_) = search_face(store, home, TrackIndex(store, "p"), look(9, 99), RULES)
    assert (first.hit.video, first.is_named, first.hit.label) == ("v-4.mp4", False, "Undecidable")
    assert (first.hit.row.start_s, first.hit.row.end_s) == (2.5, 4.5)
