"""Search over appearances and track vectors, in MongoDB."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from facerec_models.types import STRANGER_PREFIX, Decision
from serving.store.codecs import decode_row, unpack_columns
from serving.store.lookups import latest_of, require_project
from serving.store.mongo.columns import read_columns
from serving.store.mongo.database import MongoDatabase, MongoDocument, MongoTransaction, comes_after
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow, ScreenTime
from serving.store.rows import AnalysisColumns

if TYPE_CHECKING:
    from facerec_models.identification.track_columns import TrackColumns

# Appearances whose videos are asked for at once.
_FEWEST = 100
_MOST = 10_000


class MongoSearch:
    """The part of a `Store` that is about search."""

    _database: MongoDatabase

    def find_appearances(
        self, project: str, query: AppearanceQuery, *, after: AppearanceKey | None = None, limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances by `AppearanceRow.key`, those after `after`; a video counts by its latest analysis."""
        with self._database.reading() as tx:
            require_project(tx, project)
            order = ("video_id", "start_s", "first_track")
            found = tx.find("appearances", _conditions(project, query, after), order)
            # What concerns other documents is asked for many appearances at once.
            passed: list[MongoDocument] = []
            while len(passed) < limit and (batch := list(islice(found, max(limit - len(passed), _FEWEST)))):
                passed += _among_videos(tx, project, query, batch)
        return [decode_row(AppearanceRow, document) for document in passed[:limit]]

    def list_screen_times(self, project: str, query: AppearanceQuery) -> list[ScreenTime]:
        """Return how long strangers are in view, and in how many videos, in the appearances that a query finds."""
        with self._database.reading() as tx:
            require_project(tx, project)
            where = _conditions(project, query, None)
            # All ids that begin so, read from the index: "." is the character after "-".
            strangers = {"$gt": STRANGER_PREFIX, "$lt": f"{STRANGER_PREFIX.rstrip('-')}."}
            where["owner"] = where.get("owner", {}) | strangers
            found = tx.find("appearances", where)
            seconds: dict[str, float] = defaultdict(float)
            videos: dict[str, set[str]] = defaultdict(set)
            tracks: Counter[str] = Counter()
            while batch := list(islice(found, _MOST)):
                for row in _among_videos(tx, project, query, batch):
                    seconds[row["owner"]] += row["end_s"] - row["start_s"]
                    videos[row["owner"]].add(row["video_id"])
                    tracks[row["owner"]] += len(json.loads(row["track_ids"]))
        return [ScreenTime(owner, total, len(videos[owner]), tracks[owner]) for owner, total in sorted(seconds.items())]

    def columns_state(self, project: str) -> tuple[int, int]:
        """Return how many analyses have columns, and the highest position: the same two mean that nothing has changed."""
        with self._database.reading() as tx:
            require_project(tx, project)
            newest = tx.find("track_columns", {"project": project}, ("-position",), limit=1, columns=["position"])
            return tx.count("track_columns", {"project": project, "piece": 0}), max(
                (row["position"] for row in newest), default=0
            )

    def columns_positions(self, project: str) -> dict[str, int]:
        """Return the position of each analysis's columns."""
        with self._database.reading() as tx:
            require_project(tx, project)
            found = tx.find("track_columns", {"project": project, "piece": 0}, columns=["analysis_id", "position"])
            return {row["analysis_id"]: row["position"] for row in found}

    def list_columns(self, project: str, *, since: int = 0, limit: int) -> list[AnalysisColumns]:
        """Return at most `limit` analyses' columns by position, those after `since`."""
        with self._database.reading() as tx:
            require_project(tx, project)
            where = {"project": project, "position": {"$gt": since}}
            return _columns(tx, project, islice(read_columns(tx, where), limit))

    def get_columns(self, project: str, analysis_ids: Sequence[str]) -> dict[str, TrackColumns]:
        """Return the columns of each analysis; those that are not there are left out."""
        with self._database.reading() as tx:
            require_project(tx, project)
            rows = [
                row
                for start in range(0, len(analysis_ids), _FEWEST)
                for row in read_columns(
                    tx, {"project": project, "analysis_id": {"$in": list(analysis_ids[start : start + _FEWEST])}}
                )
            ]
            return {row.analysis_id: row.columns for row in _columns(tx, project, rows)}


