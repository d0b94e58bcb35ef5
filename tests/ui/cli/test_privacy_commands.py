"""``facerec privacy``, ``facerec people consent`` and ``facerec people export``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from serving.archive.handle import open_archive
from serving.settings import Settings
from tests.archive import fill
from tests.ui.command import ask, ask_p, run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_archive(Settings(home=tmp_path / "home")) as archive:
        fill(archive)
    return tmp_path / "home"


def test_a_policy_is_set_shown_and_applied(home: Path) -> None:
    assert ask_p(home, "privacy", "show")["keep_unmatched"] is True
    ended = run(home, "privacy", "set", "--no-keep-unmatched", "--strangers-days", 30, "--project", "p")
    assert "match nobody enrolled: nothing is kept" in ended.stdout
    assert "not seen again: 30 days" in ended.stdout
    changed = ask_p(home, "privacy", "set", "--strangers-days", 0)
    assert (changed["keep_unmatched"], changed["strangers_days"]) == (False, None)
    assert "at least one" in run(home, "privacy", "set", "--project", "p", code=2).error
    would = run(home, "privacy", "sweep", "--preview", "--project", "p").stdout
    assert would.startswith("Would remove: 0 videos, 8 pictures, vectors of 4 tracks, 0 strangers, 0 people.")
    told = run(home, "unknowns", "list", "--project", "p")
    assert (told.stdout, "keeps nothing of faces that match nobody" in told.error) == ("", True)
    assert ask_p(home, "unknowns", "list") == []
    assert ask_p(home, "privacy", "sweep")["tracks"] == 4
    assert "Removed: 0 videos, 0 pictures" in run(home, "privacy", "sweep", "--project", "p").stdout


def test_consent_is_noted_listed_and_removed(home: Path) -> None:
    assert "Nothing is noted." in run(home, "people", "consent", "Bob", "--project", "p").stdout
    assert "consent" not in run(home, "people", "list", "--project", "p").stdout
    noted = ask_p(home, "people", "consent", "Bob", "--note", "form 7", "--until", "2020-01-31")
    assert (noted["until"], noted["is_over"]) == ("2020-01-31", True)
    listed = run(home, "people", "list", "--project", "p")
    assert "form 7 (over since 2020-01-31)" in listed.stdout
    assert "the consent of 1 person is over" in listed.error
    people = {person["person_id"]: person for person in ask_p(home, "people", "list")}
    assert people["Bob"]["consent"] == noted
    assert "consent" not in people["Ann_Lee"]
    assert "Consent: form 7 (over since 2020-01-31)" in run(home, "people", "show", "Bob", "--project", "p").stdout
    assert {face["consent"]["note"] for face in ask_p(home, "people", "show", "Bob")} == {"form 7"}
    assert "Consent is over: Bob." in run(home, "privacy", "sweep", "--project", "p").stdout
    run(home, "people", "consent", "Bob", "--remove", "--project", "p")
    assert ask_p(home, "people", "consent", "Bob") is None
    run(home, "people", "consent", "Bob", "--remove", "--note", "x", "--project", "p", code=2)
    assert "is no day" in run(home, "people", "consent", "Bob", "--note", "x", "--until", "y", "-p", "p", code=1).error


def test_a_person_is_exported(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "bob.zip"
    document = ask(home, "people", "export", "Bob", "--out", out, "--project", "p")
    with zipfile.ZipFile(out) as found:
        assert found.namelist() == document["files"]
    assert out.stat().st_mode & 0o777 == 0o600
    assert "is there already" in run(home, "people", "export", "Bob", "--out", out, "--project", "p", code=1).error
    assert "no person" in run(home, "people", "export", "Eve", "--out", tmp_path / "x.zip", "-p", "p", code=1).error
    assert not (tmp_path / "x.zip").exists()
