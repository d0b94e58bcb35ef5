"""What was said of tracks, and who the unknown ones are, in SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from sqlite3 import Connection

from serving.store import conflicts
from serving.store.naming_rows import Correction, CorrectionKind, Stranger, StrangerTrack
from serving.store.sqlite.database import Database, insert, require_present, require_project, select

_STRANGERS = "SELECT * FROM strangers WHERE project = ? ORDER BY number"
_TRACKS = "SELECT * FROM stranger_tracks WHERE project = ? ORDER BY analysis_id, track_id"


class SqliteCorrections:
    """The part of a `Store` that is about corrections and strangers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_corrections(self, project: str, corrections: Iterable[Correction]) -> None:
        """Add what somebody said; "is" takes back what else the same track was said to be, and its own contrary."""
        rows = list(corrections)
        with self._database.writing() as db:
            require_project(db, project)
            put_corrections(db, project, rows)

    def list_corrections(self, project: str, *, person_id: str | None = None) -> list[Correction]:
        """Return corrections, oldest first."""
        with self._database.reading() as db:
            require_project(db, project)
            found = select(
                db,
                Correction,
                """SELECT * FROM corrections WHERE project = :project AND (:person IS NULL OR person_id = :person)
                ORDER BY created_at, correction_id""",
                {"project": project, "person": person_id},
            )
        return [replace(row, kind=CorrectionKind(row.kind)) for row in found]

    def delete_corrections(self, project: str, correction_ids: Sequence[str]) -> int:
        """Take corrections back; return how many there were."""
        with self._database.writing() as db:
            require_project(db, project)
            return db.execute(
                "DELETE FROM corrections WHERE project = ? AND correction_id IN (SELECT value FROM json_each(?))",
                (project, json.dumps(correction_ids)),
            ).rowcount

    def list_strangers(self, project: str) -> list[Stranger]:
        """Return all strangers, merged and named ones included, by number."""
        with self._database.reading() as db:
            require_project(db, project)
            return select(db, Stranger, _STRANGERS, (project,))

    def list_stranger_tracks(self, project: str) -> list[StrangerTrack]:
        """Return which stranger each unknown track shows, by analysis and track."""
        with self._database.reading() as db:
            require_project(db, project)
            return select(db, StrangerTrack, _TRACKS, (project,))

    def read_strangers(self, project: str) -> tuple[list[Stranger], list[StrangerTrack]]:
        """Return what `list_strangers` and `list_stranger_tracks` do, as both are at one moment."""
        with self._database.reading() as db:
            require_project(db, project)
            return select(db, Stranger, _STRANGERS, (project,)), select(db, StrangerTrack, _TRACKS, (project,))

    def put_strangers(
        self,
        project: str,
        strangers: Sequence[Stranger],
        tracks: Sequence[StrangerTrack],
        analysis_ids: Sequence[str],
        *,
        known: int,
    ) -> None:
        """Add or replace strangers, and replace what is known of the tracks of these analyses, all at once.

        Raises `ConflictError`, and writes nothing, unless the project has `known` strangers: somebody else was faster.
        """
        with self._database.writing() as db:
            require_project(db, project)
            (count,) = db.execute("SELECT count(*) FROM strangers WHERE project = ?", (project,)).fetchone()
            conflicts.require_known(project, known, count)
            require_present(db, project, analysis_ids)
            insert(db, strangers, Stranger, replace=True)
            db.execute(
                "DELETE FROM stranger_tracks WHERE project = ? AND analysis_id IN (SELECT value FROM json_each(?))",
                (project, json.dumps(analysis_ids)),
            )
            insert(db, tracks, StrangerTrack, replace=True)


def put_corrections(db: Connection, project: str, corrections: Iterable[Correction]) -> None:
    """Add corrections; those that they replace are deleted."""
    for row in corrections:
        if row.project != project:
            raise ValueError(f"correction {row.correction_id} is of project {row.project!r}, not {project!r}")
        # A track is one person: a new "is" replaces the old one; "is X" and "is not X" replace each other.
        db.execute(
            """DELETE FROM corrections WHERE project = ? AND analysis_id = ? AND track_id = ?
            AND ((kind = 'is' AND ? = 'is') OR (person_id = ? AND kind != ?))""",
            (project, row.analysis_id, row.track_id, row.kind, row.person_id, row.kind),
        )
        insert(db, [row], Correction, replace=True)
