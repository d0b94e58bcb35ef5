"""One bad item must not sink its batch: an exception inside a batched call would fail every caller in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Out]):
    """What became of one item of a batch: a value or an error."""

    value: Out | None = None
    error: Exception | None = None

    def unwrap(self) -> Out:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def run_batch(items: Sequence[In], together: Callable[[Sequence[In]], Sequence[Out]]) -> list[Outcome[Out]]:
    """Do all items together; if that fails, each by itself, so that only the bad ones fail."""
    try:
        return [Outcome(value) for value in together(items)]
    except Exception as error:
        if len(items) == 1:
            return [Outcome(error=error)]
        return [run_batch([item], together)[0] for item in items]
