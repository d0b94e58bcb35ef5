"""Name stored tracks and single faces: cheap, needs no picture, and is done again whenever anything about names changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from facerec_models.calibration import ScoreCalibration
from facerec_models.classifiers import normalize
from facerec_models.config import IdentificationConfig
from facerec_models.gallery import NamingModel
from facerec_models.types import Candidate, Decision, FloatArray, Match, Track

Indexes = npt.NDArray[np.intp]

_CANDIDATES = 5
_LEAST_GAIN = 1e-6


def identify_faces(
    embeddings: FloatArray,
    quality: FloatArray,
    scores: FloatArray,
    model: NamingModel,
    config: IdentificationConfig,
    *,
    max_false_names: float | None = None,
) -> list[Match]:
    """Name the faces of one picture; two faces in it are two people.

    Parameters
    ----------
    embeddings : (N, D) float32
        From the model's own network.
    quality : (N,) float32
    scores : (N,) float32
        The detector's.
    max_false_names : float, optional
        Accepted fraction of strangers' faces that get any name; the configured one by default.

    Returns
    -------
    list of Match
        In the order of the faces.
    """
    limit = config.max_false_names_stills if max_false_names is None else max_false_names
    if len(embeddings) == 0:
        return []
    everybody = np.arange(len(embeddings))
    apart = [np.delete(everybody, i) for i in everybody]
    scored = _Scored.of(embeddings, quality, scores, model, model.stills)
    least_score, least_quality = model.stills.limit(limit), config.min_quality_named_stills
    return _decide(scored, apart, model, model.stills, limit, config, {}, least_score, least_quality)


def identify_tracks(
    tracks: Sequence[Track],
    model: NamingModel,
    config: IdentificationConfig,
    *,
    analysis_id: str | None = None,
    max_false_names: float | None = None,
) -> list[Match]:
    """Name the tracks of one video, each from all its good faces.

    Tracks that share a frame are different people: a name goes to the better one. A track that somebody confirmed is that person.

    Parameters
    ----------
    analysis_id : str, optional
        Under which the tracks are stored, and were confirmed.
    max_false_names : float, optional
        Accepted fraction of strangers' tracks that get any name; the configured one by default.

    Returns
    -------
    list of Match
        In the order of `tracks`.
    """
    (matches,) = identify_videos([(analysis_id, tracks)], model, config, max_false_names=max_false_names)
    return matches


def identify_videos(
    videos: Sequence[tuple[str | None, Sequence[Track]]],
    model: NamingModel,
    config: IdentificationConfig,
    *,
    max_false_names: float | None = None,
) -> list[list[Match]]:
    """Name the tracks of several videos, each video as `identify_tracks` does, but all of them scored at once.

    Parameters
    ----------
    videos : sequence of (str or None, sequence of Track)
        The id of each analysis, and its tracks.

    Returns
    -------
    list of list of Match
        In the order of `videos` and of their tracks.
    """
    everything = [track for _, tracks in videos for track in tracks]
    if not everything:
        return [[] for _ in videos]
    limit = config.max_false_names_tracks if max_false_names is None else max_false_names
    scored = _Scored.of(
        normalize(np.stack([_weighted_sum(track) for track in everything])),
        np.array([track_quality(track) for track in everything], np.float32),
        np.array([track.scores.max() for track in everything], np.float32),
        model,
        model.tracks,
    )
    least_score, least_quality = model.tracks.limit(limit), config.min_quality_named_tracks
    found, start = [], 0
    for analysis_id, tracks in videos:
        confirmed = {} if analysis_id is None else model.corrections.confirmed_in(analysis_id)
        said = {i: confirmed[track.track_id] for i, track in enumerate(tracks) if track.track_id in confirmed}
        part = scored.part(start, start + len(tracks))
        apart = apart_tracks(tracks)
        if tracks:
            matches = _decide(part, apart, model, model.tracks, limit, config, said, least_score, least_quality)
        found.append(matches if tracks else [])
        start += len(tracks)
    return found


def track_embedding(track: Track) -> FloatArray:
    """Average a track's kept embeddings, weighted by quality, to unit length; zeros where none was kept."""
    return normalize(_weighted_sum(track))


def _weighted_sum(track: Track) -> FloatArray:
    weights = np.maximum(track.quality[track.embedded], 1e-3)
    return np.asarray((weights[:, None] * track.embeddings).sum(axis=0), np.float32)


