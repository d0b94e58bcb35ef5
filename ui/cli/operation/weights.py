"""``facerec weights``: the networks' weights, and under what terms they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ui.cli.common import (
    HomeOption,
    JsonOption,
    open_home,
    output,
    print_json,
    progress_bar,
)

app = typer.Typer(help="The networks' weights: what is there, under what terms.", no_args_is_help=True)


@app.command("list")
def list_weights(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the known weights, whether they are there, and their terms."""
    from facerec_models.analysis.weights import WeightsRegistry

    with open_home(home) as opened:
        entries = WeightsRegistry(opened.archive.files.weights).entries()
    if as_json:
        print_json(
            [
                {
                    "name": entry.weights.name,
                    "status": entry.status,
                    "path": str(entry.path) if entry.path else None,
                    "terms": entry.weights.terms,
                }
                for entry in entries
            ]
        )
        return
    for entry in entries:
        output.print(Text(entry.weights.name, "bold"), f"{entry.status} {entry.path or ''}\n  {entry.weights.terms}")


@app.command()
def fetch(
    name: str,
    source: Annotated[str | None, typer.Option(help="Address or file to take instead of the published one.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum to accept, for weights without a pinned one.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download weights, or take them from a file or a mirror; an interrupted download goes on where it stopped."""
    from facerec_models.analysis.weights import WeightsRegistry

    with open_home(home) as opened, progress_bar() as progress:
        task = progress.add_task(f"fetching {name}", total=None)

        def show(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        path = WeightsRegistry(opened.archive.files.weights).fetch(name, source=source, sha256=sha256, progress=show)
    print_json({"name": name, "path": str(path)}) if as_json else output.print(f"{name} is at {path}")


@app.command()
def add(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="YAML or JSON; see 'Another network' in the manual.")
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an embedding network of your own: the ONNX file that a manifest describes."""
    from facerec_models.analysis.weights import WeightsRegistry
    from serving.archive.learning.cohort import add_embedder

    with open_home(home) as opened:
        added = add_embedder(opened.archive.files, manifest)
        path = WeightsRegistry(opened.archive.files.weights).locate(added.name)
    if as_json:
        print_json({"name": added.name, "path": str(path)})
    else:
        output.print(f"{added.name} is at {path}. Next: facerec cohort fetch lfw --embedder {added.name}")


@app.command()
def verify(name: str, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Compute the checksum of weights and compare it."""
    from facerec_models.analysis.weights import WeightsRegistry

    with open_home(home) as opened:
        path: Path = WeightsRegistry(opened.archive.files.weights).locate(name)
    print_json({"name": name, "path": str(path), "intact": True}) if as_json else output.print(f"{path} is intact.")
