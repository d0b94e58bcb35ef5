from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from facerec_models.errors import InputError
from training.evaluation.counting import Evaluation
from training.evaluation.gate import LEAST, MOST, read_gate
from training.evaluation.report import to_dict


def report(precision: float | None = 0.9, recall: float | None = 0.8, **changes: Any) -> dict[str, Any]:
    """Return the report of nothing, with some figures put in."""
    document = to_dict(Evaluation(()))
    document["pooled"] |= {"precision": precision, "recall": recall, "f1": 0.85}
    document["strangers"]["names_per_hour"] = 30.0
    return document | changes


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_every_figure_is_found_in_a_report() -> None:
    for figure in [*LEAST.values(), *MOST.values()]:
        figure(report())
    assert LEAST["precision"](report()) == 0.9
    assert MOST["false_names_per_hour"](report()) == 30


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"precision": 0.9, "recall": 0.8, "false_names_per_hour": 30}, [True, True, True]),
        ({"precision": 0.901}, [False]),
        ({"false_names_per_hour": 29.9, "recall": 0.5}, [False, True]),
        ({"bcubed_precision": 0.1}, [False]),
        ({"calibration_error": 0.9}, [False]),
    ],
)
def test_limits_are_least_or_most(tmp_path: Path, limits: dict[str, float], kept: list[bool]) -> None:
    checks = read_gate(write(tmp_path / "gate.json", limits)).check(report())
    assert [check.is_kept for check in checks] == kept


def test_a_broken_limit_names_both_values(tmp_path: Path) -> None:
    gate = read_gate(write(tmp_path / "gate.json", {"precision": 0.97, "false_names_per_hour": 6, "purity": 0.5}))
    assert [str(check) for check in gate.check(report())] == [
        "precision is 0.9, at least 0.97 was asked for",
        "false_names_per_hour is 30, at most 6 was asked for",
        "purity is undefined, nothing in the truth measures it, at least 0.5 was asked for",
    ]


def test_toml(tmp_path: Path) -> None:
    (tmp_path / "gate.toml").write_text("precision = 0.97\nrecall = 0.8  # of clear seconds\n")
    assert [check.is_kept for check in read_gate(tmp_path / "gate.toml").check(report())] == [False, True]


@pytest.mark.parametrize(("limit", "kept"), [(0.05, [True, True, True]), (0.01, [False, True, True])])
def test_no_figure_may_fall_further_below_an_earlier_report(tmp_path: Path, limit: float, kept: list[bool]) -> None:
    write(tmp_path / "report.json", report(precision=0.94, recall=0.1))
    gate = read_gate(write(tmp_path / "gate.json", {"max_drop": limit, "against": "report.json"}))
    assert [check.is_kept for check in gate.check(report())] == kept


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"precison": 0.9}, "unknown figure 'precison': known are precision, recall"),
        ({"precision": "high"}, "limit of 'precision' must be a number, not 'high'"),
        ({"precision": True}, "must be a number, not True"),
        ({}, "has no limit"),
        ([0.9], "must hold names and limits"),
        ({"max_drop": 0.1}, "need each other"),
        ({"precision": 0.1, "against": "report.json"}, "need each other"),
        ({"max_drop": 0.1, "against": "gate.json"}, "is no report of an evaluation"),
        ({"max_drop": 0.1, "against": "absent.json"}, "absent.json' cannot be read"),
        ({"max_drop": 0.1, "against": 3}, "against must be the path"),
    ],
)
def test_an_unusable_gate_is_refused(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_gate(write(tmp_path / "gate.json", document))


def test_text_that_is_no_gate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gate.toml").write_text("precision: 0.9")
    with pytest.raises(InputError, match="cannot be read as JSON or TOML"):
        read_gate(tmp_path / "gate.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_gate(tmp_path / "absent.json")
