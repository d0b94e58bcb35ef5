"""Who is enrolled, and who is in pictures."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from facerec_models.errors import NotFoundError, PersonNotFoundError
from facerec_models.names import DEFAULT_PROJECT, identity_of, person_id_of
from facerec_models.stills import StillResult, read_stills
from facerec_models.types import FaceSet
from serving.api.file_answer import answer_file
from serving.api.ingress.access import needs
from serving.api.ingress.own_threads import run_long, run_short
from serving.api.schemas import Accepted, CrawlRequest, PersonView, PictureView, StatusChange
from serving.api.service import HowToApply, ProjectName, Service, ServiceDep
from serving.api.uploads import bounded_route, content_of, of_pictures
from serving.archive.learning.enrol import enrol, propose_statuses
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.rename import list_merged
from serving.archive.room import require_more
from serving.deployments.batching import ItemResult
from serving.jobs.crawl import check_source
from serving.store.access_rows import Role
from serving.store.naming_rows import AppearanceQuery
from serving.store.rows import FaceStatus
from serving.telemetry.metrics import count_unreadable_pictures
from training.pictures import Picture

router = APIRouter(tags=["people"], route_class=bounded_route(of_pictures))


class PersonTime(BaseModel):
    """How long a person is in view over all videos, and in how many."""

    person_id: str
    screen_time_s: float
    videos: int


class MergedPersonView(BaseModel):
    """A person who was merged with another one and can be taken apart: when that was, and how many faces go back."""

    person_id: str
    identity: str
    merged_at: float = Field(description="In seconds since 1970.")
    faces: int


class ProposedStatus(BaseModel):
    """A picture that should be learned from no longer, or again, and why; nothing is changed."""

    face_id: str
    enabled: bool
    reason: str | None


@router.get("/projects/{project}/people")
def list_people(project: ProjectName, service: ServiceDep) -> list[PersonView]:
    """List everyone who is enrolled."""
    return [PersonView.of(person) for person in service.archive.store.list_people(project)]


@router.get("/projects/{project}/screen-times")
def list_screen_times(
    project: ProjectName,
    service: ServiceDep,
    person_id: Annotated[str | None, Query(description="Only this person; otherwise everybody.")] = None,
) -> list[PersonTime]:
    """List how long people are in view over all videos; who is in none is left out."""
    query = AppearanceQuery() if person_id is None else AppearanceQuery(owners=((person_id_of(person_id),),))
    times = service.archive.store.list_screen_times(project, query, of_people=True)
    return [PersonTime(person_id=one.owner, screen_time_s=one.seconds, videos=one.videos) for one in times]


@router.get("/projects/{project}/people/{person_id}")
def list_pictures(project: ProjectName, person_id: str, service: ServiceDep) -> list[PictureView]:
    """List the pictures of a person."""
    person_id = person_id_of(person_id)
    faces = service.archive.store.list_faces(project, person_id=person_id)
    if not faces:
        raise PersonNotFoundError(f"project {project!r} has no person {person_id!r}")
    return [PictureView.of(face) for face in faces]


@router.get("/projects/{project}/people/{person_id}/merges")
def list_merges(project: ProjectName, person_id: str, service: ServiceDep) -> list[MergedPersonView]:
    """List who was merged with a person and can be taken apart again, the last one first."""
    return [
        MergedPersonView(identity=identity_of(one.person_id), **asdict(one))
        for one in list_merged(service.archive, project, person_id)
    ]


@router.get("/projects/{project}/people/{person_id}/face.jpg", response_class=FileResponse)
def best_face(project: ProjectName, person_id: str, request: Request, service: ServiceDep) -> Response:
    """Return the aligned face of a person's best picture: of those that are learned from, if there are any."""
    person_id = person_id_of(person_id)
    faces = [face for face in service.archive.store.list_faces(project, person_id=person_id) if face.crop]
    best = max(faces, key=lambda face: (face.status is FaceStatus.TAKEN, face.quality), default=None)
    if best is None:
        raise PersonNotFoundError(f"project {project!r} has no picture of {person_id!r}")
    return face_crop(project, best.face_id, request, service)


@router.get("/projects/{project}/people/{person_id}/outliers")
def find_outliers(project: ProjectName, person_id: str, service: ServiceDep) -> list[ProposedStatus]:
    """Propose which pictures show another person, and which were taken for such and do not; what was decided by hand stays."""
    changed = propose_statuses(service.archive, project, person_id_of(person_id))
    return [
        ProposedStatus(face_id=face.face_id, enabled=face.status is FaceStatus.TAKEN, reason=face.reason)
        for face in changed
    ]


