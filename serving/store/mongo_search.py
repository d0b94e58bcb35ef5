"""Search over appearances and track vectors, in MongoDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from serving.store.blobs import unpack_embedding
from serving.store.database import decode_row
from serving.store.mongo_database import Document, MongoDatabase, Transaction, require_project
from serving.store.mongo_naming import require_analyses
from serving.store.mongo_vectors import read_vectors
from serving.store.rows import AppearanceKey, AppearanceQuery, AppearanceRow, TrackVectors

_ORDER = ("video_id", "start_s", "position")
# Appearances that are looked at together: what else a query asks of them is asked for all of them at once.
_CHUNK = 200


class MongoSearch:
    """The part of a `Store` that is about search."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def list_appearances(self, project: str, analysis_ids: Sequence[str]) -> list[AppearanceRow]:
        """Return the appearances of these analyses, by analysis and position."""
        with self._database.reading() as tx:
            require_project(tx, project)
            require_analyses(tx, project, analysis_ids)
            found = tx.find("appearances", {"project": project}, among=("analysis_id", list(analysis_ids)))
            rows = [decode_row(AppearanceRow, document) for document in found]
        return sorted(rows, key=lambda row: (row.analysis_id, row.position))

    def find_appearances(
        self, project: str, query: AppearanceQuery, *, after: AppearanceKey | None = None, limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances by `AppearanceRow.key`, those after `after`; a video counts by its latest analysis."""
        where = _where(project, query)
        if after is not None:
            where["$or"] = _after(after)
        with self._database.reading() as tx:
            require_project(tx, project)
            return list(islice(_matching(tx, project, query, where), limit))

    def list_unindexed(self, project: str) -> list[str]:
        """Return analyses that are named but were written by a version that kept no appearances."""
        with self._database.reading() as tx:
            require_project(tx, project)
            found = tx.find("unindexed_analyses", {"project": project}, ("analysis_id",))
            return [row["analysis_id"] for row in found]

    def latest_analyses(self, project: str) -> dict[str, str]:
        """Return the id of each analysed video's latest analysis, by video id."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return _latest(tx, {"project": project})

    def vector_state(self, project: str) -> tuple[int, int]:
        """Return how many analyses have vectors, and the highest position: the same two mean that nothing has changed."""
        first = {"project": project, "piece": 0}
        with self._database.reading() as tx:
            require_project(tx, project)
            newest = [
                row["position"]
                for row in tx.find("track_vectors", first, ("-position",), limit=1, columns=["position"])
            ]
            return tx.count("track_vectors", first), newest[0] if newest else 0

    def vector_positions(self, project: str) -> dict[str, int]:
        """Return the position of each analysis's vectors."""
        with self._database.reading() as tx:
            require_project(tx, project)
            found = tx.find("track_vectors", {"project": project, "piece": 0}, columns=["analysis_id", "position"])
            return {row["analysis_id"]: row["position"] for row in found}

    def list_vectors(self, project: str, *, since: int = 0, limit: int) -> list[TrackVectors]:
        """Return at most `limit` analyses' vectors by position, those after `since`."""
        newer = {"project": project, "position": {"$gt": since}}
        with self._database.reading() as tx:
            require_project(tx, project)
            rows = list(islice(read_vectors(tx, newer), limit))
        return [
            TrackVectors(
                row["analysis_id"],
                row["position"],
                np.frombuffer(row["track_ids"], "<i8"),
                unpack_embedding(row["vectors"]).reshape(-1, row["dimension"]),
            )
            for row in rows
        ]


def _where(project: str, query: AppearanceQuery) -> Document:
    """Return what a query asks of an appearance by itself."""
    where: Document = {"project": project, "probability": {"$gte": query.min_probability}}
    if query.owners:
        where["owner"] = {"$in": list(query.owners[0])}
    if query.video_id is not None:
        where["video_id"] = query.video_id
    if query.start_s is not None:
        where["end_s"] = {"$gt": query.start_s}
    if query.end_s is not None:
        where["start_s"] = {"$lt": query.end_s}
    return where


def _after(key: AppearanceKey) -> list[Document]:
    video_id, start_s, position = key
    return [
        {"video_id": {"$gt": video_id}},
        {"video_id": video_id, "start_s": {"$gt": start_s}},
        {"video_id": video_id, "start_s": start_s, "position": {"$gt": position}},
    ]


def _matching(tx: Transaction, project: str, query: AppearanceQuery, where: Document) -> Iterator[AppearanceRow]:
    """Yield appearances in order, those that also meet what a query asks of their videos and of others."""
    found = tx.find("appearances", where, _ORDER)
    while rows := [decode_row(AppearanceRow, document) for document in islice(found, _CHUNK)]:
        videos = {"project": project, "video_id": {"$in": sorted({row.video_id for row in rows})}}
        latest = _latest(tx, videos)
        kept = [row for row in rows if latest.get(row.video_id) == row.analysis_id]
        if query.submitted_from is not None or query.submitted_to is not None:
            submitted = _submitted(tx, videos, query)
            kept = [row for row in kept if row.video_id in submitted]
        for owners in query.owners[1:]:
            others = tx.select(
                AppearanceRow,
                {**videos, "owner": {"$in": list(owners)}, "probability": {"$gte": query.min_probability}},
            )
            kept = [row for row in kept if any(_share_a_shot(row, other) for other in others)]
        yield from kept


def _latest(tx: Transaction, where: Document) -> dict[str, str]:
    columns = ["video_id", "analysis_id"]
    found = tx.find("analyses", where, ("created_at", "analysis_id"), columns=columns)
    return {row["video_id"]: row["analysis_id"] for row in found}


def _submitted(tx: Transaction, where: Document, query: AppearanceQuery) -> set[str]:
    bounds = {"$gte": query.submitted_from, "$lt": query.submitted_to}
    created = {name: bound for name, bound in bounds.items() if bound is not None}
    return {row["video_id"] for row in tx.find("videos", {**where, "created_at": created}, columns=["video_id"])}


def _share_a_shot(row: AppearanceRow, other: AppearanceRow) -> bool:
    return (
        other.analysis_id == row.analysis_id and other.first_shot <= row.last_shot and other.last_shot >= row.first_shot
    )
