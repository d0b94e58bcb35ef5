"""``facerec store``: which store it is, its copy into another one, and its backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ui.cli.common import HomeOption, JsonOption, messages, open_home, output, print_json, read_settings
from ui.cli.tables import print_table
from ui.cli.targets import DATABASE, check_ending

if TYPE_CHECKING:
    from serving.store.contract import Store

app = typer.Typer(help="Where everything but files is kept.", no_args_is_help=True)


@app.command()
def info(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Tell which store is in use, what is in it, and what it promises."""
    from dataclasses import asdict

    with open_home(home) as opened:
        found = opened.archive.store.describe()
    if as_json:
        print_json(asdict(found))
        return
    output.print(f"{found.kind}, {found.address}, schema {found.schema}")
    output.print(f"promises: {found.promise}")
    _print_rows(found.rows)


@app.command()
def copy(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="mongodb://HOST:27017/NAME, or an SQLite file, new or empty; by default the store in use, which "
            "FACEREC_STORE names without its password being seen in lists of processes.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="The same; by default the store in use.", show_default=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy everything into another store, and compare; also brings a backup back. Stop the service before."""
    from serving.store.copying import copy_store

    if to is None and source is None:
        raise typer.BadParameter("name another store than the one in use, with --from or --to")
    with _opened(source, home) as outgoing, _opened(to, home, create=True) as incoming:
        rows = copy_store(outgoing, incoming)
        target = incoming.describe()
    if as_json:
        print_json({"store": target.address, "rows": rows})
    else:
        output.print(f"{target.kind}, {target.address}: all rows are there, as they were")
        _print_rows(rows)
    _print_files(home)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")], home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Write the store into one SQLite file while it is used; 'facerec store copy --from FILE' brings it back."""
    from serving.store.copying import back_up

    check_ending("FILE", file, DATABASE)
    with open_home(home) as opened:
        back_up(opened.archive.store, file)
    if as_json:
        print_json({"file": str(file), "bytes": file.stat().st_size})
    else:
        output.print(f"{file}: {file.stat().st_size / 2**20:.1f} MB")
    _print_files(home)


@app.command()
def upgrade(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Bring a store that an older version wrote to this version; services of the version before may run meanwhile.

    An SQLite file is copied first, beside itself; back up a MongoDB with the version that wrote it.
    """
    from serving.store.opening import upgrade_store

    settings = read_settings(home)
    opened, before = upgrade_store(settings.home, settings.store)
    with closing(opened) as store:
        found = store.describe()
    if as_json:
        print_json({"store": found.address, "before": before, "schema": found.schema})
    elif before == found.schema:
        output.print(f"{found.address}: has schema {found.schema} already")
    else:
        output.print(f"{found.address}: schema {before} is schema {found.schema} now")


@contextmanager
def _opened(address: str | None, home: Path | None, *, create: bool = False) -> Iterator[Store]:
    """Open a store by its address, or the one in use."""
    from serving.store.opening import FILE_NAME, open_address

    if address is None:
        settings = read_settings(home)
        address = str(settings.home / FILE_NAME) if settings.store is None else settings.store.get_secret_value()
    with closing(open_address(address, create=create)) as store:
        yield store


def _print_files(home: Path | None) -> None:
    settings = read_settings(home)
    files = "" if settings.files is None else f" and below {settings.files}"
    messages.print(f"Pictures, crops and models are files below {settings.home}{files}: keep a copy of them, too.")


def _print_rows(rows: dict[str, int]) -> None:
    table = Table("table", "rows", box=None)
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    print_table(table)
