"""Search over appearances and track vectors, in MongoDB."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from facerec_models.names import STRANGER_PREFIX
from serving.store.codecs import unpack_columns
from serving.store.lookups import latest_of, require_project
from serving.store.mongo.appearance_blocks import AppearanceBlocks
from serving.store.mongo.columns import read_columns
from serving.store.mongo.database import MongoDatabase, MongoDocument, MongoTransaction
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow, ScreenTime
from serving.store.rows import AnalysisColumns

if TYPE_CHECKING:
    from facerec_models.identification.track_columns import TrackColumns

# Videos whose appearances are looked through at once.
_VIDEOS = 100
# Of more owners all appearances are read.
_OWNERS = 100
# Analyses whose columns are asked for at once.
_ANALYSES = 100
# What of blocks tells how long each owner is in view.
_TIMES = ("video_id", "analysis_id", "count", "owners", "rows")


class MongoSearch:
    """The part of a `Store` that is about search."""

    _database: MongoDatabase

    def find_appearances(
        self, project: str, query: AppearanceQuery, *, after: AppearanceKey | None = None, limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances by `AppearanceRow.key`, those after `after`; a video counts by its latest analysis."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return list(islice(_found(tx, project, query, after, _VIDEOS, {}), limit))

    def find_some_appearances(
        self, project: str, query: AppearanceQuery, owners: Sequence[str], limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances of each of these owners, the first ones that a query finds, whoever it asks for."""
        with self._database.reading() as tx:
            require_project(tx, project)
            alone = [replace(query, owners=((owner,), *query.owners[1:])) for owner in owners]
            latest = latest_of(tx, project)  # all at once: it is asked for every owner
            return [row for one in alone for row in islice(_found(tx, project, one, None, limit, latest), limit)]

    def list_screen_times(self, project: str, query: AppearanceQuery, *, of_people: bool = False) -> list[ScreenTime]:
        """Return how long strangers, or people, are in view, and in how many videos, in the appearances that a query finds."""
        with self._database.reading() as tx:
            require_project(tx, project)
            blocks = AppearanceBlocks(tx.find("appearances", _conditions(project, query, None), columns=_TIMES))
            among = None if query.video_id is None else ("video_id", [query.video_id])
            chosen = _Choice(tx, project, query, latest_of(tx, project, among)).of(blocks)
        is_meant = np.array([*(owner.startswith(STRANGER_PREFIX) != of_people for owner in blocks.owners), False])
        chosen &= is_meant[blocks.owner]
        rows, owner = blocks.rows[chosen], blocks.owner[chosen]
        seconds = np.bincount(owner, rows["end_s"] - rows["start_s"], len(blocks.owners))
        tracks = np.bincount(owner, rows["tracks"], len(blocks.owners))
        numbers: dict[str, int] = {}
        video = np.array([numbers.setdefault(one["video_id"], len(numbers)) for one in blocks.documents], np.intp)
        pairs = np.unique(owner * max(1, len(numbers)) + video[blocks.places[chosen]])
        videos = np.bincount(pairs // max(1, len(numbers)), minlength=len(blocks.owners))
        return [
            ScreenTime(blocks.owners[at], float(seconds[at]), int(videos[at]), int(tracks[at]))
            for at in sorted(np.flatnonzero(videos).tolist(), key=blocks.owners.__getitem__)
        ]

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
            parts = [list(analysis_ids[start : start + _ANALYSES]) for start in range(0, len(analysis_ids), _ANALYSES)]
            wheres = [{"project": project, "analysis_id": {"$in": part}} for part in parts]
            rows = [row for where in wheres for row in read_columns(tx, where, "analysis_id")]
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
    """Return which blocks there may be appearances in that a query finds after another one."""
    where: MongoDocument = {"project": project}
    if query.owners and len(query.owners[0]) <= _OWNERS:
        where["owners"] = _one_of(query.owners[0])
    if query.video_id is not None:
        where["video_id"] = query.video_id
    elif after is not None:
        where["video_id"] = {"$gte": after[0]}
    return where


def _one_of(ids: Sequence[str]) -> Any:
    return ids[0] if len(ids) == 1 else {"$in": list(ids)}


def _found(
    tx: MongoTransaction,
    project: str,
    query: AppearanceQuery,
    after: AppearanceKey | None,
    batch: int,
    latest: dict[str, str],
) -> Iterator[AppearanceRow]:
    """Yield the appearances that a query finds after another one, by key.

    Parameters
    ----------
    batch : int
        So many videos are read at once.
    latest : dict of str to str
        The latest analyses of videos, as far as they are known; others are added.
    """
    found = tx.find("appearances", _conditions(project, query, after), ("video_id",), batch=batch + 1)
    videos = ((video_id, list(blocks)) for video_id, blocks in groupby(found, lambda block: block["video_id"]))
    while some := dict(islice(videos, batch)):
        if others := sorted(some.keys() - latest.keys()):
            latest |= latest_of(tx, project, ("video_id", others))
        choice = _Choice(tx, project, query, {video_id: latest[video_id] for video_id in some})
        blocks = AppearanceBlocks(block for own in some.values() for block in own)
        rows = blocks.rows_at(choice.of(blocks))
        yield from sorted((row for row in rows if after is None or row.key > after), key=lambda row: row.key)


class _Choice:
    """Tells which appearances a query finds, in videos whose latest analyses are given.

    A video counts by its latest analysis, if it was submitted when it is asked for, and an appearance with the others in its shots.
    """

    def __init__(self, tx: MongoTransaction, project: str, query: AppearanceQuery, latest: dict[str, str]) -> None:
        self._query = query
        self._latest = latest
        submitted = {"$gte": query.submitted_from, "$lt": query.submitted_to}
        if limits := {name: value for name, value in submitted.items() if value is not None}:
            where, among = {"project": project, "created_at": limits}, ("video_id", sorted(latest))
            kept = {row["video_id"] for row in tx.find("videos", where, among=among, columns=["video_id"])}
            self._latest = {name: one for name, one in latest.items() if name in kept}
        self._others = [self._shots(tx, project, ids) for ids in query.owners[1:]]

    def of(self, blocks: AppearanceBlocks) -> npt.NDArray[np.bool_]:
        """Return which rows of blocks it is."""
        query, rows = self._query, blocks.rows
        counts = [self._latest.get(one["video_id"]) == one["analysis_id"] for one in blocks.documents]
        chosen = np.array(counts, np.bool_)[blocks.places] & blocks.are_sure(query.least_score)
        if query.owners:
            chosen &= blocks.are_of(query.owners[0])
        if query.start_s is not None:
            chosen &= rows["end_s"] > query.start_s
        if query.end_s is not None:
            chosen &= rows["start_s"] < query.end_s
        for at in np.flatnonzero(chosen).tolist() if self._others else ():
            first, last = rows["first_shot"][at], rows["last_shot"][at]
            analysis_id = blocks.documents[blocks.places[at]]["analysis_id"]
            chosen[at] = all(
                any(begin <= last and end >= first for begin, end in shots[analysis_id]) for shots in self._others
            )
        return chosen

    def _shots(self, tx: MongoTransaction, project: str, ids: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
        """Return the shots in which a person appears, as first and last, by analysis."""
        where = {"project": project, "owners": _one_of(ids)}
        blocks = AppearanceBlocks(
            tx.find("appearances", where, among=("video_id", sorted(self._latest)), columns=_TIMES)
        )
        chosen = blocks.are_of(ids) & blocks.are_sure(self._query.least_score)
        shots: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for at in np.flatnonzero(chosen).tolist():
            analysis_id = blocks.documents[blocks.places[at]]["analysis_id"]
            shots[analysis_id].append((int(blocks.rows["first_shot"][at]), int(blocks.rows["last_shot"][at])))
        return shots
