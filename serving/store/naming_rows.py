"""What the store keeps of names: corrections, strangers, appearances, and what naming the archive again writes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from facerec_models.types import Decision, FloatArray
from serving.store.rows import Face


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
    """What a correction states of a track."""

    IS = "is"
    IS_NOT = "is_not"


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """A track is a person, or is not a person or a stranger, as a user corrected it.

    Parameters
    ----------
    correction_id : str
        Made from project, kind, person, and track: the same correction twice adds nothing.
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
    """An unknown person who is seen in a project's videos.

    Parameters
    ----------
    number : int
        Shown as "Unknown n"; never given twice.
    merged_into : str or None
        The stranger who this one turned out to be; the id stays an alias of theirs.
    person_id : str or None
        The person whom a user named them as.
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
    """A person or a stranger in view in a video without a gap, as search finds it.

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
    reason : str or None
        Why it is undecidable, as in its result; None where it is not.
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
    reason: str | None = None

    @property
    def key(self) -> AppearanceKey:
        """Where it stands in the order of search."""
        return (self.video_id, self.start_s, self.position)


AppearanceKey = tuple[str, float, int]


@dataclass(frozen=True, slots=True)
class AppearanceQuery:
    """Which appearances to find; what is None restricts nothing.

    Parameters
    ----------
    owners : tuple of tuple of str
        Who, each as all the ids that mean them: a person has one, a stranger may have aliases. With several, the appearances of the
        first are found in whose shots each of the others appears too. Empty: those of everyone.
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


@dataclass(frozen=True, slots=True)
class ScreenTime:
    """How many seconds a stranger is in view in a video, over some of their appearances."""

    stranger_id: str
    video_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Application:
    """One naming of the archive: by which revision, why, and what undoing it takes.

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
class EditRows:
    """The rows that an edit adds or changes, written with a naming.

    Parameters
    ----------
    corrections : sequence of Correction
        Added as `Store.put_corrections` does.
    faces : sequence of Face
        Enrolled, replacing those with the same id.
    disabled : sequence of str
        Ids of faces that are disabled.
    reason : str
        Why they are.
    """

    corrections: Sequence[Correction]
    faces: Sequence[Face]
    disabled: Sequence[str]
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class EditInverse:
    """What an edit changed in the store, and so what undoing it changes back.

    Parameters
    ----------
    corrections, faces : sequence of str
        Ids of what was added, and is deleted.
    replaced : sequence of Correction
        Which were replaced, and come back.
    disabled : mapping of str to str or None
        Faces that were disabled, and are enabled again, with the reason that they had before.
    enabled : mapping of str to str or None
        Faces that were enabled, and are disabled again, with the reason that they had before.
    """

    corrections: Sequence[str] = ()
    replaced: Sequence[Correction] = ()
    faces: Sequence[str] = ()
    disabled: Mapping[str, str | None] = field(default_factory=dict)
    enabled: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The state of a project that a naming was computed from; another edit, undo or promotion changes it.

    Parameters
    ----------
    last, standing : int
        Numbers of the last application, and of the last that is not undone; 0 where there is none.
    corrections : frozenset of str
        Ids of all corrections.
    promoted : str or None
        The version that is promoted, if there is one.
    """

    last: int
    standing: int
    corrections: frozenset[str]
    promoted: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """What naming the archive again writes, all at once, and with it where the project changes to another embedder.

    Parameters
    ----------
    expected, revisions : mapping of str to str or None
        Which revision names each analysis so far, and from now on; the same analyses in both.
    beside : mapping of str to str or None
        Which revision names each analysis that is left as it is, where all must be known.
    appearances, stranger_tracks : sequence of rows
        Of all these analyses, in place of theirs.
    strangers : sequence of Stranger
        To be added or replaced.
    known : int
        How many strangers the project has so far.
    promoted : str or None
        The version that is promoted with it; None leaves the one that is.
    goes_back : bool
        Whether it is promoted by taking the present one's promotion back, if it was promoted right before that.
    promotes_none : bool
        Whether no version is promoted any more; only to undo the first that was.
    embedder : str or None
        The project's from now on; None leaves the one that it has.
    vectors : mapping of str to (D,) float32
        Of faces, by id, from `embedder`; faces that are there no more are passed over.
    edit : EditRows or None
        What is written with it.
    inverse : EditInverse or None
        What is changed back with it.
    state : ProjectState or None
        What must not have changed; None checks nothing.
    """

    expected: Mapping[str, str | None]
    revisions: Mapping[str, str | None]
    appearances: Sequence[AppearanceRow]
    strangers: Sequence[Stranger]
    stranger_tracks: Sequence[StrangerTrack]
    known: int
    promoted: str | None = None
    goes_back: bool = False
    promotes_none: bool = False
    embedder: str | None = None
    vectors: Mapping[str, FloatArray] = field(default_factory=dict)
    edit: EditRows | None = None
    inverse: EditInverse | None = None
    state: ProjectState | None = None
    beside: Mapping[str, str | None] = field(default_factory=dict)
