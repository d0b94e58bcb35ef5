"""What the store keeps, one frozen type per kind of row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec_models.types import Decision, FloatArray

DEFAULT_PROJECT = "default"


class FaceStatus(StrEnum):
    """Whether a picture of a person is learned from."""

    TAKEN = "taken"
    DISABLED = "disabled"
    REFUSED = "refused"


class JobState(StrEnum):
    """Where a job is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to the job any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Project:
    """A set of people, models and videos that belong together.

    `embedder` is None until the first face or video fixes it; afterwards only an application changes it, see `Naming`.
    """

    name: str
    created_at: float
    embedder: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One picture of a person, and what became of it at enrolment.

    Parameters
    ----------
    face_id : str
        Made from project, person and the picture's content, so that importing twice adds nothing.
    path : str
        Relative to the imported folder, as ``Person_Name/picture.jpg``.
    embedding : (D,) float32 or None
        None where no usable face was found.
    crop : str or None
        Name of the aligned face among the stored files.
    source : str or None
        Where the picture came from: the address it was fetched from, or ``track:<analysis>/<track>/<k>`` for a face of a
        confirmed track.
    fetched_at : float or None
        When it was fetched, in seconds since the epoch.
    by_hand : bool
        Whether somebody decided its status; what looks for outliers then leaves it alone.
    """

    face_id: str
    project: str
    person_id: str
    path: str
    sha256: str
    status: FaceStatus
    reason: str | None
    quality: float
    embedder: str
    embedding: FloatArray | None
    crop: str | None
    created_at: float
    source: str | None = None
    fetched_at: float | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """A person of a project and how many of their faces have each status."""

    person_id: str
    taken: int
    disabled: int
    refused: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A trained model; its arrays are a folder `directory` among the stored files."""

    version: str
    project: str
    created_at: float
    embedder: str
    classifier: str
    people: int
    faces: int
    directory: str
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VideoRow:
    """A video of a project. `video_id` is made from the content, so the same file has the same id."""

    video_id: str
    project: str
    uri: str
    sha256: str
    name: str
    file: str
    created_at: float


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """What was found in a video with certain settings; its tracks are stored beside it.

    Parameters
    ----------
    key : str
        `AnalysisConfig.key` of the settings and the embedder.
    summary : dict
        Video facts, sampling, shots and timing, as JSON values; empty until the analysis is complete.
    revision : str or None
        Which revision names its tracks; None until it was identified.
    """

    analysis_id: str
    project: str
    video_id: str
    key: str
    embedder: str
    summary: dict[str, Any]
    revision: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Revision:
    """A way to name tracks: a model version and the accepted error. Names follow from it and the tracks alone."""

    revision: str
    project: str
    model_version: str
    max_false_names: float
    created_at: float
    note: str = ""


class CorrectionKind(StrEnum):
    """What somebody said of a track."""

    IS = "is"
    IS_NOT = "is_not"


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What somebody said of a track: that it is a person, or is not a person or a stranger.

    Parameters
    ----------
    correction_id : str
        Made from project, kind, whom it is about, and the track: saying it twice adds nothing.
    person_id : str
        A person's, or for "is not" also a stranger's id.
    embedding : (D,) float32
        The track's mean embedding: the correction outlives the analysis that it was made on.
    """

    correction_id: str
    project: str
    kind: CorrectionKind
    person_id: str
    analysis_id: str
    track_id: int
    embedder: str
    embedding: FloatArray
    created_at: float


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody unknown who was seen in a project's videos.

    Parameters
    ----------
    number : int
        Shown as "Unknown n"; never given twice.
    merged_into : str or None
        The stranger who this one turned out to be; the id stays an alias of theirs.
    person_id : str or None
        Whom somebody named them.
    """

    stranger_id: str
    project: str
    number: int
    created_at: float
    merged_into: str | None = None
    person_id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StrangerTrack:
    """Which stranger a track shows.

    Parameters
    ----------
    embedding : (D,) float32
        The track's mean embedding: a new track is compared with all strangers without reading any video's tracks.
    """

    project: str
    analysis_id: str
    track_id: int
    stranger_id: str
    embedding: FloatArray


