"""Another network for a project, from stored crops: prepared as a job, compared, switched; undone like any edit."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from facerec_models.analysis.embedders.known import find_embedder
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.errors import InputError, WeightsError
from serving.api.ingress.access import needs
from serving.api.schemas import Accepted, SecondSet
from serving.api.service import ExpectedVersion, ProjectName, ServiceDep
from serving.archive.second_embedder.compare import compare_sets
from serving.archive.second_embedder.switch import switch_embedder
from serving.store.access_rows import Role

router = APIRouter(prefix="/projects/{project}/embedder", tags=["embedder"])

PreparedVersion = Annotated[
    str | None, Query(alias="model", description="A version that was prepared; the last one by default.")
]


@router.post("/prepare", status_code=202, openapi_extra=needs(Role.ADMIN))
def prepare(project: ProjectName, service: ServiceDep, second: SecondSet) -> Accepted:
    """Embed stored crops with another network and train on them, as a job, beside what names now; again: what is missing."""
    service.archive.store.get_project(project)
    weights = WeightsRegistry(service.archive.files.weights)
    try:
        weights.locate(find_embedder(second.embedder, weights).name)
    except WeightsError as error:
        raise InputError(str(error)) from error
    return service.submit(project, "second_set", second.model_dump())


@router.get("/comparison")
def compare(project: ProjectName, service: ServiceDep, version: PreparedVersion = None) -> dict[str, Any]:
    """Say what each set tells apart, and what naming the archive by the prepared one would change."""
    return compare_sets(service.archive, project, version).to_dict()


@router.post("/switch", openapi_extra=needs(Role.ADMIN))
def switch(
    project: ProjectName, service: ServiceDep, version: PreparedVersion = None, expected: ExpectedVersion = None
) -> dict[str, Any]:
    """Let the prepared set take the place of the present one, all at once.

    `POST .../history/{number}/undo` takes it back. Videos are taken by a service that runs on the new network.
    """
    return switch_embedder(service.archive, project, version, expected=expected).to_dict()
