"""What the page is measured with: a video of many tracks that plays, and a project of many people and strangers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from facerec_models.analysis.analyze import Analysis
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.files import write_atomically
from facerec_models.images import encode_crop
from facerec_models.types import FloatArray, Track
from serving.archive.handle import Archive, open_archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.one_video import assign_current
from serving.archive.videos import summarize
from serving.settings import Settings
from serving.store.rows import AnalysisRow, VideoRow
from tests.archive import enrol, put_tracks
from tests.benchmarks.scale import faces_of, people_like_the_cohort
from tests.builders import EMBEDDER, face_of, make_track
from tests.contract.store_cases import make_face

VIDEO_PROJECT, TRACKS_VIDEO, PROJECT = "p", "v-1", "many"
LENGTH_S = 600.0
_PEOPLE, _STRANGERS, _SAMPLES = 30, 10, 29
_WIDTH, _HEIGHT, _FPS, _KEYFRAME_S = 320, 180, 10, 2
_IN_VIDEO, _APART_S, _SHOWN_S = 100, 20.0, (0.5, 12.0)
_PICTURES = 20


def fill(home: Path, tracks: int, people: int, strangers: int) -> str:
    """Make both projects; say what is in them."""
    started = time.perf_counter()
    with open_archive(Settings(home=home)) as archive:
        put_video_of_many(archive, home / "reel.mp4", tracks)
        known, unknown = put_many(archive, people, strangers)
    return f"a video of {tracks} tracks; {known} people, {unknown} strangers; made in {time.perf_counter() - started:.0f} s"


def put_video_of_many(archive: Archive, file: Path, tracks: int) -> None:
    """Make a project whose one video has so many tracks, of people and strangers, and a file that plays."""
    rng = np.random.default_rng(0)
    archive.store.create_project(VIDEO_PROJECT)
    archive.store.fix_embedder(VIDEO_PROJECT, EMBEDDER)
    for who in range(_PEOPLE):
        enrol(archive, who, f"Person_{who}")
    train(archive, VIDEO_PROJECT)
    seen = [_track(i, int(rng.integers(_PEOPLE + _STRANGERS)), rng) for i in range(1, tracks + 1)]
    analysis = put_tracks(archive, TRACKS_VIDEO, 0, seen, length_s=LENGTH_S)
    assign_current(archive, analysis)
    write_clip(file)
    video = archive.store.get_video(VIDEO_PROJECT, TRACKS_VIDEO)
    archive.store.put_video(replace(video, file=str(file)))


def write_clip(file: Path) -> None:
    """Write a clip of small pictures in which everything moves, with a keyframe every two seconds as our own have."""
    wave = np.arange(2 * _WIDTH, dtype=np.uint16) * 510 // _WIDTH % 256
    with av.open(str(file), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=_FPS, options={"preset": "ultrafast", "g": str(_KEYFRAME_S * _FPS)}
        )
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for i in range(round(LENGTH_S * _FPS)):
            at = 2 * i % _WIDTH
            line = np.stack([wave[at : at + _WIDTH], wave[_WIDTH - at : 2 * _WIDTH - at], wave[:_WIDTH]], axis=1)
            frame = av.VideoFrame.from_ndarray(np.tile(line.astype(np.uint8), (_HEIGHT, 1, 1)), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _track(number: int, who: int, rng: np.random.Generator) -> Track:
    start = float(rng.uniform(0, LENGTH_S - 8))
    times = np.round(start + np.arange(_SAMPLES) * 0.2, 3).tolist()
    return make_track(
        number, times, embeddings=np.stack([face_of(who, number + k) for k in range(2)]), x=(number * 37) % 560
    )


def put_many(archive: Archive, people: int, strangers: int) -> tuple[int, int]:
    """Make a project of so many people, each with pictures, of whom some are seen, and strangers; return how many there are of both."""
    rng = np.random.default_rng(1)
    means = people_like_the_cohort(people, rng)
    archive.store.create_project(PROJECT)
    archive.store.fix_embedder(PROJECT, EMBEDDER)
    pictures = [encode_crop(rng.integers(256, size=(150, 150, 3), dtype=np.uint8)) for _ in range(_PICTURES)]
    for at in range(2):
        faces = [
            make_face(f"f-{who}-{at}", f"Person_{who}", project=PROJECT, embedder=EMBEDDER, embedding=one, crop=f"f-{who}-{at}.jpg")
            for who, one in enumerate(faces_of(means, rng))
        ]  # fmt: skip
        for i, face in enumerate(faces):
            write_atomically(archive.files.face_crop(PROJECT, face.face_id), pictures[i % _PICTURES])
        archive.store.put_faces(PROJECT, faces)
    seen = np.concatenate([people_like_the_cohort(strangers, rng), means[: people // 5]])
    for number, part in enumerate(np.array_split(rng.permutation(seen), max(1, len(seen) // _IN_VIDEO))):
        _put_video(archive, number, list(_tracks(part, rng)), pictures)
    train(archive, PROJECT)
    return people, len(archive.store.list_strangers(PROJECT))


def _tracks(means: FloatArray, rng: np.random.Generator) -> Iterator[Track]:
    for i, mean in enumerate(means):
        start = _APART_S * i
        times = np.linspace(start, start + rng.uniform(*_SHOWN_S), 3).round(3).tolist()
        yield make_track(i + 1, times, shot=i, embeddings=faces_of(np.stack([mean] * 3), rng))


def _put_video(archive: Archive, number: int, tracks: list[Track], pictures: list[bytes]) -> None:
    """Store a video without a file, and its analysis with a picture of each track."""
    name = f"v-{number:06}"
    archive.store.put_video(VideoRow(name, PROJECT, f"file:///{name}.mp4", name, f"{name}.mp4", name, float(number)))
    length_s = _APART_S * len(tracks)
    info = VideoInfo(Path("x.mp4"), "mov", "h264", 0, length_s, 25.0, 0.04, 640, 360, 1.0, 0, 0.0, Fraction(1, 25))
    shots = tuple((_APART_S * i, _APART_S * (i + 1)) for i in range(len(tracks)))
    analysis = Analysis(
        info=info, embedder=EMBEDDER, tracks=(), shots=shots, period_s=1.0, mode="frames", frames_sampled=round(length_s),
        densified=True, complete=True, warnings=(),
    )  # fmt: skip
    row = AnalysisRow(f"a-{number:06}", PROJECT, name, "key", EMBEDDER, summarize(analysis), float(number))
    archive.store.put_analysis(row, tracks)
    for track in tracks:
        picture = archive.files.track_crop(PROJECT, row.analysis_id, track.track_id, 0)
        write_atomically(picture, pictures[track.track_id % _PICTURES])
