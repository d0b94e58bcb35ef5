"""What is stored of videos is told as it is, by id or by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facerec_models.errors import InputError, VideoNotFoundError
from serving.archive.handle import Archive
from serving.archive.ids import find_video
from serving.archive.video_overview import describe_analyses, overview_of
from serving.store.contract import Store
from tests.archive import fill, put_video
from tests.builders import EMBEDDER
from tests.contract.store_cases import make_video


def test_an_overview_counts_people_and_strangers_of_the_latest_analysis(archive: Archive, store: Store) -> None:
    fill(archive)
    found = overview_of(store, store.get_video("p", "v-1"))
    assert (found.people, found.strangers, found.duration_s) == (("Ann_Lee", "Bob"), 2, 20.0)
    assert found.is_named
    assert found.to_dict()["analysed"]


def test_a_video_that_was_not_analysed_or_not_named_says_so(archive: Archive, store: Store) -> None:
    fill(archive)
    store.put_video(make_video("v-new"))
    new = overview_of(store, store.get_video("p", "v-new")).to_dict()
    assert (new["analysed"], new["named"], new["duration_s"], new["people"]) == (False, False, None, [])
    put_video(archive, "v-3", 3)
    unnamed = overview_of(store, store.get_video("p", "v-3")).to_dict()
    assert (unnamed["analysed"], unnamed["named"], unnamed["duration_s"], unnamed["people"]) == (True, False, 20.0, [])
    assert describe_analyses(store, store.get_video("p", "v-new")) == []


def test_analyses_are_described_by_part_settings_network_and_model(archive: Archive, store: Store) -> None:
    fill(archive)
    (found,) = describe_analyses(store, store.get_video("p", "v-1"))
    assert (found["start_s"], found["end_s"], found["period_s"], found["embedder"]) == (0.0, 20.0, 1.0, EMBEDDER)
    assert found["named_by"]["model_version"] == store.get_model("p").version
    put_video(archive, "v-3", 3)
    (unnamed,) = describe_analyses(store, store.get_video("p", "v-3"))
    assert unnamed["named_by"] is None


def test_a_video_is_found_by_its_id_before_its_name(store: Store) -> None:
    for video_id, name in (("v-a", "x.mp4"), ("v-b", "v-a")):
        store.put_video(replace(make_video(video_id), name=name))
    assert find_video(store, "p", "v-a").video_id == "v-a"
    assert find_video(store, "p", "x.mp4").video_id == "v-a"


def test_a_name_of_several_videos_is_refused_with_their_ids(store: Store) -> None:
    for i in range(25):
        store.put_video(replace(make_video(f"v-{i:02}", float(i)), name="x.mp4"))
    with pytest.raises(InputError, match=r"'x.mp4' is the name of 25 videos .* v-00, v-01, .* v-09 and 15 more"):
        find_video(store, "p", "x.mp4")
    with pytest.raises(VideoNotFoundError, match=r"id, name or address 'y\.mp4': 'facerec videos list'"):
        find_video(store, "p", "y.mp4")
