"""What people say, through the running service: corrections, names of strangers, forgetting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from facerec_models.result import Result
from serving.api.schemas import StrangerView
from tests.waiting import WAIT_S
from ui.client import FacerecClient, ServiceError
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def heard(client: FacerecClient, clip: Path, material: DemoMaterial) -> str:
    """The id of a video of the project ``heard``, where Eileen Collins is known and the man in the car is not."""
    client.create_project("heard")
    client.add_pictures("heard", "Eileen_Collins", sorted((material.people / "Eileen_Collins").iterdir()))
    client.wait(client.start_training("heard"))
    job_id, video_id = client.submit_video("heard", clip)
    client.wait(job_id)
    return video_id


def driver(client: FacerecClient, heard: str) -> StrangerView:
    """The stranger who is seen longest: the man in the car."""
    strangers = client.strangers("heard")
    assert [one.screen_time_s for one in strangers] == sorted((one.screen_time_s for one in strangers), reverse=True)
    assert all(track["video_id"] == heard for one in strangers for track in one.tracks)
    return strangers[0]


def named_tracks(found: Result, person_id: str) -> set[int]:
    return {track.track_id for track in found.tracks if track.person_id == person_id}


def test_a_stranger_is_found_by_id_and_by_number(client: FacerecClient, heard: str) -> None:
    longest = driver(client, heard)
    assert client.stranger("heard", longest.stranger) == longest
    assert client.stranger("heard", longest.label.removeprefix("Unknown ")) == longest
    assert client.picture(longest.tracks[0]["crop"])[:2] == b"\xff\xd8"
    shown = {a.stranger: a.label for a in client.result("heard", heard).appearances if a.stranger}
    assert shown[longest.stranger] == longest.label


def test_a_correction_is_answered_with_its_changes(client: FacerecClient, heard: str) -> None:
    tracks = named_tracks(client.result("heard", heard), "Eileen_Collins")
    assert tracks
    denied = [client.correct("heard", heard, track_id, "is_not", "Eileen Collins") for track_id in sorted(tracks)]
    assert denied[0]["videos"] == 1
    assert denied[0]["people"]["Eileen_Collins"]["removed"] >= 1
    assert not named_tracks(client.result("heard", heard), "Eileen_Collins")
    first = min(tracks)
    confirmed = client.correct("heard", heard, first, "is", "Eileen Collins")
    assert confirmed["people"]["Eileen_Collins"]["added"] >= 1
    assert first in named_tracks(client.result("heard", heard), "Eileen_Collins")


def test_a_named_stranger_is_enrolled_previewed_and_forgotten(
    client: FacerecClient, heard: str, service_url: str
) -> None:
    longest = driver(client, heard)
    change = client.name_stranger("heard", longest.stranger, "Carphone Man")
    assert change["people"]["Carphone_Man"]["added"] >= 1
    result = client.result("heard", heard)
    assert named_tracks(result, "Carphone_Man") == {track["track_id"] for track in longest.tracks}
    assert "Carphone_Man" in {person.person_id for person in client.people("heard")}
    with httpx.Client(base_url=service_url, timeout=WAIT_S) as http:
        preview = http.post("/v1/projects/heard/identify", params={"preview": True, "max_false_names": 0.5}).json()
        assert preview["applied"] is False
        assert preview["tracks"] > 0
        assert all(counts["added"] + counts["removed"] > 0 for counts in preview["people"].values())
    receipt = client.forget("heard", "Carphone Man")
    assert (receipt["person_id"], receipt["tracks"], receipt["videos"]) == ("Carphone_Man", len(longest.tracks), 1)
    assert receipt["faces"] > 0
    assert "Carphone" not in client.result("heard", heard).to_json()
    with pytest.raises(ServiceError, match="Carphone_Man") as caught:
        client.forget("heard", "Carphone Man")
    assert caught.value.status == 404


Ask = Callable[[FacerecClient, str], object]


@pytest.mark.parametrize(
    ("ask", "status", "part"),
    [
        (lambda c, v: c.correct("heard", v, 999, "is", "Ada"), 404, "no track 999"),
        (lambda c, v: c.correct("heard", "v-none", 1, "is", "Ada"), 404, "v-none"),
        (lambda c, v: c.correct("nobody", v, 1, "is", "Ada"), 404, "nobody"),
        (lambda c, v: c.correct("heard", v, 1, "perhaps", "Ada"), 422, "kind"),
        (lambda c, v: c.correct("heard", v, 1, "is", ""), 422, "person_id"),
        (lambda c, v: c.correct("heard", v, 1, "is", "a/b"), 422, "a/b"),
        (lambda c, v: c.correct("heard", v, 1, "is", "stranger-1"), 422, "stranger-1"),
        (lambda c, v: c.correct("heard", v, 1, "is_not", "Ada"), 404, "Ada"),
        (lambda c, v: c.correct("heard", v, 1, "is_not", "stranger-none"), 404, "stranger-none"),
        (lambda c, v: c.strangers("nobody"), 404, "nobody"),
        (lambda c, v: c.stranger("heard", "stranger-none"), 404, "stranger-none"),
        (lambda c, v: c.stranger("heard", "99"), 404, "99"),
        (lambda c, v: c.name_stranger("heard", "99", "Ada"), 404, "99"),
        (lambda c, v: c.name_stranger("heard", "1", ""), 422, "person_id"),
        (lambda c, v: c.name_stranger("heard", "1", "a/b"), 422, "a/b"),
        (lambda c, v: c.forget("heard", "Ada"), 404, "Ada"),
        (lambda c, v: c.forget("heard", "a:b"), 422, "a:b"),
        (lambda c, v: c.forget("nobody", "Ada"), 404, "nobody"),
    ],
)
def test_an_impossible_request_is_a_problem_and_changes_nothing(
    client: FacerecClient, heard: str, ask: Ask, status: int, part: str
) -> None:
    people, strangers = client.people("heard"), client.strangers("heard")
    with pytest.raises(ServiceError, match=part) as caught:
        ask(client, heard)
    assert caught.value.status == status
    assert (client.people("heard"), client.strangers("heard")) == (people, strangers)
