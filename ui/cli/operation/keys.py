"""``facerec keys``: make, list and revoke API keys."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table

from facerec_models.names import DEFAULT_PROJECT
from ui.cli.common import HomeOption, JsonOption, date_of, messages, open_home, output, print_json
from ui.cli.tables import print_table

app = typer.Typer(help="API keys: who may ask the service what.", no_args_is_help=True)

_DAY_S = 24 * 3600.0


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, as 'nightly import'.")],
    role: Annotated[str, typer.Option(help="read; curate: all that can be undone; admin: all.")] = "read",
    project: Annotated[
        list[str] | None,
        typer.Option(
            "--project", "-p", help="Where; may be repeated. '*': every project.", show_default=DEFAULT_PROJECT
        ),
    ] = None,
    days: Annotated[float, typer.Option(min=0.0, max=3650.0, help="How long it opens anything; 0: for ever.")] = 365,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Requests a minute; as many as the settings allow by default.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is printed once and kept nowhere; from the first key on, everybody needs one."""
    from serving.archive.access.keys import create_key

    grants = dict.fromkeys(project or [DEFAULT_PROJECT], role)
    expires_at = time.time() + days * _DAY_S if days else None
    with open_home(home) as opened:
        row, key = create_key(opened.archive.store, name, grants, expires_at=expires_at, per_minute=per_minute)
    if as_json:
        print_json({"key_id": row.key_id, "key": key, "grants": row.grants, "expires_at": row.expires_at})
        return
    output.print(key)
    until = "for ever" if row.expires_at is None else f"until {date_of(row.expires_at)}"
    messages.print(f"Key {row.key_id} opens {', '.join(row.grants)} to {role} {until}. It is not shown again.")


@app.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List all keys, those that open nothing any more, too."""
    from serving.archive.access.keys import is_over

    with open_home(home) as opened:
        found = opened.archive.store.list_keys()
    if as_json:
        print_json(
            [
                {name: getattr(key, name) for name in key.__slots__ if name != "digest"} | {"opens": not is_over(key)}
                for key in found
            ]
        )
        return
    table = Table("key", "for", "opens", "until", "made by", "made at", box=None)
    for key in found:
        opens = ", ".join(f"{project}: {role}" for project, role in key.grants.items())
        until = (
            f"revoked {date_of(key.revoked_at)}"
            if key.revoked_at is not None
            else "for ever"
            if key.expires_at is None
            else f"{'expired ' if is_over(key) else ''}{date_of(key.expires_at)}"
        )
        table.add_row(key.key_id, key.name, opens, until, key.created_by, date_of(key.created_at))
    print_table(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="As 'facerec keys list' shows it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a key open nothing any more, from the next request on."""
    with open_home(home) as opened:
        key = opened.archive.store.revoke_key(key_id)
    if as_json:
        print_json({"key_id": key.key_id, "revoked_at": key.revoked_at})
    else:
        output.print(f"{key.key_id}: revoked")
