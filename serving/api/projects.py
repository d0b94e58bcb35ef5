"""Projects, their models, and naming the archive again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from facerec_models.config import TrainingConfig
from serving.api.ingress.access import needs
from serving.api.schemas import Accepted
from serving.api.service import (
    AfterNumber,
    CallerDep,
    HowToApply,
    NewestFirst,
    PartOfList,
    ProjectName,
    ServiceDep,
)
from serving.archive import projects
from serving.archive.access.history import EditView, read_history
from serving.archive.learning.loaded_models import promoted_version
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.undo import undo_edit
from serving.archive.room import require_room
from serving.jobs.name_again import NamingRequest, submit_naming
from serving.store.access_rows import Role

router = APIRouter(tags=["projects"])

# Videos whose names are previewed within a request.
_MOST_AT_ONCE = 2000


@router.get("/projects")
def list_projects(service: ServiceDep, caller: CallerDep) -> list[dict[str, Any]]:
    """List the projects that the caller may know of."""
    return [asdict(project) for project in service.archive.store.list_projects() if caller.sees(project.name)]


@router.put("/projects/{project}", status_code=201, openapi_extra=needs(Role.ADMIN))
def create_project(project: ProjectName, service: ServiceDep) -> dict[str, Any]:
    """Create a project, or find it there."""
    return asdict(projects.begin_project(service.archive.store, project, service.settings.keeping.max_projects))


@router.delete("/projects/{project}", status_code=204, openapi_extra=needs(Role.ADMIN))
def delete_project(project: ProjectName, service: ServiceDep) -> None:
    """Delete a project with everything in it."""
    projects.delete_project(service.archive, project)


@router.post("/projects/{project}/training", status_code=202)
def start_training(project: ProjectName, service: ServiceDep, config: TrainingConfig | None = None) -> Accepted:
    """Train a model of the enrolled people, as a job, and promote it if it is not worse than the present one."""
    service.archive.store.get_project(project)
    return service.submit(project, "training", (config or TrainingConfig()).model_dump())


@router.get("/projects/{project}/models")
def list_models(project: ProjectName, service: ServiceDep) -> list[dict[str, Any]]:
    """List the trained versions; one may be promoted."""
    promoted = promoted_version(service.archive.store, project)
    return [{**asdict(row), "promoted": row.version == promoted} for row in service.archive.store.list_models(project)]


@router.post("/projects/{project}/models/{version}/promote")
def promote_model(project: ProjectName, version: str, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Let a version name new videos and the whole archive, or show what that would change."""
    return identify_archive(service.archive, project, model_version=version, **how).to_dict()


@router.post("/projects/{project}/rollback")
def roll_back(project: ProjectName, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Let the version that was promoted before name new videos and the whole archive again, or show what that would change."""
    return identify_archive(service.archive, project, goes_back=True, **how).to_dict()


@router.post("/projects/{project}/identify", responses={202: {"model": Accepted, "description": "A job was queued."}})
def identify(
    project: ProjectName,
    service: ServiceDep,
    response: Response,
    how: HowToApply,
    max_false_names: Annotated[float | None, Query(gt=0, lt=1)] = None,
    model: Annotated[str | None, Query(description="A version; the promoted one by default.")] = None,
) -> Accepted | dict[str, Any]:
    """Name all stored tracks again, as a job, or show what that would change: appearances that each person gains and loses.

    The job's result says what it has changed. A preview is answered at once, but for a large archive: that is a job, too. Another
    version than the promoted one is promoted with it. `POST .../history/{number}/undo` takes it back.
    """
    asked = NamingRequest(max_false_names, model, **how)
    if asked.preview and len(service.archive.store.latest_analyses(project)) <= _MOST_AT_ONCE:
        return identify_archive(service.archive, project, **asdict(asked)).to_dict()
    require_room(service.settings)
    job = submit_naming(service.archive, service.settings, project, asked)
    service.analyzer.wake.remote()
    response.status_code = 202
    return Accepted(job_id=job.job_id, video_id=None)


@router.get("/projects/{project}/history")
def list_edits(
    project: ProjectName,
    service: ServiceDep,
    caller: CallerDep,
    after: AfterNumber = 0,
    limit: PartOfList = None,
    newest_first: NewestFirst = False,
) -> list[EditView]:
    """List edits, the first one first unless told otherwise: what was changed that names depend on, and which can be undone now."""
    role = caller.role_in(project)
    return read_history(
        service.archive.store,
        project,
        after=after,
        limit=limit,
        newest_first=newest_first,
        with_editors=role is not None and role.includes(Role.ADMIN),
    )


@router.post("/projects/{project}/history/{number}/undo")
def undo(project: ProjectName, number: int, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Undo the last edit that stands, or show what that would change: names, appearances, strangers, corrections and faces."""
    return undo_edit(service.archive, project, number, **how).to_dict()
