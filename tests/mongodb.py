"""A server that speaks MongoDB's protocol, for all tests: its own process on a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from tests.serving.service import free_port
from tests.waiting import WAIT_S

_SERVER = Path(sysconfig.get_path("scripts")) / "secantusd-py"
_GIVEN = "FACEREC_TEST_MONGO_URI"
# In memory where there is such a place: every commit waits for the disk, and these tests end no server.
_MEMORY = Path("/dev/shm")


@contextmanager
def run_server(*options: str) -> Iterator[str]:
    """Run a server on a free port of the loopback interface; yields its address."""
    port = free_port()
    uri = f"mongodb://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="facerec-mongodb-", dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        folder = Path(name)
        place = ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder / "data")]
        with (
            (folder / "server.log").open("w") as messages,
            subprocess.Popen(
                [str(_SERVER), *place, "--sync-on-commit", "--log-level", "WARNING", *options],
                cwd=folder,
                stdout=messages,
                stderr=messages,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            try:
                with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=int(1000 * WAIT_S)) as client:
                    client.admin.command("ping")
                yield uri
            finally:
                process.kill()  # its folder goes too


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """The address of the server that FACEREC_TEST_MONGO_URI names, or of one that runs for these tests.

    All tests share it: each uses a database of its own name, and drops it.
    """
    given = os.environ.get(_GIVEN)
    if given:
        yield given
        return
    with run_server() as uri:
        yield uri


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Yield the address of a database of its own on a server; it is dropped afterwards if the server is not ours."""
    name = f"facerec_test_{uuid.uuid4().hex[:16]}"
    base, _, options = server.partition("?")
    base = base.rstrip("/").removesuffix(f"/{parse_uri(server)['database']}")
    yield f"{base}/{name}{'?' if options else ''}{options}"
    if server == os.environ.get(_GIVEN):  # our own goes with its folder
        with MongoClient[dict[str, object]](server) as client:
            client.drop_database(name)


@pytest.fixture
def mongo_store_uri(mongodb_uri: str) -> Iterator[str]:
    """The address of an empty database for a store."""
    with fresh_database(mongodb_uri) as uri:
        yield uri
