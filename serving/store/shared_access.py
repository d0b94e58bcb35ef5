"""Keys, the audit log, and what was agreed with people and for projects: the same for every database."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from facerec_models.errors import ConflictError, KeyNotFoundError
from serving.store.access_rows import ApiKey, AuditEntry, PersonNote
from serving.store.acting import present_actor
from serving.store.codecs import encode_row
from serving.store.conflicts import SCHEMA
from serving.store.lookups import require_one, require_project
from serving.store.transaction import Database, Transaction

_BATCH = 500


class SharedAccess:
    """The part of a `Store` that is about who may do what, and who did what."""

    _shared: Database

    @property
    def former_schema(self) -> int:
        """The version that the store had before it was upgraded."""
        found = self._shared.former_schema
        return SCHEMA if found is None else found

    # Keys

    def add_key(self, key: ApiKey) -> None:
        """Add a key; raise `ConflictError` if there is one of its id."""
        with self._shared.writing() as tx:
            if tx.count("api_keys", {"key_id": key.key_id}):
                raise ConflictError(f"there is a key {key.key_id!r} already: make another one")
            tx.insert([key], ApiKey)
            log(tx, "", "key-created", key.key_id, grants=key.grants, expires_at=key.expires_at)

    def get_key(self, key_id: str) -> ApiKey:
        """Return a key, also one that has expired or was revoked; raise `KeyNotFoundError` if there is none."""
        with self._shared.reading() as tx:
            return require_one(tx, ApiKey, {"key_id": key_id}, KeyNotFoundError(f"there is no key {key_id!r}"))

    def list_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        with self._shared.reading() as tx:
            return tx.select(ApiKey, {}, ("created_at", "key_id"))

    def revoke_key(self, key_id: str) -> ApiKey:
        """Let a key open nothing any more; raise `KeyNotFoundError` if there is none."""
        with self._shared.writing() as tx:
            key = require_one(tx, ApiKey, {"key_id": key_id}, KeyNotFoundError(f"there is no key {key_id!r}"))
            if key.revoked_at is None:
                key = replace(key, revoked_at=time.time())
                tx.put([key], ApiKey)
                log(tx, "", "key-revoked", key_id)
            return key

    # The audit log

    def log_action(self, project: str, action: str, subject: str | None = None, **details: Any) -> None:
        """Add an entry to the audit log, for what no other method writes."""
        with self._shared.writing(project or None) as tx:
            log(tx, project, action, subject, **details)

    def list_audit(
        self, project: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[AuditEntry]:
        """Return entries of a project, or of no project where its name is empty: at most `limit` that come after a number.

        Oldest first, or newest first, where 0 means from the last one on. A project that was deleted has its entries still.
        """
        order = ("-project", "-number") if newest_first else ("project", "number")
        behind = None if newest_first and after == 0 else (project, after)
        with self._shared.reading() as tx:
            return tx.select(AuditEntry, {"project": project}, order, after=behind, limit=limit)

    def find_editors(self, project: str, numbers: Sequence[int]) -> dict[int, str]:
        """Return who has applied edits, by number, so far as the audit log says it."""
        among = ("subject", [str(number) for number in numbers])
        with self._shared.reading() as tx:
            # The newest first: of an earlier project of the name edits have the same numbers.
            found = tx.select(
                AuditEntry,
                {"project": project, "action": "edit"},
                ("-project", "-number"),
                among=among,
                limit=len(numbers),
            )
        return {int(entry.subject or 0): entry.actor for entry in reversed(found)}

    # What was agreed

    def put_note(self, note: PersonNote) -> None:
        """Keep what was agreed with a person, in place of what there is."""
        with self._shared.writing(note.project) as tx:
            tx.put([note], PersonNote)
            log(tx, note.project, "consent-noted", None, expires_at=note.expires_at)

    def list_notes(self, project: str) -> list[PersonNote]:
        """Return what was agreed with the people of a project, by person."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return tx.select(PersonNote, {"project": project}, ("person_id",))

    def delete_note(self, project: str, person_id: str) -> bool:
        """Delete what was agreed with a person; return whether there was anything."""
        with self._shared.writing(project) as tx:
            is_gone = bool(tx.delete("person_notes", {"project": project, "person_id": person_id}))
            if is_gone:
                log(tx, project, "consent-removed")
            return is_gone

    def set_policy(self, project: str, policy: dict[str, Any]) -> None:
        """Set what a project keeps, and for how long."""
        with self._shared.writing(project) as tx:
            before = require_project(tx, project).policy
            tx.update("projects", {"name": project}, {"policy": policy})
            log(tx, project, "policy-set", None, before=before, after=policy)


def log(tx: Transaction, project: str, action: str, subject: str | None = None, **details: Any) -> None:
    """Add an entry to the audit log within the transaction of what it tells of."""
    columns = ("number", "chain")
    last = next(iter(tx.find("audit", {"project": project}, ("-number",), columns=columns, limit=1)), None)
    actor = present_actor()
    entry = AuditEntry(
        project=project,
        number=1 if last is None else last["number"] + 1,
        at=round(time.time(), 3),
        actor=actor.name,
        request_id=actor.request_id,
        action=action,
        subject=subject,
        details={name: value for name, value in details.items() if value is not None},
    )
    tx.insert([chained(entry, "" if last is None else last["chain"])], AuditEntry)


def chained(entry: AuditEntry, before: str) -> AuditEntry:
    """Return an entry with its chain: SHA-256 over the chain of the entry before and this one's own fields."""
    columns = encode_row(replace(entry, chain=before))
    columns["details"] = json.dumps(entry.details, sort_keys=True)
    return replace(entry, chain=hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest())


def find_broken(entries: Iterator[AuditEntry]) -> AuditEntry | None:
    """Return the first entry of a project, given from number 1, that is not as it was written, or follows one that is missing."""
    before = ""
    for number, entry in enumerate(entries, start=1):
        if entry.number != number or chained(entry, before) != entry:
            return entry
        before = entry.chain
    return None