def _columns(tx: MongoTransaction, project: str, found: Iterable[MongoDocument]) -> list[AnalysisColumns]:
    rows = list(found)
    among = ("analysis_id", [row["analysis_id"] for row in rows])
    analyses = tx.find("analyses", {"project": project}, among=among, columns=["analysis_id", "embedder"])
    embedders = {row["analysis_id"]: row["embedder"] for row in analyses}
    return [
        AnalysisColumns(
            row["analysis_id"],
            row["position"],
            embedders[row["analysis_id"]],
            unpack_columns(row["tracks"], row["pairs"], row["dimension"], row["arrays"]),
        )
        for row in rows
    ]


def _conditions(project: str, query: AppearanceQuery, after: AppearanceKey | None) -> MongoDocument:
    """Return what an appearance itself tells: whose it is, how sure, where, and that it comes after another."""
    where: MongoDocument = {"project": project}
    if query.owners:
        where["owner"] = {"$in": list(query.owners[0])}
    if query.video_id is not None:
        where["video_id"] = query.video_id
    if query.start_s is not None:
        where["end_s"] = {"$gt": query.start_s}
    if query.end_s is not None:
        where["start_s"] = {"$lt": query.end_s}
    also = [_is_sure(query)] if _is_sure(query) else []
    if after is not None:
        also.append(comes_after(dict(zip(("video_id", "start_s", "first_track"), after, strict=True))))
    return {**where, "$and": also} if also else where


def _is_sure(query: AppearanceQuery) -> MongoDocument:
    """Return the condition that an appearance is sure enough."""
    if query.least_score == -math.inf and query.most_score == math.inf:
        return {}
    return {
        "$or": [
            {"decision": str(Decision.NAMED), "is_confirmed": True},
            {"decision": str(Decision.NAMED), "score": {"$gte": query.least_score}},
            {"decision": {"$ne": str(Decision.NAMED)}, "score": {"$lte": query.most_score}},
        ]
    }


def _among_videos(
    tx: MongoTransaction, project: str, query: AppearanceQuery, batch: Sequence[MongoDocument]
) -> Iterator[MongoDocument]:
    """Yield those of a video's latest analysis, submitted when it is asked for, with the others in their shots."""
    among = ("video_id", sorted({row["video_id"] for row in batch}))
    latest = latest_of(tx, project, among)
    submitted = {
        name: value
        for name, value in (("$gte", query.submitted_from), ("$lt", query.submitted_to))
        if value is not None
    }
    if submitted:
        where = {"project": project, "created_at": submitted}
        kept = {row["video_id"] for row in tx.find("videos", where, among=among, columns=["video_id"])}
        latest = {video_id: analysis_id for video_id, analysis_id in latest.items() if video_id in kept}
    others = [_shots(tx, project, query, ids, latest) for ids in query.owners[1:]]
    for row in batch:
        analysis_id = row["analysis_id"]
        if latest.get(row["video_id"]) == analysis_id and all(
            any(first <= row["last_shot"] and last >= row["first_shot"] for first, last in shots[analysis_id])
            for shots in others
        ):
            yield row


def _shots(
    tx: MongoTransaction, project: str, query: AppearanceQuery, ids: Sequence[str], latest: dict[str, str]
) -> dict[str, list[tuple[int, int]]]:
    """Return the shots in which a person appears, as first and last, by analysis."""
    where = {"project": project, "owner": {"$in": list(ids)}, **_is_sure(query)}
    shots: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in tx.find("appearances", where, among=("video_id", sorted(latest))):
        shots[row["analysis_id"]].append((row["first_shot"], row["last_shot"]))
    return shots
