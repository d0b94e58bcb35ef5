"""A small archive: two people and the same two strangers in each of two videos, none of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from facerec_models.analysis.analyze import Analysis
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.config import IdentificationConfig
from facerec_models.files import write_atomically
from facerec_models.images import encode_crop
from facerec_models.types import Track
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.one_video import assign_current
from serving.archive.videos import summarize
from serving.store.contract import Store
from serving.store.rows import AnalysisRow, VideoRow
from tests.builders import EMBEDDER, face_of, make_track, near
from tests.contract.store_cases import make_face

RULES = IdentificationConfig()
PEOPLE = {1: "Ann_Lee", 2: "Bob"}
SEEN = (1, 2, 7, 8)


def fill(archive: Archive) -> None:
    """Enrol, train, store both videos and name them."""
    archive.store.create_project("p")
    archive.store.fix_embedder("p", EMBEDDER)
    for who, person_id in PEOPLE.items():
        enrol(archive, who, person_id)
    for number, video_id in enumerate(("v-1", "v-2")):
        put_video(archive, video_id, number)
    train(archive, "p")


def enrol(archive: Archive, who: int, person_id: str) -> None:
    """Enrol three pictures of a person."""
    faces = []
    for at in range(3):
        face_id = f"f-{who}{at}"
        write_atomically(archive.files.face_crop("p", face_id), b"jpeg")
        faces.append(
            make_face(face_id, person_id, embedder=EMBEDDER, embedding=face_of(who, at), crop=f"{face_id}.jpg")
        )
    archive.store.put_faces("p", faces)


def put_people(store: Store, project: str, people: int, *, faces_each: int) -> None:
    """Enrol ``Person_0`` and others without pictures."""
    store.create_project(project)
    store.fix_embedder(project, EMBEDDER)
    store.put_faces(
        project,
        [
            make_face(f"f-{who}{at}", f"Person_{who}", project=project, embedder=EMBEDDER, embedding=face_of(who, at))
            for who in range(people)
            for at in range(faces_each)
        ],
    )


def put_video(
    archive: Archive, video_id: str, number: int, seen: Sequence[int] = SEEN, *, together: bool = False
) -> AnalysisRow:
    """Store the analysis of a video in which people are seen one after the other, or all at once, in two shots."""
    tracks = [
        make_track(
            i,
            [3.0, 4.0] if together else [3.0 * i, 3.0 * i + 1],
            shot=int(not together and i > 2),
            embeddings=np.stack([face_of(who, 30 + 10 * number + k) for k in range(2)]),
            x=100.0 * i,
        )
        for i, who in enumerate(seen, 1)
    ]
    tracks = [replace(track, scores=np.ones(len(track), np.float32)) for track in tracks]
    return put_tracks(archive, video_id, number, tracks)


def put_tracks(
    archive: Archive, video_id: str, number: int, tracks: Sequence[Track], *, length_s: float = 20.0
) -> AnalysisRow:
    """Store an analysis with these tracks and crops of them."""
    analysis = Analysis(
        info=VideoInfo(Path("clip.mp4"), "mov", "h264", 0, length_s, 25.0, 0.04, 640, 360, 1.0, 0, 0.0, Fraction(1, 25)),
        embedder=EMBEDDER, tracks=tuple(tracks), shots=((0.0, 8.0), (8.0, length_s)), period_s=1.0, mode="frames", frames_sampled=20,
        densified=True, complete=True, warnings=(),
    )  # fmt: skip
    archive.store.put_video(
        VideoRow(video_id, "p", f"file:///{video_id}.mp4", video_id * 8, f"{video_id}.mp4", "x", number)
    )
    row = AnalysisRow(f"a-{video_id}", "p", video_id, "key", EMBEDDER, summarize(analysis), number)
    archive.store.put_analysis(row, tracks)
    for track in tracks:
        for k in range(2):
            crop = archive.files.track_crop("p", row.analysis_id, track.track_id, k)
            write_atomically(
                crop, encode_crop(np.full((150, 150, 3), (20 * track.track_id + k + number) % 256, np.uint8))
            )
    return row


def put_mirror(archive: Archive, video_id: str, number: int, who: int) -> None:
    """Store a video that shows a person and their mirror image all the time, and a stranger beside them."""
    own = face_of(who, 50 + number)
    tracks = [
        make_track(i, [3.0, 4.0], embeddings=np.stack([face, face]), x=100.0 * i)
        for i, face in enumerate((own, near(own, 0.995), face_of(40 + number)), 1)
    ]
    tracks = [replace(track, scores=np.ones(len(track), np.float32)) for track in tracks]
    analysis = put_tracks(archive, video_id, number, tracks)
    assign_current(archive, analysis)
