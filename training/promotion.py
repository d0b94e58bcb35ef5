"""When a new version begins to name: not before it is as good as the one that names now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

# Less is within what another sampling of the same people would change.
TOLERANCE = 0.005


class Figures(Protocol):
    """How well a version names; None where there is nothing to divide by. `facerec_models.metrics.NamedTime` is one."""

    @property
    def recall(self) -> float | None: ...  # noqa: D102
    @property
    def precision(self) -> float | None: ...  # noqa: D102


def judge(version: str, promoted: str | None, evaluate: Callable[[str], Figures | None]) -> dict[str, Any]:
    """Say whether a version may take the place of the promoted one.

    It may when there is none, when both are one, when the project has no evaluation set, or when neither recall nor precision is lower
    by more than `TOLERANCE`.

    Parameters
    ----------
    version : str
    promoted : str or None
        The version that names now.
    evaluate : callable
        Measures a version by its name; None where the project has no evaluation set.

    Returns
    -------
    dict
        JSON values: ``passed``, ``reason``, and both versions' figures where they were measured.
    """
    if promoted is None:
        return {"passed": True, "reason": "no version was promoted before"}
    if promoted == version:
        return {"passed": True, "reason": "it is the promoted version"}
    new = evaluate(version)
    if new is None:
        return {"passed": True, "reason": "no evaluation set", "compared_with": promoted}
    old = evaluate(promoted)
    losses = []
    figures: dict[str, Any] = {"new": {}, "old": {}}
    for name in ("recall", "precision"):
        after, earlier = getattr(new, name), getattr(old, name)
        figures["new"][name], figures["old"][name] = after, earlier
        # A version that names nobody has no precision, and loses nothing there.
        if after is not None and earlier is not None and after < earlier - TOLERANCE:
            losses.append(f"{name} {after:.3f}, was {earlier:.3f}")
    return {
        "passed": not losses,
        "reason": "worse on the evaluation set: " + ", ".join(losses) if losses else "not worse on the evaluation set",
        "compared_with": promoted,
        **figures,
    }