def track_quality(track: Track) -> float:
    """Return the mean quality of the better half of a track's samples: one lucky look does not make a face recognisable.

    A track without embeddings, as forgetting somebody leaves it, cannot be recognised: 0.
    """
    if len(track.embedded) == 0:
        return 0.0
    count = (len(track) + 1) // 2
    return float(np.add.reduce(np.sort(track.quality)[-count:]) / np.float32(count))


def apart_tracks(tracks: Sequence[Track]) -> list[Indexes]:
    """Return with which others each track shares a frame: these are different people.

    Returns
    -------
    list of (K,) int
        Positions in `tracks`, ascending: a matrix of all pairs would fill the memory after some hours of video.
    """
    by_frame: dict[int, list[int]] = {}
    for i, track in enumerate(tracks):
        for frame in track.frame_indexes.tolist():
            by_frame.setdefault(frame, []).append(i)
    apart: list[set[int]] = [set() for _ in tracks]
    for members in by_frame.values():
        for i in members:
            apart[i].update(members)
    return [np.array(sorted(others - {i}), np.intp) for i, others in enumerate(apart)]


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """Faces with their nearest people, best first, and how near they are; all arrays have one row for each face."""

    embeddings: FloatArray
    quality: FloatArray
    detected: FloatArray
    nearest: npt.NDArray[np.intp]
    scores: FloatArray
    similarity: FloatArray
    rates: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    ruled_out: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        embeddings: FloatArray,
        quality: FloatArray,
        detected: FloatArray,
        model: NamingModel,
        calibration: ScoreCalibration,
    ) -> _Scored:
        """Compare faces with everybody."""
        people = model.classifier.classes_
        nearest, scores = _best(model.classifier.decision_function(embeddings))
        similarity = np.einsum("nd,nkd->nk", embeddings, model.prototypes[nearest])
        return cls(
            embeddings,
            quality,
            detected,
            nearest,
            scores,
            similarity,
            calibration.false_name_rate(scores),
            calibration.probability(scores),
            model.corrections.denies(embeddings, people[nearest], similarity),
        )

    def part(self, start: int, stop: int) -> _Scored:
        """Return some of the faces."""
        return _Scored(*(getattr(self, field.name)[start:stop] for field in fields(self)))


def _decide(
    scored: _Scored,
    apart: Sequence[Indexes],
    model: NamingModel,
    calibration: ScoreCalibration,
    max_false_names: float,
    config: IdentificationConfig,
    confirmed: Mapping[int, str],
    least_score: float,
    least_quality: float,
) -> list[Match]:
    """Give each face a person if few enough strangers are as near to anybody, and nobody twice among faces that are `apart`."""
    people = model.classifier.classes_
    embeddings, quality, detected = scored.embeddings, scored.quality, scored.detected
    nearest, scores, similarity = scored.nearest, scored.scores, scored.similarity
    rates, probability = scored.rates, scored.probability
    ruled_out = scored.ruled_out.copy()
    allowed = (rates <= max_false_names) & (quality >= least_quality)[:, None] & ~ruled_out
    for i, person in confirmed.items():
        allowed[i] = False
        allowed[apart[i]] &= people[nearest[apart[i]]] != person
    chosen = _assign(nearest, np.where(allowed, scores - least_score, -1.0), apart)
    given = {i: str(people[nearest[i, k]]) for i, k in enumerate(chosen) if k is not None} | dict(confirmed)
    for i, person in given.items():
        ruled_out[apart[i]] |= people[nearest[apart[i]]] == person
    # Who somebody unknown is not: the likeliest person whom nothing else rules out.
    likeliest = np.argmin(ruled_out, axis=1)
    # Lists, whose numbers are Python's own: a third of the time.
    candidates = [
        tuple(map(Candidate, *rows))
        for rows in zip(people[nearest].tolist(), similarity.tolist(), probability.tolist(), strict=True)
    ]
    matches = []
    for i, k in enumerate(chosen):
        if i in confirmed:
            matches.append(_confirmed(confirmed[i], embeddings[i], model, calibration))
            continue
        if k is not None:
            decision = Decision.NAMED
        elif quality[i] >= config.min_quality_unknown and detected[i] >= config.min_score_unknown:
            decision = Decision.UNKNOWN
        else:
            decision = Decision.UNDECIDABLE
        matches.append(
            Match(
                decision=decision,
                person_id=None if k is None else str(people[nearest[i, k]]),
                probability=float(1 - probability[i, likeliest[i]] if k is None else probability[i, k]),
                false_name_rate=float(rates[i, likeliest[i] if k is None else k]),
                candidates=candidates[i],
            )
        )
    return matches


