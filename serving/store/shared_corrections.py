"""Corrections of tracks, and who the unknown ones are: the same for every database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from serving.store import conflicts
from serving.store.lookups import require_own_embedder, require_project
from serving.store.naming_rows import Correction, CorrectionKind, Stranger, StrangerTrack
from serving.store.transaction import Database, Transaction


class SharedCorrections:
    """The part of a `Store` that is about corrections and strangers."""

    _shared: Database

    def put_corrections(self, project: str, corrections: Iterable[Correction]) -> None:
        """Add corrections; "is" replaces every other "is" of its track, and each replaces its own contrary."""
        rows = list(corrections)
        with self._shared.writing(project) as tx:
            put_corrections(tx, project, rows)

    def list_corrections(self, project: str, *, person_id: str | None = None) -> list[Correction]:
        """Return corrections, oldest first."""
        where = {"project": project} if person_id is None else {"project": project, "person_id": person_id}
        with self._shared.reading() as tx:
            require_project(tx, project)
            found = tx.select(Correction, where, ("created_at", "correction_id"))
        # A job has a kind, too: who decodes columns cannot know which one it is.
        return [replace(row, kind=CorrectionKind(row.kind)) for row in found]

    def delete_corrections(self, project: str, correction_ids: Sequence[str]) -> int:
        """Delete corrections; return how many there were."""
        with self._shared.writing(project) as tx:
            return tx.delete("corrections", {"project": project}, ("correction_id", correction_ids))

    def list_strangers(self, project: str) -> list[Stranger]:
        """Return all strangers, merged and named ones included, by number."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return _strangers(tx, project)

    def list_stranger_tracks(self, project: str) -> list[StrangerTrack]:
        """Return which stranger each unknown track shows, by analysis and track."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return _tracks(tx, project)

    def read_strangers(self, project: str) -> tuple[list[Stranger], list[StrangerTrack]]:
        """Return what `list_strangers` and `list_stranger_tracks` do, as both are at one moment."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return _strangers(tx, project), _tracks(tx, project)

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

        Raises `ConflictError`, and writes nothing, unless the project has `known` strangers: another process was faster.
        """
        with self._shared.writing(project) as tx:
            conflicts.require_stranger_count(project, known, tx.count("strangers", {"project": project}))
            require_own_embedder(tx, project, analysis_ids)
            put_strangers(tx, project, strangers, tracks, analysis_ids)


def put_strangers(
    tx: Transaction,
    project: str,
    strangers: Sequence[Stranger],
    tracks: Sequence[StrangerTrack],
    analysis_ids: Sequence[str],
) -> None:
    """Add or replace strangers, and replace the stranger tracks of these analyses."""
    tx.put(strangers, Stranger)
    tx.delete("stranger_tracks", {"project": project}, ("analysis_id", analysis_ids))
    tx.put(tracks, StrangerTrack)


def put_corrections(tx: Transaction, project: str, corrections: Iterable[Correction]) -> None:
    """Add corrections; those that they replace are deleted."""
    for row in corrections:
        if row.project != project:
            raise ValueError(f"correction {row.correction_id} is of project {row.project!r}, not {project!r}")
        track = {"project": project, "analysis_id": row.analysis_id, "track_id": row.track_id}
        columns = ("correction_id", "person_id", "kind")
        # A track is one person: a new "is" replaces the old one; "is X" and "is not X" replace each other.
        replaced = [
            other["correction_id"]
            for other in tx.find("corrections", track, columns=columns)
            if row.kind == other["kind"] == CorrectionKind.IS
            or (row.person_id == other["person_id"] and row.kind != other["kind"])
        ]
        tx.delete("corrections", {"project": project}, ("correction_id", replaced))
        tx.put([row], Correction)


def _strangers(tx: Transaction, project: str) -> list[Stranger]:
    return tx.select(Stranger, {"project": project}, ("number",))


def _tracks(tx: Transaction, project: str) -> list[StrangerTrack]:
    return tx.select(StrangerTrack, {"project": project}, ("analysis_id", "track_id"))
