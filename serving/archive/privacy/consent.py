"""What was agreed with a person: on what ground their faces are kept, and until when."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from facerec_models.errors import InputError, NotFoundError, PersonNotFoundError
from facerec_models.names import person_id_of
from serving.archive.privacy.unmatched import scrub_soon
from serving.store.access_rows import PersonNote
from serving.store.acting import present_actor
from serving.store.contract import Store

_MOST_LETTERS = 2000


def note_consent(store: Store, project: str, given: str, text: str, until: str | None = None) -> PersonNote:
    """Keep what was agreed with a person, in place of what there is.

    Parameters
    ----------
    until : str, optional
        The last day on which it holds, as ``2027-12-31``, in UTC; by default it holds until it is taken back.

    Raises
    ------
    PersonNotFoundError
        If the project knows nobody of this name.
    InputError
        If the text is empty or too long, or the day is none.
    """
    person_id = require_person(store, project, given)
    text = " ".join(text.split())
    if not 0 < len(text) <= _MOST_LETTERS:
        raise InputError(
            f"a consent note has 1 to {_MOST_LETTERS} letters, not {len(text)}: name the form, and where it is"
        )
    expires_at = None if until is None else _end_of(until)
    note = PersonNote(project, person_id, text, expires_at, time.time(), present_actor().name)
    store.put_note(note)
    return note


def find_note(store: Store, project: str, given: str) -> PersonNote | None:
    """Return what was agreed with a person; None if nothing is noted.

    Raises
    ------
    PersonNotFoundError
        If the project knows nobody of this name.
    """
    person_id = require_person(store, project, given)
    return notes_of(store, project).get(person_id)


def remove_note(store: Store, project: str, given: str) -> None:
    """Remove what was agreed with a person; the person stays.

    Raises
    ------
    NotFoundError
        If nothing is noted.
    """
    person_id = person_id_of(given)
    if not store.delete_note(project, person_id):
        raise NotFoundError(f"project {project!r} has no consent note of {person_id!r}")
    scrub_soon(store)


def move_note(store: Store, project: str, former: str, person_id: str, *, stays: bool = False) -> None:
    """Let what was agreed with a person go with another name; where both have notes, both hold, and the first end counts.

    Parameters
    ----------
    stays : bool
        Whether the note of the former name stays, too: of two people who are two again, nobody can say whose it was.
    """
    notes = notes_of(store, project)
    note, other = notes.get(former), notes.get(person_id)
    if note is None:
        return
    moved = replace(note, person_id=person_id)
    if other is not None and other.consent != note.consent:
        ends = [one.expires_at for one in (note, other) if one.expires_at is not None]
        text = f"{other.consent}; {note.consent}"
        moved = replace(moved, consent=text, expires_at=min(ends, default=None))
    # The new one first: killed in between, the note of the former name is nobody's, and the sweep removes it.
    store.put_note(moved)
    if not stays:
        store.delete_note(project, former)


def notes_of(store: Store, project: str) -> dict[str, PersonNote]:
    """Return what was agreed with the people of a project, by person."""
    return {note.person_id: note for note in store.list_notes(project)}


def is_over(note: PersonNote, now: float | None = None) -> bool:
    """Whether what was agreed holds no longer."""
    return note.expires_at is not None and note.expires_at <= (time.time() if now is None else now)


def last_day(note: PersonNote) -> str | None:
    """Return the last day on which a note holds, as it was given."""
    if note.expires_at is None:
        return None
    return (datetime.fromtimestamp(note.expires_at, UTC) - timedelta(days=1)).date().isoformat()


def note_document(note: PersonNote) -> dict[str, Any]:
    """Return a note as JSON values."""
    return {
        "person_id": note.person_id,
        "note": note.consent,
        "until": last_day(note),
        "is_over": is_over(note),
        "updated_at": note.updated_at,
        "updated_by": note.updated_by,
    }


def require_person(store: Store, project: str, given: str) -> str:
    """Return the id of a person whom a project has faces or corrections of; raise `PersonNotFoundError` if it has none."""
    person_id = person_id_of(given)
    if not store.list_faces(project, person_id=person_id) and not store.list_corrections(project, person_id=person_id):
        raise PersonNotFoundError(f"project {project!r} has no person {person_id!r}; 'facerec people list' names all")
    return person_id


def _end_of(day: str) -> float:
    try:
        parsed = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        return (parsed + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError):
        raise InputError(f"{day!r} is no day: give one as 2027-12-31") from None
