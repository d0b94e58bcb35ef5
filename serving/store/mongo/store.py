"""The store of several machines: a MongoDB database."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from facerec_models.errors import GalleryMismatchError, ModelNotFoundError, VideoNotFoundError
from facerec_models.types import FloatArray, Track
from serving.store import conflicts
from serving.store.codecs import without_embeddings
from serving.store.mongo.corrections import MongoCorrections
from serving.store.mongo.database import Document, MongoDatabase, Transaction, comes_after, require_project
from serving.store.mongo.jobs import MongoJobs, forget_submissions
from serving.store.mongo.naming import (
    MongoNaming,
    promote,
    promotions,
    require_analyses,
    require_model,
    said_ids,
    set_vectors,
)
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
    track_columns,
    write_part,
)
from serving.store.mongo.transfer import MongoTransfer
from serving.store.mongo.vectors import put_vectors
from serving.store.rows import AnalysisRow, Face, FaceStatus, ModelVersion, PersonSummary, Project, VideoRow


class MongoStore(MongoCorrections, MongoJobs, MongoNaming, MongoSearch, MongoTransfer):
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
    """

    def __init__(self, uri: str, *, busy_timeout_s: float = 30.0, copying: bool = False) -> None:
        super().__init__(MongoDatabase(uri, busy_timeout_s, copying=copying))

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""
        self._database.close()

    def scrub(self) -> None:
        """Delete what belongs to nobody; when the server gives up the room of deleted documents is its own matter."""
        sweep_parts(self._database)

    # Projects

    def create_project(self, name: str) -> Project:
        """Create a project, or return the one that has this name."""
        created = {"created_at": time.time(), "embedder": None, "writes": 0}
        with self._database.single("projects") as projects:
            projects.update_one({"name": name}, {"$setOnInsert": created}, upsert=True)
        return self.get_project(name)

    def get_project(self, name: str) -> Project:
        """Return a project."""
        with self._database.reading() as tx:
            return require_project(tx, name)

    def list_projects(self) -> list[Project]:
        """Return all projects by name."""
        with self._database.reading() as tx:
            return tx.select(Project, {}, ("name",))

    def fix_embedder(self, project: str, embedder: str) -> Project:
        """Set a project's embedder if it has none yet; raise `GalleryMismatchError` if it has another one."""
        with self._database.single("projects") as projects:
            projects.update_one({"name": project, "embedder": None}, {"$set": {"embedder": embedder}})
        row = self.get_project(project)
        if row.embedder != embedder:
            raise GalleryMismatchError(
                f"project {project!r} has embeddings of {row.embedder}, not of {embedder}; set "
                f"FACEREC_ANALYSIS__EMBEDDING__EMBEDDER, or use another project"
            )
        return row

    def delete_project(self, name: str) -> None:
        """Delete a project with everything in it."""

        def delete(tx: Transaction) -> None:
            tx.delete("jobs", {"project": name})  # first: runners renew their leases without a transaction
            _delete_analyses(tx, {"project": name})
            for table in TABLES:
                if table not in ("projects", "tracks"):
                    tx.delete(table, {"project": name})
            tx.delete("projects", {"name": name})

        self._database.change(name, delete)
        sweep_parts(self._database)

    # People

    def put_faces(self, project: str, faces: Iterable[Face]) -> None:
        """Add faces, replacing those with the same id."""
        rows = list(faces)  # before the transaction: others do not wait while an iterator computes embeddings
        for face in rows:
            if face.project != project:
                raise ValueError(f"face {face.face_id} is of project {face.project!r}, not {project!r}")
        with self._database.writing(project) as tx:
            tx.put(rows, Face)

    def list_faces(self, project: str, *, person_id: str | None = None, status: FaceStatus | None = None) -> list[Face]:
        """Return faces by person and path."""
        where = {"project": project}
        if person_id is not None:
            where["person_id"] = person_id
        if status is not None:
            where["status"] = str(status)
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.select(Face, where, ("person_id", "path", "face_id"))

    def set_face_status(
        self, project: str, face_ids: Sequence[str], status: FaceStatus, reason: str | None, *, by_hand: bool = True
    ) -> int:
        """Enable or disable faces; return how many there were. Faces without an embedding are left as they are.

        What is not `by_hand` leaves those alone, too, whose status somebody decided.
        """
        values = {"status": str(status), "reason": reason, "by_hand": by_hand}
        where = {"project": project} if by_hand else {"project": project, "by_hand": False}
        with self._database.writing(project) as tx:
            found = tx.find("faces", where, among=("face_id", face_ids), columns=["embedding"])
            return tx.update(
                "faces", {}, values, ("_id", [row["_id"] for row in found if row["embedding"] is not None])
            )

    def set_vectors(self, project: str, embedder: str, vectors: Mapping[str, FloatArray]) -> None:
        """Give faces, by id, their vectors of an embedder; those that are there no more are passed over."""
        with self._database.writing(project) as tx:
            set_vectors(tx, project, embedder, vectors)

    def delete_faces(self, project: str, face_ids: Sequence[str]) -> int:
        """Delete faces; return how many there were. Their crops are files, and the caller's to remove."""
        with self._database.writing(project) as tx:
            return tx.delete("faces", {"project": project}, ("face_id", face_ids))

    def list_people(self, project: str) -> list[PersonSummary]:
        """Return everyone with at least one face, by id."""
        counts = {str(status): {"$sum": {"$cond": [{"$eq": ["$status", str(status)]}, 1, 0]}} for status in FaceStatus}
        stages: list[Document] = [
            {"$match": {"project": project}},
            {"$group": {"_id": "$person_id", **counts}},
            {"$sort": {"_id": 1}},
        ]
        with self._database.reading() as tx:
            require_project(tx, project)
            found = list(tx.aggregate("faces", stages))
        return [PersonSummary(row["_id"], row["taken"], row["disabled"], row["refused"]) for row in found]

    # Models

    def add_model(self, model: ModelVersion) -> None:
        """Add a trained version, which serves nobody until it is promoted, or replace what is known of it."""
        with self._database.writing(model.project) as tx:
            tx.put([model], ModelVersion)

    def get_model(self, project: str, version: str | None = None) -> ModelVersion:
        """Return a version, or the promoted one; raise `ModelNotFoundError` if there is none."""
        with self._database.reading() as tx:
            require_project(tx, project)
            if version is None:
                missing = f"project {project!r} has no promoted model; train one, then promote it"
                version = _promoted(tx, project, missing)["version"]
            return require_model(tx, project, version)

    def list_models(self, project: str) -> list[ModelVersion]:
        """Return all versions, oldest first."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.select(ModelVersion, {"project": project}, ("created_at", "version"))

    def promote_model(self, project: str, version: str, *, said: Collection[str] | None = None) -> None:
        """Let this version name from now on; with `said`, only if these are the ids of all corrections."""
        with self._database.writing(project) as tx:
            if said is not None:
                conflicts.require_said(project, said, said_ids(tx, project))
            promote(tx, project, version)

    def former_model(self, project: str) -> ModelVersion:
        """Return the version that was promoted before the present one; raise `ModelNotFoundError` if there is none."""
        with self._database.reading() as tx:
            require_project(tx, project)
            for found in promotions(tx, project)[1:]:
                return require_model(tx, project, found["version"])
        raise ModelNotFoundError(f"project {project!r} has no model that was promoted before the present one")

    def delete_model(self, project: str, version: str) -> None:
        """Delete a version with the revisions that name by it; analyses that they named are named by none, until named again."""
        key = {"project": project, "version": version}
        with self._database.writing(project) as tx:
            require_model(tx, project, version)
            named = {"project": project, "model_version": version}
            revisions = [row["revision"] for row in tx.find("revisions", named, columns=["revision"])]
            analyses = tx.find("analyses", {"project": project}, among=("revision", revisions), columns=["analysis_id"])
            among = ("analysis_id", [row["analysis_id"] for row in analyses])
            for table in ("appearances", "unindexed_analyses"):
                tx.delete(table, {"project": project}, among)
            tx.update("analyses", {"project": project}, {"revision": None}, among)
            tx.delete("revisions", named)
            tx.delete("promotions", key)
            tx.delete("models", key)

    # Videos and what was found in them

    def put_video(self, video: VideoRow) -> None:
        """Add a video, replacing the row with the same project and id."""
        with self._database.writing(video.project) as tx:
            tx.put([video], VideoRow)

    def get_video(self, project: str, video_id: str) -> VideoRow:
        """Return a video; raise `VideoNotFoundError` if there is none."""
        with self._database.reading() as tx:
            return _video(tx, project, video_id)

    def list_videos(self, project: str, *, after: VideoRow | None = None, limit: int | None = None) -> list[VideoRow]:
        """Return videos, oldest first; at most `limit` of those that come after one of them."""
        where: Document = {"project": project}
        if after is not None:
            where |= comes_after({"created_at": after.created_at, "video_id": after.video_id})
        with self._database.reading() as tx:
            require_project(tx, project)
            # No limit is none to the server if it is 0.
            return [] if limit == 0 else tx.select(VideoRow, where, ("created_at", "video_id"), limit=limit or 0)

    def delete_video(self, project: str, video_id: str) -> None:
        """Delete a video with its analyses and tracks; the same submission is then a new job."""

        def delete(tx: Transaction) -> None:
            _video(tx, project, video_id)
            forget_submissions(tx, project, video_id)
            _delete_analyses(tx, {"project": project, "video_id": video_id})
            tx.delete("videos", {"project": project, "video_id": video_id})

        self._database.change(project, delete)
        sweep_parts(self._database)

    def put_analysis(self, analysis: AnalysisRow, tracks: Sequence[Track]) -> None:
        """Add a complete analysis with its tracks, replacing the one with the same id. Crops in tracks are not kept."""
        project, analysis_id = analysis.project, analysis.analysis_id
        self.get_video(project, analysis.video_id)
        part = stage_part(self._database)
        try:
            write_part(self._database, part, (track_columns(project, analysis_id, track) for track in tracks))
            with self._database.writing(project) as tx:
                _video(tx, project, analysis.video_id)
                _delete_analyses(tx, {"project": project, "analysis_id": analysis_id})
                adopt_part(tx, part)
                tx.put_new(analysis, part=part)
                put_vectors(tx, project, analysis_id, tracks)
        except BaseException:
            discard_part(self._database, part)
            raise
        sweep_parts(self._database)

    def get_analysis(self, project: str, analysis_id: str) -> AnalysisRow:
        """Return an analysis; raise `VideoNotFoundError` if there is none."""
        missing = VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.select_one(AnalysisRow, {"project": project, "analysis_id": analysis_id}, missing)

    def touch_analysis(self, project: str, analysis_id: str, at: float) -> None:
        """Let an analysis count as made at this time."""
        with self._database.writing(project) as tx:
            require_analyses(tx, project, [analysis_id])
            tx.update("analyses", {"project": project, "analysis_id": analysis_id}, {"created_at": at})

    def latest_analysis(self, project: str, video_id: str) -> AnalysisRow:
        """Return a video's newest analysis; raise `VideoNotFoundError` if there is none."""
        missing = VideoNotFoundError(f"video {video_id!r} of project {project!r} has not been analysed")
        with self._database.reading() as tx:
            _video(tx, project, video_id)
            where = {"project": project, "video_id": video_id}
            return tx.select_one(AnalysisRow, where, missing, ("-created_at", "-analysis_id"))

    def list_analyses(self, project: str) -> list[AnalysisRow]:
        """Return all analyses, oldest first."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.select(AnalysisRow, {"project": project}, ("created_at", "analysis_id"))

    def get_tracks(self, project: str, analysis_ids: Sequence[str]) -> dict[str, list[Track]]:
        """Return the tracks of each analysis, by track id."""
        with self._database.reading() as tx:
            require_project(tx, project)
            parts = require_analyses(tx, project, analysis_ids)
            return {
                analysis_id: [to_track(columns) for columns in read_part(tx, parts[analysis_id])]
                for analysis_id in analysis_ids
            }

    def pick_tracks(self, project: str, wanted: Mapping[str, Sequence[int]]) -> dict[str, list[Track]]:
        """Return some tracks of each analysis, by track id; those that it does not have are passed over."""
        with self._database.reading() as tx:
            require_project(tx, project)
            parts = require_analyses(tx, project, list(wanted))
            tracks: dict[str, list[Track]] = {analysis_id: [] for analysis_id in wanted}
            for columns in pick_from_parts(tx, {parts[name]: ids for name, ids in wanted.items()}):
                tracks[columns["analysis_id"]].append(to_track(columns))
            return tracks

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
                    if track.track_id not in wanted:
                        left.append(track)
                    elif len(track.embedded):
                        replace_track(tx, part, track_columns(project, analysis_id, without_embeddings(track)))
                        emptied += 1
                put_vectors(tx, project, analysis_id, left)
        return emptied


def _promoted(tx: Transaction, project: str, missing: str) -> Document:
    for found in tx.find("promotions", {"project": project}, ("-position",), limit=1):
        return found
    raise ModelNotFoundError(missing)


def _video(tx: Transaction, project: str, video_id: str) -> VideoRow:
    require_project(tx, project)
    missing = VideoNotFoundError(f"project {project!r} has no video {video_id!r}")
    return tx.select_one(VideoRow, {"project": project, "video_id": video_id}, missing)


def _delete_analyses(tx: Transaction, where: Document) -> None:
    """Delete analyses with what belongs to them; the tracks follow after the transaction, see `sweep_parts`."""
    found = list(tx.find("analyses", where, columns=["project", "analysis_id", "part"]))
    for table in ("stranger_tracks", "appearances", "unindexed_analyses", "track_vectors"):
        tx.delete(table, {"project": where["project"]}, ("analysis_id", [row["analysis_id"] for row in found]))
    drop_parts(tx, [row["part"] for row in found])
    tx.delete("analyses", where)
