"""``facerec people rename``, ``merge``, ``unmerge``, ``enable``, ``disable``; ``facerec unknowns merge``, ``unmerge``, ``hide``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.archive.handle import open_archive
from serving.settings import Settings
from tests.archive import fill
from tests.ui.command import ask_p, run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_archive(Settings(home=tmp_path)) as archive:
        fill(archive)
    return tmp_path


def found(home: Path, whom: str) -> list[tuple[str, str]]:
    return [(item["video"], item["label"]) for item in ask_p(home, "search", "person", whom)["items"]]


def as_previewed(home: Path, *arguments: object) -> Any:
    """Preview an edit, apply exactly that, and see that the same is refused afterwards."""
    preview = ask_p(home, *arguments, "--preview")
    assert (preview["applied"], preview["edit"]) == (False, None)
    applied = ask_p(home, *arguments, "--expect", preview["version"])
    assert applied == {**preview, "applied": True, "edit": applied["edit"]}
    refused = run(home, *arguments, "--expect", preview["version"], "--project", "p", code=1)
    assert "preview again" in refused.error
    return applied


def test_a_person_is_renamed_as_previewed_and_that_is_undone(home: Path) -> None:
    change = as_previewed(home, "people", "rename", "Ann Lee", "Ada Lee")
    assert (change["people"]["Ann_Lee"]["removed"], change["people"]["Ada_Lee"]["added"]) == (2, 2)
    assert found(home, "Ada Lee") == [("v-1.mp4", "Ada Lee"), ("v-2.mp4", "Ada Lee")]
    assert ask_p(home, "history", "list")[-1]["note"] == "Ann_Lee is Ada_Lee"
    ask_p(home, "history", "undo")
    assert [one["person_id"] for one in ask_p(home, "people", "list")] == ["Ann_Lee", "Bob"]
    assert "'facerec people merge'" in run(home, "people", "rename", "Bob", "Ann Lee", "--project", "p", code=1).error


def test_people_are_merged_as_previewed(home: Path) -> None:
    change = as_previewed(home, "people", "merge", "Ann Lee", "Bob")
    assert change["people"]["Bob"]["tracks_added"] == 2
    assert [(one["person_id"], one["taken"]) for one in ask_p(home, "people", "list")] == [("Bob", 6)]
    assert "no person 'Ann_Lee'" in run(home, "people", "merge", "Ann Lee", "Bob", "--project", "p", code=1).error


def test_merged_people_are_taken_apart_as_previewed(home: Path) -> None:
    run(home, "people", "merge", "Ann Lee", "Bob", "--project", "p")
    run(home, "people", "rename", "Bob", "Rob", "--project", "p")
    assert as_previewed(home, "people", "unmerge", "Ann Lee")["note"] == "Ann_Lee is not Rob"
    assert [(one["person_id"], one["taken"]) for one in ask_p(home, "people", "list")] == [("Ann_Lee", 3), ("Rob", 3)]
    assert "is apart again" in run(home, "people", "unmerge", "Ann Lee", "--project", "p", code=1).error
    ask_p(home, "history", "undo")
    refused = run(home, "people", "unmerge", "Ann Lee", "--from", "Bob", "--project", "p", code=1).error
    assert "merged with Rob, not with Bob" in refused
    shown = run(home, "people", "unmerge", "Ann Lee", "--from", "Rob", "--preview", "--project", "p").stdout
    assert "Ann_Lee is not Rob." in shown


def test_faces_are_disabled_and_enabled_as_previewed(home: Path) -> None:
    faces = [one["face_id"] for one in ask_p(home, "people", "show", "Ann Lee")]
    change = as_previewed(home, "people", "disable", *faces)
    assert change["people"]["Ann_Lee"]["removed"] == 2
    assert as_previewed(home, "people", "enable", *faces)["people"]["Ann_Lee"]["added"] == 2
    ask_p(home, "history", "undo")
    assert {one["status"] for one in ask_p(home, "people", "show", "Ann Lee")} == {"disabled"}


def test_strangers_are_merged_and_taken_apart_as_previewed(home: Path) -> None:
    assert as_previewed(home, "unknowns", "merge", "Unknown 2", "Unknown 1")["note"] == "Unknown 2 is Unknown 1"
    (listed,) = ask_p(home, "unknowns", "list")
    assert (listed["label"], listed["track_count"], len(listed["aliases"])) == ("Unknown 1", 4, 1)
    assert ask_p(home, "unknowns", "show", "2")["stranger"] == listed["stranger"]
    assert found(home, "Unknown 2") == [(video, "Unknown 1") for video in ("v-1.mp4", "v-2.mp4") for _ in range(2)]
    assert "one stranger already" in run(home, "unknowns", "merge", "2", "1", "--project", "p", code=1).error
    assert "also Unknown 2" in run(home, "unknowns", "show", "2", "--project", "p").stdout
    assert "but Unknown 2 with it" in run(home, "unknowns", "unmerge", "1", "--project", "p", code=1).error
    as_previewed(home, "unknowns", "unmerge", "2")
    assert [one["label"] for one in ask_p(home, "unknowns", "list")] == ["Unknown 1", "Unknown 2"]
    assert "was not merged" in run(home, "unknowns", "unmerge", "2", "--project", "p", code=1).error
    run(home, "unknowns", "hide", "2", "--project", "p")
    assert "Unknown 2 (hidden)" in run(home, "unknowns", "list", "--hidden", "--project", "p").stdout
    assert ask_p(home, "unknowns", "show", "2")["hidden"] is True
    run(home, "history", "undo", "--project", "p")
    shown = run(home, "unknowns", "merge", "2", "1", "--preview", "--project", "p").stdout
    assert "Unknown 2 is Unknown 1." in shown


def test_passers_by_are_hidden_as_previewed(home: Path) -> None:
    change = as_previewed(home, "unknowns", "hide", "--under", 1000)
    assert (change["strangers"], change["note"]) == (2, "2 strangers are hidden, each in view for less than 1000 s")
    assert ask_p(home, "unknowns", "list") == []
    refused = run(home, "unknowns", "hide", "--under", 1000, "--project", "p", code=1)
    assert "no stranger who is listed is in view for less than 1000 s" in refused.error
    ask_p(home, "history", "undo")
    run(home, "unknowns", "hide", "--under", 1000, "--video", "v-1.mp4", "--project", "p")
    assert ask_p(home, "unknowns", "list") == []


@pytest.mark.parametrize(
    "wrong", [(), ("2", "--under", 3), ("2", "--video", "v-1"), ("--under", 0), ("--under", 3, "--no-longer")]
)
def test_hiding_takes_one_stranger_or_all_passers_by(home: Path, wrong: tuple[object, ...]) -> None:
    run(home, "unknowns", "hide", *wrong, "--project", "p", code=2)
    assert len(ask_p(home, "unknowns", "list")) == 2