@dataclass(frozen=True, slots=True)
class AppearanceRow:
    """Somebody in view in a video without a gap, as search finds it.

    Parameters
    ----------
    position : int
        Place among the appearances of its analysis, from 0.
    owner : str or None
        The person's or the stranger's id; None where the decision is "undecidable".
    first_shot, last_shot : int
        The shots that it reaches over, both ends included; it is in view in all of them.
    track_ids : tuple of int
        Its tracks, ascending.
    """

    project: str
    analysis_id: str
    position: int
    video_id: str
    decision: Decision
    owner: str | None
    first_shot: int
    last_shot: int
    start_s: float
    end_s: float
    probability: float
    false_name_rate: float
    track_ids: tuple[int, ...]

    @property
    def key(self) -> AppearanceKey:
        """Where it stands in the order of search."""
        return (self.video_id, self.start_s, self.position)


AppearanceKey = tuple[str, float, int]


@dataclass(frozen=True, slots=True)
class AppearanceQuery:
    """Which appearances are sought; what is None restricts nothing.

    Parameters
    ----------
    owners : tuple of tuple of str
        Who, each as all the ids that mean them: a person has one, a stranger may have aliases. With several, the appearances of the
        first are found in whose shots each of the others appears too. Empty: everybody's.
    min_probability : float
        Of every appearance that counts, those of the others included.
    submitted_from, submitted_to : float or None
        When the video was submitted, in seconds since the epoch; the end is not included.
    start_s, end_s : float or None
        A part of the video, in seconds, that the appearance must reach into.
    """

    owners: tuple[tuple[str, ...], ...] = ()
    video_id: str | None = None
    min_probability: float = 0.0
    submitted_from: float | None = None
    submitted_to: float | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrackVectors:
    """The mean embeddings of an analysis's tracks, for search by face.

    Parameters
    ----------
    position : int
        Grows with every write of a project's vectors, and is never used again.
    embedder : str
        The analysis'.
    track_ids : (N,) int64
        Tracks that have embeddings, ascending.
    vectors : (N, D) float32
    """

    analysis_id: str
    position: int
    embedder: str
    track_ids: npt.NDArray[np.int64]
    vectors: FloatArray


