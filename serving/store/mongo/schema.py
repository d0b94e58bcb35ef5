"""The MongoDB collections, as the functions that lead from each version of them to the next.

A function that was ever released is never edited: the next change is a function of its own at the end. Several processes
may run one at the same time, so each can be repeated. Collections bear the names of the SQLite tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.database import Database

from facerec_models.errors import StoreError
from serving.store.contract import OLDER_ANALYSES

# What a document is found by, one index for each; tracks are those of a part, see `serving.store.mongo.tracks`.
KEYS: dict[str, tuple[str, ...]] = {
    "projects": ("name",),
    "faces": ("project", "face_id"),
    "models": ("project", "version"),
    "promotions": ("project", "position"),
    "videos": ("project", "video_id"),
    "analyses": ("project", "analysis_id"),
    "tracks": ("part", "track_id", "piece"),
    "revisions": ("project", "revision"),
    "jobs": ("job_id",),
    "corrections": ("project", "correction_id"),
    "strangers": ("project", "stranger_id"),
    "stranger_tracks": ("project", "analysis_id", "track_id"),
    "appearances": ("project", "analysis_id", "position"),
    "unindexed_analyses": ("project", "analysis_id"),
    "applications": ("project", "number"),
    "track_vectors": ("project", "analysis_id", "piece"),
}
TABLES = tuple(KEYS)


def _initial(db: Database[dict[str, Any]]) -> None:
    for table, columns in KEYS.items():
        _index(db, table, *columns, unique=True)
    _index(db, "strangers", "project", "number", unique=True)
    _index(db, "faces", "project", "person_id", "path", "status")
    _index(db, "analyses", "project", "video_id", "created_at")
    _index(db, "analyses", "project", "revision")
    _index(db, "revisions", "project", "model_version")
    _index(db, "corrections", "project", "person_id")
    _index(db, "corrections", "project", "analysis_id", "track_id")
    _index(db, "stranger_tracks", "project", "stranger_id")
    _index(db, "appearances", "project", "owner", "video_id", "start_s", "position")
    _index(db, "appearances", "project", "video_id", "start_s", "position")
    _index(db, "track_vectors", "project", "position", "piece")
    _index(db, "track_vectors", "piece")
    _index(db, "tracks", "piece")
    _index(db, "jobs", "project", "created_at", "job_id")
    _index(db, "jobs", "state")
    _index(db, "jobs", "kind", "due_at")
    _index(db, "jobs", "video_id")
    _index(db, "jobs", "key", unique=True, partialFilterExpression={"key": {"$type": "string"}})
    _index(db, "track_parts", "state", "at")
    db["schema"].update_one({"_id": "positions"}, {"$setOnInsert": {"last": 0}}, upsert=True)


def _refuse_older_analyses(db: Database[dict[str, Any]]) -> None:
    """Raise `StoreError` if there are analyses whose tracks do not say when their face is in view."""
    if db["analyses"].find_one({}, {"_id": 1}):
        raise StoreError(OLDER_ANALYSES)


MIGRATIONS: tuple[Callable[[Database[dict[str, Any]]], None], ...] = (_initial, _refuse_older_analyses)


def migrate(db: Database[dict[str, Any]], address: str) -> int:
    """Bring a database to the present schema, and return that.

    Raises
    ------
    StoreError
        If a newer program wrote it.
    """
    found = db["schema"].find_one({"_id": "schema"})
    version = int(found["version"]) if found else 0
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the store {address} has schema {version}, but this program knows only {len(MIGRATIONS)}; "
            "install a newer FaceRec"
        )
    for number, change in enumerate(MIGRATIONS[version:], version + 1):
        change(db)
        db["schema"].update_one({"_id": "schema"}, {"$max": {"version": number}}, upsert=True)
    return len(MIGRATIONS)


def _index(db: Database[dict[str, Any]], table: str, *columns: str, unique: bool = False, **options: Any) -> None:
    db[table].create_index([(name, 1) for name in columns], name="_".join(columns), unique=unique, **options)
