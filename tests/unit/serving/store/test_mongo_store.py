"""What the MongoDB store adds to the contract of every store: its server, its schema, its failures."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database

from facerec_models.errors import StoreError
from serving.store import leases
from serving.store.conflicts import SCHEMA
from serving.store.mongo import pieces as mongo_pieces
from serving.store.mongo import schema as mongo_schema
from serving.store.mongo import tracks as mongo_tracks
from serving.store.mongo.store import MongoStore
from serving.store.naming_rows import Edit
from serving.store.opening import open_address, open_store
from tests.contract.store_cases import (
    assert_same_track,
    make_analysis,
    make_appearance,
    make_job,
    make_model,
    make_named,
    make_track,
    make_video,
    name,
)
from tests.mongodb import run_server
from tests.serving.service import free_port
from tests.waiting import WAIT_S

SPAWN = multiprocessing.get_context("spawn")
Raw = Database[dict[str, Any]]


@pytest.fixture
def raw(mongo_store_uri: str) -> Iterator[Raw]:
    """The database of a store, as others see it."""
    with MongoClient[dict[str, Any]](mongo_store_uri) as client:
        yield client.get_default_database()


@pytest.fixture
def store(mongo_store_uri: str) -> Iterator[MongoStore]:
    """A store with the project ``p`` and the video ``v``."""
    with closing(MongoStore(mongo_store_uri)) as store:
        store.create_project("p")
        store.put_video(make_video("v"))
        yield store


def test_open_store_uses_the_address_or_else_the_home(mongo_store_uri: str, tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "home", SecretStr(mongo_store_uri))) as opened:
        assert opened.describe().kind == "MongoDB"
    assert not (tmp_path / "home").exists()
    with closing(open_store(tmp_path / "home")) as opened:
        assert opened.describe().kind == "SQLite"


def test_other_addresses_are_refused_without_their_secrets(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must begin with mongodb://") as caught:
        open_store(tmp_path, SecretStr("postgres://user:hidden@host/db"))
    assert "hidden" not in str(caught.value)
    for uri in (
        "mongodb://user:hid@den@host/db",
        "mongodb://user:hid/den@host/db",
        "mongodb://user:hid:den@host:abc/db",
    ):
        with pytest.raises(StoreError, match=r"cannot be read.*%2F") as caught:
            open_store(tmp_path, SecretStr(uri))
        assert "hid" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(StoreError, match="postgres:// is no store"):
        open_address("postgres://user:hidden@host/db", create=True)
    with pytest.raises(StoreError, match="there is no store"):
        open_address(str(tmp_path / "absent"), create=False)


def test_an_unreachable_server_is_named_without_the_password() -> None:
    where = f"127.0.0.1:{free_port()}"
    with pytest.raises(StoreError, match=rf"mongodb://{where} does not answer") as caught:
        MongoStore(f"mongodb://user:hidden@{where}/faces?serverSelectionTimeoutMS=200")
    assert "hidden" not in str(caught.value)
    told = str(caught.value).removeprefix(f"the store mongodb://{where} ")
    assert re.fullmatch(r"does not answer: \[Errno \d+\] [\w ]+; try again, and .*", told)
    assert not re.search(r"127\.0\.0\.1|Topology|timeouts", told)


def test_a_server_without_transactions_is_refused() -> None:
    with run_server("--standalone") as uri, pytest.raises(StoreError, match=r"no transactions.*--replSet"):
        MongoStore(f"{uri}/faces")


def test_a_store_that_lost_its_server_is_retryable() -> None:
    with run_server() as uri:
        store = MongoStore(f"{uri}/faces?serverSelectionTimeoutMS=500", busy_timeout_s=1.0)
        store.create_project("p")
    with closing(store), pytest.raises(StoreError, match="does not answer"):
        store.submit_job(make_job("j"))


def test_another_schema_is_refused_and_left_alone(store: MongoStore, raw: Raw, mongo_store_uri: str) -> None:
    raw["schema"].update_one({"_id": "schema"}, {"$set": {"version": 99}})
    with pytest.raises(
        StoreError, match=rf"{raw.name} has schema 99, .* needs schema {SCHEMA}: begin .* a new database"
    ):
        MongoStore(mongo_store_uri)
    assert raw["schema"].find_one({"_id": "schema"}) == {"_id": "schema", "version": 99}


def test_every_table_of_sqlite_is_a_collection(store: MongoStore, tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as sqlite:
        assert store.list_tables() == sqlite.list_tables()


def test_queries_read_an_index(store: MongoStore, raw: Raw) -> None:
    for table in mongo_schema.TABLES:
        where = dict.fromkeys(mongo_schema.KEYS[table], "x")
        plan = str(raw[table].find(where).explain()["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in plan, (table, plan)


def test_a_track_longer_than_a_document_is_kept(
    store: MongoStore, raw: Raw, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mongo_pieces, "PIECE_BYTES", 1000)
    monkeypatch.setattr(mongo_tracks, "_BATCH_BYTES", 3000)
    tracks = [make_track(1, samples=50), make_track(2, samples=1, embedded=0), make_track(3, samples=7, embedded=5)]
    store.put_analysis(make_analysis("a"), tracks)
    assert raw["tracks"].count_documents({}) > 6
    assert raw["track_columns"].count_documents({}) == 2
    for got, put in zip(store.get_tracks("p", ["a"])["a"], tracks, strict=True):
        assert_same_track(got, put)
    (found,) = store.list_columns("p", limit=9)
    assert found.columns.track_ids.tolist() == [1, 2, 3]
    assert found.columns.vectors.shape == (3, 128)
    assert store.columns_state("p")[0] == 1
    assert store.describe().rows["tracks"] == 3
    assert store.empty_tracks("p", [("a", 1)]) == 1
    emptied, _, last = store.get_tracks("p", ["a"])["a"]
    assert (len(emptied), emptied.embeddings.shape) == (50, (0, 128))
    assert_same_track(last, tracks[2])
    np.testing.assert_array_equal(emptied.boxes, tracks[0].boxes)


def test_appearances_of_neighbouring_tracks_are_one_document(store: MongoStore, raw: Raw) -> None:
    store.put_video(make_video("v-a"))
    store.put_analysis(make_analysis("a", "v-a"), [make_track(1)])
    rows = [make_appearance("a", i, f"P{i % 3}") for i in range(100)]
    name(store, *rows)
    assert sorted((one["block"], one["count"]) for one in raw["appearances"].find()) == [
        (0, 32),
        (1, 32),
        (2, 32),
        (3, 4),
    ]
    (kept,) = raw["appearances"].find({"block": 1})
    name(store, named=[make_named("a")], lost=[rows[0], *rows[96:]], appearances=[make_appearance("a", 0, "Zoë")])
    assert raw["appearances"].find_one({"block": 1}) == kept
    assert sorted(one["block"] for one in raw["appearances"].find()) == [0, 1, 2]


def write_and_die(uri: str) -> None:
    """Be killed after the tracks are written, and before the analysis is."""
    store = MongoStore(uri)
    store.touch_analysis("p", "a", 5.0)
    mongo_tracks.write_part(
        store._database,
        mongo_tracks.stage_part(store._database),
        [mongo_tracks.track_row("p", "a", make_track(i)) for i in (1, 2)],
    )
    os.kill(os.getpid(), signal.SIGKILL)


def test_tracks_of_a_killed_writer_are_invisible_and_deleted(
    store: MongoStore, raw: Raw, mongo_store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_analysis(make_analysis("a"), [make_track(7)])
    process = SPAWN.Process(target=write_and_die, args=(mongo_store_uri,))
    process.start()
    process.join(WAIT_S)
    assert process.exitcode == -signal.SIGKILL
    process.close()
    assert raw["tracks"].count_documents({}) == 3
    assert [track.track_id for track in store.get_tracks("p", ["a"])["a"]] == [7]
    assert store.describe().rows["tracks"] == 1
    store.scrub()  # a writer may still be at work
    assert raw["tracks"].count_documents({}) == 3
    monkeypatch.setattr(mongo_tracks, "_ABANDONED_S", -1.0)
    store.scrub()
    assert raw["tracks"].count_documents({}) == 1
    assert raw["track_parts"].count_documents({}) == 0
    assert [track.track_id for track in store.get_tracks("p", ["a"])["a"]] == [7]


def test_abandoned_tracks_are_not_adopted(store: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write = mongo_tracks.write_part

    def slowly(*given: Any) -> None:
        write(*given)
        monkeypatch.setattr(mongo_tracks, "_ABANDONED_S", -1.0)
        mongo_tracks.sweep_parts(store._database)

    monkeypatch.setattr("serving.store.mongo.store.write_part", slowly)
    with pytest.raises(StoreError, match="given up"):
        store.put_analysis(make_analysis("a"), [make_track(1)])
    assert store.list_analyses("p") == []


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.put_analysis(make_analysis("a"), [make_track(2)]),
        lambda s: s.delete_video("p", "v"),
        lambda s: s.delete_project("p"),
    ],
)
def test_replaced_tracks_are_deleted(store: MongoStore, raw: Raw, change: Callable[[MongoStore], None]) -> None:
    store.put_analysis(make_analysis("a"), [make_track(1), make_track(3)])
    change(store)
    assert raw["tracks"].count_documents({"track_id": {"$in": [1, 3]}}) == 0
    assert raw["track_parts"].count_documents({}) == 0


def test_writers_of_one_project_wait_until_the_timeout(mongo_store_uri: str) -> None:
    with closing(MongoStore(mongo_store_uri, busy_timeout_s=0.3)) as store:
        store.create_project("p")
        store.create_project("q")
        with store._database.writing("p"):
            store.put_video(make_video("v", project="q"))
            begun = time.monotonic()
            with pytest.raises(StoreError, match="try again"):
                store.put_video(make_video("v"))
            assert time.monotonic() - begun >= 0.3
        store.put_video(make_video("v"))


def test_a_deleted_project_leaves_no_documents(store: MongoStore, raw: Raw) -> None:
    store.put_analysis(make_analysis("a"), [make_track(1)])
    store.submit_job(make_job("j"))
    store.delete_project("p")
    assert store.update_job("j", lambda job: job) is None
    left = {table: raw[table].count_documents({}) for table in (*mongo_schema.TABLES, "track_parts")}
    assert left.pop("audit") > 0, "who deleted it stays known"
    assert not any(left.values()), left


def test_a_project_is_deleted_while_a_runner_renews_its_lease(store: MongoStore, raw: Raw) -> None:
    store.submit_job(make_job("j"))
    claimed = leases.claim(store, ["video"], "o", 60)
    assert claimed is not None
    stop = threading.Event()

    def renew() -> None:
        while not stop.is_set():
            leases.renew(store, claimed, 60, 0.5)

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        store.delete_project("p")
    finally:
        stop.set()
        renewing.join()
    assert raw["jobs"].count_documents({}) == 0


def test_a_document_too_large_for_the_server_is_a_store_error(store: MongoStore, raw: Raw) -> None:
    store.add_model(make_model("m"))
    noise = np.random.default_rng(0).bytes(17_000_000).hex()
    with pytest.raises(StoreError, match="documents that large"):
        name(store, edit=Edit("correction", noise))
    assert store.list_edits("p") == []
