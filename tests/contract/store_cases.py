"""The stores that keep one contract, and rows to put into them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from facerec_models.types import Decision, DoubleArray, Track
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobSegment, JobState
from serving.store.leases import Lease
from serving.store.mongo.store import MongoStore
from serving.store.naming_rows import (
    AppearanceRow,
    Correction,
    CorrectionKind,
    Edit,
    NamedTracks,
    NamingChange,
    Promotion,
)
from serving.store.opening import open_store
from serving.store.rows import AnalysisRow, Face, FaceStatus, ModelVersion, VideoRow

Opener = Callable[[], Store]

YEAR_S = 365 * 24 * 3600.0

# A store of a place of its own, a folder or a database. Other processes open it too: the functions are importable.
STORES: dict[str, Callable[[Any], Store]] = {
    "sqlite": open_store,
    "mongodb": MongoStore,
}


def make_face(face_id: str, person_id: str = "Ada_Lovelace", **changes: Any) -> Face:
    face = Face(
        face_id=face_id,
        project="p",
        person_id=person_id,
        path=f"{person_id}/{face_id}.jpg",
        sha256="ab" * 32,
        status=FaceStatus.TAKEN,
        reason=None,
        quality=0.7,
        embedder="dlib",
        embedding=np.random.default_rng(len(face_id)).standard_normal(128).astype(np.float32),
        crop=f"{face_id}.jpg",
        created_at=1.5,
    )
    return replace(face, **changes)


def make_model(version: str, created_at: float = 1.0, project: str = "p") -> ModelVersion:
    metrics = {"fnir": 0.1, "by_person": {"Zoë": [1, 2, None]}}
    return ModelVersion(version, project, created_at, "dlib", "prototype", 3, 40, f"models/{version}", metrics)


def make_video(video_id: str, created_at: float = 1.0, project: str = "p") -> VideoRow:
    return VideoRow(video_id, project, f"file:///{video_id}.mp4", "cd" * 32, f"{video_id}.mp4", "videos/x", created_at)


def make_analysis(analysis_id: str, video_id: str = "v", created_at: float = 1.0, project: str = "p") -> AnalysisRow:
    summary = {"fps": 29.97, "shots": [[0.0, 1.5], [1.5, 4.0]], "warnings": ["é"], "complete": True}
    return AnalysisRow(analysis_id, project, video_id, "key", "dlib", summary, created_at)


def make_track(track_id: int, samples: int = 10, embedded: int = 8, dimension: int = 128, seed: int = 0) -> Track:
    rng = np.random.default_rng((seed, track_id))

    def values(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    return Track(
        track_id=track_id,
        shot=track_id % 3,
        times_s=np.sort(rng.random(samples)),
        frame_indexes=np.arange(samples) + 2**40,
        boxes=values(samples, 4),
        scores=values(samples),
        landmarks=values(samples, 5, 2),
        quality=values(samples),
        embedded=rng.permutation(samples)[:embedded],
        embeddings=values(embedded, dimension),
        start_s=-0.25,
        end_s=1.5,
    )


def make_appearance(
    analysis_id: str = "a", position: int = 0, owner: str | None = "Ann_Lee", **changes: Any
) -> AppearanceRow:
    """Make an appearance in the video ``v-<analysis>``: from ten times its position, for 5 s, in the shot of that number."""
    decision = Decision.UNDECIDABLE if owner is None else Decision.NAMED
    if owner is not None and owner.startswith("stranger-"):
        decision = Decision.UNKNOWN
    row = AppearanceRow(
        project="p",
        analysis_id=analysis_id,
        first_track=position,
        video_id=f"v-{analysis_id}",
        decision=decision,
        owner=owner,
        first_shot=position,
        last_shot=position,
        start_s=10.0 * position,
        end_s=10.0 * position + 5,
        score=0.9,
        is_confirmed=False,
        track_ids=(position + 1,),
        reason="looks like Zoë, who is named beside it" if owner is None else None,
    )
    return replace(row, **changes)


def make_named(analysis_id: str = "a", owner: str | None = "Ann_Lee", **changes: Any) -> NamedTracks:
    """Make the names of an analysis of one track."""
    row = NamedTracks(
        project="p",
        analysis_id=analysis_id,
        edit=0,
        version=0,
        max_false_names=0.005,
        floor=0.9,
        is_contended=False,
        names=() if owner is None else (owner,),
        decisions=np.array([2 if owner is None else 0], np.int8),
        reasons=np.array([0 if owner is None else -1], np.int8),
        owners=np.array([-1 if owner is None else 0], np.int32),
        besides=np.array([-1], np.int32),
        confirmed=np.array([0], np.int8),
        scores=np.array([0.95, -np.inf], np.float32),
        chosen=np.array([0.95], np.float32),
    )
    return replace(row, **changes)


def name(store: Store, *appearances: AppearanceRow, project: str = "p", **changes: Any) -> int:
    """Name the analyses that appearances are of, and others that are given, at the version that the project has."""
    ids = sorted({row.analysis_id for row in appearances})
    named = [make_named(one, project=project) for one in ids]
    change = NamingChange(named, lost=store.list_appearances(project, ids), appearances=appearances)
    change = replace(change, **changes)
    return store.apply(project, change, if_version=store.get_project(project).version)


def promote(store: Store, version: str, project: str = "p") -> None:
    """Let a version name, in an edit that names nothing."""
    name(store, project=project, edit=Edit("promotion", promotion=Promotion.PROMOTE, model_version=version))


def correct(store: Store, *corrections: Correction, project: str = "p") -> int:
    """Add corrections, in an edit that names nothing."""
    return name(store, project=project, edit=Edit("correction", corrections=corrections))


def make_job(job_id: str, created_at: float = 1.0, kind: str = "video", project: str = "p") -> Job:
    spec = {"uri": "file:///ü.mp4", "fragment": [0.5, 2.0], "sampling": None}
    return Job(job_id, project, kind, JobState.QUEUED, spec, created_at, created_at)


def assert_same_track(got: Track, put: Track) -> None:
    assert (got.track_id, got.shot, got.crops) == (put.track_id, put.shot, ())
    for name in ("times_s", "frame_indexes", "boxes", "scores", "landmarks", "quality", "embedded", "embeddings"):
        ours, theirs = getattr(got, name), getattr(put, name)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), name
        assert ours.tobytes() == theirs.tobytes(), name


def put_analyses(store: Store, *analysis_ids: str) -> None:
    """Add analyses of a video each, oldest first, and a model ``m``."""
    store.add_model(make_model("m"))
    for created_at, analysis_id in enumerate(analysis_ids):
        store.put_video(make_video(f"v-{analysis_id}", created_at))
        store.put_analysis(make_analysis(analysis_id, f"v-{analysis_id}", created_at), [make_track(1)])


def names_of(store: Store) -> dict[str, tuple[str, ...]]:
    """Return who is in each analysis that is named."""
    return {row.analysis_id: row.names for row in store.list_named("p")}


def stranger_sums(store: Store) -> dict[str, tuple[int, DoubleArray]]:
    """Return of each stranger who has tracks their number and the sum of their vectors."""
    return {
        one: (count, total)
        for row in store.list_stranger_sums("p")
        for one, count, total in zip(row.stranger_ids, row.counts.tolist(), row.sums, strict=True)
    }


def sums(store: Store) -> dict[str, tuple[int, list[float]]]:
    return {one: (count, total.tolist()) for one, (count, total) in stranger_sums(store).items()}


def claim(store: Store, who: str = "o1", lease_s: float = 60) -> Lease | None:
    return leases.claim(store, ["video"], who, lease_s)


def claimed(store: Store, who: str = "o1", lease_s: float = 60) -> Lease:
    mine = claim(store, who, lease_s)
    assert mine is not None
    return mine


def divide(store: Store, count: int = 3, lease_s: float = 60) -> Lease:
    """A job in segments of a minute, and its leader."""
    store.submit_job(make_job("j"))
    leader = claimed(store, "leader", lease_s)
    assert leases.plan(store, leader, [JobSegment(i, 60.0 * i, 60.0 * (i + 1), 0, 9) for i in range(count)])
    return leader


def claim_all(store: Store, owner: str, kinds: Sequence[str] = ("video",)) -> list[str]:
    """Lease what there is of one kind after the other."""
    claimed = []
    for kind in kinds:
        while (mine := leases.claim(store, [kind], owner, 60)) is not None:
            claimed.append(mine.job.job_id)
    return claimed


def make_correction(correction_id: str, kind: str, person_id: str, track_id: int = 1) -> Correction:
    return Correction(
        correction_id, "p", CorrectionKind(kind), person_id, "a", track_id, "dlib", np.ones(4, np.float32), 1.0
    )


@contextmanager
def clock_ahead(by_s: float = YEAR_S) -> Iterator[None]:
    """Let the clock be ahead until the block ends."""
    now = time.time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + by_s)
        yield


def same_face(a: Face, b: Face) -> bool:
    """Whether two rows are equal, embeddings included."""
    first, second = asdict(a), asdict(b)
    return np.array_equal(first.pop("embedding"), second.pop("embedding")) and first == second
