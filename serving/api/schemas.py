"""What the service takes and answers, beside the documents of `facerec_models.result`."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from facerec_models.config import SamplingConfig
from facerec_models.names import identity_of, is_hidden
from serving.store.access_rows import Role
from serving.store.job_rows import Job
from serving.store.rows import Face, PersonSummary


def _visible(text: str) -> str:
    if any(map(is_hidden, text)):
        raise ValueError("must not contain control characters")
    return unicodedata.normalize("NFC", text)


_Text = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_visible)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VideoRequest(_Model):
    """How to analyse and name a video."""

    sampling: SamplingConfig = SamplingConfig()
    fragment: tuple[float, float] | None = Field(default=None, description="Only from start to end, in seconds.")
    max_false_names: float | None = Field(default=None, gt=0, lt=1)
    no_cache: bool = Field(default=False, description="Analyse again, though the same was submitted before.")
    priority: int = Field(default=0, ge=-100, le=100, description="Jobs of higher priority are done first.")
    webhook: _Text | None = Field(default=None, description="Address to be told when the job has ended.")

    def full_sampling(self) -> SamplingConfig:
        """Return the sampling with the fragment in it."""
        if self.fragment is None:
            return self.sampling
        return SamplingConfig(**{**self.sampling.model_dump(), "fragment": self.fragment})


class VideoAddress(VideoRequest):
    """A video by its address, and how to analyse and name it."""

    uri: Annotated[_Text, Field(max_length=4000)]


class Accepted(_Model):
    """A job that was queued."""

    job_id: str
    video_id: str | None


class TrackBoxes(_Model):
    """Where a face is: a box, in stored pixels, at each time. Between two of them it moves evenly."""

    track_id: int
    times_s: list[float]
    boxes_xyxy: list[tuple[float, float, float, float]]


class PlaybackView(_Model):
    """How browsers play a video: by an address, or after a job has made a file for them."""

    state: Literal["ready", "making", "needed"]
    url: str | None = Field(description="Address of what is ready; ranges of bytes are answered.")
    media_type: str | None
    job_id: str | None = Field(description="The job that makes the file now.")
    why: str | None = Field(description="What of the video itself does not play; null where it plays as it is.")


class BatchItem(_Model):
    """What became of a line: a job, or an error. Who is asked for is repeated; the job's result says whether they were found."""

    line: int
    media: str
    start_s: float | None
    end_s: float | None
    person: str | None
    job_id: str | None
    video_id: str | None
    error: str | None


class SegmentView(_Model):
    """How far a part of a job is; one that is not divided has one part."""

    index: int = 0
    start_s: float = 0.0
    end_s: float | None = None
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    attempt: int
    error: str | None = None


class WebhookView(_Model):
    """Where the end of a job is told, and how that went."""

    url: str
    attempt: int
    error: str | None
    delivered_at: float | None


class JobView(_Model):
    """Where a job is."""

    job_id: str
    kind: str
    project: str
    video_id: str | None
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    segments: list[SegmentView]
    attempt: int
    priority: int
    error: str | None
    created_at: float
    updated_at: float
    cancel_requested: bool
    webhook: WebhookView | None
    about: str | None = Field(default=None, description="What it is about: a video's file, an address, or a person.")

    @classmethod
    def of(cls, job: Job, redact: Callable[[str], str] = str) -> JobView:
        """Show a row; `redact` takes out of errors what is not for who asks."""
        view = cls.model_validate(job, from_attributes=True)
        view.error = view.error and redact(view.error)
        for segment in view.segments:
            segment.error = segment.error and redact(segment.error)
        if view.webhook is not None:  # whoever may read the job sees it, and not who has asked alone
            view.webhook.url = redact(view.webhook.url)
            view.webhook.error = view.webhook.error and redact(view.webhook.error)
        if not view.segments:
            whole = SegmentView(state=view.state, progress=view.progress, attempt=view.attempt, error=view.error)
            view.segments.append(whole)
        return view


