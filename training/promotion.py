"""When a new version begins to name: not before it is as good as the one that names now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from facerec_models.config import IdentificationConfig
from facerec_models.errors import ModelNotFoundError
from serving.home import Home
from serving.store.base import Store

# Less is within what another sampling of the same people would change.
TOLERANCE = 0.005


class Figures(Protocol):
    """How well a version names; None where there is nothing to divide by. `facerec_models.metrics.NamedTime` is one."""

    @property
    def recall(self) -> float | None: ...  # noqa: D102
    @property
    def precision(self) -> float | None: ...  # noqa: D102


Evaluate = Callable[[Store, Home, str, str, IdentificationConfig], Figures | None]


def judge(
    store: Store, home: Home, project: str, version: str, rules: IdentificationConfig, evaluate: Evaluate
) -> dict[str, Any]:
    """Say whether a version may take the place of the promoted one.

    It may when there is none, when both are one, when the project has no evaluation set, or when neither recall nor precision is lower
    by more than `TOLERANCE`.

    Parameters
    ----------
    evaluate : callable
        Measures a version; None where a project has no evaluation set.

    Returns
    -------
    dict
        JSON values: ``passed``, ``reason``, and both versions' figures where they were measured.
    """
    try:
        before = store.get_model(project).version
    except ModelNotFoundError:
        return {"passed": True, "reason": "no version was promoted before"}
    if before == version:
        return {"passed": True, "reason": "it is the promoted version"}
    new = evaluate(store, home, project, version, rules)
    if new is None:
        return {"passed": True, "reason": "no evaluation set", "compared_with": before}
    old = evaluate(store, home, project, before, rules)
    losses = []
    figures: dict[str, Any] = {"new": {}, "old": {}}
    for name in ("recall", "precision"):
        after, earlier = getattr(new, name), getattr(old, name)
        figures["new"][name], figures["old"][name] = after, earlier
        # A version that names nobody has no precision, and loses nothing there.
        if after is not None and earlier is not None and after < earlier - TOLERANCE:
            losses.append(f"{name} {after:.3f} after {earlier:.3f}")
    return {
        "passed": not losses,
        "reason": "worse on the evaluation set: " + ", ".join(losses) if losses else "not worse on the evaluation set",
        "compared_with": before,
        **figures,
    }
