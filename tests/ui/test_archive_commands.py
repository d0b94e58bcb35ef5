"""``facerec identify`` and ``facerec search``."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from serving.home import Home
from serving.store import open_store
from tests.archive import fill
from ui.cli import app
from ui.demo_material import prepare


def run(home: Path, *arguments: object, code: int = 0) -> Result:
    words = [str(argument) for argument in (*arguments, "--home", home)]
    result = CliRunner().invoke(app, words, catch_exceptions=code == 1)
    assert result.exit_code == code, result.output
    return result


def ask(home: Path, *arguments: object) -> Any:
    return json.loads(run(home, *arguments, "--json", "--project", "p").stdout)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with closing(open_store(tmp_path)) as store:
        fill(store, Home(tmp_path))
    return tmp_path


def found(home: Path, *arguments: object) -> list[tuple[str, str]]:
    return [(item["video"], item["label"]) for item in ask(home, "search", "person", *arguments)["items"]]


def test_a_stranger_is_named_as_previewed_and_that_is_undone(home: Path) -> None:
    before = ask(home, "search", "person", "Unknown 2")
    preview = ask(home, "unknowns", "name", "Unknown 2", "Dee", "--preview")
    assert preview["people"]["Dee"]["added"] == 2
    assert ask(home, "search", "person", "Unknown 2") == before
    applied = ask(home, "unknowns", "name", "Unknown 2", "Dee", "--expect", preview["state"])
    assert applied["people"] == preview["people"]
    assert found(home, "Dee") == [("v-1.mp4", "Dee"), ("v-2.mp4", "Dee")]
    refused = run(home, "unknowns", "name", "Unknown 2", "Dee", "--expect", preview["state"], "--project", "p", code=1)
    assert "no track is Unknown" in str(refused.exception)
    listed = ask(home, "identify", "--list")
    assert [(row["cause"], row["note"]) for row in listed] == [("identify", ""), ("stranger", "Unknown 2 is Dee")]
    assert "undone" in run(home, "identify", "--list", "--project", "p").stdout
    undone = ask(home, "identify", "--undo", applied["revision"])
    assert (undone["videos"], undone["note"]) == (2, "")
    assert ask(home, "search", "person", "Unknown 2") == before


def test_what_a_preview_prints_leads_to_what_it_shows(home: Path) -> None:
    text = run(home, "correct", "v-1", 1, "--is-not", "Ann_Lee", "--preview", "--project", "p").stdout
    assert "Ann_Lee" in text
    state = text.split("--expect ")[1].split()[0]
    applied = run(home, "correct", "v-1", 1, "--is-not", "Ann_Lee", "--expect", state, "--project", "p").stdout
    revision = applied.split("--undo ")[1].split("'")[0]
    assert "named as before" in run(home, "identify", "--undo", revision, "--project", "p").stdout


def test_a_model_is_promoted_with_its_application(home: Path) -> None:
    (model,) = ask(home, "models", "list")
    change = ask(home, "identify", "--model", model["version"], "--preview")
    assert (change["people"], change["applied"]) == ({}, False)
    assert "m-none" in str(run(home, "identify", "--model", "m-none", "--project", "p", code=1).exception)
    run(home, "identify", "--preview", "--list", "--project", "p", code=2)


def test_people_are_searched_together_and_page_by_page(home: Path) -> None:
    assert found(home, "Ann Lee;Bob") == [("v-1.mp4", "Ann Lee"), ("v-2.mp4", "Ann Lee")]
    assert found(home, "Ann Lee; Unknown 1") == []
    assert found(home, "Bob", "--video", "v-2") == [("v-2.mp4", "Bob")]
    assert found(home, "Bob", "--since", "2020-01-01") == []
    assert len(found(home, "Bob", "--until", "2020-01-01")) == 2
    first = ask(home, "search", "person", "Bob", "--limit", 1)
    second = ask(home, "search", "person", "Bob", "--limit", 1, "--cursor", first["next_cursor"])
    assert [item["video"] for item in first["items"] + second["items"]] == ["v-1.mp4", "v-2.mp4"]
    assert second["next_cursor"] is None
    assert Path(first["items"][0]["crop"].removeprefix("file://")).is_file()
    shown = run(home, "search", "person", "Ann Lee;Bob", "--project", "p").stdout
    assert "v-1.mp4" in shown
    assert "Bob" in shown
    assert "no person 'Nobody'" in str(run(home, "search", "person", "Nobody", "--project", "p", code=1).exception)
    run(home, "search", "person", " ; ", "--project", "p", code=2)


def test_a_face_is_searched_with_the_real_network(tmp_path: Path) -> None:
    home, material = tmp_path / "home", prepare(tmp_path / "material")
    run(home, "people", "import", material.people, "--project", "p")
    run(home, "train", "--project", "p")
    run(home, "recognize", material.reel, "--fragment", "4,14", "--project", "p")
    picture = sorted((material.people / "Eileen_Collins").iterdir())[0]
    (answer,) = ask(home, "search", "face", picture, "--limit", 3)
    hits = answer["hits"]
    assert (hits[0]["identity"], hits[0]["is_match"], hits[0]["is_named"]) == ("Eileen Collins", True, True)
    assert hits[0]["video"] == material.reel.name
    assert [hit["similarity"] for hit in hits] == sorted((hit["similarity"] for hit in hits), reverse=True)
    assert "Eileen Collins" in run(home, "search", "face", picture, "--video", material.reel, "--project", "p").stdout
    (tmp_path / "text.jpg").write_text("no picture")
    refused = run(home, "search", "face", tmp_path / "text.jpg", "--project", "p", code=1)
    assert "text.jpg" in str(refused.exception)
