"""What the store keeps of names: corrections, strangers, appearances, and what naming the archive again writes at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from facerec_models.types import Decision, DoubleArray, FloatArray
from serving.store.rows import Face, ModelVersion, Project


class CorrectionKind(StrEnum):
    """What a correction states of a track."""

    IS = "is"
    IS_NOT = "is_not"
    # Another stranger's, when theirs was named: nobody denied it, and a user may still say that it is.
    APART = "apart"


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """A track is a person, or is not a person or a stranger, as a user corrected it; or it was held apart from a person.

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
    is_hidden : bool
        Whether lists leave them out: a passer-by, or a face on a poster.
    """

    stranger_id: str
    project: str
    number: int
    created_at: float
    merged_into: str | None = None
    person_id: str | None = None
    is_hidden: bool = False


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


@dataclass(frozen=True, slots=True, eq=False)
class StrangerSums:
    """How many tracks show each of some strangers, and the sums of their mean embeddings: these tell whom a new track may show.

    Parameters
    ----------
    block : int
        Counts the rows of a project: a stranger's number tells the block.
    stranger_ids : tuple of str
        Those of the block who have tracks.
    counts : (N,) int32
    totals : (N * D,) float64
        One sum after the other.
    """

    project: str
    block: int
    stranger_ids: tuple[str, ...]
    counts: npt.NDArray[np.int32]
    totals: DoubleArray

    @property
    def sums(self) -> DoubleArray:
        """The sums as the rows of a matrix."""
        return self.totals.reshape(len(self.counts), -1)


@dataclass(frozen=True, slots=True, eq=False)
class NamedTracks:
    """Who the tracks of an analysis are: what results are read from, and what search is made of.

    Parameters
    ----------
    edit : int
        0 for those that hold; otherwise the number of the edit that replaced them, and would bring them back.
    version : int
        The project's, when this was written; 0 before. What an undo brings back keeps it.
    max_false_names : float
        The accepted error that it was named by.
    floor : float
        Another model, or limit, names a track as it is here, as long as nobody's score for it passes this one, before or after.
    is_contended : bool
        Whether any other limit may name them otherwise.
    names : tuple of str
        Ids of the people and strangers that `owners` and `besides` count, ascending.
    decisions, reasons : (N,) int8
        Of each track, in the order of its columns: places in `Decision` and `UndecidableReason`; no reason is -1.
    owners, besides : (N,) int32
        Who a track shows, and who is beside it: places in `names`, or -1.
    confirmed : (N,) int8
        1 where a person confirmed the name.
    scores : (N, K) float32
        Of the likeliest people, best first.
    chosen : (N,) float32
        The score of the one who is named, or else of the likeliest.
    """

    project: str
    analysis_id: str
    edit: int
    version: int
    max_false_names: float
    floor: float
    is_contended: bool
    names: tuple[str, ...]
    decisions: npt.NDArray[np.int8]
    reasons: npt.NDArray[np.int8]
    owners: npt.NDArray[np.int32]
    besides: npt.NDArray[np.int32]
    confirmed: npt.NDArray[np.int8]
    scores: FloatArray
    chosen: FloatArray

    def __len__(self) -> int:
        return len(self.decisions)


@dataclass(frozen=True, slots=True)
class AppearanceRow:
    """A person or a stranger in view in a video without a gap, as search finds it.

    Parameters
    ----------
    first_track : int
        The lowest of its tracks: no other appearance of its analysis has it.
    owner : str or None
        The person's or the stranger's id; None where the decision is "undecidable".
    first_shot, last_shot : int
        The shots that it reaches over, both ends included; it is in view in all of them.
    score : float
        Its best track's: the higher, the surer the person, and the less sure it is that it is nobody enrolled.
    is_confirmed : bool
        Whether a person confirmed the name of one of its tracks.
    track_ids : tuple of int
        Its tracks, ascending.
    reason : str or None
        Why it is undecidable, as in its result; None where it is not.
    """

    project: str
    analysis_id: str
    first_track: int
    video_id: str
    decision: Decision
    owner: str | None
    first_shot: int
    last_shot: int
    start_s: float
    end_s: float
    score: float
    is_confirmed: bool
    track_ids: tuple[int, ...]
    reason: str | None = None

    @property
    def key(self) -> AppearanceKey:
        """Where it stands in the order of search."""
        return (self.video_id, self.start_s, self.first_track)


AppearanceKey = tuple[str, float, int]


@dataclass(frozen=True, slots=True)
class AppearanceQuery:
    """Which appearances to find; what is None restricts nothing.

    Parameters
    ----------
    owners : tuple of tuple of str
        Who, each as all the ids that mean them: a person has one, a stranger may have aliases. With several, the appearances of the
        first are found in whose shots each of the others appears too. Empty: those of everyone.
    least_score : float
        A named appearance that is not confirmed has this at least; those of the others included. Appearances without a name are found
        whatever their score, which is that of when they were named last: see `serving.archive.search.exact_figures`.
    submitted_from, submitted_to : float or None
        When the video was submitted, in seconds since the epoch; the end is not included.
    start_s, end_s : float or None
        A part of the video, in seconds, that the appearance must reach into.
    """

    owners: tuple[tuple[str, ...], ...] = ()
    video_id: str | None = None
    least_score: float = -math.inf
    submitted_from: float | None = None
    submitted_to: float | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class ScreenTime:
    """How many seconds a stranger or a person is in view, in how many videos, and on how many tracks, in some appearances."""

    owner: str
    seconds: float
    videos: int
    tracks: int


class Promotion(StrEnum):
    """What an edit does with the version that names."""

    KEEP = "keep"
    PROMOTE = "promote"
    GO_BACK = "go_back"
    NONE = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """A change of what names depend on; the store can turn each into its inverse.

    Parameters
    ----------
    cause : str
        What it is done for, such as ``identify`` or ``correction``.
    note : str
        What it is about, for people.
    corrections : sequence of Correction
        Added; "is" replaces every other "is" of its track, and each replaces its own contrary.
    withdrawn : sequence of str
        Ids of corrections that are deleted.
    faces : sequence of Face
        As they are then: added, or in place of those with the same id.
    removed : sequence of str
        Ids of faces that are deleted.
    strangers : sequence of Stranger
        As they are then.
    promotion : Promotion
    model_version : str or None
        Which version is promoted, or gone back to.
    max_false_names : float or None
        The accepted error of the archive from then on; None leaves it.
    embedder : str or None
        The project's from then on; None leaves it.
    carried : sequence of (analysis_id, track_id)
        The tracks whose corrections are carried to other analyses of their videos.
    renamed : (str, str) or None
        The former name and the name of a person who is renamed, or merged with another one.
    """

    cause: str
    note: str = ""
    corrections: Sequence[Correction] = ()
    withdrawn: Sequence[str] = ()
    faces: Sequence[Face] = ()
    removed: Sequence[str] = ()
    strangers: Sequence[Stranger] = ()
    promotion: Promotion = Promotion.KEEP
    model_version: str | None = None
    max_false_names: float | None = None
    embedder: str | None = None
    carried: Sequence[tuple[str, int]] = ()
    renamed: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class AppliedEdit:
    """An edit that was applied.

    Parameters
    ----------
    number : int
        Counts a project's edits from 1.
    version : int
        The project's, afterwards.
    model_version, max_false_names
        What named afterwards; no model where nobody was enrolled.
    former_model, former_max_false_names, former_embedder
        What they were before.
    can_undo : bool
        Whether what was before is still there.
    carried, renamed
        See `Edit`; of edits that are sealed nobody's name is kept.
    """

    project: str
    number: int
    cause: str
    note: str
    version: int
    model_version: str | None
    max_false_names: float | None
    former_model: str | None
    former_max_false_names: float | None
    former_embedder: str | None
    created_at: float
    can_undo: bool = True
    undone_at: float | None = None
    carried: tuple[tuple[str, int], ...] = ()
    renamed: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class FormerRow:
    """A row as it was before an edit: what undoing takes beside names.

    Parameters
    ----------
    kind : str
        ``correction``, ``face`` or ``stranger``.
    key : str
        Its id.
    row : str or None
        The row as JSON; None where there was none.
    """

    project: str
    number: int
    kind: str
    key: str
    row: str | None


@dataclass(frozen=True, slots=True, eq=False)
class NamingChange:
    """What naming writes, all at once.

    Parameters
    ----------
    named : sequence of NamedTracks
        In place of those of their analyses.
    unnamed : sequence of str
        Analyses that nothing names any more.
    lost, appearances : sequence of AppearanceRow
        Those of `named` that are there no more, as they were; and those that are from then on, or are otherwise.
    freed, stranger_tracks : sequence of StrangerTrack
        Tracks that show a stranger no more, as they did; and those that show one from then on.
    strangers : sequence of Stranger
        New ones, and those that a grouping merged.
    edit : Edit or None
        What is changed with it.
    undoes : int or None
        The number of the edit that this takes back.
    """

    named: Sequence[NamedTracks] = ()
    unnamed: Sequence[str] = ()
    lost: Sequence[AppearanceRow] = ()
    appearances: Sequence[AppearanceRow] = ()
    freed: Sequence[StrangerTrack] = ()
    stranger_tracks: Sequence[StrangerTrack] = ()
    strangers: Sequence[Stranger] = ()
    edit: Edit | None = None
    undoes: int | None = None

    @property
    def analysis_ids(self) -> list[str]:
        """Whose names are written."""
        return [*(row.analysis_id for row in self.named), *self.unnamed]


@dataclass(frozen=True, slots=True, eq=False)
class NamingState:
    """What names depend on, and who tracks are, as of one moment.

    Parameters
    ----------
    project : Project
    promoted : ModelVersion or None
        The version that names; None where nobody is enrolled.
    corrections : sequence of Correction
        Of the analyses that were asked for, oldest first.
    named : mapping of str to NamedTracks
        By analysis; those that nothing has named are left out.
    latest : mapping of str to str
        The id of each video's latest analysis; empty if some analyses alone were asked for.
    """

    project: Project
    promoted: ModelVersion | None
    corrections: Sequence[Correction]
    named: Mapping[str, NamedTracks]
    latest: Mapping[str, str]
