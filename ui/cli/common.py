"""What the commands share: options, the opened home, output."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from facerec_models.names import DEFAULT_PROJECT

if TYPE_CHECKING:
    from rich.progress import Progress

    from serving.archive.handle import Archive
    from serving.settings import Settings

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Where everything is kept.", envvar="FACEREC_HOME", show_default=False)
]
ProjectOption = Annotated[str, typer.Option("--project", "-p", help="The set of people, models and videos.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone to standard output.")]
ErrorOption = Annotated[
    float | None,
    typer.Option(
        "--max-false-names",
        min=1e-6,
        max=0.5,
        help="Accepted fraction of people who are not enrolled that get any name.",
        show_default=False,
    ),
]
AddressOption = Annotated[
    str | None, typer.Option(help="A Ray cluster to compute on.", envvar="RAY_ADDRESS", show_default=False)
]
JobIdOption = Annotated[
    str | None,
    typer.Option(
        help="Record progress and log as this job, which can be cancelled. An id is used once.", show_default=False
    ),
]

# The exit code of what was stopped.
STOPPED = 130

# Names of people and files may have brackets and colons: they are printed as they are.
output = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
messages = Console(stderr=True, highlight=False, markup=False, emoji=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive and the settings that it was opened with."""

    settings: Settings
    archive: Archive


def read_settings(path: Path | None) -> Settings:
    """Read the settings of the home that ``--home``, the environment or the system's conventions name."""
    from facerec_models.errors import InputError
    from serving import settings

    try:
        return settings.read_settings(path)
    except InputError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def open_home(path: Path | None) -> Iterator[Opened]:
    """Open the home that ``--home``, the environment or the system's conventions name."""
    from serving.archive.handle import open_archive

    settings = read_settings(path)
    with open_archive(settings) as archive:
        yield Opened(settings, archive)


def print_note(label: str, text: object, colour: str) -> None:
    """Print a line to standard error that begins with a coloured label."""
    messages.print(Text.assemble((label, colour), f" {text}"), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def interrupt_when_terminated() -> None:
    """Let SIGTERM end this process as Ctrl-C does: that is how 'ray job stop' ends a job."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def progress_bar(unit: str = "percent") -> Iterator[Progress]:
    """Show progress with the remaining time on standard error."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    count = MofNCompleteColumn() if unit == "items" else TaskProgressColumn()
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        count,
        TimeRemainingColumn(),
        console=messages,
        transient=True,
    ) as progress:
        yield progress


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: ``1 track``, ``2 tracks``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def date_of(seconds: float) -> str:
    """Return a time since the epoch as a local date and time."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


__all__ = [
    "DEFAULT_PROJECT",
    "STOPPED",
    "AddressOption",
    "ErrorOption",
    "HomeOption",
    "JobIdOption",
    "JsonOption",
    "Opened",
    "ProjectOption",
    "counted",
    "date_of",
    "interrupt_when_terminated",
    "messages",
    "open_home",
    "output",
    "print_json",
    "print_note",
    "progress_bar",
]


class ShownProgress:
    """Shows the progress of training, or of what leads to it; Ctrl-C is what stops it."""

    def __init__(self, bar: Progress, description: str) -> None:
        self._bar = bar
        self._task = bar.add_task(description, total=1.0)

    def report(self, progress: float) -> None:
        """Move the bar to the fraction that is done."""
        self._bar.update(self._task, completed=progress)

    def should_stop(self) -> bool:
        """Never stop."""
        return False
