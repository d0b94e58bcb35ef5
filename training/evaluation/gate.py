"""Limits that an evaluation must keep: ``facerec evaluate --gate FILE``.

The file is JSON or TOML, a name and a limit a figure::

    {"precision": 0.97, "recall": 0.8, "false_names_per_hour": 60}

`LEAST` and `MOST` list the names. With ``against``, an earlier ``report.json`` (its path relative to the file), ``max_drop`` limits by
how much precision, recall and F1 may each fall below that report's.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec_models.errors import InputError

Report = Mapping[str, Any]


def _at(*keys: str) -> Callable[[Report], float | None]:
    def figure(report: Report) -> float | None:
        value: Any = report
        for key in keys:
            value = None if value is None else value[key]
        return None if value is None else float(value)

    return figure


# The figure must be at least the limit.
LEAST: dict[str, Callable[[Report], float | None]] = {
    "precision": _at("pooled", "precision"),
    "recall": _at("pooled", "recall"),
    "f1": _at("pooled", "f1"),
    "known_precision": _at("known", "precision"),
    "record_precision": _at("records", "shown", "precision"),
    "record_recall": _at("records", "shown", "recall"),
    "record_f1": _at("records", "shown", "f1"),
    "bcubed_precision": _at("clusters", "bcubed_precision"),
    "bcubed_recall": _at("clusters", "bcubed_recall"),
    "purity": _at("clusters", "purity"),
}
# The figure must be at most the limit.
MOST: dict[str, Callable[[Report], float | None]] = {
    "false_names_per_hour": _at("strangers", "names_per_hour"),
    "false_named_s": _at("strangers", "named_s"),
    "wrong_s": _at("pooled", "wrong_s"),
    "calibration_error": _at("reliability", "calibration_error"),
    "brier": _at("reliability", "brier"),
}
_DROPS = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Check:
    """One limit and what was measured; a figure that nothing defines keeps no limit."""

    name: str
    limit: float
    measured: float | None
    is_least: bool

    @property
    def is_kept(self) -> bool:
        """Whether the evaluation passes."""
        if self.measured is None:
            return False
        return self.measured >= self.limit if self.is_least else self.measured <= self.limit

    def __str__(self) -> str:
        measured = "undefined, nothing in the truth measures it" if self.measured is None else f"{self.measured:.4g}"
        return f"{self.name} is {measured}, {'at least' if self.is_least else 'at most'} {self.limit:.4g} was asked for"

    def to_dict(self) -> dict[str, Any]:
        """Return the limit, the measured value and the verdict."""
        return {
            "name": self.name,
            "least" if self.is_least else "most": self.limit,
            "measured": self.measured,
            "kept": self.is_kept,
        }


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits, read and checked; `earlier` is the report that `max_drop` compares with."""

    limits: Mapping[str, float]
    earlier: Report | None = None

    def check(self, report: Report) -> list[Check]:
        """Compare a report, as `training.evaluation.report.to_dict` makes it, with every limit, in the order of the file."""
        checks = []
        for name, limit in self.limits.items():
            if name == "max_drop" and self.earlier is not None:
                checks += [_drop(one, limit, report, self.earlier) for one in _DROPS]
            elif name in LEAST:
                checks.append(Check(name, limit, LEAST[name](report), is_least=True))
            else:
                checks.append(Check(name, limit, MOST[name](report), is_least=False))
        return checks


def _drop(name: str, limit: float, report: Report, earlier: Report) -> Check:
    now, before = LEAST[name](report), LEAST[name](earlier)
    fell = None if now is None or before is None else before - now
    return Check(f"drop of {name}", limit, fell, is_least=False)


def read_gate(path: Path) -> Gate:
    """Read a gate's file.

    Raises
    ------
    InputError
        If it is neither JSON nor TOML, has no limit, an unknown name, a limit that is no number, or one of ``max_drop``
        and ``against`` without the other.
    """
    document = _read(path)
    against = document.pop("against", None)
    unknown = [name for name in document if name not in {*LEAST, *MOST, "max_drop"}]
    if unknown:
        names = ", ".join([*LEAST, *MOST, "max_drop", "against"])
        raise InputError(f"{path} has the unknown figure {unknown[0]!r}: known are {names}")
    for name, limit in document.items():
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
            raise InputError(f"{path}: the limit of {name!r} must be a number, not {limit!r}")
    if ("max_drop" in document) != (against is not None):
        raise InputError(f"{path}: max_drop and against, the report to compare with, need each other")
    if not document:
        raise InputError(f'{path} has no limit; write for instance {{"precision": 0.97}}')
    if against is None:
        return Gate(document)
    if not isinstance(against, str):
        raise InputError(f"{path}: against must be the path of a report.json, not {against!r}")
    earlier = _read(path.parent / against)
    if earlier.get("schema") != "facerec.evaluation/1":
        raise InputError(f"{path.parent / against} is no report of an evaluation: give a report.json")
    return Gate(document, earlier)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read as JSON or TOML: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f'{path} must hold names and limits, as {{"precision": 0.97}}')
    return document
