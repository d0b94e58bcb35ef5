"""``facerec identify``: name the whole archive again, see what that changes, take it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ui.cli.common import (
    DEFAULT_PROJECT,
    ErrorOption,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    date_of,
    messages,
    open_home,
    output,
    print_json,
)
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from serving.archive.naming.preview import IdentificationChange

PreviewOption = Annotated[bool, typer.Option("--preview", help="Show what would change and change nothing.")]
ExpectOption = Annotated[
    str | None,
    typer.Option(
        "--expect", metavar="STATE", help="Refuse if the archive has changed since this preview.", show_default=False
    ),
]


def identify(
    preview: PreviewOption = False,
    undo: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Take the last application back.", show_default=False)
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List what was applied, and change nothing.")] = False,
    model: Annotated[
        str | None,
        typer.Option(help="A model version, which is promoted with it; default: the promoted one.", show_default=False),
    ] = None,
    expect: ExpectOption = None,
    max_false_names: ErrorOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the whole archive again, from stored embeddings: no video is opened. What was applied can be undone."""
    from serving.archive.ids import IdKind, full_id
    from serving.archive.naming.whole_archive import identify_archive

    if sum((preview, undo is not None, list_all)) > 1:
        raise typer.BadParameter("give one of --preview, --undo and --list")
    if (undo is not None or list_all) and not (model is None and expect is None and max_false_names is None):
        raise typer.BadParameter("--undo and --list take neither --model nor --expect nor --max-false-names")
    with open_home(home) as opened:
        if undo is not None:
            _undo(opened, project, undo, as_json=as_json)
            return
        if list_all:
            _list(opened, project, as_json=as_json)
            return
        change = identify_archive(
            opened.archive,
            project,
            max_false_names=max_false_names,
            model_version=None if model is None else full_id(opened.archive.store, IdKind.MODEL, model, project),
            apply=not preview,
            expected_state=expect,
        )
    print_change(change, as_json=as_json)


def print_change(change: IdentificationChange, *, as_json: bool, apply_with: str | None = None) -> None:
    """Say what naming the archive again changes, or has changed; `apply_with` is the command that applies it, where it is another."""
    if as_json:
        print_json(change.to_dict())
        return
    table = Table("person", "appearances", "tracks", "for example")
    for person in change.people:
        table.add_row(
            person,
            f"+{change.appearances_added[person]} -{change.appearances_removed[person]}",
            f"+{change.added[person]} -{change.removed[person]}",
            "\n".join(
                f"{one.video} {one.start_s:.1f}-{one.end_s:.1f} s: {one.before or 'nobody'} -> {one.after or 'nobody'}"
                + (f" ({one.reason})" if one.reason else "")
                for one in change.examples.get(person, [])
            ),
        )
    if change.people:
        print_table(table)
    state = "are now" if change.applied else "would be"
    output.print(f"{change.tracks} tracks of {change.videos} videos {state} named by revision {change.revision}.")
    if change.applied:
        output.print(f"Take it back with 'facerec identify --undo {change.revision}'.")
    else:
        command = f"'{apply_with} --expect" if apply_with else "the same command with --expect"
        rest = "'." if apply_with else " in place of --preview."
        output.print(f"Apply exactly this: {command} {change.state}{rest}")


def _undo(opened: Opened, project: str, revision: str, *, as_json: bool) -> None:
    from serving.archive.ids import IdKind, full_id
    from serving.archive.naming.undo import undo_application

    revision = full_id(opened.archive.store, IdKind.REVISION, revision, project)
    undone = undo_application(opened.archive, project, revision)
    if as_json:
        print_json(asdict(undone))
        return
    output.print(f"{undone.videos} videos are named as before {revision}.")
    if undone.note:
        messages.print(f"Note: {undone.note}.", soft_wrap=True)


def _list(opened: Opened, project: str, *, as_json: bool) -> None:
    from serving.api.schemas import RevisionView

    stored = opened.archive.store.list_applications(project)
    rows = RevisionView.list_of(stored)
    if as_json:
        print_json([row.model_dump() for row in rows])
        return
    table = Table("applied", "revision", "model", "accepted error", "for", "state")
    for row, one in zip(rows, stored, strict=True):
        if row.undone_at is not None:
            state = "undone"
        elif row.can_undo:
            state = "can be undone"
        else:
            state = "cannot be undone" if one.undo is None else "can be undone after those below it"
        cause = f"{row.cause}: {row.note}" if row.note else row.cause
        table.add_row(
            date_of(row.created_at), row.revision, row.model_version, f"{row.max_false_names:.2%}", cause, state
        )
    print_table(table)
