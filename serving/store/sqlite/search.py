"""Search over appearances and track vectors, in SQLite."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from facerec_models.names import STRANGER_PREFIX
from facerec_models.types import Decision
from serving.store.codecs import unpack_columns
from serving.store.lookups import require_project
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow, ScreenTime
from serving.store.rows import AnalysisColumns
from serving.store.sqlite.database import SqliteDatabase, SqliteTransaction

if TYPE_CHECKING:
    from facerec_models.identification.track_columns import TrackColumns

_LATEST = """(SELECT latest.analysis_id FROM analyses AS latest
    WHERE latest.project = found.project AND latest.video_id = found.video_id{condition}
    ORDER BY latest.created_at DESC, latest.analysis_id DESC LIMIT 1)"""
_OF_OWN = " AND latest.embedder = (SELECT embedder FROM projects WHERE name = :project)"
_IS_LATEST = f"analysis_id = coalesce({_LATEST.format(condition=_OF_OWN)}, {_LATEST.format(condition='')})"
# The same where most of a project is read: once for all videos, and by those that are not, which are few.
_AMONG_LATEST = """analysis_id NOT IN (SELECT analysis_id FROM (
    SELECT analysis_id, row_number() OVER (
        PARTITION BY video_id ORDER BY embedder IS (SELECT embedder FROM projects WHERE name = :project) DESC,
        created_at DESC, analysis_id DESC) AS place FROM analyses WHERE project = :project) WHERE place > 1)"""
# All ids that begin as strangers' do, and those before and after them, read from the index: "." is the character after "-".
_BEGIN, _END = f"'{STRANGER_PREFIX}'", f"'{STRANGER_PREFIX.rstrip('-')}.'"
_OF_STRANGERS = f"owner > {_BEGIN} AND owner < {_END}"
_OF_PEOPLE = (f"owner <= {_BEGIN}", f"owner >= {_END}")


class SqliteSearch:
    """The part of a `Store` that is about search."""

    _database: SqliteDatabase

    def find_appearances(
        self, project: str, query: AppearanceQuery, *, after: AppearanceKey | None = None, limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances by `AppearanceRow.key`, those after `after`; a video counts by its latest analysis."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return _found(tx, project, query, after, limit)

    def find_some_appearances(
        self, project: str, query: AppearanceQuery, owners: Sequence[str], limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances of each of these owners, the first ones that a query finds, whoever it asks for."""
        with self._database.reading() as tx:
            require_project(tx, project)
            alone = [replace(query, owners=((owner,), *query.owners[1:])) for owner in owners]
            return [row for one in alone for row in _found(tx, project, one, None, limit)]

    def list_screen_times(self, project: str, query: AppearanceQuery, *, of_people: bool = False) -> list[ScreenTime]:
        """Return how long strangers, or people, are in view, and in how many videos, in the appearances that a query finds."""
        conditions, values = _conditions(query)
        with self._database.reading() as tx:
            require_project(tx, project)
            times = []
            for owners in _OF_PEOPLE if of_people else (_OF_STRANGERS,):
                where = " AND ".join(["project = :project", owners, *conditions, _AMONG_LATEST])
                times += tx.execute(
                    f"""SELECT owner, sum(end_s - start_s), count(DISTINCT video_id),
                        sum(CASE instr(track_ids, ',') WHEN 0 THEN 1 ELSE json_array_length(track_ids) END)
                    FROM appearances AS found INDEXED BY appearances_by_owner
                    WHERE {where} GROUP BY owner ORDER BY owner""",  # noqa: S608
                    values | {"project": project},
                ).fetchall()
            return [ScreenTime(*row) for row in times]

    def columns_state(self, project: str) -> tuple[int, int]:
        """Return how many analyses have columns, and the highest position: the same two mean that nothing has changed."""
        with self._database.reading() as tx:
            require_project(tx, project)
            query = "SELECT count(*), max(position) FROM track_columns WHERE project = ?"
            count, newest = tx.execute(query, (project,)).fetchone()
            return count, newest or 0

    def columns_positions(self, project: str) -> dict[str, int]:
        """Return the position of each analysis's columns."""
        with self._database.reading() as tx:
            require_project(tx, project)
            query = "SELECT analysis_id, position FROM track_columns WHERE project = ?"
            return dict(tx.execute(query, (project,)).fetchall())

    def list_columns(self, project: str, *, since: int = 0, limit: int) -> list[AnalysisColumns]:
        """Return at most `limit` analyses' columns by position, those after `since`."""
        return self._read_columns(project, "position > ? ORDER BY position LIMIT ?", (since, limit))

    def get_columns(self, project: str, analysis_ids: Sequence[str]) -> dict[str, TrackColumns]:
        """Return the columns of each analysis; those that are not there are left out."""
        among = "analysis_id IN (SELECT value FROM json_each(?)) ORDER BY analysis_id"
        found = self._read_columns(project, among, (json.dumps(list(analysis_ids)),))
        return {row.analysis_id: row.columns for row in found}

    def _read_columns(self, project: str, which: str, values: Sequence[Any]) -> list[AnalysisColumns]:
        with self._database.reading() as tx:
            require_project(tx, project)
            rows = tx.execute(
                f"""SELECT analysis_id, position, (SELECT embedder FROM analyses WHERE analyses.project = found.project
                    AND analyses.analysis_id = found.analysis_id), tracks, pairs, dimension, arrays
                FROM track_columns AS found WHERE project = ? AND {which}""",  # noqa: S608
                (project, *values),
            ).fetchall()
        return [
            AnalysisColumns(analysis_id, position, embedder, unpack_columns(*packed))
            for analysis_id, position, embedder, *packed in rows
        ]


