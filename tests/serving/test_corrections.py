"""Edits through the running service: corrections, names of strangers, forgetting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from facerec_models.result import Result
from serving.api.found import StrangerView
from ui.client import FacerecClient, ServiceError
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def video_id(client: FacerecClient, clip: Path, material: DemoMaterial) -> str:
    """The id of a video of the project ``corrected``, where Eileen Collins is known and the man in the car is not."""
    client.create_project("corrected")
    client.add_pictures("corrected", "Eileen_Collins", sorted((material.people / "Eileen_Collins").iterdir()))
    client.wait(client.start_training("corrected"))
    job_id, video_id = client.submit_video("corrected", clip)
    client.wait(job_id)
    return video_id


def driver(client: FacerecClient, video_id: str) -> StrangerView:
    """The stranger who is seen longest: the man in the car."""
    strangers = client.strangers("corrected")
    assert [one.screen_time_s for one in strangers] == sorted((one.screen_time_s for one in strangers), reverse=True)
    assert all(track["video_id"] == video_id for one in strangers for track in one.tracks)
    return strangers[0]


def named_tracks(found: Result, person_id: str) -> set[int]:
    return {track.track_id for track in found.tracks if track.person_id == person_id}


def test_a_stranger_is_found_by_id_and_by_number(client: FacerecClient, video_id: str) -> None:
    longest = driver(client, video_id)
    assert client.stranger("corrected", longest.stranger) == longest
    assert client.stranger("corrected", longest.label.removeprefix("Unknown ")) == longest
    assert client.picture(longest.tracks[0]["crop"])[:2] == b"\xff\xd8"
    shown = {a.stranger: a.label for a in client.result("corrected", video_id).appearances if a.stranger}
    assert shown[longest.stranger] == longest.label


def test_a_hidden_stranger_is_not_listed(client: FacerecClient, video_id: str) -> None:
    listed = client.strangers("corrected")
    client.hide_stranger("corrected", listed[0].stranger)
    assert client.strangers("corrected") == listed[1:]
    with pytest.raises(ServiceError, match="hidden already"):
        client.hide_stranger("corrected", listed[0].stranger)
    client.hide_stranger("corrected", listed[0].stranger, no_longer=True)
    assert client.strangers("corrected") == listed


def test_a_correction_is_answered_with_its_changes(client: FacerecClient, video_id: str) -> None:
    tracks = named_tracks(client.result("corrected", video_id), "Eileen_Collins")
    assert tracks
    denied = [
        client.correct("corrected", video_id, track_id, "is_not", "Eileen Collins") for track_id in sorted(tracks)
    ]
    assert denied[0]["videos"] == 1
    assert denied[0]["people"]["Eileen_Collins"]["removed"] >= 1
    assert not named_tracks(client.result("corrected", video_id), "Eileen_Collins")
    first = min(tracks)
    confirmed = client.correct("corrected", video_id, first, "is", "Eileen Collins")
    assert confirmed["people"]["Eileen_Collins"]["added"] >= 1
    assert first in named_tracks(client.result("corrected", video_id), "Eileen_Collins")


def test_a_named_stranger_is_enrolled_and_forgotten(client: FacerecClient, video_id: str) -> None:
    longest = driver(client, video_id)
    change = client.name_stranger("corrected", longest.stranger, "Carphone Man")
    assert change["people"]["Carphone_Man"]["added"] >= 1
    result = client.result("corrected", video_id)
    assert named_tracks(result, "Carphone_Man") == {track["track_id"] for track in longest.tracks}
    assert "Carphone_Man" in {person.person_id for person in client.people("corrected")}
    receipt = client.forget("corrected", "Carphone Man")
    assert (receipt["person_id"], receipt["tracks"], receipt["videos"]) == ("Carphone_Man", len(longest.tracks), 1)
    assert receipt["faces"] > 0
    assert "Carphone" not in client.result("corrected", video_id).to_json()
    with pytest.raises(ServiceError, match="Carphone_Man") as caught:
        client.forget("corrected", "Carphone Man")
    assert caught.value.status == 404


Ask = Callable[[FacerecClient, str], object]


@pytest.mark.parametrize(
    ("ask", "status", "part"),
    [
        (lambda c, v: c.correct("corrected", v, 999, "is", "Ada"), 404, "no track 999"),
        (lambda c, v: c.correct("corrected", "v-none", 1, "is", "Ada"), 404, "v-none"),
        (lambda c, v: c.correct("nobody", v, 1, "is", "Ada"), 404, "nobody"),
        (lambda c, v: c.correct("corrected", v, 1, "perhaps", "Ada"), 422, "kind"),
        (lambda c, v: c.correct("corrected", v, 1, "is", ""), 422, "person_id"),
        (lambda c, v: c.correct("corrected", v, 1, "is", "a/b"), 422, "a/b"),
        (lambda c, v: c.correct("corrected", v, 1, "is", "stranger-1"), 422, "stranger-1"),
        (lambda c, v: c.correct("corrected", v, 1, "is_not", "Ada"), 404, "Ada"),
        (lambda c, v: c.correct("corrected", v, 1, "is_not", "stranger-none"), 404, "stranger-none"),
        (lambda c, v: c.strangers("nobody"), 404, "nobody"),
        (lambda c, v: c.stranger("corrected", "stranger-none"), 404, "stranger-none"),
        (lambda c, v: c.stranger("corrected", "99"), 404, "99"),
        (lambda c, v: c.name_stranger("corrected", "99", "Ada"), 404, "99"),
        (lambda c, v: c.name_stranger("corrected", "1", ""), 422, "person_id"),
        (lambda c, v: c.name_stranger("corrected", "1", "a/b"), 422, "a/b"),
        (lambda c, v: c.forget("corrected", "Ada"), 404, "Ada"),
        (lambda c, v: c.forget("corrected", "a:b"), 422, "a:b"),
        (lambda c, v: c.forget("nobody", "Ada"), 404, "nobody"),
    ],
)
def test_an_impossible_request_is_a_problem_and_changes_nothing(
    client: FacerecClient, video_id: str, ask: Ask, status: int, part: str
) -> None:
    people, strangers = client.people("corrected"), client.strangers("corrected")
    with pytest.raises(ServiceError, match=part) as caught:
        ask(client, video_id)
    assert caught.value.status == status
    assert (client.people("corrected"), client.strangers("corrected")) == (people, strangers)
