"""Every setting of the library, one frozen model per stage.

A stage receives its own slice; nothing reads the environment here. The values of `AnalysisConfig` decide what an analysis
contains, so its `key` names the analysis: the same video, weights and key give the same tracks.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """A frozen group of settings; unknown names and values out of bounds are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LimitsConfig(Config):
    """Bounds on what is opened at all, read from headers before anything is decoded, and on the processes that decode it."""

    max_image_pixels: int = Field(default=80_000_000, ge=1, description="Largest still, in pixels.")
    max_frame_pixels: int = Field(default=7680 * 4320, ge=1, description="Largest video frame, in pixels.")
    max_video_duration_s: float = Field(default=24 * 3600, gt=0, description="Longest video.")
    max_upload_bytes: int = Field(default=20 * 2**30, ge=1, description="Largest uploaded file.")
    max_picture_bytes: int = Field(default=64 * 2**20, ge=1, description="Largest uploaded picture.")
    max_pictures_per_request: int = Field(default=100, ge=1, description="Pictures that are sent together.")
    max_pictures_bytes: int = Field(default=512 * 2**20, ge=1, description="Pictures of a request together.")
    max_streams: int = Field(default=64, ge=1, description="Tracks of a video's file: pictures, sound, text.")
    decoder_memory_bytes: int = Field(
        default=6 * 2**30, ge=2**26, description="Address space of a process that decodes, beside its own code."
    )
    decoder_silence_s: float = Field(
        default=60.0, gt=0, description="A process that reads no further in a video for so long is ended."
    )
    picture_timeout_s: float = Field(default=20.0, gt=0, description="Longest time that a still may take to decode.")


class SamplingConfig(Config):
    """Which frames of a video are sampled.

    With neither `period_frames` nor `fps` the period is 25 frames or one second of the video's own timestamps, whichever comes first.

    Examples
    --------
    >>> SamplingConfig(fps=2.0, fragment=(10.0, 20.0)).densify
    5
    >>> SamplingConfig(fps=2.0, period_frames=25)
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for SamplingConfig
    ...
    """

    period_frames: int | None = Field(default=None, ge=1, description="Sample one frame in this many.")
    fps: float | None = Field(default=None, gt=0, le=240, description="Sample this many frames per second.")
    densify: int = Field(
        default=5,
        ge=1,
        le=25,
        description="Sample at most so many times more often, up to 6 times a second, where a face is seen or a cut falls.",
    )
    still_overlap: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Between two of these samples no other is taken where clear faces overlap by so much; 1: always.",
    )
    fragment: tuple[float, float] | None = Field(
        default=None, description="Only from start to end, in seconds from the first frame."
    )

    stream: int | None = Field(
        default=None,
        ge=0,
        description="Number of the picture track among all streams of the file, from 0; by default the main one.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.period_frames is not None and self.fps is not None:
            raise ValueError("give period_frames or fps, not both")
        if self.fragment is not None and not 0 <= self.fragment[0] < self.fragment[1]:
            raise ValueError(f"fragment must be 0 <= start < end, not {self.fragment}")
        return self


class ShotConfig(Config):
    """What counts as a cut; see `facerec_models.analysis.shots`."""

    threshold: float = Field(default=0.15, gt=0, le=1, description="Least difference of a cut's two frames.")
    ratio: float = Field(default=3.0, ge=1, description="Least ratio of a cut's difference to its neighbourhood's.")
    window_frames: int = Field(default=8, ge=1, description="Frames before that make the neighbourhood.")
    min_shot_frames: int = Field(default=5, ge=1, description="A shot has at least this many frames.")


Device = Annotated[Literal["auto", "cpu", "cuda"], Field(description="Where the network runs.")]
Engine = Annotated[
    Literal["auto", "torch", "openvino"],
    Field(description="What computes it; auto: torch on CUDA, on a CPU OpenVINO where it is installed, else torch."),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"],
    Field(description="Of OpenVINO; auto: bf16 where the processor multiplies such numbers, else fp32."),
]


class DetectionConfig(Config):
    """MTCNN's settings."""

    min_face_px: int = Field(
        default=24, ge=12, description="Smallest face searched for, in pixels of the detection image."
    )
    max_side_px: int = Field(default=1280, ge=160, description="Frames are reduced to this longer side for detection.")
    min_still_face_px: int = Field(
        default=48,
        ge=12,
        description="Smallest face searched for in stills, in their own pixels, however large they are; smaller ones "
        "are found as well, but no longer all, and below some 28 pixels nobody is recognised.",
    )
    thresholds: tuple[float, float, float] = Field(
        default=(0.7, 0.7, 0.8), description="Least score of a face after P-Net, R-Net and O-Net."
    )
    factor: float = Field(default=0.709, gt=0.3, lt=0.95, description="Scale between two levels of the pyramid.")
    device: Device = "auto"
    engine: Engine = "auto"
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32",
        description="Of OpenVINO. In bf16 other candidates win, and one box in ten moves by more than two pixels.",
    )


