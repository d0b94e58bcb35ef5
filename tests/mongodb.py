"""A server that speaks MongoDB's protocol, for all tests: its own process on a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.serving.service import free_port, stop

_SERVER = Path(sysconfig.get_path("scripts")) / "secantusd-py"
_START_TIMEOUT_MS = 30_000


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server that FACEREC_TEST_MONGO_URI names, or of one that runs for these tests.

    All tests share it: each uses a database of its own name, and drops it.
    """
    given = os.environ.get("FACEREC_TEST_MONGO_URI")
    if given:
        yield given
        return
    folder, port = tmp_path_factory.mktemp("mongodb"), free_port()
    uri = f"mongodb://127.0.0.1:{port}"
    log = folder / "server.log"
    options = ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder / "data"), "--sync-on-commit"]
    with (
        log.open("w") as messages,
        subprocess.Popen(
            [str(_SERVER), *options],
            cwd=folder,
            stdout=messages,
            stderr=messages,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=_START_TIMEOUT_MS) as client:
                client.admin.command("ping")
            yield uri
        finally:
            stop(process)
