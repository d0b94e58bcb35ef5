"""In which order rows of MongoDB come, and which come after one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any


def comes_after(sort: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return the condition that a document comes after one with these values, in the order of these columns.

    A minus before each column turns the order round.
    """
    beyond = "$lt" if _is_turned(sort) else "$gt"
    key = dict(zip([name.lstrip("-") for name in sort], values, strict=True))
    *before, last = key
    either: list[dict[str, Any]] = [{**{name: key[name] for name in before}, last: {beyond: key[last]}}]
    for i, name in enumerate(before):
        either.append({**{one: key[one] for one in before[:i]}, name: {beyond: key[name]}})
    return {"$or": either}


def in_order(rows: Iterable[Any], sort: Sequence[str]) -> list[Any]:
    """Return rows in the order of these columns."""
    return sorted(rows, key=attrgetter(*[name.lstrip("-") for name in sort]), reverse=_is_turned(sort))


def _is_turned(sort: Sequence[str]) -> bool:
    return sort[0].startswith("-")