def _confirmed(person_id: str, embedding: FloatArray, model: NamingModel, calibration: ScoreCalibration) -> Match:
    """Answer what somebody said; the false-name rate is still that of the person's own score."""
    people = model.classifier.classes_
    scores = model.classifier.decision_function(embedding[None])
    nearest, _ = _best(scores)
    others = [i for i in nearest[0].tolist() if people[i] != person_id]
    at = int(np.searchsorted(people, person_id))
    is_enrolled = at < len(people) and people[at] == person_id
    rate = float(calibration.false_name_rate(scores[0, at : at + 1])[0]) if is_enrolled else 1.0
    similarity = model.prototypes @ embedding
    first = Candidate(person_id, float(similarity[at]) if is_enrolled else 0.0, 1.0)
    rest = tuple(Candidate(str(people[i]), float(similarity[i]), 0.0) for i in others[: _CANDIDATES - 1])
    return Match(Decision.NAMED, person_id, 1.0, rate, (first, *rest))


def _best(scores: FloatArray) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return who scores highest for each face, best first, and the scores; of equals the first in the alphabet."""
    count = min(_CANDIDATES, scores.shape[1])
    # A few searches for the greatest take a tenth of the time of sorting, or of partitioning.
    best = np.empty((len(scores), count), np.intp)
    left = scores.copy()
    for k in range(count):
        best[:, k] = left.argmax(axis=1)
        np.put_along_axis(left, best[:, k : k + 1], -np.inf, axis=1)
    return best, np.take_along_axis(scores, best, axis=1)


def _assign(nearest: Indexes, margin: npt.NDArray[np.floating], apart: Sequence[Indexes]) -> list[int | None]:
    """Choose which of its nearest people each face is, or none.

    Where two faces that are `apart` want one person, the best assignment of all faces that are bound up with them is taken: the
    runner-up of one may be what makes both right.

    Parameters
    ----------
    nearest : (N, K) int
        People, nearest first.
    margin : (N, K)
        By how much each passes the limit; negative: not allowed.
    apart : sequence of (K,) int
        Which others each face is apart from.
    """
    named = margin[:, 0] >= 0
    chosen: list[int | None] = [0 if is_named else None for is_named in named.tolist()]
    others = {i: apart[i][named[apart[i]]] for i in np.flatnonzero(named).tolist()}
    rivals = [i for i, found in others.items() if (nearest[found, 0] == nearest[i, 0]).any()]
    if not rivals:
        return chosen
    rows = np.concatenate([np.full(len(found), i) for i, found in others.items()])
    columns = np.concatenate(list(others.values()))
    links = csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(nearest), len(nearest)))
    _, group = connected_components(links, directed=False)
    for label in np.unique(group[rivals]):
        members = np.flatnonzero((group == label) & named)
        for i, k in zip(members.tolist(), _best_assignment(members, nearest, margin, apart), strict=True):
            chosen[i] = k
    return chosen


def _best_assignment(
    members: Indexes, nearest: Indexes, margin: npt.NDArray[np.floating], apart: Sequence[Indexes]
) -> list[int | None]:
    """Solve the assignment of a few faces as an integer programme: the greatest sum of margins."""
    pairs = [(i, k) for i in members.tolist() for k in range(nearest.shape[1]) if margin[i, k] >= 0]
    at: dict[int, list[int]] = {}
    for n, (i, _) in enumerate(pairs):
        at.setdefault(i, []).append(n)
    # Of the pairs in one rule, one at most: those of a face, and one person for two faces.
    rules = list(at.values())
    rules += [
        [a, b]
        for i, own in at.items()
        for j in apart[i].tolist()
        if j < i
        for a in own
        for b in at.get(j, [])
        if nearest[pairs[a]] == nearest[pairs[b]]
    ]
    rows = np.repeat(np.arange(len(rules)), [len(rule) for rule in rules])
    columns = np.concatenate([np.array(rule) for rule in rules])
    limits = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(rules), len(pairs)))
    # A face at its very limit counts for a little, so that it is not left out for nothing.
    gain = np.array([margin[pair] + _LEAST_GAIN for pair in pairs])
    solved = milp(
        -gain, integrality=np.ones(len(pairs)), bounds=Bounds(0, 1), constraints=LinearConstraint(limits, ub=1)
    )
    taken = {i: k for (i, k), value in zip(pairs, np.round(solved.x), strict=True) if value}
    return [taken.get(i) for i in members.tolist()]
