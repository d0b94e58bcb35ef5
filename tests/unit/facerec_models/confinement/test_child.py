"""Children that crash, hang, hoard, lie or try what they may not."""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from facerec_models.analysis.reading.segments import SegmentError
from facerec_models.confinement import bounds as bounds_module
from facerec_models.confinement import child as child_module
from facerec_models.confinement.bounds import Bounds
from facerec_models.confinement.child import (
    Child,
    ChildFailedError,
    ChildLostError,
    ChildSilentError,
    ChildTooLargeError,
    Nursery,
    shared_nursery,
)
from facerec_models.errors import VideoOpenError
from tests.processes import confined_children, descriptors, is_alive, nursery_pid, shared_memory
from tests.unit.facerec_models.confinement import tasks
from tests.waiting import wait_until

BOUNDS = Bounds(2**28)
PATIENCE_S = 60.0


def test_messages_come_as_they_were_sent() -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((0, 4), np.float32), np.array([True])]
    large = np.random.default_rng(1).integers(0, 256, (700, 900, 3), np.uint8)
    with Child(tasks.echo, BOUNDS) as child:
        child.send("this", {"a": 0.1, "b": ["ü", None]}, [*arrays, large, large[::2, 1::2]], timeout_s=PATIENCE_S)
        kind, facts, back = child.receive(PATIENCE_S)
    assert (kind, facts) == ("this", {"a": 0.1, "b": ["ü", None]})
    for sent, got in zip([*arrays, large, large[::2, 1::2]], back, strict=True):
        assert sent.dtype == got.dtype
        np.testing.assert_array_equal(sent, got)


@pytest.mark.parametrize("number", tasks.SIGNALS)
def test_a_crash_is_told_by_its_signal_and_the_next_child_works(number: signal.Signals) -> None:
    with Child(tasks.crash, BOUNDS) as child:
        child.send("crash", {"signal": number}, timeout_s=PATIENCE_S)
        with pytest.raises(ChildLostError, match=rf"crashed \(signal {number}, {number.name}\)"):
            child.receive(PATIENCE_S)
    test_messages_come_as_they_were_sent()


