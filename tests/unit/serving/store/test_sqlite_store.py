"""What the SQLite store adds to the contract of every store: its file, its schema, its failures."""

from __future__ import annotations

import multiprocessing
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Timer

import pytest

from facerec_models.errors import StoreError
from serving.store.conflicts import SCHEMA
from serving.store.job_rows import Job, JobState
from serving.store.opening import open_store
from serving.store.sqlite import database
from serving.store.sqlite.database import SqliteDatabase
from serving.store.sqlite.store import SqliteStore
from tests.waiting import WAIT_S

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An existing store with the project ``p``."""
    path = tmp_path / "facerec.sqlite3"
    with closing(SqliteStore(path)) as store:
        store.create_project("p")
    return path


def set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")


def get_version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_only_the_owner_reads_what_is_created(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with closing(open_store(home)) as store:
        store.create_project("p")
        assert home.stat().st_mode & 0o777 == 0o700
        files = {file.name: file.stat().st_mode & 0o777 for file in home.iterdir()}
    assert files == {f"facerec.sqlite3{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/home.*Not a directory"):
        open_store(tmp_path / "file" / "home")


def test_commits_reach_the_disk(path: Path) -> None:
    with closing(SqliteDatabase(path, 1.0)) as opened, opened.reading() as db:
        pragmas = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_every_reference_has_an_index(path: Path) -> None:
    with closing(SqliteDatabase(path, 1.0)) as opened, opened.reading() as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            references: dict[int, list[str]] = {}
            for number, _, _, column, *_ in db.execute(f"PRAGMA foreign_key_list({table})"):
                references.setdefault(number, []).append(column)
            for columns in references.values():
                where = " AND ".join(f"{column} = 1" for column in columns)
                plan = db.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {where}").fetchall()
                assert all(step[3].startswith("SEARCH") for step in plan), (table, plan)


@pytest.mark.parametrize("version", [SCHEMA + 1, 99])
def test_another_schema_is_refused_and_left_alone(path: Path, version: int) -> None:
    set_version(path, version)
    with pytest.raises(
        StoreError, match=rf"facerec.sqlite3 has schema {version}, .* needs schema {SCHEMA}: begin a new home"
    ):
        SqliteStore(path)
    assert get_version(path) == version


def test_a_failed_setup_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "facerec.sqlite3"
    monkeypatch.setattr(database, "TABLES", "CREATE TABLE extra (a); DROP TABLE absent")
    with pytest.raises(StoreError, match="absent"):
        SqliteStore(path)
    assert get_version(path) == 0
    with closing(sqlite3.connect(path)) as db:
        assert not db.execute("SELECT * FROM sqlite_schema").fetchall()


def open_at_once(home: Path, barrier: Barrier, results: Connection) -> None:
    barrier.wait(WAIT_S)
    with closing(open_store(home)) as store:
        results.send(store.create_project("p").created_at)


def test_a_new_file_waits_for_the_process_that_sets_it_up(tmp_path: Path) -> None:
    path = tmp_path / "facerec.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = Timer(0.3, other.execute, ["COMMIT"])
        release.start()
        with closing(SqliteStore(path, busy_timeout_s=WAIT_S)) as store:
            assert store.list_projects() == []
        release.join()


def test_processes_create_one_store(tmp_path: Path) -> None:
    barrier = SPAWN.Barrier(4)
    processes, pipes = [], []
    for _ in range(4):
        receiver, sender = SPAWN.Pipe(duplex=False)
        pipes.append(receiver)
        processes.append(SPAWN.Process(target=open_at_once, args=(tmp_path / "home", barrier, sender)))
        processes[-1].start()
        sender.close()
    created_at = {pipe.recv() for pipe in pipes}
    for process in processes:
        process.join()
        process.close()
    assert len(created_at) == 1


def test_a_locked_file_is_retryable(path: Path) -> None:
    with closing(SqliteStore(path, busy_timeout_s=0.05)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked") as caught:
                store.create_project("q")
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
            assert [project.name for project in store.list_projects()] == ["p"]
        assert store.create_project("q").name == "q"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "facerec.sqlite3"
    path.write_bytes(b"surely no database\n" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore(path)
    assert path.read_bytes().startswith(b"surely")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("time.sleep")
    with file_size_limit(0), pytest.raises(StoreError, match=r"disk"):
        SqliteStore(tmp_path / "facerec.sqlite3")


def test_a_full_disk_is_retryable_and_leaves_nothing_half_written(path: Path) -> None:
    job = Job("j", "p", "video", JobState.QUEUED, {"note": "x" * 4_000_000}, 1.0, 1.0)
    with closing(SqliteStore(path)) as store:
        with file_size_limit(1_000_000), pytest.raises(StoreError, match=r"disk"):
            store.submit_job(job)
        assert store.list_jobs() == []
        store.submit_job(job)
        assert store.list_jobs() == [job]


def test_a_closed_store_raises(path: Path) -> None:
    store = SqliteStore(path)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.list_projects()


def test_an_open_transaction_commits_after_close_and_then_loses_its_connection(path: Path) -> None:
    opened = SqliteDatabase(path, 1.0)
    with opened.writing() as db:
        opened.close()
        db.execute("INSERT INTO projects VALUES ('q', 1, NULL, 0, NULL, '{}')")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        db.execute("SELECT 1")
    with closing(SqliteStore(path)) as store:
        assert [project.name for project in store.list_projects()] == ["p", "q"]
