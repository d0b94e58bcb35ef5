"""Search over appearances and track vectors, in SQLite."""

from __future__ import annotations

from typing import Any

import numpy as np

from facerec_models.types import STRANGER_PREFIX
from serving.store.codecs import unpack_embedding
from serving.store.lookups import require_project
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow, ScreenTime
from serving.store.rows import TrackVectors
from serving.store.sqlite.database import SqliteDatabase

_LATEST = """(SELECT latest.analysis_id FROM analyses AS latest
    WHERE latest.project = found.project AND latest.video_id = found.video_id{condition}
    ORDER BY latest.created_at DESC, latest.analysis_id DESC LIMIT 1)"""
_OF_OWN = " AND latest.embedder = (SELECT embedder FROM projects WHERE name = :project)"
_IS_LATEST = f"analysis_id = coalesce({_LATEST.format(condition=_OF_OWN)}, {_LATEST.format(condition='')})"


class SqliteSearch:
    """The part of a `Store` that is about search."""

    _database: SqliteDatabase

    def find_appearances(
        self, project: str, query: AppearanceQuery, *, after: AppearanceKey | None = None, limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances by `AppearanceRow.key`, those after `after`; a video counts by its latest analysis."""
        conditions, values = _conditions(query)
        values |= {"project": project, "limit": limit}
        if after is not None:
            conditions.append("(video_id, start_s, position) > (:after_video, :after_start, :after_position)")
            values |= dict(zip(("after_video", "after_start", "after_position"), after, strict=True))
        # Without statistics SQLite may read all videos in order rather than sort the few rows of one person.
        index = "INDEXED BY appearances_by_owner" if query.owners else ""
        where = " AND ".join(["project = :project", *conditions, _IS_LATEST])
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.read(
                AppearanceRow,
                f"SELECT * FROM appearances AS found {index} WHERE {where} ORDER BY video_id, start_s, position LIMIT :limit",  # noqa: S608
                values,
            )

    def list_screen_times(self, project: str, query: AppearanceQuery) -> list[ScreenTime]:
        """Return how long strangers are in view, by stranger and video, in the appearances that a query finds."""
        conditions, values = _conditions(query)
        # All ids that begin so, read from the index: "." is the character after "-".
        conditions += [f"owner > '{STRANGER_PREFIX}'", f"owner < '{STRANGER_PREFIX.rstrip('-')}.'"]
        where = " AND ".join(["project = :project", *conditions, _IS_LATEST])
        with self._database.reading() as tx:
            require_project(tx, project)
            found = tx.execute(
                f"""SELECT owner, video_id, sum(end_s - start_s) FROM appearances AS found INDEXED BY appearances_by_owner
                WHERE {where} GROUP BY owner, video_id ORDER BY owner, video_id""",  # noqa: S608
                values | {"project": project},
            )
            return [ScreenTime(*row) for row in found]

    def vector_state(self, project: str) -> tuple[int, int]:
        """Return how many analyses have vectors, and the highest position: the same two mean that nothing has changed."""
        with self._database.reading() as tx:
            require_project(tx, project)
            query = "SELECT count(*), max(position) FROM track_vectors WHERE project = ?"
            count, newest = tx.execute(query, (project,)).fetchone()
            return count, newest or 0

    def vector_positions(self, project: str) -> dict[str, int]:
        """Return the position of each analysis's vectors."""
        with self._database.reading() as tx:
            require_project(tx, project)
            query = "SELECT analysis_id, position FROM track_vectors WHERE project = ?"
            return dict(tx.execute(query, (project,)).fetchall())

    def list_vectors(self, project: str, *, since: int = 0, limit: int) -> list[TrackVectors]:
        """Return at most `limit` analyses' vectors by position, those after `since`."""
        with self._database.reading() as tx:
            require_project(tx, project)
            rows = tx.execute(
                """SELECT analysis_id, position, (SELECT embedder FROM analyses WHERE analyses.project = found.project
                    AND analyses.analysis_id = found.analysis_id), track_ids, vectors, dimension
                FROM track_vectors AS found WHERE project = ? AND position > ? ORDER BY position LIMIT ?""",
                (project, since, limit),
            ).fetchall()
        return [
            TrackVectors(
                analysis_id,
                position,
                embedder,
                np.frombuffer(ids, "<i8"),
                unpack_embedding(vectors).reshape(-1, dimension),
            )
            for analysis_id, position, embedder, ids, vectors, dimension in rows
        ]


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
                AND other.probability >= :min_probability)"""  # noqa: S608
        )
    values["min_probability"] = query.min_probability
    conditions.append("probability >= :min_probability")
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