def test_a_hang_ends_with_the_child() -> None:
    with Child(tasks.hang, BOUNDS) as child:
        assert child.receive(PATIENCE_S).kind == "begun"
        os.kill(child.pid, signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(ChildSilentError, match=r"gave no sign of life for 0\.5 s"):
            child.receive(0.5)
        assert time.monotonic() - begun < 30
        wait_until(lambda: not is_alive(child.pid))


def test_a_child_that_takes_no_message_is_ended() -> None:
    with Child(tasks.hang, BOUNDS) as child, pytest.raises(ChildSilentError):
        child.send("much", {}, [np.zeros(2**24, np.uint8)], timeout_s=0.5)


def test_memory_is_bounded() -> None:
    with Child(tasks.hoard, BOUNDS) as child:
        for _ in range(8):
            assert child.receive(PATIENCE_S).kind == "more"
        with pytest.raises(ChildTooLargeError, match=r"more memory than the 0\.25 GiB"):
            [child.receive(PATIENCE_S) for _ in range(9)]


def test_only_errors_of_input_are_raised_as_they_are() -> None:
    for kind, expected in [
        ("VideoOpenError", VideoOpenError),
        ("SegmentError", SegmentError),
        ("ZeroDivisionError", ChildFailedError),
        # What makes the service try again is not for a child to say.
        ("StoreError", ChildFailedError),
    ]:
        with Child(tasks.refuse, BOUNDS, raises=[SegmentError]) as child:
            child.send("refuse", {"kind": kind}, timeout_s=PATIENCE_S)
            with pytest.raises(expected, match="is no video") as got:
                child.receive(PATIENCE_S)
        assert got.type is expected


def test_an_exit_without_an_answer_is_a_loss() -> None:
    with Child(tasks.leave, BOUNDS) as child, pytest.raises(ChildLostError, match="exit code 3"):
        child.receive(PATIENCE_S)


def headed(header: bytes) -> bytes:
    return struct.pack("<I", len(header)) + header


@pytest.mark.parametrize(
    "garbage",
    [
        pickle.dumps({"kind": "part"}),
        b"\xff" * 64,
        b"\x02\x00\x00\x00{}",
        b'\x13\x00\x00\x00["a",{},[["|O",[1]]]]',
        b'\x1d\x00\x00\x00["a",{},[["<f8",[9999999999]]]',
        b'\x17\x00\x00\x00["a",{},[["<f8",[-1,2]]]]',
        b'\x10\x00\x00\x00["a",{},["<f8"]]',
        headed(200_000 * b"["),
        headed(b'["a",{},[["<f8",[Infinity]]]]'),
        headed(b'["a",{},[["<f8",[NaN]]]]'),
        headed(b'["a",{},[["<f8",["1"]]]]'),
        headed(b'["a",{},[["<f8",[true]]]]'),
        headed(b'["a",{},[["<f8",{}]]]'),
        headed(b'["a",{},[[["<f8"],[1]]]]'),
        headed(b'["a",{},[["<f8",[0,9999999999999999999999]]]]'),
        headed(b'["a",{},[["<f8",[0,1073741824,1073741824,1073741824]]]]'),
        headed(b'["a",{},[["<f8",[' + 5000 * b"9" + b"]]]]"),
        headed(b'["a",{},[' + b",".join(20 * [b'["|u1",[134217728]]']) + b"]]"),
        headed(b'["a",{},[' + b",".join(10_001 * [b'["|u1",[0]]']) + b"]]"),
        struct.pack("<I", 2**25),
    ],
)
def test_what_is_no_message_is_a_loss(garbage: bytes) -> None:
    with Child(tasks.write_garbage, BOUNDS) as child:
        child.send("write", {}, [np.frombuffer(garbage, np.uint8)], timeout_s=PATIENCE_S)
        with pytest.raises(ChildLostError, match="cannot be an answer"):
            child.receive(PATIENCE_S)


def test_a_child_reaches_nothing(tmp_path: Path) -> None:
    own, other = tmp_path / "own.mp4", tmp_path / "other.txt"
    own.write_text("own")
    other.write_text("other")
    bounds = Bounds(2**28, readable=(str(own),))
    with Child(tasks.try_what_is_denied, bounds) as child:
        facts = {"own": str(own), "other": str(other), "folder": str(tmp_path), "parent": os.getpid()}
        child.send("try", facts, timeout_s=PATIENCE_S)
        answer = child.receive(PATIENCE_S).facts
    assert answer["own"] == "own"
    assert {name for name, error in answer["met"].items() if error == "nothing"} == set()
    # Of these the kernel finds something else wrong, where it is asked at all.
    assert [answer["met"][name] for name in ("attribute", "scheduling", "connect")] == 3 * ["PermissionError"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.txt", "own.mp4"]
    assert other.read_text() == "other"


def test_a_child_that_writes_writes_one_file_and_no_more_than_it_may(tmp_path: Path) -> None:
    own, other = tmp_path / "own.mp4", tmp_path / "other.txt"
    own.touch()
    other.touch()
    bounds = Bounds(2**28, writable=(str(own),), written_bytes=1000)
    for path, size, fails in [(own, 1000, False), (own, 1001, True), (other, 1, True), (tmp_path / "new", 1, True)]:
        with Child(tasks.write_own, bounds) as child:
            child.send("write", {"own": str(path), "size": size}, timeout_s=PATIENCE_S)
            if fails:
                with pytest.raises(ChildFailedError, match=r"PermissionError|OSError"):
                    child.receive(PATIENCE_S)
            else:
                assert child.receive(PATIENCE_S).kind == "written"
    assert sorted(tmp_path.iterdir()) == [other, own]


def test_a_child_knows_no_secrets_and_leaves_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_STORE__ADDRESS", "mongodb://user:secret@host")
    code = (
        "from facerec_models.confinement.child import Child\n"
        "from facerec_models.confinement.bounds import Bounds\n"
        "from tests.unit.facerec_models.confinement import tasks\n"
        "print(Child(tasks.tell_surroundings, Bounds(2**28)).receive(60).facts)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "secret" not in told
    assert "'RLIMIT_CORE': [0, 0], 'RLIMIT_FSIZE': [0, 0]" in told


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads a niceness of their own")
def test_a_child_gives_way_as_its_thread_does() -> None:
    seen = []

    def work() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 7)
        with Child(tasks.tell_surroundings, BOUNDS) as child:
            seen.append(child.receive(PATIENCE_S).facts["niceness"])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [7]


def test_many_threads_have_children_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: test_messages_come_as_they_were_sent(), range(24)))


