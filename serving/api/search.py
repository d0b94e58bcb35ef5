"""Search the archive by person, by company, and by face."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Query, UploadFile

from facerec_models.errors import InputError
from facerec_models.result import StillResult
from serving.api.people import read_picture
from serving.api.schemas import AppearancePage, FaceSearch, FoundAppearance, FoundFace
from serving.api.service import ProjectName, ServiceDep
from serving.classifier import crop_address
from serving.search import Hit, search_face, search_people
from serving.stills import find_stills
from serving.store.naming_rows import AppearanceQuery

router = APIRouter(tags=["search"])

Probability = Annotated[float, Query(ge=0, le=1)]


@router.get("/projects/{project}/appearances")
def find_appearances(
    project: ProjectName,
    service: ServiceDep,
    person_id: Annotated[
        list[str],
        Query(
            default_factory=list,
            description="A person, or a stranger by id, alias or 'Unknown n'. Several: the first one's, in shots that all share.",
        ),
    ],
    min_probability: Probability = 0.0,
    video_id: str | None = None,
    submitted_from: Annotated[
        datetime | None, Query(alias="from", description="Videos submitted since; without a zone it is UTC.")
    ] = None,
    submitted_to: Annotated[datetime | None, Query(alias="to", description="Videos submitted before.")] = None,
    start_s: Annotated[float | None, Query(ge=0, description="Appearances that reach beyond this second.")] = None,
    end_s: Annotated[float | None, Query(ge=0, description="Appearances that begin before this second.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
) -> AppearancePage:
    """Find the appearances of a person, or of several together, over all videos, by video and time."""
    query = AppearanceQuery(
        video_id=video_id,
        min_probability=min_probability,
        submitted_from=_seconds(submitted_from),
        submitted_to=_seconds(submitted_to),
        start_s=start_s,
        end_s=end_s,
    )
    page = search_people(
        service.store,
        service.home,
        project,
        person_id,
        query,
        service.settings.identification,
        limit=limit,
        cursor=cursor,
    )
    return AppearancePage(items=[_view(hit) for hit in page.hits], next_cursor=page.next_cursor)


@router.post("/projects/{project}/search/faces")
def find_faces(
    project: ProjectName,
    file: Annotated[UploadFile, File()],
    service: ServiceDep,
    min_probability: Probability = 0.0,
    video_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> list[FaceSearch]:
    """Find who looks like the faces of a picture among all stored tracks, known or not; one answer for each face."""
    service.require_embedder(project)
    name = Path(file.filename or "picture").name
    (found,) = find_stills([(name, read_picture(file))], service.networks, service.settings.analysis)
    if isinstance(found, StillResult):
        raise InputError(found.error or f"{name!r} cannot be read")
    boxes, scores = found.detections.boxes.tolist(), found.detections.scores.tolist()
    return [
        FaceSearch(
            box_xyxy=tuple(box),
            score=score,
            quality=float(quality),
            hits=[
                FoundFace(
                    **_view(one.hit).model_dump(),
                    track_id=one.track_id,
                    similarity=one.similarity,
                    same_probability=one.probability,
                    is_match=one.is_match,
                    is_named=one.is_named,
                )
                for one in search_face(
                    service.store,
                    service.home,
                    service.indexes.of(project),
                    embedding,
                    service.settings.identification,
                    video_id=video_id,
                    min_probability=min_probability,
                    limit=limit,
                )
            ],
        )
        for box, score, quality, embedding in zip(boxes, scores, found.quality, found.embeddings, strict=True)
    ]


def _view(hit: Hit) -> FoundAppearance:
    return FoundAppearance.of(hit, crop_address)


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
