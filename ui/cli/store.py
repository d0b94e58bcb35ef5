"""``facerec store``: which store it is, its copy into another one, and its backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ui.cli.common import HomeOption, JsonOption, messages, open_home, output, print_json

if TYPE_CHECKING:
    from serving.store import Store

app = typer.Typer(help="Where everything but files is kept.", no_args_is_help=True)


@app.command()
def info(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Tell which store is in use, what is in it, and what it promises."""
    from dataclasses import asdict

    with open_home(home) as opened:
        found = opened.store.describe()
    if as_json:
        print_json(asdict(found))
        return
    output.print(f"{found.kind}, {found.address}, schema {found.schema}", markup=False)
    output.print(f"promises: {found.promise}", markup=False)
    _print_rows(found.rows)


@app.command()
def copy(
    to: Annotated[str, typer.Option("--to", help="mongodb://HOST:27017/NAME, or an SQLite file; new or empty.")],
    source: Annotated[
        str | None, typer.Option("--from", help="The same; by default the store in use.", show_default=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy everything into another store, and compare; also brings a backup back. Stop the service before."""
    from serving.store import open_address
    from serving.store.copying import copy_store

    with _source(source, home) as outgoing, closing(open_address(to, create=True)) as incoming:
        rows = copy_store(outgoing, incoming)
        target = incoming.describe()
    if as_json:
        print_json({"store": target.address, "rows": rows})
    else:
        output.print(f"{target.kind}, {target.address}: all rows are there, as they were", markup=False)
        _print_rows(rows)
    messages.print("Pictures, crops and models are files below the home: copy the folder, too.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")], home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Write the store into one SQLite file while it is used; 'facerec store copy --from FILE' brings it back."""
    from serving.store.copying import back_up

    with open_home(home) as opened:
        back_up(opened.store, file)
    if as_json:
        print_json({"file": str(file), "bytes": file.stat().st_size})
    else:
        output.print(f"{file}: {file.stat().st_size / 2**20:.1f} MB", markup=False)
    messages.print("Pictures, crops and models are files below the home: copy the folder, too.")


@contextmanager
def _source(address: str | None, home: Path | None) -> Iterator[Store]:
    from serving.store import open_address

    if address is None:
        with open_home(home) as opened:
            yield opened.store
    else:
        with closing(open_address(address, create=False)) as store:
            yield store


def _print_rows(rows: dict[str, int]) -> None:
    table = Table("table", "rows", box=None)
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    output.print(table)
