"""What ``facerec doctor`` says of the guards, with and without each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from facerec_models.confinement import trial
from ui import doctor


def test_all_guards_hold_here() -> None:
    assert trial.missing_guards() == []
    assert doctor._examine_decoders()[:2] == ("decoders", "ok")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has seccomp filters")
def test_a_filter_of_a_container_is_not_taken_for_that_of_a_child() -> None:
    code = (
        "import ctypes, socket, struct\n"
        "from facerec_models.confinement import system_calls, trial\n"
        "from facerec_models.confinement.pipe import Pipe\n"
        "system_calls.give_up_rights()\n"
        "allow_all = ctypes.create_string_buffer(struct.pack('HBBI', 0x06, 0, 0, 0x7FFF0000))\n"
        "program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 1, ctypes.addressof(allow_all)))\n"
        "assert ctypes.CDLL(None).prctl(22, 2, program, 0, 0) == 0\n"
        "here, there = socket.socketpair()\n"
        "with here, there:\n"
        "    trial.try_in_child(Pipe(there))\n"
        "    print(Pipe(here).receive().facts)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "{'calls': False, 'files': False, 'memory': False}\n"


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_guards", lambda: ["use the network: no filters", "read files: no Landlock"])
    assert doctor._examine_decoders() == (
        "decoders",
        "note",
        "a decoder that a file has taken over can use the network: no filters; it can read files: no Landlock",
    )
