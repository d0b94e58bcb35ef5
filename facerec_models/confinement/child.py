"""Start a child that is bounded, talk with it, and learn how it ended."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from logging import getLogger
from threading import Lock, get_native_id
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from facerec_models import errors
from facerec_models.confinement.bounds import Bounds, absent_guards
from facerec_models.confinement.nursery import MOST_BYTES, MOST_LETTERS, Task
from facerec_models.confinement.pipe import BadMessageError, Message, Pipe, PipeClosedError

_log = getLogger(__name__)

# The code of a task is loaded from a slow disk on a busy machine.
_NURSERY_PATIENCE_S = 120.0
# Of the environment children get what says where files and libraries are, and no secret.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "FONTCONFIG_PATH")
# Small matrices need no threads, and each arena of the allocator takes 64 MiB of the address space.
_SET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_BEGIN = (
    "import json, sys\n"
    "sys.path[:] = json.loads(sys.argv[3])\n"
    "from facerec_models.confinement.nursery import main\n"
    "main()"
)
_PLAIN_LETTERS = 2000
# What may be wrong with a file and its place. A child that a file has taken over cannot claim that the store fails.
_TOLD = (errors.InputError, errors.PlaceError, errors.ConflictError)


class ChildLostError(Exception):
    """A child ended before it had answered: the message says why, as the rest of a sentence about it."""


class ChildSilentError(ChildLostError):
    """It gave no sign of life for too long."""


class ChildTooLargeError(ChildLostError):
    """It needs more memory than it may use."""


class ChildFailedError(Exception):
    """A child raised what no file should make it raise: a fault of ours, with its trace."""


class NurseryError(Exception):
    """The process that children come from has gone; this process could not start another."""


class Child:
    """A process that does one task, and of which nothing is left when this is closed.

    Parameters
    ----------
    task : Task
        A function of a module, which the child finds by its name.
    bounds : Bounds
    raises : sequence of type
        What else it may raise here, beside errors of input and places.

    Attributes
    ----------
    pid : int
    """

    def __init__(self, task: Task, bounds: Bounds, *, raises: Sequence[type[Exception]] = ()) -> None:
        self._nursery = shared_nursery()
        self._bounds = bounds
        self._raises = {kind.__name__: kind for kind in raises}
        here, there = socket.socketpair()
        try:
            with there:
                self.pid = self._nursery.start(task, bounds, there)
        except BaseException:
            here.close()
            raise
        self._pipe = Pipe(here)
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(
        self,
        kind: str,
        facts: Mapping[str, Any] | None = None,
        arrays: Sequence[npt.NDArray[Any]] = (),
        *,
        timeout_s: float,
    ) -> None:
        """Send a message.

        Raises
        ------
        ChildLostError
            If the child ended, or does not take it in time; it has ended then.
        """
        try:
            self._pipe.send(kind, facts, arrays, timeout_s=timeout_s)
        except PipeClosedError:
            raise self._ended() from None
        except TimeoutError as error:
            raise self._silent(timeout_s) from error

    def receive(self, timeout_s: float) -> Message:
        """Wait for the child's next message.

        Raises
        ------
        ChildLostError
            If the child ended, sends what is no message, or sends none in time; it has ended then.
        FacerecError
            What the child raised.
        ChildFailedError
            If it raised anything else.
        """
        try:
            message = self._pipe.receive(timeout_s)
        except PipeClosedError:
            raise self._ended() from None
        except TimeoutError as error:
            raise self._silent(timeout_s) from error
        except BadMessageError as error:
            self.close()
            raise ChildLostError(f"sent what cannot be an answer: {error}") from error
        if message.kind == "error":
            self._raise_told(message.facts)
        return message

    def has_ended(self) -> bool:
        """Whether a child that is to wait for work has gone, or says what nobody asked for."""
        return self._pipe.has_input()

    def close(self) -> int | None:
        """End the child if it has not ended; return its exit code, or a signal below zero; None if it lived until now."""
        if self._is_closed:
            return None
        self._is_closed = True
        self._pipe.close()
        return self._nursery.end(self.pid)

    def _silent(self, timeout_s: float) -> ChildSilentError:
        self.close()
        return ChildSilentError(f"gave no sign of life for {timeout_s:g} s and was ended")

    def _ended(self) -> ChildLostError:
        """Return how the child ended that has closed its end."""
        self._is_closed = True
        self._pipe.close()
        code = self._nursery.end(self.pid, is_ending=True)
        if code is None or code >= 0:
            return ChildLostError(f"ended without an answer (exit code {code})")
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
        hint = ": the system may have run out of memory" if -code == signal.SIGKILL else ""
        return ChildLostError(f"crashed (signal {-code}, {name}){hint}")

    def _raise_told(self, facts: dict[str, Any]) -> None:
        name, message = str(facts.get("type")), str(facts.get("message"))[:_PLAIN_LETTERS]
        self.close()
        if name == "MemoryError":
            raise ChildTooLargeError(
                f"needs more memory than the {self._bounds.memory_bytes / 2**30:.3g} GiB that it may use"
            )
        kind = self._raises.get(name) or _known_error(name)
        if kind is None:
            raise ChildFailedError(f"{name}: {message}\n{str(facts.get('trace', ''))[-MOST_LETTERS:]}")
        raise kind(message)


class Nursery:
    """The process that children are forked from. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self, task: Task, bounds: Bounds, end: socket.socket) -> int:
        """Fork a child that does a task and talks through a socket; return its process."""
        # Linux gives each thread a niceness of its own: work that gives way does so in its child as well.
        niceness = os.getpriority(os.PRIO_PROCESS, get_native_id() if sys.platform == "linux" else 0)
        name = f"{task.__module__}:{task.__qualname__}"
        order = {"task": name, "bounds": asdict(bounds), "niceness": niceness}
        with self._lock:
            had_begun = self._control is not None
            try:
                answer = self._ask(order, [end.fileno()])
            except NurseryError:
                if not had_begun:
                    raise
                # It ended since it was last asked, as one does whose machine runs out of memory: another one begins.
                answer = self._ask(order, [end.fileno()])
        if "failed" in answer:
            raise ChildFailedError(f"no child could be started: {answer['failed']}")
        return int(answer["pid"])

    def end(self, pid: int, *, is_ending: bool = False) -> int | None:
        """End a child; return how it ended, None if it had not ended by itself.

        Parameters
        ----------
        is_ending : bool
            Whether it has closed its end, and so ends by itself in a moment.
        """
        # Children end with the process that they come from.
        gone = {"code": -signal.SIGKILL, "was_alive": False}
        with self._lock:
            try:
                answer = gone if self._control is None else self._ask({"end": pid, "is_ending": is_ending}, [])
            except NurseryError:
                answer = gone
        return None if answer["was_alive"] else int(answer["code"])

    def close(self) -> None:
        """End the process, and so all its children."""
        # A process that was forked from the owner has a copy of this.
        if os.getpid() == self._owner:
            with self._lock:
                self._close()

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ask(self, order: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        control = self._control or self._begin()
        try:
            socket.send_fds(control, [json.dumps(order).encode()], descriptors)
            data = control.recv(MOST_BYTES)
        except OSError as error:
            self._close()
            raise NurseryError(f"the process that decoders start from does not answer ({error})") from error
        except BaseException:
            # An interrupt: the answer that still comes would be taken for that to the next question.
            self._close()
            raise
        if not data:
            self._close()
            raise NurseryError("the process that decoders start from has ended; try again")
        answer: dict[str, Any] = json.loads(data)
        return answer

    def _begin(self) -> socket.socket:
        if absent := absent_guards():
            _log.warning(
                "decoders run without %s: a file that takes one over can do more; 'facerec doctor' tells what",
                " and ".join(absent),
            )
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here.settimeout(_NURSERY_PATIENCE_S)
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BEGIN, str(there.fileno()), str(os.getpid()), json.dumps(sys.path)],
                env=kept | _SET,
                pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._control = here
        return here


_NURSERIES: dict[int, Nursery] = {}


def shared_nursery() -> Nursery:
    """Return the nursery of this process, which starts when it is first needed; one that was forked has another than its parent."""
    made = Nursery()
    # The same one for all threads; a lock might be held by another thread while this process is forked.
    nursery = _NURSERIES.setdefault(os.getpid(), made)
    if nursery is made:
        atexit.register(made.close)
    return nursery


def _known_error(name: str) -> type[Exception] | None:
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, _TOLD) else None
