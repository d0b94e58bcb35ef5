"""Search the archive by person, by company, by face, and for strangers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, File, Query, UploadFile

from facerec_models.errors import InputError
from facerec_models.stills import StillResult, read_stills
from serving.api.addresses import crop_address
from serving.api.found import (
    AppearancePage,
    DoubtfulNamePage,
    DoubtfulNameView,
    FaceSearch,
    FoundAppearance,
    FoundFace,
    LikelyPerson,
    MergedStrangerView,
    SamePerson,
    SamePersonPage,
    StrangerPage,
    StrangerView,
)
from serving.api.ingress.access import needs
from serving.api.service import ProjectName, ServiceDep
from serving.api.uploads import bounded_route, content_of, of_pictures
from serving.archive.naming.current import read_current
from serving.archive.search.doubtful import find_doubtful
from serving.archive.search.likely import likely_of_stranger, likely_people
from serving.archive.search.people_and_faces import search_face, search_people
from serving.archive.search.same_person import find_same_people
from serving.archive.search.strangers import SHOWN, Sighting, list_merged, rank_strangers, show_stranger
from serving.store.access_rows import Role
from serving.store.naming_rows import AppearanceQuery

router = APIRouter(tags=["search"], route_class=bounded_route(of_pictures))


def _query(
    video_id: str | None = None,
    submitted_from: Annotated[
        datetime | None, Query(alias="from", description="Videos submitted since; without a zone it is UTC.")
    ] = None,
    submitted_to: Annotated[datetime | None, Query(alias="to", description="Videos submitted before.")] = None,
    start_s: Annotated[float | None, Query(ge=0, description="Appearances that reach beyond this second.")] = None,
    end_s: Annotated[float | None, Query(ge=0, description="Appearances that begin before this second.")] = None,
) -> AppearanceQuery:
    return AppearanceQuery(
        video_id=video_id,
        submitted_from=_seconds(submitted_from),
        submitted_to=_seconds(submitted_to),
        start_s=start_s,
        end_s=end_s,
    )


Where = Annotated[AppearanceQuery, Depends(_query)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Probability = Annotated[float, Query(ge=0, le=1)]
Cursor = Annotated[str | None, Query(description="The `next_cursor` of the page before.")]


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
    query: Where,
    min_probability: Probability = 0.0,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AppearancePage:
    """Find the appearances of a person, or of several together, over all videos, by video and time."""
    page = search_people(
        service.archive,
        project,
        person_id,
        query,
        min_probability=min_probability,
        limit=limit,
        cursor=cursor,
    )
    items = [FoundAppearance.of(hit, crop_address) for hit in page.hits]
    return AppearancePage(items=items, next_cursor=page.next_cursor)


@router.post("/projects/{project}/search/faces", openapi_extra=needs(Role.READ))
def find_faces(
    project: ProjectName,
    file: Annotated[UploadFile, File()],
    service: ServiceDep,
    query: Where,
    min_probability: Probability = 0.0,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> list[FaceSearch]:
    """Find who resembles the faces of a picture among all stored tracks, known or not; one answer for each face.

    `min_probability` is that both are one person. The same picture with the `next_cursor` of a face leads to more like that face.
    """
    service.require_embedder(project)
    name = Path(file.filename or "picture").name
    (found,) = read_stills([(name, content_of(file))], service.face_finder.find, service.settings.analysis)
    if isinstance(found, StillResult):
        raise InputError(found.error or f"{name!r} cannot be read")
    index = service.indexes.of(project)
    model = read_current(service.archive, project).model
    answers = []
    boxes, scores = found.detections.boxes.tolist(), found.detections.scores.tolist()
    for box, score, quality, embedding in zip(boxes, scores, found.quality, found.embeddings, strict=True):
        page = search_face(
            service.archive, index, embedding, query, min_probability=min_probability, limit=limit, cursor=cursor
        )
        hits = [FoundFace.of_face(one, crop_address) for one in page.hits]
        candidates = [] if model is None else likely_people(model, model.stills, embedding)
        answers.append(
            FaceSearch(
                box_xyxy=tuple(box),
                score=score,
                quality=float(quality),
                hits=hits,
                next_cursor=page.next_cursor,
                note=page.note,
                candidates=[LikelyPerson.of(project, one) for one in candidates],
            )
        )
    return answers


@router.get("/projects/{project}/strangers")
def list_strangers(
    project: ProjectName,
    service: ServiceDep,
    query: Where,
    min_probability: Probability = 0.0,
    min_screen_time_s: Annotated[float, Query(ge=0, description="Those who are seen so long.")] = 0.0,
    hidden: Annotated[bool, Query(description="Show those who were hidden, too.")] = False,
    shown: Annotated[int, Query(ge=1, le=50, description="So many appearances of each are shown at most.")] = SHOWN,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> StrangerPage:
    """List strangers by screen time, the longest seen first; what is asked for alone counts and is shown."""
    page = rank_strangers(
        service.archive,
        project,
        query,
        min_probability=min_probability,
        least_s=min_screen_time_s,
        with_hidden=hidden,
        most=shown,
        rankings=service.rankings,
        limit=limit,
        cursor=cursor,
    )
    return StrangerPage(
        items=[StrangerView.of(one, _best_crop) for one in page.strangers],
        next_cursor=page.next_cursor,
        note=page.note,
        total=page.total,
    )


@router.get("/projects/{project}/same-person")
def list_same_people(project: ProjectName, service: ServiceDep, cursor: Cursor = None) -> SamePersonPage:
    """List strangers who may be another one, or an enrolled person: those who are seen longest first.

    Who was told apart before, and who is in view together, is left out.
    """
    page = find_same_people(service.archive, project, cursor=cursor, rankings=service.rankings)
    return SamePersonPage(
        items=[
            SamePerson(
                stranger=StrangerView.of(one.stranger, _best_crop),
                other=None if one.other is None else StrangerView.of(one.other, _best_crop),
                person=None if one.person is None else LikelyPerson.of(project, one.person),
                similarity=one.similarity,
            )
            for one in page.pairs
        ],
        next_cursor=page.next_cursor,
    )


@router.get("/projects/{project}/doubtful-names")
def list_doubtful_names(project: ProjectName, service: ServiceDep, cursor: Cursor = None) -> DoubtfulNamePage:
    """List names that were given by hand, and whose faces look more like another enrolled person, the latest first."""
    page = find_doubtful(service.archive, project, cursor=cursor)
    return DoubtfulNamePage(
        items=[DoubtfulNameView.of(one, _best_crop) for one in page.names], next_cursor=page.next_cursor
    )


@router.get("/projects/{project}/strangers/{stranger}/candidates")
def list_candidates(
    project: ProjectName, stranger: str, service: ServiceDep, limit: Annotated[int, Query(ge=1, le=50)] = 5
) -> list[LikelyPerson]:
    """List who of the enrolled a stranger may be, the likeliest first; those whom a user has ruled out are left out."""
    found = likely_of_stranger(service.archive, project, stranger, count=limit)
    return [LikelyPerson.of(project, one) for one in found]


@router.get("/projects/{project}/strangers/{stranger}/merged")
def list_merged_strangers(project: ProjectName, stranger: str, service: ServiceDep) -> list[MergedStrangerView]:
    """List who was merged with a stranger and can be taken apart again, by number."""
    return [MergedStrangerView.of(one, _best_crop) for one in list_merged(service.archive, project, stranger)]


@router.get("/projects/{project}/strangers/{stranger}")
def get_stranger(
    project: ProjectName,
    stranger: str,
    service: ServiceDep,
    shown: Annotated[
        int | None, Query(ge=1, le=1000, description="At most so many appearances; all unless given.")
    ] = None,
) -> StrangerView:
    """Show where a stranger is seen; an alias leads to the stranger whom it was merged into."""
    return StrangerView.of(show_stranger(service.archive, project, stranger, shown)[1], _best_crop)


def _best_crop(one: Sighting) -> str:
    return crop_address(one, one.track_id, 0)


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
