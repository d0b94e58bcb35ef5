"""``facerec models``: trained versions, and which of them names."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    ProjectOption,
    date_of,
    open_home,
    output,
    print_json,
)
from ui.cli.identify import ExpectOption, PreviewOption, print_change
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from serving.archive.naming.preview import IdentificationChange

app = typer.Typer(help="Trained versions, and which of them names.", no_args_is_help=True)


@app.command("list")
def list_models(project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the trained versions; the promoted one is marked."""
    from serving.archive.learning.loaded_models import promoted_version

    with open_home(home) as opened:
        rows = opened.archive.store.list_models(project)
        promoted = promoted_version(opened.archive.store, project)
    if as_json:
        print_json([{**asdict(row), "promoted": row.version == promoted} for row in rows])
        return
    table = Table("version", "promoted", "people", "faces", "classifier", "embedder", "trained")
    for row in rows:
        mark = "yes" if row.version == promoted else ""
        table.add_row(
            row.version, mark, str(row.people), str(row.faces), row.classifier, row.embedder, date_of(row.created_at)
        )
    print_table(table)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")],
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a version name new videos and the whole archive; 'facerec history undo' takes that back."""
    from serving.archive.ids import IdKind, full_id
    from serving.archive.naming.identify import identify_archive

    with open_home(home) as opened:
        version = full_id(opened.archive.store, IdKind.MODEL, version, project)
        change = identify_archive(
            opened.archive,
            project,
            model_version=version,
            preview=preview,
            expected=expect,
        )
    _print_promotion(version, change, as_json=as_json)


@app.command()
def rollback(
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the version that was promoted before name new videos and the whole archive again."""
    from serving.archive.naming.identify import identify_archive

    with open_home(home) as opened:
        version = opened.archive.store.former_model(project).version
        change = identify_archive(opened.archive, project, goes_back=True, preview=preview, expected=expect)
    _print_promotion(version, change, as_json=as_json)


def _print_promotion(version: str, change: IdentificationChange, *, as_json: bool) -> None:
    if as_json:
        print_json({"promoted": version, **change.to_dict()})
        return
    if change.applied:
        output.print(f"{version} names from now on.")
    print_change(change, as_json=False)
