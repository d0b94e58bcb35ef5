"""How far a training is, and whether it is to stop."""

from __future__ import annotations

from typing import Protocol

from training.ray_tasks import TrainingStoppedError

# Where the parts of the work begin, as fractions of all.
FIT_FROM, SAVE_FROM = 0.3, 0.9


class Progress(Protocol):
    """Who is told how far the work is, and may stop it."""

    def report(self, progress: float) -> None:
        """Take the fraction that is done, in [0, 1]."""

    def should_stop(self) -> bool:
        """Whether the work must end now."""


class NoProgress:
    """Progress that nobody is shown, of work that nobody stops."""

    def report(self, progress: float) -> None:
        """Take the fraction that is done."""

    def should_stop(self) -> bool:
        """Never stop."""
        return False


def stop_if_asked(progress: Progress) -> None:
    """Raise `TrainingStoppedError` if the work is to end."""
    if progress.should_stop():
        raise TrainingStoppedError("the training was stopped")
