"""The measurement on a GPU, measured itself: quickly, on the CPU, with the real networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu_check import __main__ as command
from tests.gpu_check import precision, table
from tests.gpu_check.clock import Clock, measure

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
NETWORKS = {"P-Net", "R-Net", "O-Net", "dlib ResNet", "FaceNet, random weights"}
# What a machine with a GPU need not have: importing any of these ends the run.
WITHOUT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {'ray', 'gradio', 'fastapi', 'starlette', 'pymongo', 'typer', 'serving', 'training', 'ui'}:
            raise ModuleNotFoundError(f'{name} is not on this machine')
sys.meta_path.insert(0, Absent())
from tests.gpu_check.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def run(tmp_path: Path, *arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """Run the measurement in a process of its own, to this exit code; return its report and what it prints."""
    report = tmp_path / "report.json"
    line = [
        sys.executable,
        "-W",
        "error",
        "-c",
        WITHOUT,
        "--device",
        "cpu",
        "--quick",
        "--json",
        str(report),
        *arguments,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "FACEREC_EVAL_DATA"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return json.loads(report.read_text(encoding="utf-8")), done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    return run(tmp_path_factory.mktemp("gpu_check"), "--commit", "abc123")


def test_the_report_is_whole_and_names_what_it_was_measured_with(measured: tuple[dict[str, Any], str]) -> None:
    report, printed = measured
    assert report["schema"] == "facerec.gpu-check/1"
    assert (report["skipped"], report["failed"]) == ([], {})
    assert (report["machine"]["device"], report["machine"]["commit"]) == ("cpu", "abc123")
    assert report["machine"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert report["machine"]["processor"]
    assert list(table.lines(report)) == printed.splitlines()


def test_networks_on_the_cpu_equal_themselves_exactly(measured: tuple[dict[str, Any], str]) -> None:
    rows = [row for row in measured[0]["networks"] if row["precision"] == precision.FP32.name]
    assert {row["network"] for row in rows} == NETWORKS
    assert {row["max_abs"] for row in rows} == {0.0}
    assert all(row["largest"] > 0.1 for row in rows)


def test_reduced_precision_is_seen(measured: tuple[dict[str, Any], str]) -> None:
    rows = [row for row in measured[0]["networks"] if row["precision"] == precision.BF16.name]
    assert {row["network"] for row in rows} == NETWORKS
    assert all(1e-5 < row["max_abs"] < 0.2 for row in rows)


def test_answers_on_the_cpu_equal_themselves_exactly(measured: tuple[dict[str, Any], str]) -> None:
    (row,) = measured[0]["decisions"]
    assert row["pictures"] == 10
    assert row["faces"] >= 10
    assert (row["pictures_that_differ"], row["which"]) == (0, [])
    assert (row["max_box_px"], row["max_landmark_px"], row["max_score"]) == (0, 0, 0)
    for gallery in ("named_by_the_cpus_gallery", "named_by_its_own_gallery"):
        assert row[gallery]["faces"] == row[gallery]["named"] == 8
        assert (row[gallery]["faces_that_differ"], row[gallery]["max_false_name_rate"]) == (0, 0)


def test_every_speed_is_measured(measured: tuple[dict[str, Any], str]) -> None:
    report, _ = measured
    assert {(row["frames"], row["batch"]) for row in report["detection"]} == {
        (size, batch) for size in ("360p", "1080p") for batch in (1, 2)
    }
    assert {(row["network"], row["crops"]) for row in report["embedding"]} == {
        (name, count) for name in ("dlib ResNet", "FaceNet, random weights") for count in (1, 2)
    }
    assert len(report["library_detection"]) == 4
    for row in (*report["detection"], *report["library_detection"], *report["embedding"], *report["stages"]):
        assert 0 < row["fastest_s"] <= row["median_s"] <= row["slowest_s"]
        assert row["peak_mb"] is None


def test_a_video_is_analysed_and_compared(measured: tuple[dict[str, Any], str]) -> None:
    (row,) = measured[0]["videos"]
    assert (row["clip"], row["size"], row["length_s"]) == ("360p.mp4", "640x360", 2)
    assert row["tracks"] == row["against_the_cpu"]["tracks"] == row["against_the_cpu"]["same_frames"] == 1
    assert row["against_the_cpu"]["max_box_px"] == 0


def test_parts_are_skipped_by_name_when_time_is_up(tmp_path: Path) -> None:
    report, printed = run(tmp_path, "--minutes", "0.04")
    assert report["networks"] == report["detection"] == report["videos"] == report["decisions"] == []
    assert "8 of 10 pictures: no time left" in report["skipped"]
    assert "detection, 360p, 1 frames, as shipped: no time left" in report["skipped"]
    assert all(f"skipped: {name}" in printed for name in report["skipped"])


def test_a_part_that_fails_is_reported_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*arguments: object) -> None:
        raise ArithmeticError("no such kernel")

    monkeypatch.delenv("FACEREC_EVAL_DATA", raising=False)
    monkeypatch.setattr(command.speed, "stages", fail)
    report = tmp_path / "report.json"
    assert command.main(["--device", "cpu", "--quick", "--minutes", "0.01", "--json", str(report)]) == 1
    found = json.loads(report.read_text(encoding="utf-8"))
    assert "no such kernel" in found["failed"]["stages"]
    assert list(found["failed"]) == ["stages"]
    assert found["decisions"] == found["library_detection"] == []


def test_a_clock_keeps_time_for_others() -> None:
    clock = Clock(minutes=10, started=time.monotonic() - 300)
    assert clock.spent_s >= 300
    assert clock.spent_s + clock.left_s == pytest.approx(600, abs=1)
    assert clock.allows("a", reserve_s=200)
    assert not clock.allows("b", reserve_s=300)
    assert clock.skipped == ["b: no time left"]


def test_a_task_is_timed_after_it_was_done_once() -> None:
    calls: list[int] = []
    timing = measure(lambda: calls.append(len(calls)), CPU, budget_s=0.0)
    assert (len(calls), timing.rounds) == (2, 1)
    assert measure(lambda: calls.append(0), CPU, budget_s=10).rounds == 20


def test_a_precision_lasts_as_long_as_its_context() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with precision.FP32.on(CPU):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.is_autocast_enabled("cpu")
    with precision.BF16.on(CPU):
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
