"""The result of one video as a document, ``facerec.result/1``: what is published, exported and drawn."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from facerec_models.catalogue import Catalogue
from facerec_models.documents import AskedView, Document
from facerec_models.metrics.intervals import intersect
from facerec_models.types import Candidate, Interval

if TYPE_CHECKING:
    from facerec_models.analysis.analyze import Analysis
    from facerec_models.identification.naming_model import NamingModel


class CandidateView(Document):
    """A person that a face may be."""

    person_id: str
    similarity: float
    probability: float

    @classmethod
    def of(cls, candidate: Candidate) -> CandidateView:
        """Return a candidate as it is published."""
        return cls(**asdict(candidate))


class CropView(Document):
    """An aligned face of an appearance and where its picture is."""

    time_s: float
    url: str


class NearestView(Document):
    """An enrolled face and how near it is."""

    face_id: str
    similarity: float


class Evidence(Document):
    """What a decision rests on.

    `runner_up` is the nearest person by similarity other than the one who is named; where nobody is named, the nearest of all.
    `margin` is the similarity to the one who is named less that to the runner-up: below 0 where the runner-up is nearer. Where
    nobody is named, it is the similarity to the runner-up less that to the next. People whom a correction rules out count for
    neither. `told_apart` is the nearest of all where a correction rules them out. `note` says so where pictures are no longer kept.
    """

    crops: list[CropView]
    nearest: list[NearestView]
    runner_up: CandidateView | None
    margin: float | None
    told_apart: str | None = None
    note: str | None = None


class AppearanceView(Document):
    """A person, known or not, from `start_s` to before `end_s`; `confirmed` by a correction, or undecidable for a `reason`."""

    person_id: str | None
    identity: str | None
    stranger: str | None
    label: str
    start_s: float
    end_s: float
    probability: float
    false_name_rate: float
    track_ids: list[int]
    reason: str | None
    confirmed: bool = False
    evidence: Evidence


class SampleView(Document):
    """A track's face on one sampled frame.

    Boxes and landmarks are in pixels of the upright frame as it is stored: `video.sample_aspect_ratio` is the width of such a pixel
    over its height. In a video that changes its size they are in pixels of their own frame.
    """

    time_s: float
    frame_index: int
    box_xyxy: tuple[float, float, float, float]
    score: float
    landmarks: list[tuple[float, float]]
    quality: float


class TrackView(Document):
    """One face followed through one shot. `reason` says why it is undecidable, and is null where it is not."""

    track_id: int
    shot: int
    start_s: float
    end_s: float
    person_id: str | None
    identity: str | None
    decision: Literal["named", "unknown", "undecidable"]
    reason: str | None
    probability: float
    false_name_rate: float
    candidates: list[CandidateView]
    samples: list[SampleView]


class VideoView(Document):
    """The video. Width and height are those of its first frame; `fps` is the number of analysed frames over the time they take.

    `stream` is the number of the picture track among all streams of the file. `frame_rate` is its exact rate, such as ``30000/1001``,
    and null where the rate varies. `start_timecode` is the first frame's in the file's own timecode, ``hh:mm:ss:ff``, with a semicolon
    before the frames where some are dropped. `catalogue` is what the catalogue that it came from says.
    """

    id: str
    name: str
    uri: str
    sha256: str
    duration_s: float
    start_pts_s: float
    fps: float
    frame_rate: str | None
    start_timecode: str | None
    stream: int
    width: int
    height: int
    sample_aspect_ratio: float
    complete: bool
    warnings: list[str]
    catalogue: Catalogue | None

    @classmethod
    def of(
        cls, analysis: Analysis, *, video_id: str, name: str, uri: str, sha256: str, catalogue: Catalogue | None = None
    ) -> VideoView:
        """Return what an analysis knows of its video."""
        info = analysis.info
        return cls(
            id=video_id,
            name=name,
            uri=uri,
            sha256=sha256,
            duration_s=analysis.shots[-1][1] if info.duration_s is None else info.duration_s,
            start_pts_s=info.start_pts_s,
            fps=info.fps,
            frame_rate=None if info.frame_rate is None else str(info.frame_rate),
            start_timecode=info.start_timecode,
            stream=info.stream,
            width=info.width,
            height=info.height,
            sample_aspect_ratio=info.sample_aspect_ratio,
            complete=analysis.complete,
            warnings=list(analysis.warnings),
            catalogue=catalogue,
        )


class EngineView(Document):
    """What computed the networks, such as `openvino fp32 on cpu`; empty where it was not recorded."""

    detector: str
    embedder: str


class ModelView(Document):
    """What named the tracks; without version and classifier nobody is enrolled.

    `extrapolated`: no data checked the accepted error at this limit.
    """

    version: str | None
    embedder: str
    classifier: str | None
    max_false_names: float
    prior_known: float
    extrapolated: bool
    engine: EngineView

    @classmethod
    def of(
        cls,
        model: NamingModel | None,
        version: str | None,
        analysis: Analysis,
        max_false_names: float,
        prior_known: float,
    ) -> ModelView:
        """Return what a model, its accepted error for tracks, and the networks of an analysis are."""
        return cls(
            version=version,
            embedder=analysis.embedder,
            classifier=None if model is None else model.classifier.name,
            max_false_names=max_false_names,
            prior_known=prior_known if model is None else model.prior_known,
            extrapolated=model is not None and model.tracks.is_extrapolated(max_false_names),
            engine=EngineView(**asdict(analysis.engines)),
        )


class SamplingView(Document):
    """Which frames were sampled: at least one in `period_s`, unless two frames are further apart, of all or of parts.

    `fragments` are the parts that were analysed, ascending and apart, and `fragment` reaches from the first to the last. Both are null
    where the whole was.
    """

    period_s: float
    mode: Literal["frames", "fps"]
    frames_sampled: int
    densified: bool
    fragment: tuple[float, float] | None = None
    fragments: list[Interval] | None = None

    def covered(self, duration_s: float) -> list[Interval]:
        """Return the parts of a video of this length that were analysed, as far as it has them."""
        everything = [(0.0, duration_s)]
        return everything if self.fragments is None else intersect(self.fragments, everything)


class Coverage(Document):
    """Seconds of the video with at least one face, and with at least one of each decision."""

    face_s: float
    named_s: float
    unknown_s: float
    undecidable_s: float


class TimingView(Document):
    """Where the time went, and what was done."""

    wall_s: float
    decode_s: float
    detect_s: float
    embed_s: float
    identify_s: float
    frames_decoded: int
    frames_detected: int
    faces_embedded: int


class Result(Document):
    """Who is in a video, when, and on what evidence.

    `analysis_id` is that of the stored analysis whose tracks these are. `asked_for` are the people whom a line of a batch names.
    """

    schema_: Literal["facerec.result/1"] = Field(default="facerec.result/1", alias="schema")
    video: VideoView
    project: str
    analysis_id: str | None
    revision: str
    model: ModelView
    sampling: SamplingView
    appearances: list[AppearanceView]
    tracks: list[TrackView]
    shots: list[Interval]
    coverage: Coverage
    timing: TimingView
    asked_for: list[AskedView] = Field(default_factory=list)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the document as JSON, with the names of the contract."""
        return self.model_dump_json(by_alias=True, indent=indent)
