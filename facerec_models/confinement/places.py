"""Which files a child may open: those of Python and its libraries, and those that it is started for. By Linux's Landlock."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

# Numbers of the calls on all processors.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
# By version, how many kinds of access to files, of use of the network, and of reaching beyond one's own processes are known.
_FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
# What libraries read to know the machine they are on.
_OF_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom"),
    *("/sys/devices/system/cpu", "/sys/fs/cgroup", "/proc/cpuinfo", "/proc/stat", "/proc/meminfo", "/proc/self/status"),
)


def restrict_places(readable: Sequence[str], writable: Sequence[str]) -> bool:
    """Let this process, and threads that it starts later, open nothing but these files, and those of Python; return whether it worked.

    Opening TCP connections, and signals to other processes, end as well where the kernel knows how. There is no way back.

    Parameters
    ----------
    readable, writable : sequence of str
        Files that are there; what is written may be read too.

    Returns
    -------
    bool
        False where the system has no Landlock.
    """
    version = landlock_version()
    if not version:
        return False
    files = (1 << _FILES.get(version, _FILES[max(_FILES)])) - 1
    wanted = struct.pack(
        "QQQ", files, 0b11 if version >= _NETWORK_SINCE else 0, 0b11 if version >= _SCOPES_SINCE else 0
    )
    size = 24 if version >= _SCOPES_SINCE else 16 if version >= _NETWORK_SINCE else 8
    rules = _call(_CREATE, ctypes.create_string_buffer(wanted, len(wanted)), size, 0)
    if rules < 0:
        return False
    try:
        for place in [*_of_python(), *_OF_SYSTEM, *readable]:
            _allow(rules, place, (_READ_FILE | _READ_DIR) & files)
        for place in writable:
            _allow(rules, place, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & files)
        return _call(_RESTRICT, rules, 0) == 0
    finally:
        os.close(rules)


def landlock_version() -> int:
    """Return which version of Landlock this system has; 0 for none."""
    return max(0, _call(_CREATE, None, 0, _VERSION)) if sys.platform == "linux" else 0


def _of_python() -> Iterator[str]:
    # The working directory, which an empty entry means, is whatever the parent was started in.
    yield from {sys.prefix, sys.base_prefix, *filter(None, sys.path)}


def _allow(rules: int, place: str, access: int) -> None:
    # What is not there cannot be opened either.
    with suppress(OSError):
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            if not Path(place).is_dir():
                access &= ~_READ_DIR
            _call(_ADD, rules, _PATH, ctypes.create_string_buffer(struct.pack("=Qi", access, opened), 12), 0)
        finally:
            os.close(opened)


def _call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(library.syscall(ctypes.c_long(number), *given))
