"""A MongoDB server for the tests: the one that FACEREC_TEST_MONGO_URI names, else one of this session's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

_START_MS = 60_000
_STOP_S = 20


@contextmanager
def run_server(*options: str) -> Iterator[str]:
    """Run a server that speaks MongoDB's protocol on a free port of the loopback interface; yields its address."""
    # In memory where there is room for it: each commit waits for the disk.
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="facerec-mongodb-", dir=memory if memory.is_dir() else None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("secantusd-py")), "--host", "127.0.0.1", "--port", str(port)]
    log = Path(folder) / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--storage-path", f"{folder}/data", "--sync-on-commit", "--log-level", "WARNING", *options],
            stdout=output,
            stderr=output,
        )
    try:
        uri = f"mongodb://127.0.0.1:{port}/"
        with closing(MongoClient(uri, serverSelectionTimeoutMS=_START_MS)) as client:
            client.admin.command("ping")
        yield uri
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def mongodb_uri() -> Iterator[str]:
    """The address of a MongoDB server, without a database."""
    given = os.environ.get("FACEREC_TEST_MONGO_URI")
    if given:
        yield given
        return
    with run_server() as uri:
        yield uri


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Yield the address of a database of its own on a server, and drop that database afterwards."""
    parsed = parse_uri(server)
    name = f"facerec_test_{uuid.uuid4().hex[:16]}"
    base, _, options = server.partition("?")
    base = base.rstrip("/").removesuffix(f"/{parsed['database']}")
    yield f"{base}/{name}{'?' if options else ''}{options}"
    with closing(MongoClient(server)) as client:
        client.drop_database(name)


@pytest.fixture
def mongo_store_uri(mongodb_uri: str) -> Iterator[str]:
    """The address of an empty database."""
    with fresh_database(mongodb_uri) as uri:
        yield uri
