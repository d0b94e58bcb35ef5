"""The ``facerec`` command."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, TextIO, cast

# Before torch is imported anywhere: several processes that compute on the same cores must not spin while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer
import typer.main
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from facerec_models.errors import FacerecError, PlaceError
from facerec_models.files import place_error, writing_to
from facerec_models.proxies import keep_loopback_direct
from ui.cli.common import output

_HELP = "Find who appears in a video, when, and on what evidence."

# Where each command is, and what the list of commands says of it: the list is shown without importing them.
_COMMANDS = {
    "demo": (
        "ui.cli.operation.service:demo",
        "Show the main job: sample people and a sample video through the real service.",
    ),
    "train": (
        "ui.cli.train:train",
        "Learn the enrolled people; tells what similarity a name will need for the accepted error.",
    ),
    "recognize": ("ui.cli.videos:recognize", "Find who appears in videos, when, and on what evidence."),
    "batch": (
        "ui.cli.videos:batch",
        "Recognize many fragments, one result each; fragments that are done already are not done again.",
    ),
    "faces": (
        "ui.cli.stills:faces",
        "Say who is in pictures: a table on a terminal, one line of JSON for each picture elsewhere and with --json.",
    ),
    "identify": (
        "ui.cli.identify:identify",
        "Name the whole archive again, from stored embeddings: no video is opened. 'facerec history undo' takes that back.",
    ),
    "export": ("ui.cli.export:export", "Write stored results in another form."),
    "correct": (
        "ui.cli.unknowns:correct",
        "Say who a track is, or is not; the model learns it and the whole archive is named again at once.",
    ),
    "import-corrections": (
        "ui.cli.unknowns:import_corrections",
        "Take back an exported table in which names were changed: all corrections at once, as one edit.",
    ),
    "import-predecessor": (
        "ui.cli.predecessor:import_predecessor",
        "Take over the predecessor's projects, people and disabled pictures, and write its answers about videos.",
    ),
    "evaluate": (
        "ui.cli.evaluate:evaluate",
        "Measure names against a truth: person-seconds, records, stated chances, faces by size and pose, strangers.",
    ),
    "serve": (
        "ui.cli.operation.service:serve",
        "Run the service, and the page, until Ctrl-C; ends with an error if what it needs has died and does not start again.",
    ),
    "ui": ("ui.cli.operation.service:ui", "Run the page for a service that runs already, until Ctrl-C."),
    "doctor": ("ui.cli.operation.service:doctor", "Check what FaceRec stands on, and say what it found."),
    "people": ("ui.cli.people:app", "Enrol people and inspect their pictures."),
    "search": ("ui.cli.search:app", "Search the archive by person, by company, and by face."),
    "unknowns": ("ui.cli.unknowns:app", "Strangers: people in videos whom nobody has named."),
    "projects": ("ui.cli.projects:app", "Sets of people, models and videos that belong together."),
    "history": ("ui.cli.archive.history:app", "Every edit that changed names; the last one can be undone."),
    "videos": ("ui.cli.archive.stored_videos:app", "Stored videos: what was analysed of them, and who is in them."),
    "jobs": ("ui.cli.archive.stored_jobs:app", "Long work: how far it is, how to stop it, how to try it again."),
    "models": ("ui.cli.models:app", "Trained versions, and which of them names."),
    "embedder": (
        "ui.cli.embedder:app",
        "Change a project's embedder without decoding: prepare a second set, compare, switch, undo.",
    ),
    "cohort": ("ui.cli.cohort:app", "Strangers who calibrate names: those shipped, and your own."),
    "weights": ("ui.cli.operation.weights:app", "The networks' weights: what is there, under what terms."),
    "keys": ("ui.cli.operation.keys:app", "API keys: who may ask the service what."),
    "audit": ("ui.cli.operation.audit:app", "Who changed what: read, written to a file, checked."),
    "privacy": ("ui.cli.operation.privacy:app", "What a project keeps, and for how long."),
    "store": ("ui.cli.operation.store:app", "Where everything but files is kept."),
}


class _LazyGroup(TyperGroup):
    """Imports a command's module when that command is asked for, and not before."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=summary) for name, (_, summary) in _COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that is asked for, whole."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _load(args[0]), rest


def _load(name: str) -> Any:
    module, _, attribute = _COMMANDS[name][0].partition(":")
    part = getattr(import_module(module), attribute)
    carrier = typer.Typer()
    if isinstance(part, typer.Typer):
        carrier.add_typer(part, name=name)
    else:
        carrier.command(name)(part)
    return typer.main.get_group(carrier).commands[name]


def whole_command() -> TyperGroup:
    """Return the command with all below it, for who lists or describes them: every module is imported."""
    root = typer.main.get_group(app)
    root.commands = {name: _load(name) for name in _COMMANDS}
    return root


app = typer.Typer(
    cls=_LazyGroup,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        output.print(f"facerec {version('facerec')}")
        raise typer.Exit


@app.callback(help=_HELP)
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Take what comes before a command."""


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
