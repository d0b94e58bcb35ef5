"""How tracks are named, in SQLite: revisions, and their application to the archive."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from sqlite3 import Connection

from facerec_models.errors import ModelNotFoundError
from facerec_models.types import FloatArray
from serving.store import conflicts
from serving.store.codecs import encode
from serving.store.naming_rows import (
    AppearanceRow,
    Application,
    Basis,
    Correction,
    Naming,
    News,
    Revision,
    Stranger,
    StrangerTrack,
    Words,
)
from serving.store.rows import Face
from serving.store.sqlite.corrections import put_corrections
from serving.store.sqlite.database import (
    Database,
    insert,
    require_analyses,
    require_model,
    require_present,
    require_project,
    require_revision,
    select,
    select_one,
)

_ALL_BUT_UNDO = ", ".join(field.name for field in fields(Application) if field.name != "undo")


class SqliteNaming:
    """The part of a `Store` that is about revisions and applications."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_revision(self, revision: Revision) -> None:
        """Add a revision; the same id again changes nothing."""
        with self._database.writing() as db:
            require_project(db, revision.project)
            require_model(db, revision.project, revision.model_version)
            insert(db, [revision], Revision, replace=False)

    def get_revision(self, project: str, revision: str) -> Revision:
        """Return a revision; raise `ModelNotFoundError` if there is none."""
        with self._database.reading() as db:
            return require_revision(db, project, revision)

    def list_revisions(self, project: str) -> list[Revision]:
        """Return all revisions, oldest first."""
        with self._database.reading() as db:
            require_project(db, project)
            query = "SELECT * FROM revisions WHERE project = ? ORDER BY created_at, revision"
            return select(db, Revision, query, (project,))

    def assign_revision(
        self, project: str, revision: str, analysis_ids: Sequence[str], appearances: Sequence[AppearanceRow]
    ) -> None:
        """Let a revision name these analyses, with all their appearances in place of those before."""
        with self._database.writing() as db:
            require_revision(db, project, revision)
            require_analyses(db, project, analysis_ids)
            require_present(db, project, analysis_ids)
            _name(db, project, dict.fromkeys(analysis_ids, revision), appearances)

    def apply_naming(self, project: str, naming: Naming, application: Application) -> None:
        """Name the archive again, and record it as the project's next application, all at once."""
        with self._database.writing() as db:
            found = _require_unchanged(db, project, naming)
            conflicts.require_none_new(project, naming, found)
            if naming.basis is not None:
                conflicts.require_basis(project, naming.basis, _basis(db, project))
            conflicts.require_next(project, application.number, _last_number(db, project))
            _write(db, project, naming)
            if naming.news is not None:
                _take_in(db, project, naming.news)
            if naming.promoted is not None:
                (_promote_again if naming.goes_back else promote)(db, project, naming.promoted)
            insert(db, [application], Application, replace=False)

    def undo_naming(self, project: str, naming: Naming, number: int, at: float) -> None:
        """Write what was before an application, and mark that one as undone, all at once."""
        with self._database.writing() as db:
            found = _require_unchanged(db, project, naming)
            if naming.basis is not None:
                conflicts.require_none_new(project, naming, found)
                conflicts.require_basis(project, naming.basis, _basis(db, project))
            conflicts.require_last(project, number, _standing_number(db, project))
            _write(db, project, naming)
            if naming.promoted is not None:
                _promote_again(db, project, naming.promoted)
            if naming.promotes_none:
                db.execute("DELETE FROM promotions WHERE project = ?", (project,))
            db.execute(
                "UPDATE applications SET undone_at = ?, undo = NULL WHERE project = ? AND number = ?",
                (at, project, number),
            )

    def list_applications(self, project: str) -> list[Application]:
        """Return all applications, the first one first; the `undo` of those that can be undone is empty."""
        with self._database.reading() as db:
            require_project(db, project)
            # What undoing takes may be megabytes for each.
            undo = "iif(undo IS NULL, NULL, '{}') AS undo"
            query = f"SELECT {_ALL_BUT_UNDO}, {undo} FROM applications WHERE project = ? ORDER BY number"  # noqa: S608
            return select(db, Application, query, (project,))

    def get_application(self, project: str, number: int) -> Application:
        """Return an application with what undoing it takes; raise `ModelNotFoundError` if there is none."""
        with self._database.reading() as db:
            require_project(db, project)
            missing = ModelNotFoundError(f"project {project!r} has no application {number}")
            query = "SELECT * FROM applications WHERE project = ? AND number = ?"
            return select_one(db, Application, query, (project, number), missing)

    def seal_applications(self, project: str) -> None:
        """Let no application so far be undone any more: what undoing needs is deleted, and so are the notes."""
        with self._database.writing() as db:
            require_project(db, project)
            db.execute("UPDATE applications SET undo = NULL, note = '' WHERE project = ?", (project,))


def _require_unchanged(db: Connection, project: str, naming: Naming) -> dict[str, str | None]:
    """Return which revision names each analysis of the project."""
    require_project(db, project)
    conflicts.require_same_analyses(naming)
    require_analyses(db, project, list(naming.expected))
    for revision in {revision for revision in naming.revisions.values() if revision is not None}:
        require_revision(db, project, revision)
    found = dict(db.execute("SELECT analysis_id, revision FROM analyses WHERE project = ?", (project,)).fetchall())
    (strangers,) = db.execute("SELECT count(*) FROM strangers WHERE project = ?", (project,)).fetchone()
    conflicts.require_unchanged(project, naming, found, strangers)
    return found


