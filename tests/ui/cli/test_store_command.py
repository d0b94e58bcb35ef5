"""``facerec store`` and what ``facerec doctor`` says of the store."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from serving.store.opening import open_address, open_store
from tests.contract.store_cases import make_face, put_analyses
from tests.ui.command import ask, run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with some rows in its SQLite store."""
    monkeypatch.delenv("FACEREC_STORE", raising=False)
    home = tmp_path / "home"
    with closing(open_store(home)) as store:
        store.create_project("p")
        store.put_faces("p", [make_face("f")])
        put_analyses(store, "a")
    return home


def test_the_store_is_described(home: Path, mongo_store_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = ask(home, "store", "info")
    assert (info["kind"], info["address"]) == ("SQLite", str(home / "facerec.sqlite3"))
    assert (info["rows"]["faces"], info["rows"]["tracks"]) == (1, 1)
    assert "one machine" in info["promise"]
    assert "SQLite" in run(home, "store", "info").stdout

    monkeypatch.setenv("FACEREC_STORE", mongo_store_uri)
    info = ask(home, "store", "info")
    assert (info["kind"], info["address"]) == ("MongoDB", mongo_store_uri)
    assert info["rows"]["faces"] == 0
    found = {finding["what"]: finding for finding in ask(home, "doctor")}
    assert found["store"]["state"] == "ok"
    assert found["store"]["detail"].startswith(f"MongoDB, {mongo_store_uri}, 0 projects: ")


def test_doctor_reports_a_store_that_does_not_ask(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_STORE", "mongodb://user:hidden@127.0.0.1:9/x?serverSelectionTimeoutMS=100")
    result = run(home, "doctor", code=1)
    assert "does not answer" in result.stdout
    assert "hidden" not in result.stdout + result.stderr


def test_a_store_moves_to_mongodb_and_comes_back(
    home: Path, mongo_store_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ask(home, "store", "info")["rows"]
    copied = ask(home, "store", "copy", "--to", mongo_store_uri)
    assert copied == {"store": mongo_store_uri, "rows": rows}
    monkeypatch.setenv("FACEREC_STORE", mongo_store_uri)
    file = tmp_path / "kept.sqlite3"
    assert ask(home, "store", "backup", file) == {"file": str(file), "bytes": file.stat().st_size}
    monkeypatch.delenv("FACEREC_STORE")
    other = tmp_path / "other"
    assert "--from or --to" in run(other, "store", "copy", code=2).error
    run(other, "store", "copy", "--from", file)
    assert ask(other, "store", "info")["rows"] == rows
    with closing(open_address(str(other / "facerec.sqlite3"), create=False)) as store:
        assert [face.face_id for face in store.list_faces("p")] == ["f"]


def test_a_store_is_not_copied_over_another(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.sqlite3"
    run(home, "store", "backup", file)
    for arguments in (["backup", file], ["copy", "--to", file]):
        assert str(file) in run(home, "store", *arguments, code=1).error
    with closing(open_address(str(file), create=False)) as store:
        assert [face.face_id for face in store.list_faces("p")] == ["f"]
