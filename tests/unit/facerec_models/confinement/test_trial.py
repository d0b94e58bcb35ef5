"""What ``facerec doctor`` says of the guards, with and without each."""

from __future__ import annotations

import pytest

from facerec_models.confinement import trial
from ui import doctor


def test_all_guards_hold_here() -> None:
    assert trial.missing_guards() == []
    assert doctor._examine_decoders()[:2] == ("decoders", "ok")


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_guards", lambda: ["use the network: no filters", "read files: no Landlock"])
    assert doctor._examine_decoders() == (
        "decoders",
        "note",
        "a decoder that a file has taken over can use the network: no filters; it can read files: no Landlock",
    )
