"""A store of another user: read as it is, also while its owner writes, and never written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from serving.store.opening import FILE_NAME, open_store

_NOBODY = 65534
# Reads the projects whenever it is told to, and tries to write at the end.
_READER = """
import os, sys, tempfile
from pathlib import Path
from facerec_models.errors import StoreError
from serving.store.opening import open_store
# Another user may not read this Python's modules: all that are needed are read before.
with tempfile.TemporaryDirectory() as folder:
    store = open_store(Path(folder))
    store.create_project("any")
    store.list_projects()
    store.close()
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
try:
    store = open_store(Path(sys.argv[1]))
    for line in sys.stdin:
        try:
            print(*[project.name for project in store.list_projects()], flush=True)
        except StoreError as error:
            print(error, flush=True)
    store.create_project("theirs")
except StoreError as error:
    print(error, flush=True)
"""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that every user may read, where pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


def open_to_all(home: Path, mode: int = 0o644) -> None:
    home.chmod(0o755)
    for file in home.iterdir():
        file.chmod(mode)


@contextmanager
def reader(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Read as another user until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _READER, str(home), str(_NOBODY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> str:
    return process.communicate()[0].strip()


def test_a_read_only_file_is_read_and_not_written(home: Path) -> None:
    with closing(open_store(home)) as store:
        store.create_project("mine")
    open_to_all(home)
    with reader(home) as process:
        assert ask(process) == "mine"
        assert end(process).startswith(
            f"the store {home / FILE_NAME} can only be read ({home / FILE_NAME} may not be written)"
        )
    assert {path.name for path in home.iterdir()} == {FILE_NAME}


def test_a_reader_sees_what_the_owner_writes(home: Path) -> None:
    with closing(open_store(home)) as store:
        store.create_project("a")
        open_to_all(home)
        with reader(home) as process:
            assert ask(process) == "a"
            store.create_project("b")
            assert ask(process) == "a b"


def test_a_file_that_changed_while_read_is_an_error(home: Path) -> None:
    with closing(open_store(home)) as store:
        store.create_project("a")
    open_to_all(home)
    with reader(home) as process:
        assert ask(process) == "a"
        with closing(open_store(home)) as store:
            store.create_project("b")
            assert "was changed while it was read: try again" in ask(process)


def test_an_unreadable_file_is_named(home: Path) -> None:
    with closing(open_store(home)) as store:
        store.create_project("a")
    open_to_all(home, 0o600)
    with reader(home) as process:
        assert (
            end(process) == f"the store {home / FILE_NAME} may not be read: let this user read it, or name another home"
        )


def test_another_schema_is_refused(home: Path) -> None:
    with closing(open_store(home)) as store, store._database.writing() as db:  # type: ignore[attr-defined]
        db.execute("PRAGMA user_version = 3")
    open_to_all(home)
    with reader(home) as process:
        assert "has schema 3" in end(process)
