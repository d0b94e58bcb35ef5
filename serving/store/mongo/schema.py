"""The MongoDB collections and their indexes. Collections bear the names of the SQLite tables."""

from __future__ import annotations

import json
from typing import Any

from pymongo.database import Database

from serving.store import conflicts

# What a document is found by, one index for each; tracks are those of a part, see `serving.store.mongo.tracks`.
KEYS: dict[str, tuple[str, ...]] = {
    "projects": ("name",),
    "faces": ("project", "face_id"),
    "models": ("project", "version"),
    "promotions": ("project", "position"),
    "videos": ("project", "video_id"),
    "analyses": ("project", "analysis_id"),
    "tracks": ("part", "track_id", "piece"),
    "jobs": ("job_id",),
    "corrections": ("project", "correction_id"),
    "strangers": ("project", "stranger_id"),
    "stranger_tracks": ("project", "analysis_id", "track_id"),
    "appearances": ("project", "analysis_id", "block"),
    "named_tracks": ("project", "edit", "analysis_id"),
    "edits": ("project", "number"),
    "former_rows": ("project", "number", "kind", "key"),
    "stranger_sums": ("project", "block"),
    "track_columns": ("project", "analysis_id", "piece"),
    "api_keys": ("key_id",),
    "audit": ("project", "number"),
    "person_notes": ("project", "person_id"),
}
TABLES = tuple(KEYS)
# Rows of these are asked for by their whole keys, many at once: MongoDB's own key is made of it. Tracks and appearances have it, too.
FOUND_BY_ID = {"stranger_tracks"}


def key_as_id(*key: str | int) -> str:
    """Return a key as MongoDB's own key of a document."""
    return json.dumps(key)


def _create(db: Database[dict[str, Any]]) -> None:
    for table, columns in KEYS.items():
        _index(db, table, *columns, unique=True)
    _index(db, "strangers", "project", "number", unique=True)
    _index(db, "faces", "project", "person_id", "path", "status")
    # With all that tells which analysis of a video is the latest: the others' documents are not read for it.
    _index(db, "analyses", "project", "video_id", "created_at", "analysis_id", "embedder")
    _index(db, "named_tracks", "project", "analysis_id")
    _index(db, "corrections", "project", "person_id")
    _index(db, "corrections", "project", "analysis_id", "track_id")
    _index(db, "stranger_tracks", "project", "stranger_id", "analysis_id", "track_id")
    _index(db, "strangers", "project", "merged_into")
    _index(db, "appearances", "project", "owners", "video_id")
    _index(db, "appearances", "project", "video_id")
    _index(db, "track_columns", "project", "position", "piece")
    _index(db, "track_columns", "piece", "tracks")
    _index(db, "jobs", "project", "created_at", "job_id")
    _index(db, "jobs", "state")
    _index(db, "jobs", "kind", "due_at")
    _index(db, "jobs", "video_id")
    _index(db, "jobs", "key", unique=True, partialFilterExpression={"key": {"$type": "string"}})
    _index(db, "track_parts", "state", "at")
    db["schema"].update_one({"_id": "service"}, {"$setOnInsert": {"writes": 0}}, upsert=True)
    db["schema"].update_one({"_id": "positions"}, {"$setOnInsert": {"last": 0}}, upsert=True)


def require_collections(db: Database[dict[str, Any]], address: str) -> None:
    """Make the collections of a new database; raise `StoreError` if another version of the program wrote it."""
    if db["schema"].find_one({"_id": "schema"}) is None:
        _create(db)
        # Several processes may do so at the same time.
        db["schema"].update_one({"_id": "schema"}, {"$setOnInsert": {"version": conflicts.SCHEMA}}, upsert=True)
    conflicts.require_schema(address, int((db["schema"].find_one({"_id": "schema"}) or {})["version"]))


def upgrade_collections(db: Database[dict[str, Any]]) -> int | None:
    """Bring the collections of an older version to the present ones; return which version it was, None for a new database.

    Each step adds, and can be done again: a program of the version before that runs already goes on.
    """
    found = db["schema"].find_one({"_id": "schema"})
    if found is None:
        return None
    version = int(found["version"])
    if conflicts.OLDEST_UPGRADED <= version < conflicts.SCHEMA:
        _create(db)
        db["projects"].update_many({"policy": {"$exists": False}}, {"$set": {"policy": "{}"}})
        db["jobs"].update_many({"submitted_by": {"$exists": False}}, {"$set": {"submitted_by": None}})
        db["schema"].update_one({"_id": "schema", "version": version}, {"$set": {"version": conflicts.SCHEMA}})
    return version


def _index(db: Database[dict[str, Any]], table: str, *columns: str, unique: bool = False, **options: Any) -> None:
    db[table].create_index([(name, 1) for name in columns], name="_".join(columns), unique=unique, **options)
