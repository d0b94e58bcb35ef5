"""The embedded store: one SQLite file on a local disk, for many threads and processes of one machine."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection

from facerec_models.errors import GalleryMismatchError, ModelNotFoundError, VideoNotFoundError
from facerec_models.types import FloatArray, Track
from serving.store import conflicts
from serving.store.codecs import pack_track, unpack_track, without_embeddings
from serving.store.rows import AnalysisRow, Face, FaceStatus, ModelVersion, PersonSummary, Project, VideoRow
from serving.store.sqlite.corrections import SqliteCorrections
from serving.store.sqlite.database import (
    Database,
    insert,
    require_analyses,
    require_model,
    require_project,
    require_video,
    select,
    select_one,
)
from serving.store.sqlite.jobs import SqliteJobs
from serving.store.sqlite.naming import SqliteNaming, promote, said_ids, set_vectors
from serving.store.sqlite.search import SqliteSearch
from serving.store.sqlite.transfer import SqliteTransfer
from serving.store.sqlite.vectors import put_vectors

_PROMOTED = """SELECT models.* FROM promotions JOIN models USING (project, version)
    WHERE project = ? ORDER BY position DESC LIMIT 1"""


class SqliteStore(SqliteCorrections, SqliteJobs, SqliteNaming, SqliteSearch, SqliteTransfer):
    """A `Store` in one SQLite file.

    Parameters
    ----------
    path : Path
        On a local disk: write-ahead logging needs shared memory. Created where there is none.
    busy_timeout_s : float
        How long to wait for another writer before raising `StoreError`.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 30.0) -> None:
        super().__init__(Database(path, busy_timeout_s))

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""
        self._database.close()

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the store's files."""
        self._database.empty_log()

    # Projects

    def create_project(self, name: str) -> Project:
        """Create a project, or return the one that has this name."""
        with self._database.writing() as db:
            insert(db, [Project(name, time.time())], Project, replace=False)
            return require_project(db, name)

    def get_project(self, name: str) -> Project:
        """Return a project."""
        with self._database.reading() as db:
            return require_project(db, name)

    def list_projects(self) -> list[Project]:
        """Return all projects by name."""
        with self._database.reading() as db:
            return select(db, Project, "SELECT * FROM projects ORDER BY name")

    def fix_embedder(self, project: str, embedder: str) -> Project:
        """Set a project's embedder if it has none yet; raise `GalleryMismatchError` if it has another one."""
        with self._database.writing() as db:
            db.execute("UPDATE projects SET embedder = ? WHERE name = ? AND embedder IS NULL", (embedder, project))
            row = require_project(db, project)
            if row.embedder != embedder:
                raise GalleryMismatchError(
                    f"project {project!r} has embeddings of {row.embedder}, not of {embedder}; set "
                    f"FACEREC_ANALYSIS__EMBEDDING__EMBEDDER, or use another project"
                )
            return row

    def delete_project(self, name: str) -> None:
        """Delete a project with everything in it."""
        with self._database.writing() as db:
            require_project(db, name)
            db.execute("DELETE FROM projects WHERE name = ?", (name,))

    # People

    def put_faces(self, project: str, faces: Iterable[Face]) -> None:
        """Add faces, replacing those with the same id."""
        rows = list(faces)  # before the transaction: others do not wait while an iterator computes embeddings
        for face in rows:
            if face.project != project:
                raise ValueError(f"face {face.face_id} is of project {face.project!r}, not {project!r}")
        with self._database.writing() as db:
            require_project(db, project)
            insert(db, rows, Face, replace=True)

    def list_faces(self, project: str, *, person_id: str | None = None, status: FaceStatus | None = None) -> list[Face]:
        """Return faces by person and path."""
        with self._database.reading() as db:
            require_project(db, project)
            return select(
                db,
                Face,
                """SELECT * FROM faces WHERE project = :project AND (:person IS NULL OR person_id = :person)
                AND (:status IS NULL OR status = :status) ORDER BY person_id, path, face_id""",
                {"project": project, "person": person_id, "status": status},
            )

    def set_face_status(
        self, project: str, face_ids: Sequence[str], status: FaceStatus, reason: str | None, *, by_hand: bool = True
    ) -> int:
        """Enable or disable faces; return how many there were. Faces without an embedding are left as they are.

        What is not `by_hand` leaves those alone, too, whose status somebody decided.
        """
        with self._database.writing() as db:
            require_project(db, project)
            return db.execute(
                """UPDATE faces SET status = ?, reason = ?, by_hand = ? WHERE project = ? AND embedding IS NOT NULL
                AND (? OR NOT by_hand) AND face_id IN (SELECT value FROM json_each(?))""",
                (status, reason, by_hand, project, by_hand, json.dumps(face_ids)),
            ).rowcount

    def set_vectors(self, project: str, embedder: str, vectors: Mapping[str, FloatArray]) -> None:
        """Give faces, by id, their vectors of an embedder; those that are there no more are passed over."""
        with self._database.writing() as db:
            require_project(db, project)
            set_vectors(db, project, embedder, vectors)

    def delete_faces(self, project: str, face_ids: Sequence[str]) -> int:
        """Delete faces; return how many there were. Their crops are files, and the caller's to remove."""
        with self._database.writing() as db:
            require_project(db, project)
            return db.execute(
                "DELETE FROM faces WHERE project = ? AND face_id IN (SELECT value FROM json_each(?))",
                (project, json.dumps(face_ids)),
            ).rowcount

    def list_people(self, project: str) -> list[PersonSummary]:
        """Return everyone with at least one face, by id."""
        with self._database.reading() as db:
            require_project(db, project)
            return select(
                db,
                PersonSummary,
                """SELECT person_id, sum(status = 'taken') AS taken, sum(status = 'disabled') AS disabled,
                sum(status = 'refused') AS refused
                FROM faces WHERE project = ? GROUP BY person_id ORDER BY person_id""",
                (project,),
            )

    # Models

    def add_model(self, model: ModelVersion) -> None:
        """Add a trained version, which serves nobody until it is promoted, or replace what is known of it."""
        with self._database.writing() as db:
            require_project(db, model.project)
            insert(db, [model], ModelVersion, replace=True)

    def get_model(self, project: str, version: str | None = None) -> ModelVersion:
        """Return a version, or the promoted one; raise `ModelNotFoundError` if there is none."""
        with self._database.reading() as db:
            require_project(db, project)
            if version is not None:
                return require_model(db, project, version)
            missing = ModelNotFoundError(f"project {project!r} has no promoted model; train one, then promote it")
            return select_one(db, ModelVersion, _PROMOTED, (project,), missing)

    def list_models(self, project: str) -> list[ModelVersion]:
        """Return all versions, oldest first."""
        with self._database.reading() as db:
            require_project(db, project)
            query = "SELECT * FROM models WHERE project = ? ORDER BY created_at, version"
            return select(db, ModelVersion, query, (project,))

    def promote_model(self, project: str, version: str, *, said: Collection[str] | None = None) -> None:
        """Let this version name from now on; with `said`, only if these are the ids of all corrections."""
        with self._database.writing() as db:
            require_project(db, project)
            if said is not None:
                conflicts.require_said(project, said, said_ids(db, project))
            promote(db, project, version)

    def former_model(self, project: str) -> ModelVersion:
        """Return the version that was promoted before the present one; raise `ModelNotFoundError` if there is none."""
        with self._database.reading() as db:
            require_project(db, project)
            missing = ModelNotFoundError(f"project {project!r} has no model that was promoted before the present one")
            return select_one(db, ModelVersion, f"{_PROMOTED} OFFSET 1", (project,), missing)

    def delete_model(self, project: str, version: str) -> None:
        """Delete a version with the revisions that name by it; analyses that they named are named by none, until named again."""
        with self._database.writing() as db:
            require_project(db, project)
            require_model(db, project, version)
            key = {"project": project, "version": version}
            revisions = "(SELECT revision FROM revisions WHERE project = :project AND model_version = :version)"
            db.execute(
                f"""DELETE FROM appearances WHERE project = :project AND analysis_id IN
                (SELECT analysis_id FROM analyses WHERE project = :project AND revision IN {revisions})""",  # noqa: S608
                key,
            )
            db.execute(
                f"""DELETE FROM unindexed_analyses WHERE project = :project AND analysis_id IN
                (SELECT analysis_id FROM analyses WHERE project = :project AND revision IN {revisions})""",  # noqa: S608
                key,
            )
            db.execute(f"UPDATE analyses SET revision = NULL WHERE project = :project AND revision IN {revisions}", key)  # noqa: S608
            db.execute("DELETE FROM models WHERE project = :project AND version = :version", key)

    # Videos and what was found in them

    def put_video(self, video: VideoRow) -> None:
        """Add a video, replacing the row with the same project and id."""
        with self._database.writing() as db:
            require_project(db, video.project)
            insert(db, [video], VideoRow, replace=True)

    def get_video(self, project: str, video_id: str) -> VideoRow:
        """Return a video; raise `VideoNotFoundError` if there is none."""
        with self._database.reading() as db:
            return require_video(db, project, video_id)

    def list_videos(self, project: str, *, after: VideoRow | None = None, limit: int | None = None) -> list[VideoRow]:
        """Return videos, oldest first; at most `limit` of those that come after one of them."""
        with self._database.reading() as db:
            require_project(db, project)
            query = """SELECT * FROM videos WHERE project = :project
                AND (:after IS NULL OR (created_at, video_id) > (:since, :after)) ORDER BY created_at, video_id LIMIT :limit"""
            values = {
                "project": project,
                "since": after.created_at if after else 0.0,
                "after": after.video_id if after else None,
                "limit": -1 if limit is None else limit,
            }
            return select(db, VideoRow, query, values)

    def delete_video(self, project: str, video_id: str) -> None:
        """Delete a video with its analyses and tracks; the same submission is then a new job."""
        with self._database.writing() as db:
            require_video(db, project, video_id)
            db.execute("UPDATE jobs SET key = NULL WHERE project = ? AND video_id = ?", (project, video_id))
            db.execute("DELETE FROM videos WHERE project = ? AND video_id = ?", (project, video_id))

    def put_analysis(self, analysis: AnalysisRow, tracks: Sequence[Track]) -> None:
        """Add a complete analysis with its tracks, replacing the one with the same id. Crops in tracks are not kept."""
        key = (analysis.project, analysis.analysis_id)
        packed = [
            (*key, track.track_id, track.shot, len(track), *track.embeddings.shape, pack_track(track))
            for track in tracks
        ]
        with self._database.writing() as db:
            require_video(db, analysis.project, analysis.video_id)
            db.execute("DELETE FROM analyses WHERE project = ? AND analysis_id = ?", key)
            insert(db, [analysis], AnalysisRow, replace=False)
            db.executemany("INSERT INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", packed)
            put_vectors(db, *key, tracks)

    def get_analysis(self, project: str, analysis_id: str) -> AnalysisRow:
        """Return an analysis; raise `VideoNotFoundError` if there is none."""
        with self._database.reading() as db:
            require_project(db, project)
            query = "SELECT * FROM analyses WHERE project = ? AND analysis_id = ?"
            missing = VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
            return select_one(db, AnalysisRow, query, (project, analysis_id), missing)

    def touch_analysis(self, project: str, analysis_id: str, at: float) -> None:
        """Let an analysis count as made at this time."""
        self.get_analysis(project, analysis_id)
        with self._database.writing() as db:
            db.execute(
                "UPDATE analyses SET created_at = ? WHERE project = ? AND analysis_id = ?", (at, project, analysis_id)
            )

    def latest_analysis(self, project: str, video_id: str) -> AnalysisRow:
        """Return a video's newest analysis; raise `VideoNotFoundError` if there is none."""
        with self._database.reading() as db:
            require_video(db, project, video_id)
            query = """SELECT * FROM analyses WHERE project = ? AND video_id = ?
                ORDER BY created_at DESC, analysis_id DESC LIMIT 1"""
            missing = VideoNotFoundError(f"video {video_id!r} of project {project!r} has not been analysed")
            return select_one(db, AnalysisRow, query, (project, video_id), missing)

    def list_analyses(self, project: str) -> list[AnalysisRow]:
        """Return all analyses, oldest first."""
        with self._database.reading() as db:
            require_project(db, project)
            query = "SELECT * FROM analyses WHERE project = ? ORDER BY created_at, analysis_id"
            return select(db, AnalysisRow, query, (project,))

    def get_tracks(self, project: str, analysis_ids: Sequence[str]) -> dict[str, list[Track]]:
        """Return the tracks of each analysis, by track id."""
        with self._database.reading() as db:
            require_project(db, project)
            require_analyses(db, project, analysis_ids)
            return _tracks(db, project, analysis_ids)

    def pick_tracks(self, project: str, wanted: Mapping[str, Sequence[int]]) -> dict[str, list[Track]]:
        """Return some tracks of each analysis, by track id; those that it does not have are passed over."""
        with self._database.reading() as db:
            require_project(db, project)
            require_analyses(db, project, list(wanted))
            tracks: dict[str, list[Track]] = {analysis_id: [] for analysis_id in wanted}
            found = db.execute(
                f"""SELECT {_TRACK} FROM json_each(?) AS wanted CROSS JOIN json_each(wanted.value) AS number
                CROSS JOIN tracks ON project = ? AND analysis_id = wanted.key AND track_id = number.value
                ORDER BY analysis_id, track_id""",  # noqa: S608
                (json.dumps({name: sorted(set(ids)) for name, ids in wanted.items()}), project),
            )
            for analysis_id, *columns in found:
                tracks[analysis_id].append(unpack_track(*columns))
            return tracks

    def empty_tracks(self, project: str, tracks: Sequence[tuple[str, int]]) -> int:
        """Delete the embeddings of tracks, given as (analysis_id, track_id), and their vectors; return how many tracks had any."""
        emptied = 0
        with self._database.writing() as db:
            require_project(db, project)
            for analysis_id in {analysis_id for analysis_id, _ in tracks}:
                wanted = {track_id for owner, track_id in tracks if owner == analysis_id}
                found = _tracks(db, project, [analysis_id])[analysis_id]
                for track in found:
                    if track.track_id in wanted and len(track.embedded):
                        db.execute(
                            """UPDATE tracks SET embedded = 0, arrays = ?
                            WHERE project = ? AND analysis_id = ? AND track_id = ?""",
                            (pack_track(without_embeddings(track)), project, analysis_id, track.track_id),
                        )
                        emptied += 1
                put_vectors(db, project, analysis_id, [track for track in found if track.track_id not in wanted])
        return emptied


_TRACK = "analysis_id, track_id, shot, samples, embedded, dimension, arrays"


def _tracks(db: Connection, project: str, analysis_ids: Sequence[str]) -> dict[str, list[Track]]:
    tracks: dict[str, list[Track]] = {analysis_id: [] for analysis_id in analysis_ids}
    query = f"""SELECT {_TRACK} FROM tracks WHERE project = ?
        AND analysis_id IN (SELECT value FROM json_each(?)) ORDER BY analysis_id, track_id"""  # noqa: S608
    for analysis_id, *columns in db.execute(query, (project, json.dumps(analysis_ids))):
        tracks[analysis_id].append(unpack_track(*columns))
    return tracks
