"""Decide who the faces of a picture, or the tracks of a video, are: from scores, corrections, and what else is in the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facerec_models.config import IdentificationConfig
from facerec_models.identification.calibration import ScoreCalibration
from facerec_models.identification.clustering import stranger_similarity
from facerec_models.identification.frame_constraints import (
    are_contended,
    assign_people,
    find_alike,
    find_contradicted,
    find_repeated,
)
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import (
    Candidate,
    Decision,
    DoubleArray,
    FloatArray,
    IndexArray,
    Match,
    UndecidableReason,
)
from facerec_models.vectors import PairScale

CANDIDATES = 5
# Evidence, in nats, that two faces of one frame are one picture: for the packaged network a cosine of .980.
_ONE_PICTURE_LOG_ODDS = 11.0
# In place of -inf, of which nothing can be computed.
_NO_SCORE = -1e9


@dataclass(frozen=True, slots=True, eq=False)
class VideoNames:
    """Who the tracks of a video are, and what else another model or limit could change.

    Parameters
    ----------
    matches : list of Match
        One for each track, in order.
    scores : (N, K) float32
        Of each track's likeliest people, best first.
    is_contended : bool
        Whether tracks that share a frame are nearest to one person: then the limit decides how they share people out.
    """

    matches: list[Match]
    scores: FloatArray
    is_contended: bool


class KeptName(NamedTuple):
    """Whom a track showed, and with which score, when it still had a vector; see `decide`."""

    person_id: str
    score: float


NO_TRACKS = VideoNames([], np.zeros((0, 0), np.float32), is_contended=False)


@dataclass(frozen=True, slots=True, eq=False)
class DecisionRules:
    """By what faces are decided; `model` and `calibration` are None where nobody is enrolled.

    Matches have their candidates only if they are asked for: that takes as long as deciding.
    """

    model: NamingModel | None
    calibration: ScoreCalibration | None
    people: npt.NDArray[np.str_]
    pair: PairScale | None
    least_score: float
    least_quality: float
    config: IdentificationConfig
    lists_candidates: bool = True

    @classmethod
    def of_tracks(
        cls,
        model: NamingModel | None,
        config: IdentificationConfig,
        max_false_names: float | None,
        pair: PairScale | None,
        *,
        lists_candidates: bool = True,
    ) -> DecisionRules:
        """Return the rules for tracks."""
        if model is None:
            return cls(None, None, np.zeros(0, np.str_), pair, np.inf, np.inf, config, lists_candidates)
        limit = config.max_false_names_tracks if max_false_names is None else max_false_names
        people, least_score = model.classifier.classes_, model.tracks.limit(limit)
        least_quality = config.min_quality_named_tracks
        return cls(model, model.tracks, people, model.pair, least_score, least_quality, config, lists_candidates)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFaces:
    """Faces with their nearest people, best first, and how near they are; all arrays have one row for each face."""

    embeddings: FloatArray
    quality: FloatArray
    detected: FloatArray
    weight: FloatArray
    nearest: IndexArray
    scores: FloatArray
    similarity: FloatArray
    rates: DoubleArray
    probability: DoubleArray
    ruled_out: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        embeddings: FloatArray,
        quality: FloatArray,
        detected: FloatArray,
        weight: FloatArray,
        model: NamingModel | None,
        calibration: ScoreCalibration | None,
    ) -> ScoredFaces:
        """Compare faces with everybody."""
        if model is None or calibration is None:
            nobody = np.zeros((len(embeddings), 0), np.float32)
            return cls(
                embeddings, quality, detected, weight, nobody.astype(np.intp), nobody, nobody,
                nobody.astype(np.float64), nobody.astype(np.float64), nobody.astype(np.bool_),
            )  # fmt: skip
        people = model.classifier.classes_
        nearest, scores = _best(model.classifier.decision_function(embeddings))
        similarity = np.einsum("nd,nkd->nk", embeddings, model.prototypes[nearest])
        return cls(
            embeddings,
            quality,
            detected,
            weight,
            nearest,
            scores,
            similarity,
            calibration.false_name_rate(scores),
            calibration.probability(scores),
            model.corrections.denies(embeddings, people[nearest], similarity),
        )

    @classmethod
    def of_tracks(cls, videos: Sequence[TrackColumns], model: NamingModel | None) -> ScoredFaces:
        """Compare the tracks of videos with everybody."""
        return cls.of(
            np.concatenate([columns.vectors for columns in videos]),
            np.concatenate([columns.quality for columns in videos]),
            np.concatenate([columns.detected for columns in videos]),
            # Of one face twice, the one that is longer in view is the one who is there.
            np.concatenate([columns.weight for columns in videos]),
            model,
            None if model is None else model.tracks,
        )

    def part(self, start: int, stop: int) -> ScoredFaces:
        """Return some of the faces."""
        return ScoredFaces(*(getattr(self, field.name)[start:stop] for field in fields(self)))


def decide(
    scored: ScoredFaces,
    apart: Sequence[IndexArray],
    rules: DecisionRules,
    confirmed: Mapping[int, str],
    no_images: Set[int],
    kept: Mapping[int, KeptName] | None = None,
) -> VideoNames:
    """Give each face a person if few enough strangers are as near to anybody, and nobody twice among faces that are `apart`.

    Parameters
    ----------
    confirmed : mapping of int to str
        Faces that a user has confirmed as people.
    no_images : set of int
        Faces that are no image of another one.
    kept : mapping of int to KeptName, optional
        Faces whose vectors are gone, and that stay whom they were named.
    """
    kept = {i: one for i, one in (kept or {}).items() if i not in confirmed}
    settled = dict(confirmed) | {i: one.person_id for i, one in kept.items()}
    people, config, pair = rules.people, rules.config, rules.pair
    if pair is None:
        raise ValueError("without a model what similarities tell must be given")
    nearest, scores, quality = scored.nearest, scored.scores, scored.quality
    one_picture = pair.midpoint + _ONE_PICTURE_LOG_ODDS / pair.slope
    alike = find_alike(scored.embeddings, apart, quality >= config.min_quality_unknown, stranger_similarity(pair))
    own = (scores >= rules.least_score) & (quality >= rules.least_quality)[:, None] & ~scored.ruled_out
    own[list(settled)] = False
    margin = _margins(scored, own, apart, rules, settled)
    _leave_out_repeated(margin, scored.embeddings, apart)
    refuted: dict[int, str] = {}
    while True:
        chosen = assign_people(nearest, margin, apart)
        of_score = {i: k for i, k in enumerate(chosen) if k is not None}
        given = {i: str(people[nearest[i, k]]) for i, k in of_score.items()} | settled
        strength = {i: float(scores[i, k]) for i, k in of_score.items()} | dict.fromkeys(settled, np.inf)
        found = find_contradicted(given, strength, alike, one_picture)
        if not found:
            break
        refuted |= found
        margin[list(found)] = -1.0
    whose = _named_again(scored, apart, rules, own, given, alike)
    images = {i: (_beside_reason(similarity, one_picture), person) for i, (person, similarity) in whose.items()}
    images |= {i: (UndecidableReason.SAME_PICTURE_BESIDE, person) for i, person in refuted.items()}
    reasons = _poor(scored, config) | images
    unknown = [i for i in range(len(quality)) if i not in given and i not in reasons and i not in no_images]
    for i, similarity in find_repeated(unknown, scored.weight, alike).items():
        reasons[i] = _beside_reason(similarity, one_picture), None
    matches = make_matches(scored, chosen, confirmed, reasons, rules, kept)
    return VideoNames(matches, scores, are_contended(nearest, margin, apart))


def _margins(
    scored: ScoredFaces,
    own: npt.NDArray[np.bool_],
    apart: Sequence[IndexArray],
    rules: DecisionRules,
    confirmed: Mapping[int, str],
) -> npt.NDArray[np.floating]:
    """Return by how much each person passes the limit for each face, (N, K); -1 where it may not be that person.

    Without anybody, (N, 1) of -1.
    """
    if rules.calibration is None:
        return np.full((len(own), 1), -1.0)
    scores = scored.scores
    first = np.take_along_axis(scores, own.argmax(axis=1)[:, None], axis=1)
    # Where the likeliest is taken, another one is as good only if both are equally likely: then the frame decides between them.
    allowed = own & (scores >= first - rules.calibration.genuine.deviation)
    for i, person in confirmed.items():
        allowed[apart[i]] &= rules.people[scored.nearest[apart[i]]] != person
    return np.where(allowed, scores - rules.least_score, -1.0)


def _leave_out_repeated(margin: npt.NDArray[np.floating], embeddings: FloatArray, apart: Sequence[IndexArray]) -> None:
    """Let of one picture that a frame shows twice only the first face be named; `margin` is altered in place.

    The scores of both differ by rounding alone, which depends on what else is scored at once.
    """
    for i in np.flatnonzero((margin >= 0).any(axis=1)).tolist():
        later = apart[i][apart[i] > i]
        if len(later) and (margin[i] >= 0).any():
            margin[later[(embeddings[later] == embeddings[i]).all(axis=1)]] = -1.0


def _named_again(
    scored: ScoredFaces,
    apart: Sequence[IndexArray],
    rules: DecisionRules,
    own: npt.NDArray[np.bool_],
    given: Mapping[int, str],
    alike: Mapping[int, Mapping[int, float]],
) -> dict[int, tuple[str, float]]:
    """Return the faces without a name that, by their own evidence or by likeness, show a person who is named beside them.

    Parameters
    ----------
    own : (N, K) bool
        Whom each face would be named, were nobody beside it.
    given : mapping of int to str
        The named faces.
    alike : mapping of int to mapping of int to float
        See `facerec_models.identification.frame_constraints.find_alike`.

    Returns
    -------
    dict of int to (str, float)
        The person, and how alike the two faces are if that is much.
    """
    found: dict[int, tuple[str, float]] = {}
    for i in range(len(scored.quality)):
        named = [j for j in apart[i].tolist() if j in given]
        if i in given or not named:
            continue
        passed = set(rules.people[scored.nearest[i, own[i]]].tolist())
        near = alike.get(i, {})
        shown = [j for j in named if (j in near or given[j] in passed) and not _is_denied(scored, i, given[j], rules)]
        if shown:
            most = max(shown, key=lambda j: (near.get(j, 0.0), -j))
            found[i] = given[most], near.get(most, 0.0)
    return found


def _is_denied(scored: ScoredFaces, i: int, person_id: str, rules: DecisionRules) -> bool:
    """Whether a correction rules a person out for a face, however far down among its candidates they are."""
    if rules.model is None or person_id not in rules.model.corrections.denied_people:
        return False
    at = np.flatnonzero(rules.people == person_id)
    vector = scored.embeddings[i : i + 1]
    similarity = vector @ rules.model.prototypes[at].T if len(at) else np.zeros((1, 1), np.float32)
    return bool(rules.model.corrections.denies(vector, np.array([[person_id]]), similarity)[0, 0])


def _poor(scored: ScoredFaces, config: IdentificationConfig) -> dict[int, tuple[UndecidableReason, str | None]]:
    """Return the faces that are too poor to be called unknown, and why."""
    found: dict[int, tuple[UndecidableReason, str | None]] = {}
    # The last that holds counts.
    for reason, holds in (
        (UndecidableReason.MAYBE_NO_FACE, scored.detected < config.min_score_unknown),
        (UndecidableReason.POOR, scored.quality < config.min_quality_unknown),
        (UndecidableReason.NO_VECTORS, ~scored.embeddings.any(axis=1)),
    ):
        found |= dict.fromkeys(np.flatnonzero(holds).tolist(), (reason, None))
    return found


def _beside_reason(similarity: float, one_picture: float) -> UndecidableReason:
    is_one = similarity >= one_picture
    return UndecidableReason.SAME_PICTURE_BESIDE if is_one else UndecidableReason.SAME_FACE_BESIDE


def make_matches(
    scored: ScoredFaces,
    chosen: Sequence[int | None],
    confirmed: Mapping[int, str],
    reasons: Mapping[int, tuple[UndecidableReason, str | None]],
    rules: DecisionRules,
    kept: Mapping[int, KeptName] | None = None,
) -> list[Match]:
    """Return the matches of decided faces: by a place among the likeliest, by a user, as before, or undecidable for a reason."""
    if rules.model is None or rules.calibration is None:
        return [_nobody(reasons.get(i)) for i in range(len(chosen))]
    # The figures of a face without a name are those of its first candidate. If all are ruled out, the others score no better than
    # the last of them, and where there are no others, nobody enrolled is left who it may be.
    is_nobody = scored.ruled_out.all(axis=1) & (scored.nearest.shape[1] == len(rules.people))
    likeliest = np.where(scored.ruled_out.all(axis=1), -1, scored.ruled_out.argmin(axis=1)).tolist()
    # Lists, whose numbers are Python's own: a third of the time.
    similarity, probability = scored.similarity.tolist(), scored.probability.tolist()
    rates, is_out, scores = scored.rates.tolist(), scored.ruled_out.tolist(), scored.scores.tolist()
    names = rules.people[scored.nearest].tolist()
    matches = []
    for i, k in enumerate(chosen):
        if i in confirmed:
            matches.append(_confirmed(confirmed[i], scored.embeddings[i], rules.model, rules.calibration))
            continue
        if kept and i in kept:
            matches.append(_kept(kept[i], rules.calibration))
            continue
        if is_nobody[i]:
            matches.append(_nobody(reasons.get(i)))
            continue
        reason, beside = (None, None) if k is not None else reasons.get(i, (None, None))
        decision = Decision.NAMED if k is not None else Decision.UNKNOWN if reason is None else Decision.UNDECIDABLE
        rows = zip(names[i], similarity[i], probability[i], is_out[i], strict=True)
        at = likeliest[i] if k is None else k
        matches.append(
            Match(
                decision=decision,
                person_id=None if k is None else names[i][k],
                probability=1 - probability[i][at] if k is None else probability[i][at],
                false_name_rate=rates[i][at],
                candidates=tuple(Candidate(*row) for *row, out in rows if not out) if rules.lists_candidates else (),
                reason=reason,
                beside=beside,
                score=scores[i][at],
            )
        )
    return matches


def _nobody(reason: tuple[UndecidableReason, str | None] | None) -> Match:
    """Return the match of a face where nobody is enrolled."""
    if reason is None:
        return Match(Decision.UNKNOWN, None, 1.0, 1.0)
    return Match(Decision.UNDECIDABLE, None, 1.0, 1.0, reason=reason[0], beside=reason[1])


def _kept(one: KeptName, calibration: ScoreCalibration) -> Match:
    """Return the match of a track whose vectors are gone: what its score means now, and nobody it is compared with."""
    score = np.array([max(one.score, _NO_SCORE)])
    probability, rate = calibration.probability(score), calibration.false_name_rate(score)
    return Match(Decision.NAMED, one.person_id, float(probability[0]), float(rate[0]), score=one.score)


def _confirmed(person_id: str, embedding: FloatArray, model: NamingModel, calibration: ScoreCalibration) -> Match:
    """Return the match of a confirmed track; its false-name rate is still that of the person's own score."""
    people = model.classifier.classes_
    scores = model.classifier.decision_function(embedding[None])
    nearest, _ = _best(scores.copy())
    similarity = model.prototypes @ embedding
    ruled_out = model.corrections.denies(embedding[None], people[nearest], similarity[nearest])[0]
    others = [i for i, out in zip(nearest[0].tolist(), ruled_out, strict=True) if people[i] != person_id and not out]
    at = int(np.searchsorted(people, person_id))
    is_enrolled = at < len(people) and people[at] == person_id
    rate = float(calibration.false_name_rate(scores[0, at : at + 1])[0]) if is_enrolled else 1.0
    first = Candidate(person_id, float(similarity[at]) if is_enrolled else 0.0, 1.0)
    rest = tuple(Candidate(str(people[i]), float(similarity[i]), 0.0) for i in others[: CANDIDATES - 1])
    score = float(scores[0, at]) if is_enrolled else -np.inf
    return Match(Decision.NAMED, person_id, 1.0, rate, (first, *rest), score=score, is_confirmed=True)


def _best(scores: FloatArray) -> tuple[IndexArray, FloatArray]:
    """Return who scores highest for each face, best first, and the scores; of equals the first in the alphabet.

    The scores that are returned are gone from those that are given.
    """
    count = min(CANDIDATES, scores.shape[1])
    # A few searches for the greatest take a tenth of the time of sorting, or of partitioning.
    best, found = np.empty((len(scores), count), np.intp), np.empty((len(scores), count), np.float32)
    everyone = np.arange(len(scores))
    for k in range(count):
        best[:, k] = scores.argmax(axis=1)
        found[:, k] = scores[everyone, best[:, k]]
        scores[everyone, best[:, k]] = -np.inf
    return best, found
