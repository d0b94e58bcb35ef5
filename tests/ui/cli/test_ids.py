"""Ids that are given by their beginning, and videos by their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serving.archive.handle import open_archive
from serving.settings import Settings
from tests.archive import fill, put_video
from tests.builders import EMBEDDER, face_of
from tests.contract.store_cases import make_face
from tests.ui.command import ask_p, run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_archive(Settings(home=tmp_path)) as archive:
        fill(archive)
    return tmp_path


def test_a_model_and_a_stranger_are_named_by_their_beginnings(home: Path) -> None:
    (model,) = ask_p(home, "models", "list")
    start = model["version"][:6]
    assert ask_p(home, "models", "promote", start, "--preview")["applied"] is False
    applied = ask_p(home, "identify", "--model", start, "--max-false-names", "0.01")
    assert ask_p(home, "history", "list")[-1]["model_version"] == model["version"]
    ask_p(home, "history", "undo", applied["edit"])
    stranger = ask_p(home, "unknowns", "list")[0]["stranger"]
    assert ask_p(home, "unknowns", "show", stranger[:14])["stranger"] == stranger
    assert ask_p(home, "search", "person", stranger[:14])["items"]
    change = ask_p(home, "correct", "v-1", 3, "--is-not", stranger[:14], "--preview")
    assert change["applied"] is False


def test_faces_are_named_by_their_beginnings(home: Path) -> None:
    with open_archive(Settings(home=home)) as archive:
        archive.store.put_faces("p", [make_face("f-9876", "Ann_Lee", embedder=EMBEDDER, embedding=face_of(1, 5))])
    run(home, "people", "disable", "f-98", "--project", "p")
    status = {face["face_id"]: face["status"] for face in ask_p(home, "people", "show", "Ann_Lee")}
    assert status == {"f-10": "taken", "f-11": "taken", "f-12": "taken", "f-9876": "disabled"}


def test_a_video_is_named_by_its_name_or_the_beginning_of_its_id(home: Path) -> None:
    by_id, by_name = (ask_p(home, "export", one)["appearances"] for one in ("v-1", "v-1.mp4"))
    assert by_name == by_id != []
    with open_archive(Settings(home=home)) as archive:
        put_video(archive, "v-long-id", 2)
    assert ask_p(home, "search", "person", "Bob", "--video", "v-lo")["items"] == []


def test_an_ambiguous_beginning_lists_the_candidates(home: Path) -> None:
    with open_archive(Settings(home=home)) as archive:
        put_video(archive, "v-11", 2)
        put_video(archive, "v-12", 3)
    error = run(home, "export", "v-", "--project", "p", code=1).error
    assert "every id of a video begins with 'v-'" in error
    error = run(home, "unknowns", "show", "stranger-", "--project", "p", code=1).error
    assert "every id of a stranger begins with 'stranger-'" in error
    with open_archive(Settings(home=home)) as archive:
        put_video(archive, "v-33", 4)
        put_video(archive, "v-34", 5)
    error = run(home, "export", "v-3", "--project", "p", code=1).error
    assert "video 'v-3' is the beginning of several ids, give more of it: v-33, v-34" in error
    error = run(home, "people", "disable", "f-1", "--project", "p", code=1).error
    assert "face 'f-1' is the beginning of several ids, give more of it: f-10, f-11, f-12" in error


def test_an_ambiguous_name_lists_the_ids(home: Path) -> None:
    with open_archive(Settings(home=home)) as archive:
        row = archive.store.get_video("p", "v-2")
        archive.store.put_video(replace(row, name="v-1.mp4"))
    assert (
        "'v-1.mp4' is the name of 2 videos of project 'p': give the id of one, v-1, v-2"
        in run(home, "export", "v-1.mp4", "--project", "p", code=1).error
    )