def _take_back(db: Connection, project: str, words: Words) -> None:
    for table, column, ids in (("corrections", "correction_id", words.corrections), ("faces", "face_id", words.faces)):
        db.execute(
            f"DELETE FROM {table} WHERE project = ? AND {column} IN (SELECT value FROM json_each(?))",  # noqa: S608
            (project, json.dumps(list(ids))),
        )
    insert(db, words.replaced, Correction, replace=True)
    db.executemany(
        "UPDATE faces SET status = 'taken', reason = ? WHERE project = ? AND face_id = ?",
        [(reason, project, face_id) for face_id, reason in words.disabled.items()],
    )
    db.executemany(
        "UPDATE faces SET status = 'disabled', reason = ? WHERE project = ? AND face_id = ?",
        [(reason, project, face_id) for face_id, reason in words.enabled.items()],
    )


def _take_in(db: Connection, project: str, news: News) -> None:
    put_corrections(db, project, news.corrections)
    insert(db, news.faces, Face, replace=True)
    disable = "UPDATE faces SET status = 'disabled', reason = ?, by_hand = 1 WHERE project = ? AND face_id = ?"
    db.executemany(disable, [(news.reason, project, face_id) for face_id in news.disabled])


def _write(db: Connection, project: str, naming: Naming) -> None:
    _name(db, project, naming.revisions, naming.appearances)
    insert(db, naming.strangers, Stranger, replace=True)
    db.execute(
        "DELETE FROM stranger_tracks WHERE project = ? AND analysis_id IN (SELECT value FROM json_each(?))",
        (project, json.dumps(list(naming.revisions))),
    )
    insert(db, naming.stranger_tracks, StrangerTrack, replace=True)
    if naming.taken_back is not None:
        _take_back(db, project, naming.taken_back)
    if naming.embedder is not None:
        db.execute("UPDATE projects SET embedder = ? WHERE name = ?", (naming.embedder, project))
    db.executemany(
        "UPDATE analyses SET created_at = ? WHERE project = ? AND analysis_id = ?",
        [(at, project, analysis_id) for analysis_id, at in naming.touched.items()],
    )
    set_vectors(db, project, naming.embedder, naming.vectors)


def set_vectors(db: Connection, project: str, embedder: str | None, vectors: Mapping[str, FloatArray]) -> None:
    """Give faces that are there their vectors of an embedder."""
    db.executemany(
        "UPDATE faces SET embedder = ?, embedding = ? WHERE project = ? AND face_id = ?",
        [(embedder, encode("embedding", vector), project, face_id) for face_id, vector in vectors.items()],
    )


def _name(
    db: Connection, project: str, revisions: Mapping[str, str | None], appearances: Sequence[AppearanceRow]
) -> None:
    conflicts.require_named(revisions, appearances)
    ids = (project, json.dumps(list(revisions)))
    for table in ("appearances", "unindexed_analyses"):
        db.execute(
            f"DELETE FROM {table} WHERE project = ? AND analysis_id IN (SELECT value FROM json_each(?))",  # noqa: S608
            ids,
        )
    db.executemany(
        "UPDATE analyses SET revision = ? WHERE project = ? AND analysis_id = ?",
        [(revision, project, analysis_id) for analysis_id, revision in revisions.items()],
    )
    insert(db, appearances, AppearanceRow, replace=False)


def _last_number(db: Connection, project: str) -> int:
    (last,) = db.execute("SELECT max(number) FROM applications WHERE project = ?", (project,)).fetchone()
    return last or 0


def _standing_number(db: Connection, project: str) -> int | None:
    """Return the number of the last application that is not undone."""
    query = "SELECT max(number) FROM applications WHERE project = ? AND undone_at IS NULL"
    (last,) = db.execute(query, (project,)).fetchone()
    number: int | None = last
    return number


def _basis(db: Connection, project: str) -> Basis:
    promoted = next(iter(_promotions(db, project)), None)
    standing = _standing_number(db, project) or 0
    return Basis(_last_number(db, project), standing, said_ids(db, project), promoted)


def said_ids(db: Connection, project: str) -> frozenset[str]:
    """Return the ids of all corrections."""
    said = db.execute("SELECT correction_id FROM corrections WHERE project = ?", (project,))
    return frozenset(one for (one,) in said)


def _promotions(db: Connection, project: str) -> list[str]:
    """Return the two versions that were promoted last, the present one first."""
    query = "SELECT version FROM promotions WHERE project = ? ORDER BY position DESC LIMIT 2"
    return [version for (version,) in db.execute(query, (project,))]


def promote(db: Connection, project: str, version: str) -> None:
    """Let a version name from now on, unless it does; raise unless there is one, for the project's embedder."""
    conflicts.require_embedder(require_model(db, project, version), require_project(db, project).embedder)
    if version not in _promotions(db, project)[:1]:
        db.execute("INSERT INTO promotions (project, version) VALUES (?, ?)", (project, version))


def _promote_again(db: Connection, project: str, version: str) -> None:
    promoted = _promotions(db, project)
    if version in promoted[1:] and version != promoted[0]:
        query = "DELETE FROM promotions WHERE position = (SELECT max(position) FROM promotions WHERE project = ?)"
        db.execute(query, (project,))
    promote(db, project, version)
