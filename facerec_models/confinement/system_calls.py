"""Which system calls a child may make: a filter that its kernel keeps, whatever code a file brings to run.

The filter is a list of what is denied, since decoders and Python's own library are free in what else they call. Denied calls fail
with EPERM. Numbers are those of Linux for x86-64 and aarch64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_PR_GET_SECCOMP, _MODE_FILTER = 21, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# Instructions of classic BPF: load a 32-bit number of the call, jump if equal, if not below, if a bit is set, return.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD = 0x10000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# By name: x86-64, aarch64 (None where it has no such call).
_DENIED: dict[str, tuple[int, int | None]] = {
    **{"socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "bind": (49, 200), "listen": (50, 201)},
    **{"socketpair": (53, 199), "accept4": (288, 242)},
    **{"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438)},
    **{"rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)},
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268)},
    **{"unshare": (272, 97), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "personality": (135, 92)},
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "process_madvise": (440, 440)},
    # Priorities of other processes of this user.
    **{"setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setattr": (314, 274)},
    # What changes names and rights of files, or would stay behind when the process has ended.
    **{"creat": (85, None), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276)},
    **{"unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None), "mkdir": (83, None), "mkdirat": (258, 34)},
    **{"truncate": (76, 45), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452)},
    **{"utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88)},
    **{"shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180)},
    **{"link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36)},
    **{"mknod": (133, None), "mknodat": (259, 33)},
    **{"chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54)},
    **{"setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7)},
    **{"removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16)},
    **{"setxattrat": (463, 463), "removexattrat": (466, 466), "open_tree_attr": (467, 467), "file_setattr": (469, 469)},
}
# Their callers fall back on calls whose arguments can be told.
_UNKNOWN: dict[str, tuple[int, int | None]] = {"clone3": (435, 435), "openat2": (437, 437)}
_CLONE = (56, 220)
# Calls with a process as first argument; to signals 0 means the parent and all its others, to the rest the process itself.
_SIGNALS: dict[str, tuple[int, int | None]] = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}
_OF_PROCESS: dict[str, tuple[int, int | None]] = {
    **{
        "prlimit64": (302, 261),
        "sched_setaffinity": (203, 122),
        "sched_setparam": (142, 118),
        "sched_setscheduler": (144, 119),
    },
}
# Calls that open a file, and which argument has the flags.
_OPEN: dict[str, tuple[tuple[int, int | None], int]] = {"open": ((2, None), 1), "openat": ((257, 56), 2)}


class _Processor(NamedTuple):
    audit: int
    column: int


_PROCESSORS = {
    "x86_64": _Processor(0xC000003E, 0),
    "aarch64": _Processor(0xC00000B7, 1),
}


def filter_calls(*, may_write: bool) -> bool:
    """Take from this process, and from threads that it starts later, what a decoder does not need; return whether it worked.

    It has to have one thread only, and to have called `give_up_rights`. There is no way back.

    Parameters
    ----------
    may_write : bool
        Whether it may write files; which, `facerec_models.confinement.places` says. It never renames or removes any.

    Returns
    -------
    bool
        False where the kernel or the processor knows no such filters.
    """
    processor = _PROCESSORS.get(platform.machine())
    if sys.platform != "linux" or processor is None:
        return False
    code = _program(processor, may_write=may_write)
    kept = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept))
    return _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.create_string_buffer(program)) == 0


def can_filter_calls() -> bool:
    """Whether this system knows such filters, which a call with an address of nothing tells without setting one."""
    if sys.platform != "linux" or platform.machine() not in _PROCESSORS:
        return False
    return _prctl(_PR_SET_SECCOMP, _MODE_FILTER, None) != 0 and ctypes.get_errno() == errno.EFAULT


def die_with_parent(parent: int, with_signal: int) -> None:
    """Have the system end this process when the thread that forked it ends; end it now if that has happened already."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, with_signal)
    if os.getppid() != parent:
        os._exit(1)


def give_up_rights() -> None:
    """Gain no rights from now on, and let no other process of this user read the memory of this one."""
    if sys.platform == "linux":
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in (*arguments, 0, 0, 0, 0)[:4]]
    return int(library.prctl(option, *given))


def _program(processor: _Processor, *, may_write: bool) -> bytes:
    column, own = processor.column, os.getpid()
    lines = [
        _line(_LOAD, _AT_ARCHITECTURE),
        _line(_IF_EQUAL, processor.audit, 1, 0),
        _answer(errno.EPERM),
        _line(_LOAD, _AT_NUMBER),
    ]
    if column == 0:
        lines += [_line(_IF_AT_LEAST, _X32, 0, 1), _answer(errno.EPERM)]
    for numbers, code in (
        *((numbers, errno.EPERM) for numbers in _DENIED.values()),
        *((numbers, errno.ENOSYS) for numbers in _UNKNOWN.values()),
    ):
        if (number := numbers[column]) is not None:
            lines += [_line(_IF_EQUAL, number, 0, 1), _answer(code)]
    # Threads, and no processes.
    lines += _judged(_CLONE[column], 0, [_line(_IF_ANY_BIT, _CLONE_THREAD, 1, 0)])
    for calls, tests in (
        (_SIGNALS, [_line(_IF_EQUAL, own, 1, 0)]),
        (_OF_PROCESS, [_line(_IF_EQUAL, 0, 2, 0), _line(_IF_EQUAL, own, 1, 0)]),
    ):
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                lines += _judged(number, 0, tests)
    for numbers, argument in [] if may_write else _OPEN.values():
        if (number := numbers[column]) is not None:
            lines += _judged(number, argument, [_line(_IF_ANY_BIT, _WRITES, 0, 1)])
    return b"".join([*lines, _line(_RETURN, _ALLOW)])


def _judged(number: int, argument: int, tests: list[bytes]) -> list[bytes]:
    """Return what denies a call unless one of the tests jumps over the denial."""
    judged = [_line(_LOAD, _AT_ARGUMENTS + 8 * argument), *tests, _answer(errno.EPERM), _line(_RETURN, _ALLOW)]
    return [_line(_IF_EQUAL, number, 0, len(judged)), *judged]


def _answer(code: int) -> bytes:
    return _line(_RETURN, _ERRNO | code)


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
