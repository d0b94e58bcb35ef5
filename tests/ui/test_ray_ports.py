"""``facerec doctor`` finds a Ray that others can reach without a token: real processes with the names of Ray's, that listen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.waiting import WAIT_S, wait_until
from ui import ray_ports
from ui.ray_ports import examine_ray

# Not the name of a real one: other tests ask the doctor at the same time.
_NAME = "ray_of_a_test"
_LISTEN = "import socket, sys; one = socket.create_server(('{host}', 0)); print(one.getsockname()[1], flush=True); sys.stdin.read()"


@contextmanager
def daemon(folder: Path, host: str, **environment: str) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Run what listens at an address as one of Ray's daemons does; yields its address and the process."""
    program = folder / _NAME
    if not program.exists():
        shutil.copy(Path(sys.executable).resolve(), program)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    home = {"PYTHONHOME": sys.base_prefix}
    with subprocess.Popen(
        [program, "-c", _LISTEN.format(host=host)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**inherited, **home, **environment},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        address = f"{host}:{int(process.stdout.readline())}"
        wait_until(lambda: psutil.Process(process.pid).name() == _NAME)
        yield address, [psutil.Process(process.pid)]
        process.stdin.close()
        process.wait(WAIT_S)


@pytest.fixture(autouse=True)
def own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_ports, "_DAEMONS", frozenset({_NAME}))


def test_a_ray_that_others_reach_without_a_token_is_bad(tmp_path: Path) -> None:
    with daemon(tmp_path, "0.0.0.0") as (address, processes):
        _, state, detail = examine_ray({}, processes)
    assert state == "bad"
    assert address in detail
    assert "RAY_AUTH_MODE=token" in detail


def test_a_ray_with_a_token_is_noted_and_one_of_this_machine_is_ok(tmp_path: Path) -> None:
    with daemon(tmp_path, "0.0.0.0", RAY_AUTH_MODE="token") as (_, processes):
        assert examine_ray({}, processes)[1] == "note"
    with daemon(tmp_path, "127.0.0.1") as (_, processes):
        assert examine_ray({}, processes)[1] == "ok"
    assert examine_ray({}, []) == ("ray", "ok", "none runs on this machine")


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that other users pass through, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("named", [True, False], ids=["named", "in the user's folder"])
def test_a_token_that_all_users_read_is_bad(shared_folder: Path, named: bool) -> None:
    token = shared_folder / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("0" * 64)
    where = {"RAY_AUTH_TOKEN_PATH": str(token)} if named else {"HOME": str(shared_folder), "RAY_AUTH_TOKEN_PATH": ""}
    with daemon(shared_folder, "127.0.0.1", RAY_AUTH_MODE="token", **where) as (_, processes):
        for mode, folder_mode, state in [(0o644, 0o755, "bad"), (0o600, 0o755, "ok"), (0o644, 0o700, "ok")]:
            token.chmod(mode)
            token.parent.chmod(folder_mode)
            _, told, detail = examine_ray({}, processes)
            assert told == state, detail
            assert (f"chmod 600 {token}" in detail) == (state == "bad")


def test_an_address_that_is_asked_without_a_token_is_bad() -> None:
    assert examine_ray({"RAY_ADDRESS": "10.0.0.7:6379"}, [])[1] == "bad"
    assert examine_ray({"RAY_ADDRESS": "10.0.0.7:6379", "RAY_AUTH_MODE": "token"}, [])[1] == "ok"


def test_the_doctor_tells(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ended = subprocess.run(
        [sys.executable, "-m", "ui.cli", "doctor", "--json", "--home", str(tmp_path / "home")],
        env={**environment, "RAY_ADDRESS": "10.0.0.7:6379"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (finding,) = [row for row in json.loads(ended.stdout) if row["what"] == "ray"]
    assert (finding["state"], "RAY_AUTH_MODE" in finding["detail"]) == ("bad", True)
