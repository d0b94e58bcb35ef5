"""Count results against their truths. What is counted, and how, says `facerec_models.metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from facerec_models.errors import InputError
from facerec_models.metrics import (
    Interval,
    NamedTime,
    RecordCount,
    RecordRates,
    ShownName,
    StrangerTime,
    count_records,
    named_times,
    pool,
)
from facerec_models.metrics.intervals import length, subtract
from training.evaluation.evidence import TrackEvidence, track_evidence
from training.evaluation.results import MeasuredResult, by_person
from training.evaluation.truth import Truth

# Of the predecessor's tracks, those of less confidence are not shown.
BASELINE_THRESHOLD = 0.7


@dataclass(frozen=True, slots=True)
class NameScore:
    """How good the names in one video are.

    Parameters
    ----------
    people : mapping of str to NamedTime
        Everybody who is there or named, by ``person_id``.
    strangers : StrangerTime or None
        Where the truth expects nobody enrolled.
    records : RecordCount
        The same names, counted by records.
    """

    people: Mapping[str, NamedTime]
    strangers: StrangerTime | None
    records: RecordCount

    @property
    def total(self) -> NamedTime:
        """The sum over people."""
        return pool(self.people.values())


@dataclass(frozen=True, slots=True)
class VideoScore:
    """One video's figures.

    Parameters
    ----------
    name : str
        Stem of the truth's and of the result's file.
    names : NameScore
    evidence : TrackEvidence
        What single tracks and faces say.
    is_complete : bool
        Whether the whole video was analysed. The rest of an incomplete one counts as missed.
    baseline : NameScore or None
        The predecessor's names on the same tracks, where they were asked for.
    """

    name: str
    names: NameScore
    evidence: TrackEvidence
    is_complete: bool
    baseline: NameScore | None = None

    @property
    def people(self) -> Mapping[str, NamedTime]:
        """Everybody who is there or named."""
        return self.names.people

    @property
    def strangers(self) -> StrangerTime | None:
        """False names, where the truth expects nobody enrolled."""
        return self.names.strangers

    @property
    def total(self) -> NamedTime:
        """The sum over people."""
        return self.names.total


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All videos' figures.

    Parameters
    ----------
    videos : tuple of VideoScore
        In alphabetical order.
    without_truth : tuple of str
        Stems of results that were not counted, because no truth has their name.
    claimed : tuple of float
        The accepted errors under which the results were made, each once.
    shown_at : float
        Least confidence of a name that is shown; what lies below is only part of the curve of records.
    """

    videos: tuple[VideoScore, ...]
    without_truth: tuple[str, ...] = ()
    claimed: tuple[float, ...] = ()
    shown_at: float = 0.0

    @property
    def pooled(self) -> NamedTime:
        """Person-seconds of all videos, those of strangers included: a name there is wrong."""
        return pool(video.total for video in self.videos)

    @property
    def people(self) -> dict[str, NamedTime]:
        """Person-seconds of each person over all videos, in alphabetical order."""
        names = sorted({person for video in self.videos for person in video.people})
        return {name: pool(v.people[name] for v in self.videos if name in v.people) for name in names}

    @property
    def strangers(self) -> StrangerTime:
        """False names on the videos that expect nobody enrolled."""
        return reduce(add, (v.strangers for v in self.videos if v.strangers is not None), StrangerTime())

    @property
    def records(self) -> RecordCount:
        """Records of all videos."""
        return reduce(add, (video.names.records for video in self.videos), RecordCount())

    @property
    def evidence(self) -> TrackEvidence:
        """Tracks and faces of all videos."""
        return reduce(add, (video.evidence for video in self.videos), TrackEvidence())

    @property
    def known(self) -> Evaluation:
        """The videos in which enrolled people may appear."""
        return replace(self, videos=tuple(video for video in self.videos if video.strangers is None))

    @property
    def unknown(self) -> Evaluation:
        """The videos that expect nobody enrolled."""
        return replace(self, videos=tuple(video for video in self.videos if video.strangers is not None))

    @property
    def baseline(self) -> Evaluation | None:
        """The predecessor's names on the same videos; None where they were not asked for."""
        videos = [
            replace(video, names=video.baseline, evidence=TrackEvidence(), baseline=None)
            for video in self.videos
            if video.baseline is not None
        ]
        return replace(self, videos=tuple(videos), shown_at=BASELINE_THRESHOLD) if videos else None

    @property
    def shown_records(self) -> RecordRates:
        """Records at the confidence from which on names are shown."""
        return self.records.at(self.shown_at)


def score_names(
    truth: Truth,
    shown: Sequence[ShownName],
    named_tracks: Sequence[Interval],
    duration_s: float,
    candidates: Sequence[ShownName] | None = None,
) -> NameScore:
    """Count the names of one video.

    Parameters
    ----------
    named_tracks : sequence of (start_s, end_s)
        When each track with a name is seen.
    duration_s : float
        Of the video, for a truth that does not say.
    candidates : sequence of ShownName, optional
        Names of any confidence, for the curve of records; by default those that are shown.
    """
    intervals, ignored = truth.intervals(), truth.ignored()
    people = named_times(intervals, by_person(list(shown)), ignored)
    strangers = None
    if truth.no_gallery_person_expected:
        # A number of seconds that nobody annotated is no exposure to false names either.
        exposed = subtract([(0.0, truth.duration_s or duration_s)], ignored)
        judged = sum(not any(a <= start and end <= b for a, b in ignored) for start, end in named_tracks)
        total = pool(people.values())
        strangers = StrangerTime(length(exposed), judged, total.named_s - total.ignored_s)
    records = count_records(
        intervals, truth.parts(truth.duration_s or duration_s), shown if candidates is None else candidates, ignored
    )
    return NameScore(people, strangers, records)


def score_video(name: str, truth: Truth, result: MeasuredResult, reference: MeasuredResult | None = None) -> VideoScore:
    """Count one video.

    Parameters
    ----------
    reference : MeasuredResult, optional
        The same tracks named by a project that knows more people: its right names say who the strangers are.
    """
    duration_s = result.video.duration_s or max((track.end_s for track in result.tracks), default=0.0)
    return VideoScore(
        name,
        score_names(truth, result.shown(), result.named_tracks(), duration_s),
        track_evidence(name, truth, result, reference),
        result.video.complete,
    )


def evaluate(
    truths: Mapping[str, Truth],
    results: Mapping[str, MeasuredResult],
    references: Mapping[str, MeasuredResult] | None = None,
) -> Evaluation:
    """Count every video that has a truth.

    Parameters
    ----------
    truths, results, references : mapping of str
        By stem of the video's file.

    Raises
    ------
    InputError
        If a truth has no result. A missing result is never passed over: the figures would be those of the easier videos.
    """
    missing = [stem for stem in truths if stem not in results]
    if missing:
        raise InputError(f"there is no result for {', '.join(missing)}: run `facerec recognize` on them first")
    references = references or {}
    claimed = Counter(r.model.max_false_names for r in results.values() if r.model is not None)
    return Evaluation(
        tuple(score_video(stem, truth, results[stem], references.get(stem)) for stem, truth in truths.items()),
        tuple(stem for stem in results if stem not in truths),
        tuple(sorted(claimed)),
    )
