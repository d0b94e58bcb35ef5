"""Hand-made results, for tests of what is made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from facerec_models.catalogue import Catalogue
from facerec_models.result import (
    AppearanceView,
    Coverage,
    CropView,
    EngineView,
    Evidence,
    ModelView,
    Result,
    SampleView,
    SamplingView,
    TimingView,
    TrackView,
    VideoView,
)
from serving.exports.export_format import ExportContext
from serving.exports.formats import Writer

CONTEXT = ExportContext("Archive", "http://127.0.0.1:8000", datetime(2026, 5, 4, 12, 30, tzinfo=UTC), lambda _: None)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Seen:
    """One appearance of one track; the label says what was decided."""

    label: str
    start_s: float
    end_s: float
    samples: Sequence[tuple[float, Box]] = ()
    probability: float = 0.974
    false_name_rate: float = 0.0005
    reason: str = "too small"
    confirmed: bool = False
    told_apart: str | None = None
    crops: Sequence[tuple[float, str]] = ()

    @property
    def decision(self) -> str:
        if self.label == "Undecidable":
            return "undecidable"
        return "unknown" if self.label.startswith("Unknown ") else "named"


def make_result(
    *seen: Seen,
    duration_s: float = 4.0,
    size: tuple[int, int] = (640, 360),
    fps: float = 10.0,
    period_s: float = 1.0,
    densified: bool = False,
    sample_aspect_ratio: float = 1.0,
    shots: Sequence[tuple[float, float]] | None = None,
    uri: str = "file:///videos/interview.mp4",
    frame_rate: str | None = "10",
    start_timecode: str | None = None,
    catalogue: Catalogue | None = None,
    video_id: str = "v-1",
) -> Result:
    """Return a result of these appearances; their tracks are numbered from 1."""
    names = [face.label if face.decision == "named" else None for face in seen]
    people = [name.replace(" ", "_") if name else None for name in names]
    return Result(
        video=VideoView(
            id=video_id,
            name=PurePosixPath(urlsplit(uri).path).name,
            uri=uri,
            sha256="0" * 64,
            duration_s=duration_s,
            start_pts_s=0.0,
            fps=fps,
            frame_rate=frame_rate,
            start_timecode=start_timecode,
            stream=0,
            width=size[0],
            height=size[1],
            sample_aspect_ratio=sample_aspect_ratio,
            complete=True,
            warnings=[],
            catalogue=catalogue,
        ),
        project="default",
        analysis_id="a-1",
        revision="r-1",
        model=ModelView(
            version="m-1",
            embedder="dlib",
            classifier="prototype",
            max_false_names=0.005,
            prior_known=0.5,
            extrapolated=False,
            engine=EngineView(detector="openvino fp32 on cpu", embedder="openvino fp32 on cpu"),
        ),
        sampling=SamplingView(period_s=period_s, mode="frames", frames_sampled=4, densified=densified),
        appearances=[
            AppearanceView(
                person_id=person,
                identity=name,
                stranger=f"stranger-{face.label[8:]:0>10}" if face.decision == "unknown" else None,
                label=face.label,
                start_s=face.start_s,
                end_s=face.end_s,
                probability=face.probability,
                false_name_rate=face.false_name_rate,
                track_ids=[number],
                reason=face.reason if face.decision == "undecidable" else None,
                confirmed=face.confirmed,
                evidence=Evidence(
                    crops=[CropView(time_s=time_s, url=url) for time_s, url in face.crops],
                    nearest=[],
                    runner_up=None,
                    margin=None,
                    told_apart=face.told_apart,
                ),
            )
            for number, (face, name, person) in enumerate(zip(seen, names, people, strict=True), 1)
        ],
        tracks=[
            TrackView(
                track_id=number,
                shot=0,
                start_s=face.start_s,
                end_s=face.end_s,
                person_id=person,
                identity=name,
                decision=face.decision,
                reason=face.reason if face.decision == "undecidable" else None,
                probability=face.probability,
                false_name_rate=face.false_name_rate,
                candidates=[],
                samples=[
                    SampleView(
                        time_s=time_s, frame_index=round(time_s * fps), box_xyxy=box, score=1, landmarks=[], quality=1
                    )
                    for time_s, box in face.samples
                ],
            )
            for number, (face, name, person) in enumerate(zip(seen, names, people, strict=True), 1)
        ],
        shots=list(shots or [(0.0, duration_s)]),
        coverage=Coverage(face_s=0, named_s=0, unknown_s=0, undecidable_s=0),
        timing=TimingView(
            wall_s=0,
            decode_s=0,
            detect_s=0,
            embed_s=0,
            identify_s=0,
            frames_decoded=0,
            frames_detected=0,
            faces_embedded=0,
        ),
    )


def written(write: Writer, *results: Result) -> str:
    """Return a document that is text."""
    return b"".join(write(results, CONTEXT)).decode()
