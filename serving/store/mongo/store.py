"""The store of several machines: a MongoDB database."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from facerec_models.types import Track
from serving.store import conflicts
from serving.store.codecs import encode_row, without_embeddings
from serving.store.lookups import require_analyses, require_project, require_video
from serving.store.mongo.columns import put_columns
from serving.store.mongo.database import MongoDatabase, MongoDocument, MongoTransaction
from serving.store.mongo.jobs import MongoJobs, forget_submissions
from serving.store.mongo.schema import TABLES
from serving.store.mongo.search import MongoSearch
from serving.store.mongo.tracks import (
    adopt_part,
    discard_part,
    drop_parts,
    pick_from_parts,
    read_part,
    replace_track,
    stage_part,
    sweep_parts,
    to_track,
    track_row,
    write_part,
)
from serving.store.mongo.transfer import MongoTransfer
from serving.store.rows import AnalysisRow, FaceStatus, PersonSummary, Project
from serving.store.shared_access import SharedAccess, log
from serving.store.shared_corrections import SharedCorrections
from serving.store.shared_naming import SharedNaming, forget_names
from serving.store.shared_rows import SharedRows, noting_latest


class MongoStore(SharedAccess, SharedRows, SharedCorrections, SharedNaming, MongoJobs, MongoSearch, MongoTransfer):
    """A `Store` in a MongoDB database, for many threads, processes and machines.

    What concerns several documents is one transaction: the server must be a replica set, if only of one member. Tracks are
    written before it, see `serving.store.mongo.tracks`. A transaction may take a minute, as MongoDB has it by default.

    Parameters
    ----------
    uri : str
        As MongoDB defines it; the database is ``facerec`` where it names none.
    busy_timeout_s : float
        How long to wait for another writer before raising `StoreError`.
    copying : bool
        Open it even if a copy into it was interrupted: to copy again.
    upgrading : bool
        Whether collections of an older version are brought to the present ones.
    """

    def __init__(
        self, uri: str, *, busy_timeout_s: float = 30.0, copying: bool = False, upgrading: bool = False
    ) -> None:
        self._database = self._shared = MongoDatabase(uri, busy_timeout_s, copying=copying, upgrading=upgrading)

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""
        self._database.close()

    def scrub(self) -> None:
        """Delete what belongs to nobody; when the server gives up the room of deleted documents is its own matter."""
        sweep_parts(self._database)

    # Projects

    def create_project(self, name: str) -> Project:
        """Create a project, or return the one that has this name."""
        created = {
            "created_at": time.time(),
            "embedder": None,
            "version": 0,
            "max_false_names": None,
            "policy": "{}",
            "writes": 0,
        }
        with self._database.single("projects") as projects:
            is_new = projects.update_one({"name": name}, {"$setOnInsert": created}, upsert=True).upserted_id is not None
        if is_new:
            self.log_action(name, "project-created")
        return self.get_project(name)

    def fix_embedder(self, project: str, embedder: str) -> Project:
        """Set a project's embedder if it has none yet; raise `GalleryMismatchError` if it has another one."""
        with self._database.single("projects") as projects:
            projects.update_one({"name": project, "embedder": None}, {"$set": {"embedder": embedder}})
        return conflicts.require_fixed(self.get_project(project), embedder)

    def delete_project(self, name: str) -> None:
        """Delete a project with everything in it."""

        def delete(tx: MongoTransaction) -> None:
            tx.delete("jobs", {"project": name})  # first: runners renew their leases without a transaction
            _delete_analyses(tx, {"project": name})
            for table in TABLES:
                if table not in ("projects", "tracks", "audit"):
                    tx.delete(table, {"project": name})
            log(tx, name, "project-deleted")
            tx.delete("projects", {"name": name})

        self._database.change(name, delete)
        sweep_parts(self._database)

    # People

    def list_people(self, project: str) -> list[PersonSummary]:
        """Return everyone with at least one face, by id."""
        counts = {str(status): {"$sum": {"$cond": [{"$eq": ["$status", str(status)]}, 1, 0]}} for status in FaceStatus}
        stages: list[MongoDocument] = [
            {"$match": {"project": project}},
            {"$group": {"_id": "$person_id", **counts, "newest_at": {"$max": "$created_at"}}},
            {"$sort": {"_id": 1}},
        ]
        with self._database.reading() as tx:
            require_project(tx, project)
            found = list(tx.aggregate("faces", stages))
        return [
            PersonSummary(row["_id"], row["taken"], row["disabled"], row["refused"], row["newest_at"]) for row in found
        ]

    # Videos and what was found in them

    def delete_video(self, project: str, video_id: str) -> None:
        """Delete a video with its analyses and tracks; the same submission is then a new job."""

        def delete(tx: MongoTransaction) -> None:
            require_video(tx, project, video_id)
            forget_submissions(tx, project, video_id)
            _delete_analyses(tx, {"project": project, "video_id": video_id})
            tx.delete("videos", {"project": project, "video_id": video_id})
            log(tx, project, "video-deleted", video_id)

        self._database.change(project, delete)
        sweep_parts(self._database)

    def put_analysis(self, analysis: AnalysisRow, tracks: Sequence[Track]) -> None:
        """Add a complete analysis with its tracks, replacing the one with the same id. Crops in tracks are not kept."""
        project, analysis_id = analysis.project, analysis.analysis_id
        self.get_video(project, analysis.video_id)
        part = stage_part(self._database)
        try:
            write_part(self._database, part, (track_row(project, analysis_id, track) for track in tracks))
            with self._database.writing(project) as tx:
                require_video(tx, project, analysis.video_id)
                with noting_latest(tx, project, analysis.video_id):
                    _delete_analyses(tx, {"project": project, "analysis_id": analysis_id})
                    adopt_part(tx, part)
                    tx.insert_one("analyses", {**encode_row(analysis), "part": part})
                put_columns(tx, project, analysis_id, tracks)
        except BaseException:
            discard_part(self._database, part)
            raise
        sweep_parts(self._database)

    def delete_analysis(self, project: str, analysis_id: str) -> None:
        """Delete an analysis with its tracks and names, if it is there."""
        with self._database.writing(project) as tx:
            require_project(tx, project)
            where = {"project": project, "analysis_id": analysis_id}
            for row in list(tx.find("analyses", where, columns=["video_id"])):
                with noting_latest(tx, project, row["video_id"]):
                    _delete_analyses(tx, where)
        sweep_parts(self._database)

    def get_tracks(self, project: str, analysis_ids: Sequence[str]) -> dict[str, list[Track]]:
        """Return the tracks of each analysis, by track id."""
        with self._database.reading() as tx:
            require_project(tx, project)
            parts = require_analyses(tx, project, analysis_ids, "part")
            return {
                analysis_id: [to_track(columns) for columns in read_part(tx, parts[analysis_id])]
                for analysis_id in analysis_ids
            }

    def pick_tracks(self, project: str, wanted: Mapping[str, Sequence[int]]) -> dict[str, list[Track]]:
        """Return some tracks of each analysis, by track id; those that it does not have are passed over."""
        with self._database.reading() as tx:
            require_project(tx, project)
            parts = require_analyses(tx, project, wanted, "part")
            tracks: dict[str, list[Track]] = {analysis_id: [] for analysis_id in wanted}
            for columns in pick_from_parts(tx, {parts[name]: ids for name, ids in wanted.items()}):
                tracks[columns["analysis_id"]].append(to_track(columns))
            return {name: sorted(found, key=lambda track: track.track_id) for name, found in tracks.items()}

    def empty_tracks(self, project: str, tracks: Sequence[tuple[str, int]]) -> int:
        """Delete the embeddings of tracks, given as (analysis_id, track_id), and their vectors; return how many tracks had any."""
        emptied = 0
        with self._database.writing(project) as tx:
            among = ("analysis_id", sorted({analysis_id for analysis_id, _ in tracks}))
            for row in list(tx.find("analyses", {"project": project}, among=among)):
                analysis_id, part = row["analysis_id"], row["part"]
                wanted = {track_id for owner, track_id in tracks if owner == analysis_id}
                left = []
                for track in [to_track(columns) for columns in read_part(tx, part)]:
                    is_emptied = track.track_id in wanted and len(track.embedded) > 0
                    left.append(without_embeddings(track) if is_emptied else track)
                    if is_emptied:
                        replace_track(tx, part, track_row(project, analysis_id, left[-1]))
                        emptied += 1
                put_columns(tx, project, analysis_id, left)
        return emptied


def _delete_analyses(tx: MongoTransaction, where: MongoDocument) -> None:
    """Delete analyses with what belongs to them; the tracks follow after the transaction, see `sweep_parts`."""
    found = list(tx.find("analyses", where, columns=["project", "analysis_id", "part"]))
    forget_names(tx, where["project"], {name: value for name, value in where.items() if name != "project"})
    for table in ("appearances", "named_tracks", "track_columns"):
        tx.delete(table, {"project": where["project"]}, ("analysis_id", [row["analysis_id"] for row in found]))
    drop_parts(tx, [row["part"] for row in found])
    tx.delete("analyses", where)
