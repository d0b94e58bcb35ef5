"""Who really is in videos, and how good versions are by that, over HTTP: the routes over a small archive, without Ray."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.archive.deletion import delete_video
from serving.archive.handle import Archive
from serving.archive.naming.rename import rename_person
from tests.archive import fill
from tests.serving.routes import ok, problem

BASE = "/v1/projects/p"
TRUTH = f"{BASE}/videos/v-1/truth"


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


@pytest.fixture
def version(archive: Archive) -> str:
    return archive.store.get_model("p").version


def label(archive: Archive, answers: dict[int, str | None], missed: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Return labels of v-1: by track the person, None for a stranger, "?" where nobody can tell."""
    tracks = [
        {"track_id": track_id, "kind": "unclear"}
        if who == "?"
        else {"track_id": track_id, "kind": "stranger" if who is None else "person", "person_id": who}
        for track_id, who in answers.items()
    ]
    return {
        "analysis_id": archive.store.latest_analysis("p", "v-1").analysis_id,
        "tracks": tracks,
        "missed": list(missed),
    }


def named_tracks(archive: Archive) -> dict[int, str | None]:
    """Return who each track of v-1 is in the archive; None for strangers."""
    rows = archive.store.list_appearances("p", [archive.store.latest_analysis("p", "v-1").analysis_id])
    return {i: row.owner if row.decision == "named" else None for row in rows for i in row.track_ids}


def test_labels_become_the_truth_that_a_version_is_measured_by(
    client: TestClient, archive: Archive, version: str
) -> None:
    measurement = f"{BASE}/models/{version}/measurement"
    assert ok(client.get(measurement))["report"] is None
    assert ok(client.get(TRUTH))["kept_at"] is None
    right = named_tracks(archive)
    people = sorted({who for who in right.values() if who is not None})
    assert people
    kept = ok(client.put(TRUTH, json=label(archive, dict(right))))
    assert kept["people"] == people
    assert ok(client.get(TRUTH)) == kept
    (listed,) = ok(client.get(f"{BASE}/truths"))
    assert listed == {**kept, "labels": None}
    good = ok(client.get(measurement))
    assert good["left_out"] == []
    pooled = good["report"]["pooled"]
    assert (pooled["recall"], pooled["precision"], pooled["wrong_s"]) == (1, 1, 0)
    strangers = sum(who is None for who in right.values())
    assert {claim["strangers"] for claim in good["report"]["claims"]} == {strangers}
    swapped = {i: None if who == people[0] else who for i, who in right.items()}
    ok(client.put(TRUTH, json=label(archive, swapped)))
    bad = ok(client.get(measurement))["report"]
    assert bad["pooled"]["wrong_s"] > 0
    now = next(one for one in bad["claims"] if one["claimed"] == good["max_false_names"])
    assert now["false_names"] == sum(who == people[0] for who in right.values())
    assert client.delete(TRUTH).status_code == 204
    assert ok(client.get(f"{BASE}/truths")) == []


def test_what_nobody_can_tell_or_was_not_answered_counts_nothing(
    client: TestClient, archive: Archive, version: str
) -> None:
    right = named_tracks(archive)
    first = next(i for i, who in right.items() if who is not None)
    ok(client.put(TRUTH, json=label(archive, {**dict.fromkeys(right, "?"), first: right[first]})))
    report = ok(client.get(f"{BASE}/models/{version}/measurement"))["report"]
    assert report["pooled"]["wrong_s"] == 0
    assert report["reliability"]["count"] == 1
    missed = ({"person_id": "Zoe Lee", "start_s": 0.0, "end_s": 5.0},)
    kept = ok(client.put(TRUTH, json=label(archive, {}, missed)))
    assert kept["people"] == ["Zoe_Lee"]
    report = ok(client.get(f"{BASE}/models/{version}/measurement"))["report"]
    assert report["people"]["Zoe_Lee"]["recall"] == 0


def test_labels_that_do_not_fit_are_refused(client: TestClient, archive: Archive) -> None:
    assert "no track 99" in problem(client.put(TRUTH, json=label(archive, {99: "Ada"})), 422)
    assert "nothing is labelled" in problem(client.put(TRUTH, json=label(archive, {})), 422)
    other = {**label(archive, {1: "Ada"}), "analysis_id": archive.store.latest_analysis("p", "v-2").analysis_id}
    assert "not of video v-1" in problem(client.put(TRUTH, json=other), 422)
    problem(client.put(TRUTH, json=label(archive, {1: None}) | {"tracks": [{"track_id": 1, "kind": "person"}]}), 422)


def test_labels_follow_their_people_and_go_with_their_video(client: TestClient, archive: Archive) -> None:
    person = next(who for who in named_tracks(archive).values() if who is not None)
    ok(client.put(TRUTH, json=label(archive, named_tracks(archive))))
    rename_person(archive, "p", person, "Ada")
    kept = ok(client.get(TRUTH))
    assert "Ada" in kept["people"]
    assert "Ada" in {one["person_id"] for one in kept["labels"]["tracks"]}
    file = archive.files.truth("p", archive.store.get_video("p", "v-1").sha256)
    assert file.is_file()
    delete_video(archive, "p", "v-1")
    assert not file.is_file()


def test_a_version_says_what_it_claims_at_each_limit(client: TestClient, version: str) -> None:
    found = ok(client.get(f"{BASE}/models/{version}/claims"))
    limits = [one["claimed"] for one in found["claims"]]
    assert limits == sorted(limits)
    assert found["max_false_names"] in limits
    named = [one["named"] for one in found["claims"]]
    assert named == sorted(named), "a looser limit names more people"
    extrapolated = [one["is_extrapolated"] for one in found["claims"]]
    assert extrapolated == sorted(extrapolated, reverse=True)
    problem(client.get(f"{BASE}/models/m-absent/claims"), 404)
