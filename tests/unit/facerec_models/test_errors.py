from __future__ import annotations

import inspect
import re
from http import HTTPStatus

import pytest

from facerec_models import errors
from facerec_models.errors import BusyError, FacerecError

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, FacerecError) and value.__module__ == errors.__name__
}
LEAVES = [kind for kind in CLASSES.values() if not kind.__subclasses__()]


def drawn() -> tuple[dict[str, str | None], dict[str, int]]:
    """Read the tree in the module's docstring: parent of each error, and the statuses it states."""
    parents: dict[str, str | None] = {}
    statuses: dict[str, int] = {}
    above: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        node = re.search(r"\b([A-Z]\w*Error)\b", line)
        if node is None:
            continue
        column = node.start()
        above = {at: name for at, name in above.items() if at < column}
        parents[node[1]] = above[max(above)] if above else None
        above[column] = node[1]
        status = re.search(r"\s(\d{3})$", line)
        if status:
            statuses[node[1]] = int(status[1])
    return parents, statuses


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    in_code = {name: None if kind is FacerecError else kind.mro()[1].__name__ for name, kind in CLASSES.items()}
    assert drawn()[0] == in_code


def test_the_statuses_in_the_docstring_are_those_in_the_code() -> None:
    stated = drawn()[1]
    assert len(stated) >= 7
    assert stated == {name: CLASSES[name].status for name in stated}


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_error_has_an_http_status_and_a_docstring(kind: type[FacerecError]) -> None:
    assert 400 <= HTTPStatus(kind.status) < 600
    assert kind.status != FacerecError.status, "500 is for what nobody foresaw"
    assert kind.__doc__ not in (None, kind.__base__.__doc__)


def test_a_busy_error_carries_the_time_to_wait() -> None:
    assert BusyError("20 jobs wait", retry_after_s=30).retry_after_s == 30
    assert BusyError("20 jobs wait").retry_after_s > 0
