"""What goes wrong around a service: disks, stores, clocks and networks, disturbed for a while and then well again.

Each needs what it disturbs to be its own: a file system in a file, a server of its own, a clock that only the service sees,
network namespaces. Most of that needs root.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient

from facerec_models.errors import FacerecError
from tests.serving.service import free_port
from tests.waiting import WAIT_S

_SERVER = Path(sysconfig.get_path("scripts")) / "secantusd-py"
_CLONE_NEWNET = 0x40000000
HEAD, OTHER = "10.77.0.1", "10.77.0.2"


def run(*command: str | Path) -> None:
    """Run a command of the system that has to succeed."""
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise FacerecError(f"{' '.join(map(str, command))!r} failed: {ended.stderr.strip()}; most of this needs root")


class Disk:
    """A file system in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    @contextmanager
    def mounted(cls, image: Path, size_mib: int) -> Iterator[Disk]:
        """Make it, and mount it beside its file until the block ends."""
        with image.open("wb") as file:
            file.truncate(size_mib * 2**20)
        run("mkfs.ext4", "-q", "-m", "0", image)
        folder = image.with_suffix("")
        folder.mkdir()
        run("mount", "-o", "loop", image, folder)
        try:
            yield cls(folder)
        finally:
            run("umount", "--lazy", folder)

    def fill(self, seconds: float) -> None:
        """Leave no byte free for so long."""
        ballast = self.folder / "ballast"
        with ballast.open("wb") as file:
            step = 2**20
            while step >= 2**12:
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 2
        time.sleep(seconds)
        ballast.unlink()

    def slow(self, seconds: float) -> None:
        """Let what is written wait most of the time, for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            run("fsfreeze", "--freeze", self.folder)
            try:
                time.sleep(0.4)
            finally:
                run("fsfreeze", "--unfreeze", self.folder)
            time.sleep(0.1)


class Database:
    """A server of its own that speaks MongoDB's protocol, and keeps what was committed when it is killed."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._place = ["--host", host, "--port", str(port := free_port()), "--storage-path", str(folder / "data")]
        self.uri = f"mongodb://{host}:{port}/facerec"
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[Database]:
        """Run it until the block ends."""
        self._folder.mkdir()
        self._start()
        try:
            yield self
        finally:
            self._kill()

    def leave(self, seconds: float) -> None:
        """Be killed, and come back after so long."""
        self._kill()
        time.sleep(seconds)
        self._start()

    def _start(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_SERVER), *self._place, "--sync-on-commit", "--log-level", "WARNING"],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with MongoClient[dict[str, object]](self.uri, serverSelectionTimeoutMS=int(1000 * WAIT_S)) as client:
            client.admin.command("ping")

    def _kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def lock(file: Path, seconds: float) -> None:
    """Let nobody else write a SQLite file for so long."""
    connection = sqlite3.connect(file, timeout=60, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
    finally:
        connection.close()


class Clock:
    """The time of day as Python sees it in the service."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._set(0)
        # Not by the system, nor by a library before the C library: the time is everyone's, and what waits until a moment would hang.
        paths = [str(Path(__file__).parent / "wrong_clock"), os.environ.get("PYTHONPATH", "")]
        self.environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TRIAL_CLOCK": str(file)}

    def jump(self, by_s: float, seconds: float) -> None:
        """Be wrong by so much, for so long."""
        self._set(by_s)
        time.sleep(seconds)
        self._set(0)

    def _set(self, offset_s: float) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{offset_s:+.0f}")
        fresh.replace(self._file)


class Machines:
    """Two machines with a link between them, as network namespaces."""

    def __init__(self, name: str) -> None:
        self._head, self._other = f"{name}-head", f"{name}-other"
        self._link = f"{name[:10]}-0"

    @classmethod
    @contextmanager
    def linked(cls, name: str) -> Iterator[Machines]:
        """Make them; this process is at the first one until the block ends."""
        machines = cls(name)
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            machines._make()
            machines._enter(Path("/run/netns") / machines._head)
            yield machines
        finally:
            _set_namespace(own)
            os.close(own)
            for namespace in (machines._head, machines._other):
                subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)

    def _make(self) -> None:
        for namespace in (self._head, self._other):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run(
            "ip",
            "-n",
            self._head,
            "link",
            "add",
            self._link,
            "type",
            "veth",
            "peer",
            "name",
            "up0",
            "netns",
            self._other,
        )
        for namespace, link, address in ((self._head, self._link, HEAD), (self._other, "up0", OTHER)):
            run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", link)
            run("ip", "-n", namespace, "link", "set", link, "up")

    def _enter(self, namespace: Path) -> None:
        file = os.open(namespace, os.O_RDONLY)
        try:
            _set_namespace(file)
        finally:
            os.close(file)

    def at_other(self, command: list[str]) -> list[str]:
        """Return what runs a command at the second machine."""
        return ["ip", "netns", "exec", self._other, *command]

    def cut(self, seconds: float) -> None:
        """Let nothing through the link for so long."""
        run("ip", "-n", self._head, "link", "set", self._link, "down")
        time.sleep(seconds)
        run("ip", "-n", self._head, "link", "set", self._link, "up")


def _set_namespace(file: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(file, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
