"""Notes of what was agreed go with the person."""

from __future__ import annotations

import pytest

from facerec_models.errors import InputError, NotFoundError, PersonNotFoundError
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.naming import rename
from serving.archive.naming.rename import merge_people, rename_person, unmerge_person
from serving.archive.naming.undo import undo_edit
from serving.archive.privacy.consent import find_note, is_over, last_day, note_consent, notes_of, remove_note
from serving.archive.privacy.retention import apply_policy, has_policy
from serving.store.access_rows import PersonNote
from serving.store.contract import Store
from tests.archive import fill


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def told(store: Store) -> dict[str, tuple[str, str | None]]:
    return {one: (note.consent, last_day(note)) for one, note in notes_of(store, "p").items()}


def test_a_note_is_kept_changed_and_removed(archive: Archive, store: Store) -> None:
    assert find_note(store, "p", "Bob") is None
    assert not has_policy(archive, "p")
    note = note_consent(store, "p", "Bob", " form  7\n", "2030-01-31")
    assert (note.consent, last_day(note), is_over(note)) == ("form 7", "2030-01-31", False)
    assert not is_over(note, 1896134399.0)  # the last second of that day, in UTC
    assert is_over(note, 1896134400.0)
    assert has_policy(archive, "p")
    note_consent(store, "p", "Bob", "form 8")
    assert told(store) == {"Bob": ("form 8", None)}
    remove_note(store, "p", "Bob")
    with pytest.raises(NotFoundError, match="no consent note"):
        remove_note(store, "p", "Bob")
    actions = [entry.action for entry in store.list_audit("p")]
    assert actions[-3:] == ["consent-noted", "consent-noted", "consent-removed"]
    assert "Bob" not in str(store.list_audit("p"))


@pytest.mark.parametrize("day", ["tomorrow", "2030-02-30", "2030-1-1x", "9999-12-31"])
def test_a_day_that_is_none_is_refused(archive: Archive, store: Store, day: str) -> None:
    with pytest.raises(InputError, match="is no day"):
        note_consent(store, "p", "Bob", "form 7", day)
    with pytest.raises(InputError, match="1 to 2000 letters"):
        note_consent(store, "p", "Bob", "  ")
    with pytest.raises(PersonNotFoundError):
        note_consent(store, "p", "Eve", "form 7")


def test_a_note_goes_with_another_name_and_back(archive: Archive, store: Store) -> None:
    note_consent(store, "p", "Bob", "form 7", "2030-01-31")
    rename_person(archive, "p", "Bob", "Robert", preview=True)
    assert told(store) == {"Bob": ("form 7", "2030-01-31")}
    rename_person(archive, "p", "Bob", "Robert")
    assert told(store) == {"Robert": ("form 7", "2030-01-31")}
    undo_edit(archive, "p")
    assert told(store) == {"Bob": ("form 7", "2030-01-31")}


def test_of_two_who_are_one_both_notes_hold(archive: Archive, store: Store) -> None:
    note_consent(store, "p", "Bob", "form 7", "2030-01-31")
    note_consent(store, "p", "Ann Lee", "form 8", "2029-01-31")
    merge_people(archive, "p", "Bob", "Ann Lee")
    assert told(store) == {"Ann_Lee": ("form 8; form 7", "2029-01-31")}


def test_of_two_who_are_two_again_neither_loses_the_note(archive: Archive, store: Store) -> None:
    note_consent(store, "p", "Bob", "form 7", "2020-01-31")
    merge_people(archive, "p", "Bob", "Ann Lee")
    undo_edit(archive, "p")
    assert told(store) == {"Ann_Lee": ("form 7", "2020-01-31"), "Bob": ("form 7", "2020-01-31")}


def test_of_two_who_are_taken_apart_neither_loses_the_note(archive: Archive, store: Store) -> None:
    note_consent(store, "p", "Bob", "form 7", "2030-01-31")
    merge_people(archive, "p", "Bob", "Ann Lee")
    rename_person(archive, "p", "Ann Lee", "Ada")
    unmerge_person(archive, "p", "Bob")
    assert told(store) == {"Ada": ("form 7", "2030-01-31"), "Bob": ("form 7", "2030-01-31")}
    undo_edit(archive, "p")
    assert told(store) == {"Ada": ("form 7", "2030-01-31")}


def test_a_renaming_that_was_killed_keeps_the_note(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_consent(store, "p", "Bob", "form 7", "2030-01-31")
    monkeypatch.setattr(rename, "move_note", lambda *_: None)
    rename_person(archive, "p", "Bob", "Robert")
    assert told(store) == {"Bob": ("form 7", "2030-01-31")}
    apply_policy(archive, "p")
    assert told(store) == {"Robert": ("form 7", "2030-01-31")}


def test_forgetting_removes_the_note(archive: Archive, store: Store) -> None:
    note_consent(store, "p", "Bob", "form 7 of the archive")
    forget(archive, "p", "Bob")
    assert told(store) == {}
    everything = b"".join(path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file())
    assert b"form 7 of the archive" not in everything


def test_a_note_about_nobody_goes_with_the_sweep(archive: Archive, store: Store) -> None:
    store.put_note(PersonNote("p", "Eve", "form 9", None, 0.0, "local:x"))
    apply_policy(archive, "p", preview=True)
    assert "Eve" in told(store)
    apply_policy(archive, "p")
    assert told(store) == {}
