"""Projects, people, models, videos and jobs, as far as they are the same for every database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from facerec_models.errors import ConflictError, ModelNotFoundError, VideoNotFoundError
from facerec_models.types import FloatArray
from serving.store.job_rows import Job, JobState
from serving.store.lookups import (
    latest_of,
    no_job,
    promotions,
    require_analyses,
    require_model,
    require_one,
    require_project,
    require_video,
)
from serving.store.naming_rows import AppearanceRow
from serving.store.rows import AnalysisRow, Face, FaceStatus, ModelVersion, Project, VideoRow
from serving.store.shared_access import log
from serving.store.shared_naming import raise_version
from serving.store.transaction import Database, Transaction

# Of the rows that one entry of the audit log is about, so many are listed.
_MOST_LISTED = 200


class SharedRows:
    """The part of a `Store` that needs nothing of a database but its transactions."""

    _shared: Database

    def get_project(self, name: str) -> Project:
        """Return a project."""
        with self._shared.reading() as tx:
            return require_project(tx, name)

    def list_projects(self) -> list[Project]:
        """Return all projects by name."""
        with self._shared.reading() as tx:
            return tx.select(Project, {}, ("name",))

    # People

    def put_faces(self, project: str, faces: Iterable[Face]) -> None:
        """Add faces, replacing those with the same id."""
        rows = list(faces)  # before the transaction: others do not wait while an iterator computes embeddings
        for face in rows:
            if face.project != project:
                raise ValueError(f"face {face.face_id} is of project {face.project!r}, not {project!r}")
        with self._shared.writing(project) as tx:
            tx.put(rows, Face)
            raise_version(tx, project)
            log(tx, project, "faces-added", **_listed([face.face_id for face in rows]))

    def list_faces(self, project: str, *, person_id: str | None = None, status: FaceStatus | None = None) -> list[Face]:
        """Return faces by person and path."""
        where = {"project": project, "person_id": person_id, "status": status}
        with self._shared.reading() as tx:
            require_project(tx, project)
            given = {name: value for name, value in where.items() if value is not None}
            return tx.select(Face, given, ("person_id", "path", "face_id"))

    def judge_faces(self, project: str, face_ids: Sequence[str], status: FaceStatus, reason: str | None) -> int:
        """Enable or disable faces; return how many there were.

        Those without an embedding are left as they are, and those whose status a user decided.
        """
        with self._shared.writing(project) as tx:
            columns = ("face_id", "embedding", "by_hand")
            found = tx.find("faces", {"project": project}, among=("face_id", face_ids), columns=columns)
            judged = [row["face_id"] for row in found if row["embedding"] is not None and not row["by_hand"]]
            raise_version(tx, project)
            log(tx, project, "faces-judged", after=str(status), **_listed(judged))
            return tx.update("faces", {"project": project}, {"status": status, "reason": reason}, ("face_id", judged))

    def set_vectors(self, project: str, embedder: str, vectors: Mapping[str, FloatArray]) -> None:
        """Give faces, by id, their vectors of an embedder; those that are there no more are passed over."""
        with self._shared.writing(project) as tx:
            for face_id, vector in vectors.items():
                tx.update(
                    "faces", {"project": project, "face_id": face_id}, {"embedder": embedder, "embedding": vector}
                )
            raise_version(tx, project)

    def delete_faces(self, project: str, face_ids: Sequence[str]) -> int:
        """Delete faces; return how many there were. Their crops are files, and the caller's to remove."""
        with self._shared.writing(project) as tx:
            raise_version(tx, project)
            log(tx, project, "faces-deleted", **_listed(face_ids))
            return tx.delete("faces", {"project": project}, ("face_id", face_ids))

    # Models

    def add_model(self, model: ModelVersion) -> None:
        """Add a trained version, which serves nobody until it is promoted, or replace what is known of it."""
        with self._shared.writing(model.project) as tx:
            if not tx.count("models", {"project": model.project, "version": model.version}):
                log(
                    tx,
                    model.project,
                    "model-added",
                    model.version,
                    embedder=model.embedder,
                    classifier=model.classifier,
                )
            tx.put([model], ModelVersion)

    def add_new_model(self, model: ModelVersion) -> bool:
        """Add a trained version unless it is there; return whether it was not."""
        with self._shared.writing(model.project) as tx:
            is_new = tx.count("models", {"project": model.project, "version": model.version}) == 0
            tx.put_new(model)
            if is_new:
                log(
                    tx,
                    model.project,
                    "model-added",
                    model.version,
                    embedder=model.embedder,
                    classifier=model.classifier,
                )
            return is_new

    def get_model(self, project: str, version: str | None = None) -> ModelVersion:
        """Return a version, or the promoted one; raise `ModelNotFoundError` if there is none."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            if version is not None:
                return require_model(tx, project, version)
            for row in promotions(tx, project):
                return require_model(tx, project, row["version"])
        raise ModelNotFoundError(f"project {project!r} has no promoted model; train one, then promote it")

    def list_models(self, project: str) -> list[ModelVersion]:
        """Return all versions, oldest first."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return tx.select(ModelVersion, {"project": project}, ("created_at", "version"))

    def former_model(self, project: str) -> ModelVersion:
        """Return the version that was promoted before the present one; raise `ModelNotFoundError` if there is none."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            for row in promotions(tx, project)[1:]:
                return require_model(tx, project, row["version"])
        raise ModelNotFoundError(f"project {project!r} has no model that was promoted before the present one")

    def delete_model(self, project: str, version: str) -> None:
        """Delete a version; raise `ConflictError` if it names now."""
        with self._shared.writing(project) as tx:
            require_model(tx, project, version)
            if version in [row["version"] for row in promotions(tx, project)[:1]]:
                raise ConflictError(f"model {version!r} of project {project!r} names now: promote another one first")
            for table in ("promotions", "models"):
                tx.delete(table, {"project": project, "version": version})
            log(tx, project, "model-deleted", version)

    def delete_corrections(self, project: str, correction_ids: Sequence[str]) -> int:
        """Delete corrections; return how many there were."""
        with self._shared.writing(project) as tx:
            raise_version(tx, project)
            log(tx, project, "corrections-deleted", **_listed(correction_ids))
            return tx.delete("corrections", {"project": project}, ("correction_id", correction_ids))

    # Videos and what was found in them

    def put_video(self, video: VideoRow) -> None:
        """Add a video, replacing the row with the same project and id."""
        with self._shared.writing(video.project) as tx:
            if not tx.count("videos", {"project": video.project, "video_id": video.video_id}):
                log(tx, video.project, "video-added", video.video_id)
            tx.put([video], VideoRow)

    def get_video(self, project: str, video_id: str) -> VideoRow:
        """Return a video; raise `VideoNotFoundError` if there is none."""
        with self._shared.reading() as tx:
            return require_video(tx, project, video_id)

    def list_videos(self, project: str, *, after: VideoRow | None = None, limit: int | None = None) -> list[VideoRow]:
        """Return videos, oldest first; at most `limit` of those that come after one of them."""
        behind = None if after is None else (after.created_at, after.video_id)
        with self._shared.reading() as tx:
            require_project(tx, project)
            return tx.select(VideoRow, {"project": project}, ("created_at", "video_id"), after=behind, limit=limit)

    def find_videos(
        self,
        project: str,
        video_ids: Sequence[str] | None = None,
        *,
        name: str | None = None,
        sha256: str | None = None,
        uri: str | None = None,
    ) -> list[VideoRow]:
        """Return those of these videos that have this name, content and address, oldest first; what is None restricts nothing."""
        among = None if video_ids is None else ("video_id", list(video_ids))
        where = {"project": project, "name": name, "sha256": sha256, "uri": uri}
        given = {column: value for column, value in where.items() if value is not None}
        with self._shared.reading() as tx:
            require_project(tx, project)
            found = tx.select(VideoRow, given, ("created_at", "video_id"), among=among)
        return sorted(found, key=lambda row: (row.created_at, row.video_id))

    def get_analysis(self, project: str, analysis_id: str) -> AnalysisRow:
        """Return an analysis; raise `VideoNotFoundError` if there is none."""
        missing = VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
        with self._shared.reading() as tx:
            require_project(tx, project)
            return require_one(tx, AnalysisRow, {"project": project, "analysis_id": analysis_id}, missing)

    def touch_analysis(self, project: str, analysis_id: str, at: float) -> None:
        """Let an analysis count as made at this time."""
        with self._shared.writing(project) as tx:
            video_id = require_analyses(tx, project, [analysis_id], "video_id")[analysis_id]
            with noting_latest(tx, project, video_id):
                tx.update("analyses", {"project": project, "analysis_id": analysis_id}, {"created_at": at})

    def latest_analysis(self, project: str, video_id: str) -> AnalysisRow:
        """Return a video's latest analysis, one of the project's embedder where there is any."""
        with self._shared.reading() as tx:
            require_video(tx, project, video_id)
            for analysis_id in latest_of(tx, project, ("video_id", [video_id])).values():
                (found,) = tx.select(AnalysisRow, {"project": project, "analysis_id": analysis_id})
                return found
        raise VideoNotFoundError(f"video {video_id!r} of project {project!r} has not been analysed")

    def latest_analyses(self, project: str) -> dict[str, str]:
        """Return the id of each analysed video's latest analysis, by video id."""
        with self._shared.reading() as tx:
            return latest_of(tx, project)

    def list_analyses(
        self, project: str, analysis_ids: Sequence[str] | None = None, *, video_id: str | None = None
    ) -> list[AnalysisRow]:
        """Return analyses, oldest first: all, those of these that are there, or those of a video."""
        where = {"project": project} if video_id is None else {"project": project, "video_id": video_id}
        among = None if analysis_ids is None else ("analysis_id", list(analysis_ids))
        with self._shared.reading() as tx:
            require_project(tx, project)
            found = tx.select(AnalysisRow, where, ("created_at", "analysis_id"), among=among)
        return sorted(found, key=lambda row: (row.created_at, row.analysis_id))

    def list_appearances(self, project: str, analysis_ids: Sequence[str]) -> list[AppearanceRow]:
        """Return the appearances of these analyses, by analysis, in the order of time."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            require_analyses(tx, project, analysis_ids)
            among = ("analysis_id", sorted(set(analysis_ids)))
            return tx.select(
                AppearanceRow, {"project": project}, ("analysis_id", "start_s", "first_track"), among=among
            )

    # Jobs

    def find_job(self, key: str) -> Job | None:
        """Return the job that has this key, if there is one."""
        with self._shared.reading() as tx:
            return next(iter(tx.select(Job, {"key": key})), None)

    def get_job(self, job_id: str) -> Job:
        """Return a job; raise `JobNotFoundError` if there is none."""
        with self._shared.reading() as tx:
            return require_one(tx, Job, {"job_id": job_id}, no_job(job_id))

    def list_jobs(
        self,
        project: str | None = None,
        states: Sequence[JobState] = (),
        *,
        after: Job | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Job]:
        """Return jobs, oldest first or newest first; at most `limit` of those that come after one of them in that order."""
        where = {} if project is None else {"project": project}
        among = ("state", states) if states else None
        behind = None if after is None else (after.created_at, after.job_id)
        with self._shared.reading() as tx:
            if project is not None:
                require_project(tx, project)
            order = ("-created_at", "-job_id") if newest_first else ("created_at", "job_id")
            return tx.select(Job, where, order, among=among, after=behind, limit=limit)

    def count_jobs(self, states: Sequence[JobState]) -> int:
        """Return how many jobs are in one of these states."""
        with self._shared.reading() as tx:
            return tx.count("jobs", {}, ("state", states))


def _listed(ids: Sequence[str]) -> dict[str, Any]:
    """Return what the audit log tells of many rows."""
    return {"count": len(ids), "ids": list(ids[:_MOST_LISTED])}


@contextmanager
def noting_latest(tx: Transaction, project: str, video_id: str) -> Iterator[None]:
    """Raise the version if another analysis becomes a video's latest: tracks are corrected by their numbers in that one."""
    before = latest_of(tx, project, ("video_id", [video_id]))
    yield
    if before and latest_of(tx, project, ("video_id", [video_id])) != before:
        raise_version(tx, project)
