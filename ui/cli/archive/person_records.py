"""``facerec people consent`` and ``people export``: what was agreed with a person, and all that is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facerec_models.errors import InputError
from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    ProjectOption,
    open_home,
    output,
    print_json,
)
from ui.cli.targets import check_target

if TYPE_CHECKING:
    from serving.store.access_rows import PersonNote

PersonArgument = Annotated[str, typer.Argument(metavar="PERSON", help="A person's name or id.")]


def consent(
    person: PersonArgument,
    note: Annotated[
        str | None, typer.Option(help="What was agreed: a form, and where it is.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The last day on which it holds.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the note; the person stays.")] = False,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Note what was agreed with a person, and until when; without a note, show what there is."""
    from serving.archive.privacy import consent as notes

    if (remove and note is not None) or (note is None and until is not None):
        raise typer.BadParameter("give --note, with --until or without, or --remove, or none of them")
    with open_home(home) as opened:
        store = opened.archive.store
        store.get_project(project)
        if remove:
            notes.remove_note(store, project, person)
            found = None
        elif note is not None:
            found = notes.note_consent(store, project, person, note, until)
        else:
            found = notes.find_note(store, project, person)
    if as_json:
        print_json(None if found is None else notes.note_document(found))
    else:
        output.print("Nothing is noted." if found is None else f"{found.person_id}: {consent_text(found)}")


def consent_text(note: PersonNote) -> str:
    """Return a note, with the day until which it holds."""
    from serving.archive.privacy.consent import is_over, last_day

    end = last_day(note)
    when = "" if end is None else f" (over since {end})" if is_over(note) else f" (until {end})"
    return f"{note.consent}{when}"


def export(
    person: PersonArgument,
    out: Annotated[Path, typer.Option(metavar="FILE.zip", help="A file that is not there yet.")],
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all that is kept of a person to a ZIP that they can read: what is written down, pictures and vectors."""
    from facerec_models.files import write_atomically
    from serving.api.file_answer import stream_zip
    from serving.archive.privacy.person_export import export_person

    check_target("--out", out, endings=(".zip",))
    if out.exists():
        raise InputError(f"{str(out)!r} is there already: name a new file")
    names: list[str] = []

    def told(files: Any) -> Any:
        for name, pieces in files:
            names.append(name)
            yield name, pieces

    with open_home(home) as opened:
        opened.archive.store.get_project(project)
        files = export_person(opened.archive, project, person)
        # For its owner's eyes alone: it has all of a person.
        write_atomically(out, stream_zip(told(files)))
        opened.archive.store.log_action(project, "person-exported")
    if as_json:
        print_json({"file": str(out), "files": names})
    else:
        output.print(f"{out}: {len(names)} files, README.txt says what they are.")
