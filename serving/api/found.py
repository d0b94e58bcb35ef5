"""What searches answer: appearances, faces of a picture, strangers, and who they may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from facerec_models.names import identity_of
from facerec_models.types import Decision
from serving.archive.search.doubtful import DoubtfulName
from serving.archive.search.likely import Likely
from serving.archive.search.people_and_faces import FaceHit, Hit
from serving.archive.search.strangers import MergedStranger, Sighting, StrangerSummary
from serving.archive.search.video_glances import VideoGlance
from serving.store.naming_rows import AppearanceRow


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FoundAppearance(_Answer):
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


class AppearancePage(_Answer):
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


class LikelyPerson(_Answer):
    """An enrolled person who a face or a stranger may be, with the enrolled picture that is most alike.

    `is_sure`: likely enough, and much likelier than anybody else, to be suggested.
    """

    person_id: str
    identity: str
    similarity: float
    probability: float
    is_sure: bool
    picture: str | None

    @classmethod
    def of(cls, project: str, one: Likely) -> LikelyPerson:
        """Show who it may be."""
        picture = one.face_id and f"/v1/projects/{project}/faces/{one.face_id}.jpg"
        return cls(
            person_id=one.person_id,
            identity=identity_of(one.person_id),
            similarity=one.similarity,
            probability=one.probability,
            is_sure=one.is_sure,
            picture=picture,
        )


class FaceSearch(_Answer):
    """A face of the picture, and who resembles it, the most alike first; `next_cursor` leads to more, and is null at the end.

    `note` says so where the project keeps nothing of faces that match nobody. `candidates` are who of the enrolled it may be.
    """

    box_xyxy: tuple[float, float, float, float]
    score: float
    quality: float
    hits: list[FoundFace]
    next_cursor: str | None
    note: str | None = None
    candidates: list[LikelyPerson] = Field(default_factory=list)


class DoubtfulNameView(_Answer):
    """A track whose name was given by hand, who was named, and who looks more like it.

    Of the track so many `pictures` are kept: `crop` is the address of the best one, 0.jpg; those of the others end in 1.jpg and so on.
    """

    video_id: str
    video: str
    track_id: int
    start_s: float
    end_s: float
    crop: str | None
    pictures: int
    person_id: str
    identity: str
    similarity: float
    picture: str
    other: LikelyPerson

    @classmethod
    def of(cls, one: DoubtfulName, crop_url: Callable[[Sighting], str]) -> DoubtfulNameView:
        """Show one; `crop_url` says where the best face of a track is, as long as it is kept."""
        seen = one.sighting
        return cls(
            video_id=seen.video_id,
            video=seen.video,
            track_id=seen.track_id,
            start_s=seen.start_s,
            end_s=seen.end_s,
            crop=None if seen.crop is None else crop_url(seen),
            pictures=0 if seen.crop is None else seen.pictures,
            person_id=one.person_id,
            identity=identity_of(one.person_id),
            similarity=one.similarity,
            picture=f"/v1/projects/{seen.project}/faces/{one.face_id}.jpg",
            other=LikelyPerson.of(seen.project, one.other),
        )


class DoubtfulNamePage(_Answer):
    """Some doubtful names; `next_cursor` leads to the rest, and is null at the end: a page before that may be empty."""

    items: list[DoubtfulNameView]
    next_cursor: str | None


class StrangerView(_Answer):
    """A stranger, and where they are seen, the best face first; in a list only some of their tracks.

    Of each track so many `pictures` are kept: `crop` is the address of the best one, 0.jpg; those of the others end in 1.jpg and so on.
    """

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
                    "pictures": 0 if one.crop is None else one.pictures,
                }
                for one in stranger.sightings
            ],
        )


class MergedStrangerView(_Answer):
    """A stranger who was merged with another, and can be taken apart: so many tracks are theirs; `crop` shows one of the best."""

    stranger: str
    label: str
    track_count: int
    crop: str | None

    @classmethod
    def of(cls, one: MergedStranger, crop_url: Callable[[Sighting], str]) -> MergedStrangerView:
        """Show one; `crop_url` says where the best face of a track is, as long as it is kept."""
        seen = one.sighting
        return cls(
            stranger=one.stranger.stranger_id,
            label=f"Unknown {one.stranger.number}",
            track_count=one.tracks,
            crop=None if seen is None or seen.crop is None else crop_url(seen),
        )


class StrangerPage(_Answer):
    """Some strangers, the longest seen first; `next_cursor` leads to the rest, and is null at the end.

    `note` says so where the project keeps none; `total` is how many there are on all pages.
    """

    items: list[StrangerView]
    next_cursor: str | None
    note: str | None = None
    total: int


class SamePerson(_Answer):
    """Two who may be one person: a stranger, and another stranger or an enrolled person.

    `similarity` is that of the means of their faces; `other` is null for a person, and `person` is null for a stranger.
    """

    stranger: StrangerView
    other: StrangerView | None
    person: LikelyPerson | None
    similarity: float


class SamePersonPage(_Answer):
    """Some who may be one person; `next_cursor` leads to the rest, and is null at the end: a page before that may be empty."""

    items: list[SamePerson]
    next_cursor: str | None


class GlancedPersonView(_Answer):
    """A person or a stranger of a video, for how long they are in view there, and a face, as long as one is kept."""

    label: str
    person_id: str | None
    stranger: str | None
    seconds: float
    crop: str | None


class VideoGlanceView(_Answer):
    """A video at a glance: who is seen longest in it, of `total` people and strangers, and the address of a picture of it."""

    video_id: str
    analysed: bool
    still: str
    people: list[GlancedPersonView]
    total: int

    @classmethod
    def of(cls, one: VideoGlance, crop_url: Callable[[AppearanceRow, int, int], str]) -> VideoGlanceView:
        """Show a glance; `crop_url` says where the k-th best face of a track is."""
        video, chosen_by = one.video, "unseen" if one.analysis is None else one.analysis.analysis_id
        return cls(
            video_id=video.video_id,
            analysed=one.analysis is not None,
            still=f"/v1/projects/{video.project}/videos/{video.video_id}/still.jpg?of={chosen_by}",
            people=[
                GlancedPersonView(
                    label=person.label,
                    person_id=person.person_id,
                    stranger=person.stranger,
                    seconds=person.seconds,
                    crop=crop_url(person.best, person.best.track_ids[0], 0) if person.has_picture else None,
                )
                for person in one.people
            ],
            total=one.total,
        )


class VideosWith(_Answer):
    """The videos with people whose names have a text in them, and these people; `is_all` is false where there are more."""

    video_ids: list[str]
    people: list[str]
    is_all: bool


class RunningVideo(_Answer):
    """What is known of a video while a job is at work on it; times in its own clock begin at `start_pts_s`."""

    width: int
    height: int
    sample_aspect_ratio: float
    start_pts_s: float
    duration_s: float | None


class FoundPartView(_Answer):
    """A part of a video that was searched, from when to when; `part` leads to what was found there."""

    part: str
    start_s: float
    until_s: float


class FoundSoFarView(_Answer):
    """How far a job has searched its video. Nothing of it is final: faces are linked, and named, when all is searched.

    `video` is null, and there are no parts, before the job has begun and after it has ended.
    """

    video: RunningVideo | None
    parts: list[FoundPartView]


class FoundTrack(_Answer):
    """A face that was followed in a part of a video, and who it seems to be by itself; its `picture` is a data address."""

    track_id: int
    start_s: float
    end_s: float
    times_s: list[float]
    boxes_xyxy: list[tuple[float, float, float, float]]
    person_id: str | None
    identity: str | None
    picture: str | None