def test_a_nursery_that_was_killed_is_started_again() -> None:
    child = Child(tasks.hang, BOUNDS)
    child.receive(PATIENCE_S)
    os.kill(nursery_pid(), signal.SIGKILL)
    with pytest.raises(ChildLostError, match="SIGKILL"):
        child.receive(PATIENCE_S)
    wait_until(lambda: not is_alive(child.pid))
    test_messages_come_as_they_were_sent()
    child.close()
    os.kill(nursery_pid(), signal.SIGKILL)
    test_messages_come_as_they_were_sent()


def test_an_interrupt_leaves_no_answer_to_another_question() -> None:
    test_messages_come_as_they_were_sent()
    nursery = nursery_pid()
    os.kill(nursery, signal.SIGSTOP)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        Child(tasks.hang, BOUNDS)
    timer.join()
    with suppress(ProcessLookupError):
        os.kill(nursery, signal.SIGCONT)
    for _ in range(2):
        test_messages_come_as_they_were_sent()


@pytest.mark.parametrize(
    ("guard", "absent", "told"), [("landlock_version", 0, "Landlock"), ("can_filter_calls", False, "seccomp")]
)
def test_what_the_system_does_not_bound_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, guard: str, absent: object, told: str
) -> None:
    monkeypatch.setattr(bounds_module, guard, lambda: absent)
    nursery = Nursery()
    nursery._begin()
    nursery.close()
    assert [told in record.getMessage() for record in caplog.records] == [True]


def test_threads_share_one_nursery_from_the_first_on(monkeypatch: pytest.MonkeyPatch) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(300):
                together = threading.Barrier(8)

                def ask(together: threading.Barrier = together) -> int:
                    together.wait()
                    return id(shared_nursery())

                monkeypatch.setattr(child_module, "_NURSERIES", {})
                assert len({asked.result() for asked in [pool.submit(ask) for _ in range(8)]}) == 1
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.skipif(sys.platform != "linux", reason="the descriptors are counted as Linux does")
def test_a_process_with_many_open_files_has_children() -> None:
    code = (
        "import os, resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "kept = [os.open('/dev/null', os.O_RDONLY) for _ in range(1100)]\n"
        "import numpy as np\n"
        "from facerec_models.config import LimitsConfig\n"
        "from facerec_models.confinement.pictures import read_image_apart\n"
        "from facerec_models.images import encode_crop\n"
        "for _ in range(2):\n"
        "    print(read_image_apart(encode_crop(np.zeros((2, 3, 3), np.uint8)), LimitsConfig()).shape)"
    )
    told = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=False)
    # Nothing is left open at the end, either: a warning would tell.
    assert (told.stdout, told.stderr) == ("(2, 3, 3)\n(2, 3, 3)\n", "")


def test_children_end_with_a_process_that_is_killed() -> None:
    code = (
        "import os\n"
        "from facerec_models.confinement.child import Child\n"
        "from facerec_models.confinement.bounds import Bounds\n"
        "from tests.unit.facerec_models.confinement import tasks\n"
        "child = Child(tasks.hang, Bounds(2**28)); child.receive(60)\n"
        "from tests.processes import nursery_pid\n"
        "print(nursery_pid(), child.pid, flush=True)\n"
        "child.receive(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(part) for part in process.stdout.readline().split()]
        assert all(map(is_alive, pids))
        os.kill(pids[1], signal.SIGSTOP)
        process.kill()
    assert len(pids) == 2
    wait_until(lambda: not any(map(is_alive, pids)), timeout_s=30)


def test_nothing_is_left_of_children_however_they_end() -> None:
    test_messages_come_as_they_were_sent()
    before, shared = descriptors(), shared_memory()
    children = confined_children()
    for number in range(20):
        with Child(tasks.hang, BOUNDS) as child:
            child.receive(PATIENCE_S)
            if number % 2:
                os.kill(child.pid, signal.SIGKILL if number % 3 else signal.SIGSEGV)
    assert descriptors() == before
    assert shared_memory() == shared
    wait_until(lambda: confined_children() == children)