@router.post("/projects/{project}/people/{person_id}/pictures")
def add_pictures(
    project: ProjectName, person_id: str, files: Annotated[list[UploadFile], File()], service: ServiceDep
) -> list[PictureView]:
    """Enrol pictures of a person; takes effect with the next training."""
    person_id = person_id_of(person_id)
    keeping, people = service.settings.keeping, service.archive.store.list_people(project)
    there = {person.person_id: person.taken + person.disabled + person.refused for person in people}
    if person_id not in there:
        require_more("people in the project", len(there), keeping.max_people)
    require_more("pictures of this person", there.get(person_id, 0), keeping.max_pictures, len(files))
    with tempfile.TemporaryDirectory() as folder:
        pictures = []
        for i, upload in enumerate(files):
            name = Path(upload.filename or "picture").name
            file = Path(folder) / str(i)
            file.write_bytes(content_of(upload))
            pictures.append(Picture(file, f"{person_id}/{name}", person_id, disabled=False))
        faces = enrol(service.archive, project, pictures, service.networks, service.settings.analysis)
        return [PictureView.of(face) for face in faces]


@router.post("/projects/{project}/people/{person_id}/crawl", status_code=202)
def crawl_pictures(project: ProjectName, person_id: str, wanted: CrawlRequest, service: ServiceDep) -> Accepted:
    """Collect pictures of a person from a search engine or a site and enrol them, as a job; what is there is kept."""
    person_id = person_id_of(person_id)
    check_source(wanted.source, person_id, service.settings)
    service.archive.store.create_project(project)
    return service.submit(project, "crawl", {"person_id": person_id, **wanted.model_dump()})


@router.patch("/projects/{project}/faces")
def change_status(project: ProjectName, change: StatusChange, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Learn from enrolled faces, or no longer, and name the whole archive again; or show what that would change.

    Where nothing was trained yet, the first training learns it.
    """
    return enable_faces(service.archive, project, change.face_ids, enabled=change.enabled, **how).to_dict()


@router.get("/projects/{project}/faces/{face_id}.jpg", response_class=FileResponse)
def face_crop(
    project: ProjectName,
    face_id: Annotated[str, PathParameter(pattern=r"^[a-z0-9-]{1,64}$")],
    request: Request,
    service: ServiceDep,
) -> Response:
    """Return the aligned face of an enrolled picture."""
    answer = answer_file(service.archive.files.face_crop(project, face_id), request, "image/jpeg")
    if answer is None:
        raise NotFoundError(f"project {project!r} has no face {face_id!r}")
    return answer


@router.post("/projects/{project}/faces", openapi_extra=needs(Role.READ))
async def name_faces(
    project: ProjectName,
    files: Annotated[list[UploadFile], File()],
    service: ServiceDep,
    max_false_names: Annotated[float | None, Query(gt=0, lt=1)] = None,
) -> list[StillResult]:
    """Say who is in pictures."""
    model = await run_short(service.archive.store.get_model, project)
    names = [Path(upload.filename or f"picture {i + 1}").name for i, upload in enumerate(files)]
    found = await run_long("recognizing", _find, service, project, names, files)
    classifier = service.classifier.options(multiplexed_model_id=f"{project}/{model.version}")
    answer: ItemResult[list[StillResult]] = await classifier.name_stills.remote(names, found, max_false_names)
    return answer.unwrap()


@router.post("/faces", openapi_extra=needs(Role.READ))
async def name_faces_of(
    files: Annotated[list[UploadFile], File()],
    service: ServiceDep,
    project: Annotated[str, Query(description="Whose people.")] = DEFAULT_PROJECT,
    max_false_names: Annotated[float | None, Query(gt=0, lt=1)] = None,
) -> list[StillResult]:
    """Say who is in pictures, of the people of the default project or another."""
    return await name_faces(project, files, service, max_false_names)


def _find(service: Service, project: str, names: list[str], files: list[UploadFile]) -> list[FaceSet | StillResult]:
    service.require_embedder(project)
    pictures = ((name, content_of(upload)) for name, upload in zip(names, files, strict=True))
    found = read_stills(pictures, service.face_finder.find, service.settings.analysis)
    count_unreadable_pictures(sum(isinstance(one, StillResult) for one in found))
    return found
