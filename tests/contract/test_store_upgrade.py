"""A store that the version before wrote is brought to the present version, with all that is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from facerec_models.errors import StoreError
from serving.store.access_rows import ApiKey
from serving.store.conflicts import OLDEST_UPGRADED, SCHEMA
from serving.store.contract import Store
from serving.store.mongo.store import MongoStore
from serving.store.opening import FILE_NAME, open_store, upgrade_store
from serving.store.sqlite.store import SqliteStore
from tests.contract.store_cases import Opener, make_face, make_job, make_model, make_video, promote

# What a program of schema 19 has written: a project with a face, a model that names, a video and a job.
DUMP = Path(__file__).parent / "schema_19.sql"


def make_old_sqlite(home: Path) -> Path:
    home.mkdir()
    with closing(sqlite3.connect(home / FILE_NAME)) as file:
        file.executescript(DUMP.read_text(encoding="utf-8"))
    return home / FILE_NAME


def make_old_mongo(uri: str) -> None:
    """Fill a database as a program of schema 19 would have: without what is new since."""
    with closing(MongoStore(uri)) as store:
        store.create_project("p")
        store.put_faces("p", [make_face("f")])
        store.add_model(make_model("m"))
        promote(store, "m")
        store.put_video(make_video("v"))
        store.submit_job(make_job("j"))
    with MongoClient(uri) as client:
        db = client.get_default_database("facerec")
        for new in ("api_keys", "audit", "person_notes"):
            db.drop_collection(new)
        db["projects"].update_many({}, {"$unset": {"policy": ""}})
        db["jobs"].update_many({}, {"$unset": {"submitted_by": ""}})
        db["schema"].delete_one({"_id": "service"})
        db["schema"].update_one({"_id": "schema"}, {"$set": {"version": 19}})


@pytest.fixture(params=["sqlite", "mongodb"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Opener, Callable[[], tuple[Store, int]]]:
    """What opens a store of schema 19, and what upgrades it."""
    if request.param == "sqlite":
        make_old_sqlite(tmp_path / "home")
        return lambda: open_store(tmp_path / "home"), lambda: upgrade_store(tmp_path / "home")
    uri = request.getfixturevalue("mongo_store_uri")
    make_old_mongo(uri)
    return lambda: MongoStore(uri), lambda: upgrade_store(tmp_path, SecretStr(uri))


def test_an_older_store_is_refused_then_upgraded_whole(old: tuple[Opener, Callable[[], tuple[Store, int]]]) -> None:
    reopen, upgrade = old
    with pytest.raises(StoreError, match=rf"schema 19.*schema {SCHEMA}: 'facerec store upgrade'"):
        reopen()
    store, before = upgrade()
    with closing(store):
        assert before == OLDEST_UPGRADED == 19
    again, before = upgrade()
    with closing(again):
        assert before == SCHEMA, "what is done is not done again"
    with closing(reopen()) as store:
        assert store.describe().schema == SCHEMA
        assert store.get_project("p").policy == {}
        assert store.get_job("j") == replace(make_job("j"), submitted_by=None)
        assert store.get_video("p", "v") == make_video("v")
        assert [face.face_id for face in store.list_faces("p")] == ["f"]
        assert store.get_model("p").version == "m"
        store.add_key(ApiKey("k" * 12, "new", "d" * 64, {"*": "read"}, 1.0, "local:ada"))
        store.set_policy("p", {"keep_unmatched": False})
        assert [entry.action for entry in store.list_audit("p")] == ["policy-set"]


def test_the_file_is_kept_as_it_was(tmp_path: Path) -> None:
    file = make_old_sqlite(tmp_path / "home")
    store, _ = upgrade_store(tmp_path / "home")
    store.close()
    kept = file.with_name(f"{FILE_NAME}.schema-19")
    with closing(sqlite3.connect(kept)) as before:
        assert before.execute("PRAGMA user_version").fetchone() == (19,)
        assert before.execute("SELECT name FROM projects").fetchall() == [("p",)]


def test_an_upgraded_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    make_old_sqlite(tmp_path / "home")
    store, _ = upgrade_store(tmp_path / "home")
    store.close()
    SqliteStore(tmp_path / "new.sqlite3").close()

    def shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
        with closing(sqlite3.connect(path)) as file:
            names = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            triggers = sorted(file.execute("SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger', 'index')"))
            columns = {name: sorted(row[1:] for row in file.execute(f"PRAGMA table_info({name})")) for name in names}
            return {**columns, "": triggers}

    assert shape(tmp_path / "home" / FILE_NAME) == shape(tmp_path / "new.sqlite3")


def test_the_version_before_goes_on_beside_it(tmp_path: Path) -> None:
    """What an older program that has the file open writes after the upgrade can be read by the new one."""
    file = make_old_sqlite(tmp_path / "home")
    with closing(sqlite3.connect(file, isolation_level=None)) as older:
        older.execute("SELECT count(*) FROM jobs").fetchone()
        store, _ = upgrade_store(tmp_path / "home")
        older.execute("INSERT INTO projects (name, created_at, version) VALUES ('later', 1.0, 0)")
        with closing(store):
            assert store.get_project("later").policy == {}


def test_a_store_that_is_too_old_stays_as_it_is(tmp_path: Path) -> None:
    file = make_old_sqlite(tmp_path / "home")
    with closing(sqlite3.connect(file)) as older:
        older.execute("PRAGMA user_version = 12")
    with pytest.raises(StoreError, match=r"schema 12.*begin a new home"):
        upgrade_store(tmp_path / "home")
    with pytest.raises(StoreError, match="there is no store"):
        upgrade_store(tmp_path / "elsewhere")
