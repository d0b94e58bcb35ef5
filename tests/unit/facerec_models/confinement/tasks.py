"""What children of the tests do."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from facerec_models.analysis.reading.segments import SegmentError
from facerec_models.confinement.pipe import Pipe
from facerec_models.errors import StoreError, VideoOpenError


def echo(pipe: Pipe) -> None:
    message = pipe.receive()
    pipe.send(*message)


def crash(pipe: Pipe) -> None:
    os.kill(os.getpid(), pipe.receive().facts["signal"])
    time.sleep(60)


def hang(pipe: Pipe) -> None:
    pipe.send("begun")
    time.sleep(600)


def hoard(pipe: Pipe) -> None:
    kept = []
    for _ in range(64):
        kept.append(np.ones(2**24, np.uint8))
        pipe.send("more")


def send_crops(pipe: Pipe) -> None:
    while True:
        pipe.send("embed", {}, [np.zeros((100, 150, 150, 3), np.uint8)])


def write_garbage(pipe: Pipe) -> None:
    os.write(pipe.fileno(), pipe.receive().arrays[0].tobytes())
    time.sleep(60)


def leave(pipe: Pipe) -> None:
    os._exit(3)


def refuse(pipe: Pipe) -> None:
    kinds = {kind.__name__: kind for kind in (VideoOpenError, SegmentError, StoreError, ZeroDivisionError)}
    raise kinds[pipe.receive().facts["kind"]]("'a.mp4' is no video")


def tell_surroundings(pipe: Pipe) -> None:
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in ("RLIMIT_CORE", "RLIMIT_FSIZE")}
    pipe.send(
        "told", {"environment": dict(os.environ), "limits": limits, "niceness": os.getpriority(os.PRIO_PROCESS, 0)}
    )


def try_what_is_denied(pipe: Pipe) -> None:
    """Tell of each attempt which error it met, or that it met none."""
    facts = pipe.receive().facts
    library = ctypes.CDLL(None, use_errno=True)

    def raw(number: int, *arguments: int) -> None:
        if library.syscall(number, *arguments) < 0:
            raise OSError(ctypes.get_errno(), "denied")

    attempts: dict[str, Callable[[], object]] = {
        "socket": lambda: socket.socket(),
        "unix socket": lambda: socket.socket(socket.AF_UNIX),
        "connect": lambda: raw(42 if os.uname().machine == "x86_64" else 203, pipe.fileno(), 0, 0),
        "fork": os.fork,
        "run": lambda: subprocess.run(["/bin/true"], check=False),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "signal": lambda: os.kill(facts["parent"], 0),
        "signal all": lambda: os.kill(0, 0),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 19),
        "attribute": lambda: raw(463, 0, 0, 0, 0, 0, 0),
        "scheduling": lambda: raw(314 if os.uname().machine == "x86_64" else 274, facts["parent"], 0, 0),
        "read memory": lambda: os.close(os.open(f"/proc/{facts['parent']}/mem", os.O_RDONLY)),
        "read environment": lambda: Path(f"/proc/{facts['parent']}/environ").read_bytes(),
        "read other": lambda: Path(facts["other"]).read_bytes(),
        "write": lambda: Path(facts["other"]).write_bytes(b"changed"),
        "create": lambda: Path(facts["folder"], "new").touch(),
        "remove": lambda: Path(facts["own"]).unlink(),
        "rename": lambda: Path(facts["own"]).rename(facts["own"] + "2"),
        "rights": lambda: Path(facts["own"]).chmod(0o777),
        "segment": lambda: Path("/dev/shm/left-by-a-child").touch(),
        "raise the limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2),
        "ptrace": lambda: raw(101 if os.uname().machine == "x86_64" else 117, 16, facts["parent"], 0, 0),
    }
    met = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            met[name] = "nothing"
        except (OSError, ValueError) as error:
            met[name] = type(error).__name__
    pipe.send("met", {"met": met, "own": Path(facts["own"]).read_text()})


def write_own(pipe: Pipe) -> None:
    facts = pipe.receive().facts
    with Path(facts["own"]).open("wb") as file:
        file.write(b"x" * facts["size"])
    pipe.send("written")


SIGNALS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
