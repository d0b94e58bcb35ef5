"""Search over a small archive: by person, by company, by face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import InputError, NotFoundError, PersonNotFoundError
from facerec_models.types import Decision, FloatArray, Match
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.aliases import find_stranger
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.figures import Figure
from serving.archive.naming.identify import identify_archive
from serving.archive.search.cursors import write_cursor
from serving.archive.search.people_and_faces import FaceHit, Hit, Page, search_face, search_people
from serving.archive.search.strangers import RankedStrangers, rank_strangers, show_stranger
from serving.archive.search.track_index import TrackIndex
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, CorrectionKind
from tests.archive import fill, put_tracks, put_video
from tests.builders import EMBEDDER, face_of, make_track, near
from tests.contract.store_cases import make_appearance, make_face, name
from tests.unit.serving.archive.edits import result_in

WHOLE = AppearanceQuery()


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """Ann, Bob and two strangers one after the other in two videos; Ann, Bob and one stranger together in the third."""
    fill(archive)
    put_video(archive, "v-3", 3, (1, 2, 7), together=True)
    identify_archive(archive, "p")
    return archive


def find(archive: Archive, *who: str, query: AppearanceQuery = WHOLE, **paging: object) -> Page[Hit]:
    return search_people(archive, "p", who, query, **paging)  # type: ignore[arg-type]


def places(page: Page[Hit]) -> list[tuple[str, str, float]]:
    return [(hit.video, hit.label, hit.row.start_s) for hit in page.hits]


def test_a_person_is_found_in_all_videos(archive: Archive) -> None:
    page = find(archive, "Ann Lee")
    assert places(page) == [("v-1.mp4", "Ann Lee", 2.5), ("v-2.mp4", "Ann Lee", 2.5), ("v-3.mp4", "Ann Lee", 2.5)]
    assert page.next_cursor is None
    assert [hit.shots for hit in page.hits] == [(0,), (0,), (0,)]
    assert len(find(archive).hits) == 11
    assert find(archive, "Ann_Lee", query=AppearanceQuery(video_id="v-2")).hits == page.hits[1:2]


def test_several_are_found_where_they_share_a_shot(archive: Archive) -> None:
    page = find(archive, "Ann_Lee", "Unknown 1")
    assert places(page) == [("v-3.mp4", "Ann Lee", 2.5)]
    assert [other.label for other in page.hits[0].company] == ["Unknown 1"]
    page = find(archive, "Ann_Lee", "Bob")
    assert [hit.video for hit in page.hits] == ["v-1.mp4", "v-2.mp4", "v-3.mp4"]
    assert places(find(archive, "Unknown 1", "Ann_Lee", "Bob")) == [("v-3.mp4", "Unknown 1", 2.5)]
    assert find(archive, "Unknown 1", "Unknown 2", "Ann_Lee").hits == []


def test_pages_follow_each_other(archive: Archive) -> None:
    whole = find(archive).hits
    seen, cursor = [], None
    for number in range(1, 7):
        page = find(archive, limit=2, cursor=cursor)
        seen += page.hits
        cursor = page.next_cursor
        assert (cursor is None) == (number == 6)
    assert seen == whole
    page = find(archive, "Ann_Lee", "Unknown 1", limit=1)
    assert (len(page.hits), page.next_cursor) == (1, None)


def test_an_alias_and_a_name_lead_to_the_same_person(archive: Archive, store: Store) -> None:
    (stranger,) = [one.stranger_id for one in store.list_strangers("p") if one.number == 2]
    before = find(archive, stranger)
    assert places(before) == [("v-1.mp4", "Unknown 2", 11.5), ("v-2.mp4", "Unknown 2", 11.5)]
    name_stranger(archive, "p", "Unknown 2", "Dee")
    for who in (stranger, "Unknown 2", "Dee"):
        assert [hit.label for hit in find(archive, who).hits] == ["Dee", "Dee"]


def test_an_absent_person_differs_from_an_unknown_one(archive: Archive, store: Store) -> None:
    assert find(archive, "Bob", query=AppearanceQuery(video_id="v-none")).hits == []
    with pytest.raises(PersonNotFoundError, match="no person 'Bop'"):
        find(archive, "Bop")
    with pytest.raises(NotFoundError, match="no stranger 'Unknown 99'"):
        find(archive, "Unknown 99")
    for no_number in ("Unknown ²", f"Unknown {'9' * 5000}", f"Unknown {'9' * 18}"):
        with pytest.raises(NotFoundError, match=r"no (person|stranger) 'Unknown"):
            find(archive, no_number)
        with pytest.raises(NotFoundError, match="no stranger"):
            find_stranger(store, "p", no_number)
    of_ann = find(archive, "Ann_Lee", limit=1).next_cursor
    for cursor in ("x", "bm9uZQ", "WzEsMl0", "é", of_ann):
        with pytest.raises(InputError, match="begin again"):
            find(archive, "Bob", cursor=cursor)
    with pytest.raises(InputError, match="limit 0"):
        find(archive, "Bob", limit=0)


def look_for(archive: Archive, who: int, query: AppearanceQuery = WHOLE, **paging: object) -> Page[FaceHit]:
    return search_face(archive, TrackIndex(archive.store, "p"), face_of(who, 99), query, **paging)  # type: ignore[arg-type]


def test_a_face_finds_the_most_similar_tracks_named_or_not(archive: Archive) -> None:
    hits = look_for(archive, 7, limit=4).hits
    assert [one.hit.label for one in hits[:3]] == ["Unknown 1"] * 3
    assert [one.is_match for one in hits] == [True, True, True, False]
    assert {one.hit.video for one in hits[:3]} == {"v-1.mp4", "v-2.mp4", "v-3.mp4"}
    assert [one.similarity for one in hits] == sorted((one.similarity for one in hits), reverse=True)
    assert hits[0].probability > 0.5 > hits[3].probability
    assert [one.hit.label for one in look_for(archive, 1, limit=3).hits] == ["Ann Lee"] * 3
    (only,) = look_for(archive, 1, AppearanceQuery(video_id="v-2"), min_probability=0.5).hits
    assert (only.hit.video, only.hit.row.decision, only.track_id) == ("v-2.mp4", "named", 1)
    assert look_for(archive, 1, AppearanceQuery(video_id="v-none")).hits == []


def test_faces_are_found_page_by_page_and_in_a_part_of_the_archive(archive: Archive) -> None:
    whole = look_for(archive, 7, limit=1000)
    assert (len(whole.hits), whole.next_cursor) == (11, None)
    seen, cursor = [], None
    for number in range(1, 5):
        page = look_for(archive, 7, limit=3, cursor=cursor)
        seen += page.hits
        cursor = page.next_cursor
        assert (cursor is None) == (number == 4)
    assert seen == whole.hits
    late_ones = AppearanceQuery(submitted_from=1.0, start_s=5.0)
    late = look_for(archive, 7, late_ones).hits
    assert late == [one for one in whole.hits if one.hit.video != "v-1.mp4" and one.hit.row.end_s > 5]
    early = look_for(archive, 7, AppearanceQuery(submitted_to=1.0, end_s=8.0)).hits
    assert early == [one for one in whole.hits if one.hit.video == "v-1.mp4" and one.hit.row.start_s < 8]
    other = look_for(archive, 7, late_ones, limit=1).next_cursor
    for cursor in ("x", "WzEsMl0", write_cursor("", ("v", 1.0, 2)), other):
        with pytest.raises(InputError, match="begin again"):
            look_for(archive, 7, cursor=cursor)


def test_an_appearance_of_many_tracks_hides_no_other(archive: Archive, store: Store) -> None:
    times = [[2.0 * i, 2.0 * i + 1] for i in range(9)]
    tracks = [make_track(i + 1, at, embeddings=np.stack([face_of(7, 99)] * 2)) for i, at in enumerate(times)]
    row = put_tracks(archive, "v-4", 4, [replace(track, shot=0) for track in tracks])
    together = make_appearance(
        row.analysis_id, 0, "Bob", video_id="v-4", start_s=0.0, end_s=17.5, track_ids=tuple(range(1, 10))
    )
    name(store, together)
    page = look_for(archive, 7, limit=2)
    assert [one.hit.label for one in page.hits] == ["Bob", "Unknown 1"]
    assert len(look_for(archive, 7, limit=1000).hits) == 12


def strangers(archive: Archive, query: AppearanceQuery = WHOLE, **paging: object) -> RankedStrangers:
    return rank_strangers(archive, "p", query, **paging)  # type: ignore[arg-type]


def test_strangers_are_found_by_screen_time(archive: Archive) -> None:
    first, second = strangers(archive).strangers
    assert [(one.number, one.screen_time_s, one.videos) for one in (first, second)] == [(1, 6.0, 3), (2, 4.0, 2)]
    assert {(one.video_id, one.track_id) for one in first.sightings} == {("v-1", 3), ("v-2", 3), ("v-3", 3)}
    assert [one.quality for one in first.sightings] == sorted((one.quality for one in first.sightings), reverse=True)
    page = strangers(archive, limit=1)
    assert page.strangers == [first]
    page = strangers(archive, limit=1, cursor=page.next_cursor)
    assert (page.strangers, page.next_cursor) == ([second], None)
    (only,) = strangers(archive, AppearanceQuery(submitted_from=2.0)).strangers
    assert (only.number, only.screen_time_s, only.videos, len(only.sightings)) == (1, 2.0, 1, 1)
    assert strangers(archive, AppearanceQuery(video_id="v-none")).strangers == []
    assert strangers(archive, AppearanceQuery(start_s=100.0)).strangers == []
    for cursor in ("x", write_cursor("", (1,)), strangers(archive, limit=1).next_cursor):
        with pytest.raises(InputError, match="begin again"):
            strangers(archive, AppearanceQuery(end_s=9.0), cursor=cursor)
    with pytest.raises(InputError, match="limit 0"):
        strangers(archive, limit=0)


def test_a_stranger_is_shown_with_those_merged_into_it(archive: Archive, store: Store) -> None:
    first, second = store.list_strangers("p")
    before = strangers(archive).strangers[0]
    name(store, strangers=[replace(second, merged_into=first.stranger_id)])
    found, shown = show_stranger(archive, "p", second.stranger_id)
    assert (found, shown.aliases, shown.sightings) == (first, (second.stranger_id,), before.sightings)


def test_a_hidden_stranger_is_shown_only_when_asked_for(archive: Archive, store: Store) -> None:
    first, second = store.list_strangers("p")
    name(store, strangers=[replace(first, is_hidden=True)])
    assert [one.number for one in strangers(archive).strangers] == [second.number]
    assert [one.number for one in strangers(archive, with_hidden=True).strangers] == [first.number, second.number]
    assert show_stranger(archive, "p", "Unknown 1")[1].videos == 3


def test_a_named_stranger_is_no_longer_listed(archive: Archive) -> None:
    name_stranger(archive, "p", "Unknown 2", "Dee")
    found, nowhere = show_stranger(archive, "p", "Unknown 2")
    assert (found.person_id, nowhere.sightings, nowhere.screen_time_s) == ("Dee", (), 0.0)


def test_a_face_is_found_in_videos_that_nothing_has_named(archive: Archive) -> None:
    put_video(archive, "v-4", 4, (9,))
    (first, *_) = look_for(archive, 9).hits
    assert (first.hit.video, first.is_named, first.hit.label) == ("v-4.mp4", False, "Undecidable")
    assert (first.hit.row.start_s, first.hit.row.end_s) == (2.5, 4.5)


def test_a_stranger_who_is_nobody_enrolled_is_surely_one_in_search_as_in_the_result(archive: Archive) -> None:
    def surely() -> tuple[float, float]:
        (hit,) = (hit for hit in find(archive, query=AppearanceQuery(video_id="v-1")).hits if hit.row.first_track == 1)
        shown = next(one for one in result_in(archive, "v-1").appearances if one.track_ids[0] == 1)
        return hit.figure.probability, shown.probability

    def enable(person: str, enabled: bool) -> None:
        faces = [face.face_id for face in archive.store.list_faces("p", person_id=person)]
        enable_faces(archive, "p", faces, enabled=enabled)

    enable("Bob", enabled=False)
    correct(archive, "p", [TrackCorrection("v-1", 1, CorrectionKind.IS_NOT, "Ann_Lee")])
    assert surely() == (1.0, 1.0)
    enable("Bob", enabled=True)
    assert surely() == pytest.approx((1.0, 1.0), abs=1e-5)
    enable("Bob", enabled=False)
    assert surely() == pytest.approx((1.0, 1.0), abs=1e-5)


def figures_of(archive: Archive, video_id: str, **how: float) -> dict[int, tuple[float, float]]:
    """Return how sure search is of each appearance of a video, by its first track."""
    hits = find(archive, query=AppearanceQuery(video_id=video_id), **how).hits
    return {hit.row.first_track: (hit.figure.probability, hit.figure.false_name_rate) for hit in hits}


def shown_in(archive: Archive, video_id: str) -> dict[int, tuple[float, float]]:
    """Return the same of its result."""
    return {
        one.track_ids[0]: (one.probability, one.false_name_rate) for one in result_in(archive, video_id).appearances
    }


def test_search_is_as_sure_as_results_after_edits(archive: Archive, store: Store) -> None:
    seen = store.get_columns("p", ["a-v-1"])["a-v-1"].vectors[2]
    store.put_faces("p", [make_face("f-like", "Like", embedder=EMBEDDER, embedding=near(seen, 0.825))])
    train(archive, "p")
    before, stored = shown_in(archive, "v-1"), store.list_named("p", ["a-v-1"])
    # It changes who a stranger is likeliest to be, and cannot name them: what is stored of them stays.
    for enabled in (False, True, False):
        enable_faces(archive, "p", ["f-like"], enabled=enabled)
        assert [row.version for row in store.list_named("p", ["a-v-1"])] == [row.version for row in stored]
        for video_id in ("v-1", "v-2", "v-3"):
            shown, found = shown_in(archive, video_id), figures_of(archive, video_id)
            assert found.keys() == shown.keys()
            for track_id, figure in found.items():
                assert figure == pytest.approx(shown[track_id], rel=1e-3)
    assert shown_in(archive, "v-1")[3][1] > before[3][1] + 0.1


def test_what_is_sure_enough_is_told_by_how_sure_it_is_now(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsure(embeddings: FloatArray, *_: object) -> list[Match]:
        return [Match(Decision.UNKNOWN, None, 0.4, 0.5)] * len(embeddings)

    unknown = find(archive, "Unknown 1", min_probability=0.5).hits
    together = find(archive, "Ann_Lee", "Unknown 1", min_probability=0.5).hits
    assert len(unknown) == 3
    assert len(together) == 1
    monkeypatch.setattr("serving.archive.search.exact_figures.match_unnamed", unsure)
    for least in (0.3, 0.5):
        assert find(archive, "Unknown 1", min_probability=least, limit=1).hits[:1] == (
            [replace(unknown[0], figure=Figure(0.4, 0.5))] if least < 0.4 else []
        )
        assert len(find(archive, "Ann_Lee", "Unknown 1", min_probability=least).hits) == (least < 0.4)
        assert len(find(archive, "Unknown 1", "Ann_Lee", min_probability=least).hits) == (least < 0.4)
        assert bool(rank_strangers(archive, "p", min_probability=least).strangers) == (least < 0.4)
        # Who is named is as sure as before.
        assert len(find(archive, "Ann_Lee", min_probability=least).hits) == 3


@pytest.mark.parametrize("least", [0.1, 0.5, 0.9, 0.999])
def test_strangers_that_are_sure_enough_are_ranked_as_all_are(archive: Archive, least: float) -> None:
    everybody = rank_strangers(archive, "p")
    assert rank_strangers(archive, "p", min_probability=0.001) == everybody
    sure = [one for one in find(archive, min_probability=least, limit=1000).hits if one.label.startswith("Unknown")]
    times: dict[str, float] = {}
    for hit in sure:
        times[hit.label] = times.get(hit.label, 0.0) + hit.row.end_s - hit.row.start_s
    ranked = rank_strangers(archive, "p", min_probability=least).strangers
    assert {f"Unknown {one.number}": one.screen_time_s for one in ranked} == pytest.approx(times)


def test_columns_and_tracks_give_the_same_figures(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures_of(archive, "v-1")
    monkeypatch.setattr("serving.archive.search.exact_figures._FEW", 0)
    again = figures_of(archive, "v-1")
    assert again.keys() == found.keys()
    assert all(again[one] == pytest.approx(found[one], rel=1e-3) for one in found)
