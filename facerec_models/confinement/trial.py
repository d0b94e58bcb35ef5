"""Try out in a child what bounds children on this machine."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

from facerec_models.confinement.bounds import Bounds
from facerec_models.confinement.child import Child
from facerec_models.confinement.pipe import Pipe

_MEMORY_BYTES, _PATIENCE_S = 2**27, 60.0


def missing_guards() -> list[str]:
    """Return what a child on this machine is not kept from, each as the words after "a decoder that a file has taken over can"."""
    with Child(try_in_child, Bounds(_MEMORY_BYTES)) as child:
        found = child.receive(_PATIENCE_S).facts
    missing = {
        "calls": "use the network and start processes: the kernel has no seccomp filters",
        "files": "read this user's files: the kernel has no Landlock",
        "memory": "use all memory: the system has no RLIMIT_AS",
    }
    return [why for name, why in missing.items() if found.get(name) is not True]


def try_in_child(pipe: Pipe) -> None:
    """Tell which guards hold; runs in a child."""
    holds = {"calls": True, "files": True, "memory": False}
    # That there is some filter tells nothing: containers have one.
    with suppress(PermissionError):
        socket.socket().close()
        holds["calls"] = False
    with suppress(PermissionError):
        os.close(os.open("/etc/passwd" if sys.platform == "linux" else "/", os.O_RDONLY))
        holds["files"] = False
    try:
        bytearray(2 * _MEMORY_BYTES)
    except MemoryError:
        holds["memory"] = True
    pipe.send("holds", holds)
