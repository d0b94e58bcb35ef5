"""What a model version claims, who really is in videos, and how good a version is by that."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from serving.api.service import ProjectName, ServiceDep
from serving.archive.learning.evaluation_set import kept_truths, remove_truth
from serving.archive.learning.labels import KeptTruth, VideoLabels
from serving.archive.learning.measuring import (
    claimed_limits,
    label_video,
    labelled_videos,
    measure_version,
    present_limit,
)
from serving.store.rows import VideoRow

router = APIRouter(prefix="/projects/{project}", tags=["measuring"])

AcceptedError = Annotated[float | None, Query(gt=0, lt=1, description="The present one by default.")]


class ClaimView(BaseModel):
    """What a version claims at an accepted error."""

    claimed: float
    score: float | None
    named: float = Field(description="The fraction of enrolled people's tracks that it expects to name.")
    is_extrapolated: bool = Field(description="Whether too few strangers are known to check it.")


class VersionClaims(BaseModel):
    """What a version claims."""

    version: str
    max_false_names: float = Field(description="The accepted error that holds now.")
    claims: list[ClaimView]


class TruthView(BaseModel):
    """Who really is in a video. `labels` is null where that was not told by watching."""

    video_id: str
    video: str
    kept_at: float | None = Field(description="null: nothing is kept.")
    people: list[str]
    strangers: int
    labels: VideoLabels | None

    @classmethod
    def of(cls, video: VideoRow, kept: KeptTruth | None, *, with_labels: bool = True) -> TruthView:
        """Show what is kept of a video."""
        return cls(
            video_id=video.video_id,
            video=video.name,
            kept_at=None if kept is None else kept.kept_at,
            people=[] if kept is None else [person.name for person in kept.people],
            strangers=0 if kept is None else len(kept.unknown_people),
            labels=kept.labels if kept is not None and with_labels else None,
        )


class Measurement(BaseModel):
    """A version, measured on the videos of which it is known who is in them."""

    version: str
    max_false_names: float
    report: dict[str, Any] | None = Field(
        description="facerec.evaluation/1, videos by their ids; null: nothing is known."
    )
    left_out: list[str]
    learned: int = Field(description="Enrolled faces that come from these videos, which flatter the version.")


@router.get("/models/{version}/claims")
def get_claims(project: ProjectName, version: str, service: ServiceDep) -> VersionClaims:
    """Say what a version claims at each accepted error, how many names that costs, and how far it is checked."""
    row = service.archive.store.get_model(project, version)
    claims = claimed_limits(service.archive, project, row.version)
    return VersionClaims(
        version=row.version,
        max_false_names=present_limit(service.archive, project),
        claims=[ClaimView.model_validate(asdict(one)) for one in claims],
    )


@router.get("/truths")
def list_truths(project: ProjectName, service: ServiceDep) -> list[TruthView]:
    """List the videos of which it is known who is in them, by name, without their labels."""
    service.archive.store.get_project(project)
    return [TruthView.of(*one, with_labels=False) for one in labelled_videos(service.archive, project)]


@router.get("/videos/{video_id}/truth")
def get_truth(project: ProjectName, video_id: str, service: ServiceDep) -> TruthView:
    """Say who really is in a video, as far as that is known."""
    video = service.archive.store.get_video(project, video_id)
    return TruthView.of(video, kept_truths(service.archive, project).get(video.sha256))


@router.put("/videos/{video_id}/truth")
def put_truth(project: ProjectName, video_id: str, labels: VideoLabels, service: ServiceDep) -> TruthView:
    """Keep who a video's tracks show, and who else is seen, as the truth that versions are measured by. Names stay as they are."""
    video = service.archive.store.get_video(project, video_id)
    return TruthView.of(video, label_video(service.archive, project, video_id, labels))


@router.delete("/videos/{video_id}/truth", status_code=204)
def delete_truth(project: ProjectName, video_id: str, service: ServiceDep) -> None:
    """Keep no longer who is in a video."""
    video = service.archive.store.get_video(project, video_id)
    remove_truth(service.archive.files, project, video.sha256)


@router.get("/models/{version}/measurement")
def measure(
    project: ProjectName, version: str, service: ServiceDep, max_false_names: AcceptedError = None
) -> Measurement:
    """Measure a version on the videos of which it is known who is in them; nothing changes."""
    return Measurement.model_validate(asdict(measure_version(service.archive, project, version, max_false_names)))
