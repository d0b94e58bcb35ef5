"""What a project keeps and for how long, what was agreed with people, and all that is kept of one of them."""

from __future__ import annotations

from datetime import date
from itertools import chain
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from facerec_models.errors import InputError, NotFoundError
from facerec_models.names import person_id_of
from serving.api.file_answer import stream_zip
from serving.api.ingress.access import needs
from serving.api.service import ProjectName, ServiceDep
from serving.archive.privacy import consent
from serving.archive.privacy.person_export import export_person
from serving.archive.privacy.policy import Policy, read_policy, set_policy
from serving.archive.privacy.retention import apply_policy
from serving.store.access_rows import PersonNote, Role

router = APIRouter(tags=["privacy"])


class ConsentRequest(BaseModel):
    """What was agreed with a person."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(
        min_length=1, max_length=2000, description="On what ground their faces are kept: a form, and where it is."
    )
    until: date | None = Field(
        default=None, description="The last day on which it holds, in UTC; null: until it is removed."
    )


class ConsentView(BaseModel):
    """What was agreed with a person, and whether it holds still."""

    person_id: str
    note: str
    until: date | None
    is_over: bool
    updated_at: float
    updated_by: str

    @classmethod
    def of(cls, note: PersonNote) -> ConsentView:
        """Show a note."""
        return cls.model_validate(consent.note_document(note))


class SweepReport(BaseModel):
    """What a project keeps no longer, and is gone; with `preview` it is all still there."""

    project: str
    at: float
    preview: bool
    videos: list[str]
    crops: int
    tracks: int
    strangers: list[str]
    expired: list[str]
    forgotten: list[str]


@router.get("/projects/{project}/policy")
def get_policy(project: ProjectName, service: ServiceDep) -> Policy:
    """Say what a project keeps, and for how many days; null is for ever."""
    return read_policy(service.archive.store, project)


@router.put("/projects/{project}/policy", openapi_extra=needs(Role.ADMIN))
def put_policy(project: ProjectName, policy: Policy, service: ServiceDep) -> Policy:
    """Set what a project keeps; what is left out is kept for ever. What is too old goes with the next sweep, within the hour."""
    set_policy(service.archive.store, project, policy)
    return policy


@router.post("/projects/{project}/policy/sweep", openapi_extra=needs(Role.ADMIN))
def sweep_project(
    project: ProjectName,
    service: ServiceDep,
    preview: Annotated[bool, Query(description="Say what would go, and remove nothing.")] = False,
    policy: Policy | None = None,
) -> SweepReport:
    """Remove now what the project keeps no longer; a preview may be given a policy that is not set."""
    if policy is not None and not preview:
        raise InputError("a policy that is not set removes nothing: set it first, or ask for a preview")
    report = apply_policy(service.archive, project, preview=preview, instead=policy)
    return SweepReport.model_validate(report.to_dict())


@router.get("/projects/{project}/people/{person_id}/consent", openapi_extra=needs(Role.CURATE))
def get_consent(
    project: ProjectName,
    person_id: str,
    service: ServiceDep,
    or_null: Annotated[bool, Query(description="Answer null where nothing is noted.")] = False,
) -> ConsentView | None:
    """Say what was agreed with a person."""
    note = consent.find_note(service.archive.store, project, person_id)
    if note is None:
        if or_null:
            return None
        raise NotFoundError(f"project {project!r} has no consent note of {person_id_of(person_id)!r}")
    return ConsentView.of(note)


@router.put("/projects/{project}/people/{person_id}/consent")
def put_consent(project: ProjectName, person_id: str, given: ConsentRequest, service: ServiceDep) -> ConsentView:
    """Note what was agreed with a person, in place of what there is."""
    until = None if given.until is None else given.until.isoformat()
    return ConsentView.of(consent.note_consent(service.archive.store, project, person_id, given.note, until))


@router.delete("/projects/{project}/people/{person_id}/consent", status_code=204)
def delete_consent(project: ProjectName, person_id: str, service: ServiceDep) -> None:
    """Remove what was agreed with a person; the person stays."""
    consent.remove_note(service.archive.store, project, person_id)


@router.get(
    "/projects/{project}/people/{person_id}/export",
    openapi_extra=needs(Role.ADMIN),
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def export_all(project: ProjectName, person_id: str, service: ServiceDep) -> StreamingResponse:
    """Return all that is kept of a person as a ZIP, for that person to read: what is written down, pictures and vectors."""
    files = export_person(service.archive, project, person_id)
    service.archive.store.log_action(project, "person-exported")
    pieces = stream_zip(files)
    first = next(pieces, b"")  # what is wrong with the request is an answer of its own, and not half a file
    name = f"{person_id_of(person_id)}.zip"
    plain = name.encode("ascii", "replace").decode().replace('"', "_")
    headers: dict[str, Any] = {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    }
    return StreamingResponse(chain([first], pieces), media_type="application/zip", headers=headers)
