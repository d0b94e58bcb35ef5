"""``facerec audit``: who changed what."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ui.cli.common import HomeOption, JsonOption, ProjectOption, counted, date_of, open_home, output, print_json
from ui.cli.tables import print_table

app = typer.Typer(help="Who changed what: read, written to a file, checked.", no_args_is_help=True)

ServiceOption = Annotated[bool, typer.Option("--service", help="What is of no project, as keys.")]


@app.command("list")
def list_some(
    last: Annotated[int, typer.Option(min=1, help="How many, the last ones.")] = 50,
    of_service: ServiceOption = False,
    project: ProjectOption = "default",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the last entries, oldest first."""
    from serving.archive.access.audit import read_audit

    with open_home(home) as opened:
        found = read_audit(opened.archive.store, "" if of_service else project)[-last:]
    if as_json:
        print_json([entry.model_dump() for entry in found])
        return
    table = Table("no.", "at", "who", "did", "to", "what changed", box=None)
    for entry in found:
        told = {**({} if entry.edit is None else {"note": entry.edit["note"]}), **entry.details}
        changed = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in told.items() if value)
        table.add_row(str(entry.number), date_of(entry.at), entry.actor, entry.action, entry.subject or "", changed)
    print_table(table)


@app.command()
def export(
    out: Annotated[
        Path | None, typer.Option(help="A new file; standard output by default.", show_default=False)
    ] = None,
    of_service: ServiceOption = False,
    project: ProjectOption = "default",
    home: HomeOption = None,
) -> None:
    """Write all entries, one line of JSON each, oldest first."""
    from serving.archive.access.audit import read_audit

    with open_home(home) as opened:
        lines = [entry.model_dump_json() for entry in read_audit(opened.archive.store, "" if of_service else project)]
    text = "".join(f"{line}\n" for line in lines)
    if out is None:
        sys.stdout.write(text)
        return
    with out.open("x", encoding="utf-8") as file:
        file.write(text)
    output.print(f"{out}: {counted(len(lines), 'entry', 'entries')}")


@app.command()
def verify(
    of_service: ServiceOption = False,
    project: ProjectOption = "default",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that no entry was changed or left out: each carries a digest of all before it."""
    from serving.archive.access.audit import all_entries, check_audit

    name = "" if of_service else project
    with open_home(home) as opened:
        broken = check_audit(opened.archive.store, name)
        last = None
        for last in all_entries(opened.archive.store, name):  # noqa: B007
            pass
    count, chain = (0, "") if last is None else (last.number, last.chain)
    if as_json:
        print_json({"entries": count, "chain": chain, "broken": None if broken is None else broken.number})
    elif broken is None:
        output.print(
            f"{counted(count, 'entry', 'entries')}, all as they were written; the last one has {chain or 'none'}"
        )
    else:
        output.print(f"entry {broken.number} is not as it was written, or the one before it is missing")
    if broken is not None:
        raise typer.Exit(1)
