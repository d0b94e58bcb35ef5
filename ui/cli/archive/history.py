"""``facerec history``: every edit that changed names, and the last one taken back."""

from __future__ import annotations

from typing import Annotated

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

app = typer.Typer(help="Every edit that changed names; the last one can be undone.", no_args_is_help=True)


@app.command("list")
def list_edits(project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List all edits, the first one first."""
    from serving.archive.access.history import read_history

    with open_home(home) as opened:
        rows = read_history(opened.archive.store, project)
    if as_json:
        print_json([row.model_dump() for row in rows])
        return
    table = Table("edit", "applied", "for", "model", "accepted error", "state")
    for row in rows:
        state = "undone" if row.undone_at else "can be undone now" if row.can_undo else "stands"
        cause = f"{row.cause}: {row.note}" if row.note else row.cause
        limit = "as configured" if row.max_false_names is None else f"{row.max_false_names:.2%}"
        table.add_row(str(row.number), date_of(row.created_at), cause, row.model_version or "none", limit, state)
    print_table(table)


@app.command()
def undo(
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="EDIT", help="Its number: the last one that stands, which is the default.", show_default=False
        ),
    ] = None,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the last edit back: names, appearances, strangers, corrections and faces are as before it."""
    from serving.archive.access.history import read_history
    from serving.archive.naming.undo import undo_edit

    with open_home(home) as opened:
        rows = read_history(opened.archive.store, project)
        change = undo_edit(opened.archive, project, number, preview=preview, expected=expect)
    for row in rows:
        if row.can_undo and not as_json:
            what = f"{row.cause}: {row.note}" if row.note else row.cause
            output.print(f"Edit {row.number} ({what}) {'is' if change.applied else 'would be'} undone.")
    print_change(change, as_json=as_json)