@dataclass(frozen=True, slots=True)
class Application:
    """The archive was named again: by which revision, for what, and what it would take to undo that.

    Parameters
    ----------
    number : int
        Counts a project's applications from 1.
    cause : str
        What it was done for, such as ``identify`` or ``correction``.
    undo : dict or None
        What was before, as JSON values; None where that cannot be brought back any more.
    """

    project: str
    number: int
    revision: str
    model_version: str
    max_false_names: float
    cause: str
    note: str
    created_at: float
    undo: dict[str, Any] | None = None
    undone_at: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """What was said at once, as far as it changed the store, and so what taking it back changes.

    Parameters
    ----------
    corrections, faces : sequence of str
        Ids of what was added, and is deleted.
    replaced : sequence of Correction
        Which gave way, and come back.
    disabled : mapping of str to str or None
        Faces that were disabled, and are enabled again, with the reason that they had before.
    """

    corrections: Sequence[str] = ()
    replaced: Sequence[Correction] = ()
    faces: Sequence[str] = ()
    disabled: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """What naming the archive again writes, all at once, and with it where the project changes to another embedder.

    Parameters
    ----------
    expected, revisions : mapping of str to str or None
        Which revision names each analysis so far, and from now on; the same analyses in both.
    appearances, stranger_tracks : sequence of rows
        Of all these analyses, in place of theirs.
    strangers : sequence of Stranger
        To be added or replaced.
    known : int
        How many strangers the project has so far.
    promoted : str or None
        The version that is promoted with it; None leaves the one that is.
    promotes_none : bool
        Whether no version is promoted any more; only to undo the first that was.
    taken_back : Words or None
        What was said and is taken back with it.
    embedder : str or None
        The project's from now on; None leaves the one that it has.
    touched : mapping of str to float
        When analyses count as made from now on: the latest of a video is what its result means.
    vectors : mapping of str to (D,) float32
        Of faces, by id, from `embedder`; faces that are there no more are passed over.
    """

    expected: Mapping[str, str | None]
    revisions: Mapping[str, str | None]
    appearances: Sequence[AppearanceRow]
    strangers: Sequence[Stranger]
    stranger_tracks: Sequence[StrangerTrack]
    known: int
    promoted: str | None = None
    promotes_none: bool = False
    taken_back: Words | None = None
    embedder: str | None = None
    touched: Mapping[str, float] = field(default_factory=dict)
    vectors: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobSegment:
    """A part of a job that somebody may do beside others.

    Parameters
    ----------
    start_s, end_s : float
        Which part of the video; an end of None is that of the video.
    first, end : int or None
        Its first frame, and the one after its last; None where the video is looked at in one go.
    owner, lease_until, attempt, error
        As in `Job`.
    """

    index: int
    start_s: float
    end_s: float | None
    first: int | None = None
    end: int | None = None
    state: JobState = JobState.QUEUED
    progress: float = 0.0
    owner: str | None = None
    lease_until: float = 0.0
    attempt: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where the end of a job is told.

    Parameters
    ----------
    due_at : float or None
        When to try, in seconds since the epoch; None before the job has ended, and when nobody tries any more.
    error : str or None
        Why the last try failed.
    delivered_at : float or None
        When it was taken.
    """

    url: str
    due_at: float | None = None
    attempt: int = 0
    error: str | None = None
    delivered_at: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Long work as a row: who does it, until when their claim holds, and how far it is.

    Parameters
    ----------
    kind : str
        ``video``, ``training`` or ``crawl``.
    spec : dict
        What to do, as JSON values.
    segments : tuple of JobSegment
        Parts of the job, once they are planned.
    error : str or None
        Why the job failed; while it is not final, why the last attempt did.
    owner : str or None
        Who holds the lease, until `lease_until` (seconds since the epoch).
    attempt : int
        How often the job was claimed since a segment of it was last done.
    priority : int
        Higher ones are done first.
    key : str or None
        What makes another submission the same one; no two jobs have the same.
    """

    job_id: str
    project: str
    kind: str
    state: JobState
    spec: dict[str, Any]
    created_at: float
    updated_at: float
    progress: float = 0.0
    segments: tuple[JobSegment, ...] = ()
    error: str | None = None
    video_id: str | None = None
    owner: str | None = None
    lease_until: float = 0.0
    attempt: int = 0
    cancel_requested: bool = False
    priority: int = 0
    key: str | None = None
    webhook: Webhook | None = None

    @property
    def due_at(self) -> float | None:
        """From when on somebody may claim something of the job, in seconds since the epoch; None if nothing is left.

        That is the job itself, one of its segments, or the delivery of its webhook.
        """
        if self.state is JobState.QUEUED:
            return 0.0
        if self.state.is_final:
            return self.webhook.due_at if self.webhook else None
        open_segments = () if self.cancel_requested else self.segments
        # A queued segment has no lease: it is due at once.
        left = [segment.lease_until for segment in open_segments if not segment.state.is_final]
        return min([self.lease_until, *left])


def read_segment(values: dict[str, Any]) -> JobSegment:
    """Return a segment of a job from its JSON values."""
    return JobSegment(**{**values, "state": JobState(values["state"])})


def same_face(a: Face, b: Face) -> bool:
    """Whether two rows say the same, embeddings included."""
    fields = [name for name in Face.__slots__ if name != "embedding"]
    if any(getattr(a, name) != getattr(b, name) for name in fields) or (a.embedding is None) != (b.embedding is None):
        return False
    return a.embedding is None or b.embedding is None or bool(np.array_equal(a.embedding, b.embedding))
