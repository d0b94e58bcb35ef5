"""Keys, the audit log and what was agreed, of every store."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from facerec_models.errors import ConflictError, KeyNotFoundError, ProjectNotFoundError
from serving.store.access_rows import ApiKey, PersonNote
from serving.store.acting import Actor, acting
from serving.store.contract import Store
from serving.store.naming_rows import Edit, NamingChange
from serving.store.shared_access import find_broken
from serving.store.sqlite.store import SqliteStore
from tests.contract.store_cases import Opener, make_face, make_model, make_video

KEY = ApiKey("k" * 12, "for tests", "d" * 64, {"p": "curate", "*": "read"}, 5.0, "local:ada", per_minute=7)


def test_a_key_is_kept_until_it_is_revoked(opener: Opener, store: Store) -> None:
    store.add_key(KEY)
    with closing(opener()) as another:
        assert another.get_key(KEY.key_id) == KEY
        assert another.list_keys() == [KEY]
    with pytest.raises(ConflictError, match="kkkk"):
        store.add_key(replace(KEY, name="the same again"))
    revoked = store.revoke_key(KEY.key_id)
    assert revoked.revoked_at == pytest.approx(time.time(), abs=60)
    assert store.revoke_key(KEY.key_id) == store.get_key(KEY.key_id) == revoked, "revoked once"
    for call in (store.get_key, store.revoke_key):
        with pytest.raises(KeyNotFoundError, match="'absent'"):
            call("absent")


def test_every_change_has_its_entry_and_its_actor(store: Store) -> None:
    with acting(Actor("key:abc", "request-1")):
        store.put_faces("p", [make_face("f")])
        store.put_video(make_video("v"))
        store.put_video(make_video("v"))
        store.add_model(make_model("m"))
        version = store.get_project("p").version
        number = store.apply(
            "p", NamingChange(edit=Edit("limit", note="for Ada", max_false_names=0.1)), if_version=version
        )
        store.set_policy("p", {"keep_unmatched": False})
        store.delete_video("p", "v")
    entries = store.list_audit("p")
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.action for entry in entries[1:]] == [
        *("faces-added", "video-added", "model-added", "edit", "policy-set", "video-deleted")
    ]
    assert {(entry.actor, entry.request_id) for entry in entries[1:]} == {("key:abc", "request-1")}
    assert entries[0].action == "project-created"
    assert entries[0].actor.startswith("local:")
    edit = entries[4]
    assert edit.subject == str(number)
    assert store.find_editors("p", [number or 0, 99]) == {number: "key:abc"}
    assert store.find_editors("p", []) == {}
    assert edit.details["max_false_names"] == {"before": None, "after": 0.1}
    assert edit.details["version"] == {"before": version, "after": version + 1}
    assert "Ada" not in str(edit), "what is personal is in the edit, which may be forgotten"
    assert store.get_project("p").policy == {"keep_unmatched": False}


def test_the_log_is_read_in_parts_and_outlives_its_project(store: Store) -> None:
    for name in ("a", "b", "c"):
        store.put_video(make_video(name))
    assert [entry.subject for entry in store.list_audit("p", after=2, limit=1)] == ["b"]
    assert [entry.subject for entry in store.list_audit("p", newest_first=True, limit=2)] == ["c", "b"]
    assert [entry.subject for entry in store.list_audit("p", after=3, newest_first=True, limit=1)] == ["a"]
    store.delete_project("p")
    store.create_project("p")
    entries = store.list_audit("p")
    assert [entry.action for entry in entries[-2:]] == ["project-deleted", "project-created"]
    assert find_broken(iter(entries)) is None


def test_an_entry_that_was_changed_or_left_out_is_found(store: Store) -> None:
    for name in ("a", "b", "c"):
        store.log_action("p", "note", name, of=name)
    store.log_action("", "note", "of no project")
    entries = store.list_audit("p")
    assert find_broken(iter(entries)) is None
    assert find_broken(iter([*entries[:1], replace(entries[1], actor="key:other"), *entries[2:]])) is not None
    assert find_broken(iter([*entries[:1], *entries[2:]])) == entries[2]
    assert [entry.subject for entry in store.list_audit("")] == ["of no project"]


def test_what_was_agreed_is_kept_for_a_person(store: Store) -> None:
    note = PersonNote("p", "Ada", "form 7", 9e9, 1.0, "local:ada")
    store.put_note(note)
    store.put_note(replace(note, consent="form 8"))
    assert [one.consent for one in store.list_notes("p")] == ["form 8"]
    assert store.delete_note("p", "Ada")
    assert not store.delete_note("p", "Ada")
    for call in (store.list_notes, lambda p: store.put_note(replace(note, project=p))):
        with pytest.raises(ProjectNotFoundError, match="'absent'"):
            call("absent")


def test_sqlite_refuses_to_change_the_log(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "s.sqlite3")) as store:
        store.log_action("", "note")
    with closing(sqlite3.connect(tmp_path / "s.sqlite3")) as file:
        for statement in ("UPDATE audit SET actor = 'other'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="never changed"):
                file.execute(statement)