class PersonView(_Model):
    """An enrolled person."""

    person_id: str
    identity: str
    taken: int
    disabled: int
    refused: int
    newest_at: float = Field(description="When the newest picture was added, in seconds since 1970.")

    @classmethod
    def of(cls, person: PersonSummary) -> PersonView:
        """Show an enrolled person."""
        return cls(identity=identity_of(person.person_id), **asdict(person))


class PictureView(_Model):
    """A picture of a person and what became of it."""

    path: str
    person_id: str
    face_id: str
    status: Literal["taken", "disabled", "refused"]
    reason: str | None
    quality: float
    crop: str | None

    @classmethod
    def of(cls, face: Face) -> PictureView:
        """Show a row."""
        crop = f"/v1/projects/{face.project}/faces/{face.face_id}.jpg" if face.crop else None
        return cls.model_validate(replace(face, crop=crop), from_attributes=True)


class CrawlRequest(_Model):
    """Where to search for pictures of a person, and how many to have in the end."""

    source: _Text = Field(
        default="bing",
        description="bing, google, baidu, site:URL, or urls:FILE or folder:DIR of a folder that is open.",
    )
    max_num: int = Field(default=20, ge=1, le=1000, description="Pictures of the person, with those that are there.")
    discard_multi_face: bool = Field(default=False, description="Refuse pictures that show several faces.")


class StatusChange(_Model):
    """Enable or disable faces."""

    face_ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=10_000)
    enabled: bool


class SecondSet(_Model):
    """With which network crops are embedded again."""

    embedder: _Text = Field(description="Its name: a built-in network's, or one that was added.")


class TrackPlace(_Model):
    """A track of a video."""

    video_id: _Text
    track_id: int


class CorrectionRequest(_Model):
    """Who a track is, or is not: a person, or for "is_not" also a stranger."""

    kind: Literal["is", "is_not"]
    person_id: _Text


class CorrectedTrack(TrackPlace):
    """A track of a video, and who it is, or is not, where that is not for all of them the same person."""

    person_id: _Text | None = None


class TrackCorrections(_Model):
    """Who some tracks of videos are, or are not: `person_id`, or for some of them their own."""

    kind: Literal["is", "is_not"]
    person_id: _Text | None = None
    tracks: Annotated[list[CorrectedTrack], Field(min_length=1, max_length=2000)]

    @model_validator(mode="after")
    def _all_have_a_person(self) -> TrackCorrections:
        without = next((one for one in self.tracks if one.person_id is None), None)
        if self.person_id is None and without is not None:
            raise ValueError(f"track {without.track_id} has no person_id: give one, or one for all tracks")
        return self


class PersonName(_Model):
    """A person's name: one that the project knows, or a new one."""

    person_id: _Text


class StrangerName(PersonName):
    """Who a stranger is; `without` are tracks of theirs that are another person's."""

    without: Annotated[list[TrackPlace], Field(max_length=2000)] = Field(default_factory=list)


class SeveralStrangers(_Model):
    """Some strangers, by id or number."""

    strangers: Annotated[list[_Text], Field(min_length=1, max_length=1000)]


class PassersBy(_Model):
    """Strangers whose time in view, over all videos, is less than so many seconds; with a video, those of them who are seen in it."""

    max_screen_time_s: float = Field(gt=0, allow_inf_nan=False)
    video_id: _Text | None = Field(default=None, description="Its id, the beginning of it, or its file's name.")


class StrangersName(SeveralStrangers):
    """Who some strangers are: all the same person, and so are `tracks` of others."""

    person_id: _Text
    tracks: Annotated[list[TrackPlace], Field(max_length=2000)] = Field(default_factory=list)


class OtherPerson(_Model):
    """Who a stranger is not: a person, or another stranger by id or number."""

    other: _Text


class OtherStranger(_Model):
    """The stranger who another one is, by id or number."""

    stranger: _Text


class Alive(_Model):
    """That the service lives."""

    status: Literal["ok"]
    version: str


class Health(_Model):
    """What the service runs on."""

    status: Literal["ok"]
    version: str
    embedder: str
    queued_jobs: int
    running_jobs: int


class CallerView(BaseModel):
    """Who asks, and what they may do."""

    name: str
    grants: dict[str, Role]
