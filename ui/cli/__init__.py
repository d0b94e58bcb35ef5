"""The ``facerec`` command."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated, Any, TextIO, cast

# Before torch is imported anywhere: several processes that compute on the same cores must not spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer
from rich.console import Console

from facerec_models.errors import FacerecError, PlaceError
from facerec_models.files import place_error, writing_to
from facerec_models.proxies import keep_loopback_direct
from ui.cli import (
    cohort,
    embedder,
    evaluate,
    export,
    identify,
    models,
    people,
    predecessor,
    projects,
    search,
    stills,
    train,
    unknowns,
    videos,
)
from ui.cli.archive import history, stored_jobs, stored_videos
from ui.cli.common import output
from ui.cli.operation import service, store, weights

_HELP = "Find who appears in a video, when, and on what evidence."

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        output.print(f"facerec {version('facerec')}")
        raise typer.Exit


@app.callback(help=_HELP)
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Take what comes before a command."""


app.command()(service.demo)
app.add_typer(people.app, name="people")
app.command()(train.train)
app.command()(videos.recognize)
app.command()(videos.batch)
app.command()(stills.faces)
app.command()(identify.identify)
app.command()(export.export)
app.add_typer(search.app, name="search")
app.add_typer(unknowns.app, name="unknowns")
app.command()(unknowns.correct)
app.command("import-corrections")(unknowns.import_corrections)
app.command("import-predecessor")(predecessor.import_predecessor)
app.command()(evaluate.evaluate)
app.add_typer(projects.app, name="projects")
app.add_typer(history.app, name="history")
app.add_typer(stored_videos.app, name="videos")
app.add_typer(stored_jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(embedder.app, name="embedder")
app.add_typer(cohort.app, name="cohort")
app.add_typer(weights.app, name="weights")
app.add_typer(store.app, name="store")
app.command()(service.serve)
app.command()(service.ui)
app.command()(service.doctor)


def main() -> None:
    """Run the command; end with the exit codes of the contract."""
    keep_loopback_direct()
    sys.stdout = cast(TextIO, _NamedOutput(sys.stdout))
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except (FacerecError, OSError) as error:
        _give_up_output()
        told = place_error(error, error.filename) if isinstance(error, OSError) and error.filename else None
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(
            f"facerec: {' '.join(str(told or error).split())}"
        )
        sys.exit(1)


class _NamedOutput:
    """Standard output that says of itself when it cannot be written: the system does not."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with writing_to("standard output"):
            return self._stream.write(text)

    def flush(self) -> None:
        with writing_to("standard output"):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _give_up_output() -> None:
    """Let what standard output does not take go nowhere: Python would try it again at its end, and complain."""
    try:
        sys.stdout.flush()
    except (PlaceError, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
