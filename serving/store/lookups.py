"""Rows that must be there, each returned or missed with the error that names it; and which analysis, and which model, counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from facerec_models.errors import JobNotFoundError, ModelNotFoundError, ProjectNotFoundError, VideoNotFoundError
from facerec_models.names import DEFAULT_PROJECT
from serving.store.codecs import Row
from serving.store.rows import ModelVersion, Project, VideoRow
from serving.store.transaction import Transaction


def require_one(tx: Transaction, kind: type[Row], where: Mapping[str, Any], error: Exception) -> Row:
    """Return the only row; raise `error` if there is none."""
    for row in tx.select(kind, where):
        return row
    raise error


def require_project(tx: Transaction, name: str) -> Project:
    """Return a project; raise `ProjectNotFoundError` if there is none."""
    return require_one(tx, Project, {"name": name}, no_project(name))


def no_job(job_id: str) -> JobNotFoundError:
    """Return what tells that there is no such job."""
    return JobNotFoundError(f"no job {job_id!r}: 'facerec jobs list' names all")


def no_project(name: str) -> ProjectNotFoundError:
    """Return the error that there is no such project, with what begins one."""
    if name == DEFAULT_PROJECT:
        return ProjectNotFoundError(
            f"no project {name!r} yet: 'facerec recognize VIDEO' or 'facerec people import DIR' begins it"
        )
    return ProjectNotFoundError(
        f"no project {name!r}: 'facerec projects list' names all, 'facerec projects create {name}' begins it"
    )


def require_model(tx: Transaction, project: str, version: str) -> ModelVersion:
    """Return a model version; raise `ModelNotFoundError` if there is none."""
    missing = ModelNotFoundError(f"project {project!r} has no model {version!r}")
    return require_one(tx, ModelVersion, {"project": project, "version": version}, missing)


def require_video(tx: Transaction, project: str, video_id: str) -> VideoRow:
    """Return a video; raise `VideoNotFoundError` if there is none."""
    require_project(tx, project)
    missing = VideoNotFoundError(f"project {project!r} has no video {video_id!r}: 'facerec videos list' names all")
    return require_one(tx, VideoRow, {"project": project, "video_id": video_id}, missing)


def require_analyses(
    tx: Transaction, project: str, analysis_ids: Collection[str], column: str = "embedder"
) -> dict[str, Any]:
    """Return a column of analyses by id; raise `VideoNotFoundError` unless the project has all of them."""
    among = ("analysis_id", list(analysis_ids))
    found = tx.find("analyses", {"project": project}, among=among, columns=("analysis_id", column))
    values = {row["analysis_id"]: row[column] for row in found}
    for analysis_id in analysis_ids:
        if analysis_id not in values:
            raise VideoNotFoundError(f"project {project!r} has no analysis {analysis_id!r}")
    return values


def latest_of(tx: Transaction, project: str, among: tuple[str, Sequence[str]] | None = None) -> dict[str, str]:
    """Return the id of each video's latest analysis, by video id: the last one of the project's embedder, or of any."""
    own = require_project(tx, project).embedder
    columns = ("video_id", "analysis_id", "embedder")
    found = tx.find("analyses", {"project": project}, ("created_at", "analysis_id"), among=among, columns=columns)
    rows = sorted(found, key=lambda row: bool(row["embedder"] == own))
    return {row["video_id"]: row["analysis_id"] for row in rows}


def promotions(tx: Transaction, project: str) -> list[Mapping[str, Any]]:
    """Return the two promotions that were last, the present one first."""
    columns = ("position", "version")
    return list(tx.find("promotions", {"project": project}, ("-position",), columns=columns, limit=2))
