"""Projects, their models, and naming the archive again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from facerec_models.config import TrainingConfig
from serving.api.schemas import Accepted, RevisionView
from serving.api.service import ExpectedState, ProjectName, ServiceDep
from serving.archive import projects
from serving.archive.learning.loaded_models import promoted_version
from serving.archive.naming.undo import undo_application
from serving.archive.naming.whole_archive import identify_archive
from serving.jobs import runner as jobs

router = APIRouter(tags=["projects"])


@router.get("/projects")
def list_projects(service: ServiceDep) -> list[dict[str, Any]]:
    """List all projects."""
    return [asdict(project) for project in service.archive.store.list_projects()]


@router.put("/projects/{project}", status_code=201)
def create_project(project: ProjectName, service: ServiceDep) -> dict[str, Any]:
    """Create a project, or find it there."""
    return asdict(service.archive.store.create_project(project))


@router.delete("/projects/{project}", status_code=204)
def delete_project(project: ProjectName, service: ServiceDep) -> None:
    """Delete a project with everything in it."""
    projects.delete_project(service.archive, project)


@router.post("/projects/{project}/training", status_code=202)
def start_training(project: ProjectName, service: ServiceDep, config: TrainingConfig | None = None) -> Accepted:
    """Train a model of the enrolled people, as a job, and promote it if it is not worse than the present one."""
    service.archive.store.get_project(project)
    spec = (config or TrainingConfig()).model_dump()
    job = jobs.submit(service.archive.store, project, "training", spec, max_queued=service.settings.max_queued_jobs)
    service.analyzer.wake.remote()
    return Accepted(job_id=job.job_id, video_id=None)


@router.get("/projects/{project}/models")
def list_models(project: ProjectName, service: ServiceDep) -> list[dict[str, Any]]:
    """List the trained versions; one may be promoted."""
    promoted = promoted_version(service.archive.store, project)
    return [{**asdict(row), "promoted": row.version == promoted} for row in service.archive.store.list_models(project)]


@router.post("/projects/{project}/models/{version}/promote")
def promote_model(
    project: ProjectName, version: str, service: ServiceDep, preview: bool = False, expected_state: ExpectedState = None
) -> dict[str, Any]:
    """Let a version name new videos and the whole archive, or show what that would change."""
    return identify_archive(
        service.archive,
        project,
        model_version=version,
        apply=not preview,
        expected_state=expected_state,
    ).to_dict()


@router.post("/projects/{project}/rollback")
def roll_back(
    project: ProjectName, service: ServiceDep, preview: bool = False, expected_state: ExpectedState = None
) -> dict[str, Any]:
    """Let the version that was promoted before name new videos and the whole archive again, or show what that would change."""
    return identify_archive(
        service.archive,
        project,
        goes_back=True,
        apply=not preview,
        expected_state=expected_state,
    ).to_dict()


@router.post("/projects/{project}/identify")
def identify(
    project: ProjectName,
    service: ServiceDep,
    preview: bool = False,
    max_false_names: Annotated[float | None, Query(gt=0, lt=1)] = None,
    model: Annotated[str | None, Query(description="A version; the promoted one by default.")] = None,
    expected_state: ExpectedState = None,
) -> dict[str, Any]:
    """Name all stored tracks again, or show what that would change: appearances that each person gains and loses.

    Another version than the promoted one is promoted with it. `POST .../revisions/{revision}/undo` takes it back.
    """
    return identify_archive(
        service.archive,
        project,
        max_false_names=max_false_names,
        model_version=model,
        apply=not preview,
        expected_state=expected_state,
    ).to_dict()


@router.get("/projects/{project}/revisions")
def list_revisions(project: ProjectName, service: ServiceDep) -> list[RevisionView]:
    """List how often the archive was named again, the first time first."""
    return RevisionView.list_of(service.archive.store.list_applications(project))


@router.post("/projects/{project}/revisions/{revision}/undo")
def undo_revision(project: ProjectName, revision: str, service: ServiceDep) -> dict[str, Any]:
    """Undo the last application: names, appearances, strangers, and the corrections that it made."""
    return asdict(undo_application(service.archive, project, revision))
