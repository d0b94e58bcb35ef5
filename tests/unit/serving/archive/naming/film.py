"""A film of which parts are analysed one after the other, as jobs do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from facerec_models.analysis.analyze import Analysis
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.config import AnalysisConfig, SamplingConfig
from facerec_models.files import write_atomically
from facerec_models.types import Interval, Track
from serving.archive import videos
from serving.archive.handle import Archive
from serving.archive.naming.answer import become_answer
from serving.archive.videos import analysis_id_of, find_analysis
from serving.store.rows import AnalysisRow, VideoRow
from tests.builders import EMBEDDER, face_of, make_track
from tests.unit.serving.archive.edits import result_in

LENGTH_S = 30.0
ANN, BOB, STRANGER = 1, 2, 7


def config_of(*fragment: float, fps: float | None = None, stream: int | None = None) -> AnalysisConfig:
    span = (fragment[0], fragment[1]) if fragment else None
    return AnalysisConfig(sampling=SamplingConfig(fragment=span, fps=fps, stream=stream))


def seen(who: int, *times_s: float, at: int = 0, x: float = 0.0) -> Track:
    """Make a track of a person that is sampled at these times, with a vector of each."""
    embeddings = np.stack([face_of(who, 60 + at + k) for k in range(len(times_s))])
    track = make_track(1, times_s, embeddings=embeddings, reach_s=0.0, x=x)
    return replace(track, scores=np.ones(len(times_s), np.float32))


class Film:
    """A film of which parts are analysed one after the other, as jobs do it."""

    def __init__(self, archive: Archive) -> None:
        self.archive, self.store = archive, archive.store
        self.video = VideoRow("v-film", "p", "file:///film.mp4", "ab" * 32, "film.mp4", "x", 5.0)
        self.store.put_video(self.video)
        self._made = 0

    def analyse(self, tracks: Sequence[Track], *fragment: float, **how: float | int | bool) -> AnalysisRow:
        """Analyse a part, in one shot, unless it was."""
        complete, again = bool(how.pop("complete", True)), bool(how.pop("again", False))
        config = config_of(*fragment, **how)  # type: ignore[arg-type]
        found = None if again else find_analysis(self.store, self.video, config, EMBEDDER)
        row = found or self.put(tracks, config, complete=complete)
        become_answer(self.archive, row)
        return row

    def put(self, tracks: Sequence[Track], config: AnalysisConfig, *, complete: bool) -> AnalysisRow:
        span = config.sampling.fragment
        shots: tuple[Interval, ...] = (span or (0.0, LENGTH_S if complete else LENGTH_S / 2),)
        stream = config.sampling.stream or 0
        info = VideoInfo(
            Path("film.mp4"), "mov", "h264", stream, LENGTH_S, 25.0, 0.04, 640, 360, 1.0, 0, 0.0, Fraction(1, 25)
        )
        tracks = [replace(track, track_id=i) for i, track in enumerate(tracks, 1)]
        analysis_id = analysis_id_of(self.video, config, EMBEDDER)
        for track in tracks:
            for k in range(len(track.embedded)):
                crop = self.archive.files.track_crop("p", analysis_id, track.track_id, k)
                write_atomically(crop, f"{span} {track.times_s[track.embedded[k]]}".encode())

        def make(_: object) -> Analysis:
            return Analysis(
                info, EMBEDDER, tuple(tracks), shots, 1.0, "frames", 10, densified=True, complete=complete,
                warnings=() if complete else ("it breaks off",), fragment=span,
            )  # fmt: skip

        return videos._store_analysis(self.archive, self.video, config, EMBEDDER, make)

    @property
    def latest(self) -> AnalysisRow:
        return self.store.latest_analysis("p", "v-film")

    @property
    def shown(self) -> list[tuple[str, float, float]]:
        return [(a.label, a.start_s, a.end_s) for a in result_in(self.archive, "v-film").appearances]

    def crops(self) -> list[str]:
        """Return what the crops of the answer are pictures of."""
        folder = self.archive.files.analysis("p", self.latest.analysis_id)
        return sorted(path.read_bytes().decode() for path in folder.glob("*.jpg"))