def _found(
    tx: SqliteTransaction, project: str, query: AppearanceQuery, after: AppearanceKey | None, limit: int
) -> list[AppearanceRow]:
    conditions, values = _conditions(query)
    values |= {"project": project, "limit": limit}
    if after is not None:
        conditions.append("(video_id, start_s, first_track) > (:after_video, :after_start, :after_track)")
        values |= dict(zip(("after_video", "after_start", "after_track"), after, strict=True))
    # Without statistics SQLite may read all videos in order rather than sort the few rows of one person.
    index = "INDEXED BY appearances_by_owner" if query.owners else ""
    where = " AND ".join(["project = :project", *conditions, _IS_LATEST])
    return tx.read(
        AppearanceRow,
        f"SELECT * FROM appearances AS found {index} WHERE {where} ORDER BY video_id, start_s, first_track LIMIT :limit",  # noqa: S608
        values,
    )


def _is_sure(query: AppearanceQuery, of: str) -> str:
    """Return the condition that an appearance is sure enough; `of` is the table with a dot."""
    if query.least_score == -math.inf:
        return "TRUE"
    return f"({of}decision <> '{Decision.NAMED}' OR {of}is_confirmed OR {of}score >= :least_score)"


def _conditions(query: AppearanceQuery) -> tuple[list[str], dict[str, Any]]:
    """Return what a query asks for, as SQL over ``appearances AS found``."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for number, ids in enumerate(query.owners):
        named = {f"owner{number}_{i}": one for i, one in enumerate(ids)}
        values |= named
        # A list of values, and not a query: only then SQLite finds the owner in the index, and reads in its order.
        mine = f"owner IN ({', '.join(f':{name}' for name in named)})"
        conditions.append(
            mine
            if number == 0
            else f"""EXISTS (SELECT 1 FROM appearances AS other WHERE other.project = found.project AND other.{mine}
                AND other.video_id = found.video_id AND other.analysis_id = found.analysis_id
                AND other.first_shot <= found.last_shot AND other.last_shot >= found.first_shot
                AND {_is_sure(query, "other.")})"""  # noqa: S608
        )
    values |= {"least_score": query.least_score}
    conditions.append(_is_sure(query, ""))
    for name, condition in (
        ("video_id", "video_id = :video_id"),
        ("start_s", "end_s > :start_s"),
        ("end_s", "start_s < :end_s"),
    ):
        if getattr(query, name) is not None:
            conditions.append(condition)
            values[name] = getattr(query, name)
    if query.submitted_from is not None or query.submitted_to is not None:
        conditions.append(
            """EXISTS (SELECT 1 FROM videos WHERE videos.project = found.project AND videos.video_id = found.video_id
            AND created_at >= coalesce(:submitted_from, created_at)
            AND (:submitted_to IS NULL OR created_at < :submitted_to))"""
        )
        values |= {"submitted_from": query.submitted_from, "submitted_to": query.submitted_to}
    return conditions, values
