"""What people say: who a track is or is not, who a stranger is, whom to forget. Takes effect on the whole archive at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from serving.api.schemas import CorrectionRequest, StrangerName, StrangerView
from serving.api.service import ExpectedState, ProjectName, ServiceDep
from serving.classifier import crop_address
from serving.names import person_id_of
from serving.store.naming_rows import CorrectionKind
from serving.strangers import resolve
from serving.unknowns import StrangerSummary, summarize_strangers
from training.corrections import Statement, correct, name_stranger
from training.forgetting import forget

router = APIRouter(tags=["corrections"])


@router.post("/projects/{project}/videos/{video_id}/tracks/{track_id}/corrections")
def correct_track(
    project: ProjectName,
    video_id: str,
    track_id: int,
    said: CorrectionRequest,
    service: ServiceDep,
    preview: bool = False,
    expected_state: ExpectedState = None,
) -> dict[str, Any]:
    """Say who a track is, or is not; answers what that changes, or would change, for each person."""
    statement = Statement(video_id, track_id, CorrectionKind(said.kind), said.person_id)
    return correct(
        service.store,
        service.home,
        project,
        [statement],
        service.settings.identification,
        preview=preview,
        expected_state=expected_state,
    ).to_dict()


@router.get("/projects/{project}/strangers")
def list_strangers(project: ProjectName, service: ServiceDep) -> list[StrangerView]:
    """List strangers by screen time, the longest seen first."""
    return [_view(service, project, one) for one in summarize_strangers(service.store, service.home, project)]


@router.get("/projects/{project}/strangers/{stranger}")
def get_stranger(project: ProjectName, stranger: str, service: ServiceDep) -> StrangerView:
    """Show where a stranger is seen; an alias leads to the stranger whom it was merged into."""
    found = resolve(service.store, project, stranger)
    for one in summarize_strangers(service.store, service.home, project):
        if one.stranger_id == found.stranger_id:
            return _view(service, project, one)
    return _view(service, project, StrangerSummary(found.stranger_id, found.number, (), ()))


@router.post("/projects/{project}/strangers/{stranger}/name")
def set_name(
    project: ProjectName,
    stranger: str,
    given: StrangerName,
    service: ServiceDep,
    preview: bool = False,
    expected_state: ExpectedState = None,
) -> dict[str, Any]:
    """Name a stranger: their best faces are enrolled, and the whole archive is named again; or show what that would change."""
    return name_stranger(
        service.store,
        service.home,
        project,
        stranger,
        given.person_id,
        service.settings.identification,
        preview=preview,
        expected_state=expected_state,
    ).to_dict()


@router.delete("/projects/{project}/people/{person_id}")
def forget_person(project: ProjectName, person_id: str, service: ServiceDep) -> dict[str, Any]:
    """Remove a person for good; answers with a receipt of what was removed."""
    rules = service.settings.identification
    return forget(service.store, service.home, project, person_id_of(person_id), rules).to_dict()


def _view(service: ServiceDep, project: str, stranger: StrangerSummary) -> StrangerView:
    return StrangerView(
        stranger=stranger.stranger_id,
        label=f"Unknown {stranger.number}",
        aliases=list(stranger.aliases),
        screen_time_s=stranger.screen_time_s,
        videos=stranger.videos,
        tracks=[
            {
                "video_id": one.video_id,
                "track_id": one.track_id,
                "start_s": one.start_s,
                "end_s": one.end_s,
                "quality": one.quality,
                "crop": crop_address(service.store.latest_analysis(project, one.video_id), one.track_id, 0),
            }
            for one in stranger.sightings
        ],
    )
