"""What the service takes and answers, beside the documents of `facerec_models.result`."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from facerec_models.config import SamplingConfig
from facerec_models.names import identity_of, is_hidden
from facerec_models.types import Decision
from serving.archive.search.people_and_faces import FaceHit, Hit
from serving.archive.search.strangers import Sighting, StrangerSummary
from serving.store.access_rows import Role
from serving.store.job_rows import Job
from serving.store.naming_rows import AppearanceRow
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


class FoundAppearance(_Model):
    """A person or stranger in view in a video. Neither person nor stranger: undecidable, and `reason` says why.

    `shots` are the shots that it reaches over; with company, those in which all are seen. `crop` is null where no picture is kept.
    """

    video_id: str
    video: str
    analysis_id: str
    decision: Literal["named", "unknown", "undecidable"]
    reason: str | None
    person_id: str | None
    identity: str | None
    stranger: str | None
    label: str
    start_s: float
    end_s: float
    shots: list[int]
    probability: float
    false_name_rate: float
    track_ids: list[int]
    crop: str | None
    company: list[FoundAppearance]

    @classmethod
    def of(cls, hit: Hit, crop_url: Callable[[AppearanceRow, int, int], str]) -> FoundAppearance:
        """Show a hit of a search; `crop_url` says where the k-th best face of a track is."""
        row = hit.row
        is_named = row.decision is Decision.NAMED
        return cls(
            video_id=row.video_id,
            video=hit.video,
            analysis_id=row.analysis_id,
            decision=row.decision.value,
            reason=row.reason,
            person_id=row.owner if is_named else None,
            identity=identity_of(row.owner) if is_named else None,
            stranger=None if is_named else row.owner,
            label=hit.label,
            start_s=row.start_s,
            end_s=row.end_s,
            shots=list(hit.shots),
            probability=hit.figure.probability,
            false_name_rate=hit.figure.false_name_rate,
            track_ids=list(row.track_ids),
            crop=crop_url(row, row.track_ids[0], 0) if hit.has_picture else None,
            company=[cls.of(one, crop_url) for one in hit.company],
        )


class AppearancePage(_Model):
    """Some of what was found, by video and time; `next_cursor` leads to the rest, and is null at the end."""

    items: list[FoundAppearance]
    next_cursor: str | None


class FoundFace(FoundAppearance):
    """An appearance that resembles a face.

    `similarity` and `track_id` are those of its most alike track, `same_probability` that both are one person, at even odds before.
    `is_match`: as alike as two tracks of one stranger must be. `is_named`: false where the video was never identified.
    """

    track_id: int
    similarity: float
    same_probability: float
    is_match: bool
    is_named: bool

    @classmethod
    def of_face(cls, one: FaceHit, crop_url: Callable[[AppearanceRow, int, int], str]) -> FoundFace:
        """Show a hit of a search by face; `crop_url` as of `FoundAppearance.of`."""
        return cls(
            **FoundAppearance.of(one.hit, crop_url).model_dump(),
            track_id=one.track_id,
            similarity=one.similarity,
            same_probability=one.probability,
            is_match=one.is_match,
            is_named=one.is_named,
        )


class FaceSearch(_Model):
    """A face of the picture, and who resembles it, the most alike first; `next_cursor` leads to more, and is null at the end.

    `note` says so where the project keeps nothing of faces that match nobody.
    """

    box_xyxy: tuple[float, float, float, float]
    score: float
    quality: float
    hits: list[FoundFace]
    next_cursor: str | None
    note: str | None = None


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


class TrackCorrections(_Model):
    """Who some tracks of videos are, or are not."""

    kind: Literal["is", "is_not"]
    person_id: _Text
    tracks: Annotated[list[TrackPlace], Field(min_length=1, max_length=2000)]


class PersonName(_Model):
    """A person's name: one that the project knows, or a new one."""

    person_id: _Text


class OtherStranger(_Model):
    """The stranger who another one is, by id or number."""

    stranger: _Text


class StrangerView(_Model):
    """A stranger, and where they are seen, the best face first; in a list only some of their tracks."""

    stranger: str
    label: str
    hidden: bool
    aliases: list[str]
    screen_time_s: float
    videos: int
    track_count: int
    tracks: list[dict[str, Any]]

    @classmethod
    def of(cls, stranger: StrangerSummary, crop_url: Callable[[Sighting], str]) -> StrangerView:
        """Show a stranger; `crop_url` says where the best face of a track is, as long as it is kept."""
        return cls(
            stranger=stranger.stranger_id,
            label=f"Unknown {stranger.number}",
            hidden=stranger.is_hidden,
            aliases=list(stranger.aliases),
            screen_time_s=stranger.screen_time_s,
            videos=stranger.videos,
            track_count=stranger.tracks,
            tracks=[
                {
                    "video_id": one.video_id,
                    "video": one.video,
                    "track_id": one.track_id,
                    "start_s": one.start_s,
                    "end_s": one.end_s,
                    "quality": one.quality,
                    "crop": None if one.crop is None else crop_url(one),
                }
                for one in stranger.sightings
            ],
        )


class StrangerPage(_Model):
    """Some strangers, the longest seen first; `next_cursor` leads to the rest, and is null at the end.

    `note` says so where the project keeps none.
    """

    items: list[StrangerView]
    next_cursor: str | None
    note: str | None = None


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
