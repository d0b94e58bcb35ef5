"""The predecessor's way to name tracks, on the same tracks, embeddings and pictures, so that the two ways can be compared.

The method of FaceRec (Lisena, Laaksonen, Troncy, 2021): for each person an independent binary support vector machine on face
embeddings; each face is whoever has the highest probability; a track is whoever most of its faces are, if they are many enough.
Strangers are nobody's training data: they are whoever is least unlike them, and a threshold on the confidence must reject them.
The embeddings are taken as they are; centred, and spread as far as those of the network that the method was made for, they gave
the same names on the same clips.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from facerec_models.identification.naming_model import Gallery
from facerec_models.metrics import Interval, ShownName
from facerec_models.types import FloatArray, Track
from training.evaluation.counting import BASELINE_THRESHOLD

# The predecessor's constants.
_MIN_WEIGHTED_SHARE, _MIN_PLAIN_SHARE = 0.4, 0.6
_FOLDS = 5


class _Probabilities(Protocol):
    def predict_proba(self, x: FloatArray) -> npt.NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class Vote:
    """What a track's faces agree on; `confidence` is the mean of those that have this name."""

    interval: Interval
    person_id: str
    confidence: float


class IndependentClassifiers:
    """One binary classifier for each person, none of which knows of the others'.

    Attributes
    ----------
    people : tuple of str
        In ascending order.
    """

    def __init__(self, gallery: Gallery) -> None:
        people, index = np.unique(np.array(gallery.person_ids), return_inverse=True)
        self.people: tuple[str, ...] = tuple(people.tolist())
        # Small problems on many threads take longer than on one: 35 s instead of 2 s for 59 people.
        with threadpool_limits(1):
            self._machines = [_fit(gallery.embeddings, index == i) for i in range(len(people))]

    def probabilities(self, embeddings: FloatArray) -> npt.NDArray[np.float64]:
        """Return the probability of each person for each embedding, as (N, people); rows do not sum to 1."""
        if len(embeddings) == 0:
            return np.zeros((0, len(self.people)))
        # Without anybody to tell a single person from, everybody is that person.
        columns = [np.ones(len(embeddings)) if m is None else m.predict_proba(embeddings)[:, 1] for m in self._machines]
        return np.stack(columns, axis=1)


def _fit(embeddings: FloatArray, is_person: npt.NDArray[np.bool_]) -> _Probabilities | None:
    """Fit a linear machine of one person against the rest, and Platt's sigmoid on decisions about pictures left out.

    Our own ``svm`` is another one: it weighs both sides alike, knows strangers, and gives margins.
    """
    positives = int(is_person.sum())
    if positives == len(is_person):
        return None
    machine = SVC(kernel="linear")
    folds = min(_FOLDS, positives, len(is_person) - positives)
    if folds < 2:
        # A single picture cannot be left out: its own decision stands in.
        everything = np.arange(len(embeddings))
        fitted = FrozenEstimator(machine.fit(embeddings, is_person))
        calibrated = CalibratedClassifierCV(fitted, method="sigmoid", cv=[(everything, everything)])
    else:
        calibrated = CalibratedClassifierCV(machine, method="sigmoid", cv=folds, ensemble=False)
    calibrated.fit(embeddings, is_person)
    return calibrated  # type: ignore[no-any-return]


def vote(names: Sequence[str], confidences: Sequence[float]) -> tuple[str, float] | None:
    """Decide who a track is from its faces.

    The name with the greatest sum of confidences, if that is more than .4 of all confidence, no other name is more
    frequent, and more than .6 of the faces have it.

    Returns
    -------
    (person_id, confidence) or None
        The mean confidence of the faces with that name; None if they do not agree.
    """
    if not names:
        return None
    weights: defaultdict[str, float] = defaultdict(float)
    for name, confidence in zip(names, confidences, strict=True):
        weights[name] += confidence
    counts = Counter(names)
    best, weight = max(weights.items(), key=lambda item: item[1])
    total = sum(weights.values())
    agrees = total > 0 and weight / total > _MIN_WEIGHTED_SHARE and counts[best] == max(counts.values())
    if not agrees or counts[best] / len(names) <= _MIN_PLAIN_SHARE:
        return None
    return best, weight / counts[best]


def vote_tracks(tracks: Sequence[Track], classifiers: IndependentClassifiers) -> list[Vote]:
    """Decide who each track is, at any confidence; tracks whose faces do not agree are left out."""
    embedded = [track for track in tracks if len(track.embeddings)]
    if not embedded:
        return []
    # All faces at once: each machine has a fixed cost.
    chances = classifiers.probabilities(np.concatenate([track.embeddings for track in embedded]))
    ends = np.cumsum([len(track.embeddings) for track in embedded])[:-1]
    votes = []
    for track, rows in zip(embedded, np.split(chances, ends), strict=True):
        names = [classifiers.people[i] for i in rows.argmax(axis=1).tolist()]
        decided = vote(names, rows.max(axis=1).tolist())
        if decided is not None:
            votes.append(Vote((track.start_s, track.end_s), *decided))
    return votes


def merge_votes(votes: Sequence[Vote], period_s: float, threshold: float = BASELINE_THRESHOLD) -> list[ShownName]:
    """Join neighbouring tracks of one person, at most one sample apart; their confidence is weighted by duration.

    Parameters
    ----------
    threshold : float
        Tracks of less confidence are dropped first.
    """
    merged: list[ShownName] = []
    kept = [one for one in votes if one.confidence >= threshold]
    for person in sorted({one.person_id for one in kept}):
        run: list[Vote] = []
        for one in sorted((v for v in kept if v.person_id == person), key=lambda v: v.interval):
            if run and one.interval[0] - max(v.interval[1] for v in run) > period_s + 1e-6:
                merged.append(_joined(run))
                run = []
            run.append(one)
        merged.append(_joined(run))
    return sorted(merged, key=lambda name: (name.start_s, name.person_id))


def _joined(run: Sequence[Vote]) -> ShownName:
    durations = [max(one.interval[1] - one.interval[0], 1e-6) for one in run]
    confidence = sum(d * one.confidence for d, one in zip(durations, run, strict=True)) / sum(durations)
    return ShownName(run[0].person_id, run[0].interval[0], max(one.interval[1] for one in run), confidence)
