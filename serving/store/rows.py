"""What the store keeps of people, models and videos, one frozen type per kind of row; see also `naming_rows` and `job_rows`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who only reads rows needs no scientific libraries
    from facerec_models.identification.track_columns import TrackColumns
    from facerec_models.types import FloatArray


class FaceStatus(StrEnum):
    """Whether a picture of a person is learned from."""

    TAKEN = "taken"
    DISABLED = "disabled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Project:
    """A set of people, models and videos that belong together.

    Parameters
    ----------
    embedder : str or None
        None until the first face or video fixes it; afterwards only an edit changes it.
    version : int
        Raised by every write that names depend on.
    max_false_names : float or None
        The accepted error of what is named; None is the configured one.
    policy : dict
        What is kept and for how long, as `serving.archive.privacy.policy.Policy` reads it.
    """

    name: str
    created_at: float
    embedder: str | None = None
    version: int = 0
    max_false_names: float | None = None
    policy: dict[str, Any] = field(default_factory=dict)


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
        Where the picture came from: the address it was fetched from, ``folder:<path>`` of the folder that was imported, or
        ``track:<analysis>/<track>/<k>`` for a face of a confirmed track.
    fetched_at : float or None
        When it was fetched, in seconds since the epoch.
    by_hand : bool
        Whether a user decided its status; the search for outliers then leaves it alone.
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
    """A person of a project, how many of their faces have each status, and when the newest was added."""

    person_id: str
    taken: int
    disabled: int
    refused: int
    newest_at: float


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
    """A video of a project. `video_id` is made from the content, so the same file has the same id.

    Parameters
    ----------
    uri : str
        Where it comes from.
    file : str
        Where its file is on this machine.
    catalogue : dict or None
        What the catalogue that it comes from says, as `facerec_models.catalogue.Catalogue` reads it.
    """

    video_id: str
    project: str
    uri: str
    sha256: str
    name: str
    file: str
    created_at: float
    catalogue: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AnalysisRow:
    """What was found in a video with certain settings; its tracks are stored beside it.

    Parameters
    ----------
    key : str
        `AnalysisConfig.key` of the settings and the embedder.
    summary : dict
        Video facts, sampling, shots and timing, as JSON values; empty until the analysis is complete.
    """

    analysis_id: str
    project: str
    video_id: str
    key: str
    embedder: str
    summary: dict[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisColumns:
    """What naming and search need of an analysis' tracks.

    Parameters
    ----------
    position : int
        Grows with every write of a project's columns, and is never used again.
    embedder : str
        The analysis'.
    """

    analysis_id: str
    position: int
    embedder: str
    columns: TrackColumns