class EmbeddingConfig(Config):
    """Which network turns a crop into a vector."""

    embedder: str = Field(
        default="auto",
        min_length=1,
        description="The network: dlib, facenet-vggface2, facenet-casia, onnx (the one that was added), or its name; "
        "auto: FaceNet (VGGFace2) where it was fetched, else dlib's.",
    )
    device: Device = "auto"
    engine: Engine = "auto"
    precision: Precision = "auto"
    batch_size: int = Field(
        default=32, ge=1, le=1024, description="Most crops in one pass of the network; fewer on a CPU."
    )
    mirror: bool = Field(default=True, description="Average each embedding with its mirror image's.")


class TrackingConfig(Config):
    """How detections are linked; see `facerec_models.analysis.tracking`."""

    min_log_odds: float = Field(default=0.0, description="Least evidence, in nats, that two faces are one person.")
    max_gap_s: float = Field(
        default=2.0,
        gt=0,
        description="A track ends when its face is not seen for so long, and on three samples or more.",
    )
    position_noise: float = Field(default=0.08, gt=0, description="Jitter of a detection, in face sizes.")
    acceleration: float = Field(default=2.0, gt=0, description="How faces speed up, in face sizes per square second.")
    max_kept: int = Field(default=12, ge=1, description="Embeddings and crops kept of each track.")


class AnalysisConfig(Config):
    """Everything that decides what an analysis contains."""

    sampling: SamplingConfig = SamplingConfig()
    shots: ShotConfig = ShotConfig()
    detection: DetectionConfig = DetectionConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    tracking: TrackingConfig = TrackingConfig()
    limits: LimitsConfig = LimitsConfig()

    def key(self, embedder: str) -> str:
        """Return a short name of these settings with the resolved embedder: equal keys mean equal analyses.

        Devices, engines and batch sizes are left out: they change the speed, not what is found. So is what concerns stills alone.

        Examples
        --------
        >>> usual, other = AnalysisConfig(), AnalysisConfig(sampling=SamplingConfig(fps=2.0))
        >>> usual.key("dlib-resnet-v1") == other.key("dlib-resnet-v1")
        False
        >>> on_cpu = AnalysisConfig(detection=DetectionConfig(device="cpu"))
        >>> usual.key("dlib-resnet-v1") == on_cpu.key("dlib-resnet-v1")
        True
        """
        dump = self.model_dump_json(
            exclude={
                "detection": {"device", "engine", "min_still_face_px"},
                "embedding": {"device", "engine", "precision", "batch_size", "embedder"},
                "limits": True,
            }
        )
        return hashlib.sha256(f"{embedder}\n{dump}".encode()).hexdigest()[:16]


class IdentificationConfig(Config):
    """How faces and tracks are named; the meaning of quality is in `facerec_models.analysis.quality`."""

    max_false_names_stills: float = Field(
        default=0.01, gt=0, lt=1, description="Accepted fraction of strangers in pictures that get any name."
    )
    max_false_names_tracks: float = Field(
        default=0.005, gt=0, lt=1, description="Accepted fraction of strangers in videos that get any name."
    )
    prior_known: float = Field(
        default=0.5, gt=0, lt=1, description="Assumed fraction of faces that belong to enrolled people."
    )
    min_quality_named_stills: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="Below it a face of a still is not named: it is cut by more than half, or of less than some 17 pixels.",
    )
    min_quality_named_tracks: float = Field(default=0.3, ge=0, le=1, description="Below it a track is not named.")
    min_quality_unknown: float = Field(
        default=0.3, ge=0, le=1, description="Below it a face that is not named is undecidable, not unknown."
    )
    min_score_unknown: float = Field(
        default=0.99,
        ge=0,
        le=1,
        description="Below it, an unknown face may be no face at all: undecidable. Of a track, the best score counts.",
    )
    min_quality_enrolled: float = Field(default=0.3, ge=0, le=1, description="Below it a face is not enrolled.")


class TrainingConfig(Config):
    """How a project's model is made, and when it begins to name."""

    classifier: Literal["prototype", "svm", "knn", "rf", "softmax"] = "prototype"
    seed: int = Field(
        default=0, ge=0, description="Of what the classifier draws; the same faces and seed give one model."
    )
    max_false_names: float | None = Field(
        default=None, gt=0, lt=1, description="Accepted error to state the limits for, and to compare versions at."
    )
    use_seen_strangers: bool = Field(
        default=False, description="Calibrate with the nameless strangers of the project's videos, beside the cohort."
    )
    promote: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Let the version name: if it is not worse on the project's evaluation set, or by hand.",
    )
