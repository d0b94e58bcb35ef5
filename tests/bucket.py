"""A server that speaks S3's protocol, for all tests: its own process, with its buckets in its memory."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import httpx
import pytest

from facerec_models import files
from tests.serving.service import free_port
from tests.waiting import WAIT_S


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("s3") / "server.log"
    with (
        log.open("w") as messages,
        subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=messages,
            stderr=messages,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait(address, process, log)
            yield address
        finally:
            process.kill()  # its buckets are in its memory


@pytest.fixture
def bucket(s3_server: str) -> Iterator[str]:
    """The address of an empty bucket of the server, which this process and those that it starts now use."""
    with fresh_bucket(s3_server) as address:
        yield address


@contextmanager
def fresh_bucket(s3_server: str) -> Iterator[str]:
    """Yield the address of an empty bucket of a server, which this process and those that it starts use until the block ends."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    with s3_environment(s3_server):
        boto3.client("s3").create_bucket(Bucket=name)
        yield f"s3://{name}"


@contextmanager
def s3_environment(address: str) -> Iterator[None]:
    """Let this process, and those that it starts, ask an S3 server until the block ends."""
    # Retrying what does not answer takes some six seconds by default.
    own = {
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test-key",
        "AWS_SECRET_ACCESS_KEY": "secret-of-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    _forget_connections()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _forget_connections()


def files_at(address: str) -> set[str]:
    """Return the names of all files of a bucket, or a folder; the code that is tested is not asked."""
    if address.startswith("file:"):
        root = Path(address.removeprefix("file://"))
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    name, _, prefix = address.removeprefix("s3://").partition("/")
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=name)
    return {item["Key"].removeprefix(f"{prefix}/") for page in pages for item in page.get("Contents", [])}


@contextmanager
def stalled_at(address: str, request: bytes) -> Iterator[tuple[str, threading.Event]]:
    """Pass requests on to a server, but none that match `request`: at the first that does, the event is set and the line goes dead.

    Yields the address to ask instead.
    """
    upstream = ("127.0.0.1", int(address.rpartition(":")[2]))
    reached = threading.Event()
    sockets: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                if re.search(request, data):
                    reached.set()
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:  # the other side was closed, or killed
            return

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # closed: the block has ended
                return
            far = socket.create_connection(upstream)
            sockets.extend((near, far))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", reached
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for one in sockets:
                one.close()


def _forget_connections() -> None:
    """Let the next request find its server in the environment."""
    import s3fs

    files._system.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


def _wait(address: str, process: subprocess.Popen[str], log: Path) -> None:
    until = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < until:
        try:
            httpx.get(address).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the server did not start:\n{log.read_text()[-4000:]}")
