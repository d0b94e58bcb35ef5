"""``facerec projects``: sets of people, models and videos that belong together."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from ui.cli.common import (
    HomeOption,
    JsonOption,
    date_of,
    open_home,
    output,
    print_json,
)
from ui.cli.tables import print_table

app = typer.Typer(help="Sets of people, models and videos that belong together.", no_args_is_help=True)


@app.command("list")
def list_projects(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List all projects."""
    with open_home(home) as opened:
        rows = opened.archive.store.list_projects()
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    table = Table("project", "embedder", "created")
    for row in rows:
        table.add_row(row.name, row.embedder or "not fixed yet", date_of(row.created_at))
    print_table(table)


@app.command()
def create(name: str, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Create a project."""
    from facerec_models.names import check_project_name

    with open_home(home) as opened:
        row = opened.archive.store.create_project(check_project_name(name))
    print_json(asdict(row)) if as_json else output.print(f"Project {row.name} exists.")


@app.command()
def delete(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a project with its people, models, analyses, crops, and the uploads that are its alone."""
    from facerec_models.names import check_project_name
    from serving.archive.projects import delete_project

    with open_home(home) as opened:
        opened.archive.store.get_project(check_project_name(name))
        if not yes:
            typer.confirm(f"Delete project {name} with everything in it?", abort=True, err=True)
        delete_project(opened.archive, name)
    print_json({"deleted": name}) if as_json else output.print(f"Project {name} is deleted.")
