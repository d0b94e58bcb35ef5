"""Name stored tracks and single faces: cheap, needs no picture, and is done again whenever anything about names changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from facerec_models.config import IdentificationConfig
from facerec_models.identification.calibration import ScoreCalibration
from facerec_models.identification.clustering import stranger_similarity
from facerec_models.identification.cohort import load_cohort
from facerec_models.identification.frame_constraints import assign_people, find_alike, find_contradicted, find_repeated
from facerec_models.identification.naming_model import NamingModel
from facerec_models.types import (
    Candidate,
    Decision,
    DoubleArray,
    FloatArray,
    IndexArray,
    Match,
    Track,
    UndecidableReason,
)
from facerec_models.vectors import PairScale, normalize, track_quality, weighted_sum

_CANDIDATES = 5
# Evidence, in nats, that two faces of one frame are one picture: for the packaged network a cosine of .980.
_ONE_PICTURE_LOG_ODDS = 11.0


def identify_faces(
    embeddings: FloatArray,
    quality: FloatArray,
    scores: FloatArray,
    model: NamingModel,
    config: IdentificationConfig,
    *,
    max_false_names: float | None = None,
) -> list[Match]:
    """Name the faces of one picture.

    Two faces in it are two people, unless one is the other's image: see `facerec_models.identification.frame_constraints`.

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

    Examples
    --------
    >>> from facerec_models.identification.naming_model import Gallery, fit_model
    >>> cohort = load_cohort("dlib-resnet-v1")
    >>> known, stranger = cohort.stills[0], cohort.stills[1]
    >>> model = fit_model(Gallery("dlib-resnet-v1", known[None], ["Ada_Lovelace"], ["1.jpg"]), cohort, prior_known=0.5)
    >>> faces, good = np.stack([known, stranger]), np.ones(2, np.float32)
    >>> [(m.decision.value, m.person_id) for m in identify_faces(faces, good, good, model, IdentificationConfig())]
    [('named', 'Ada_Lovelace'), ('unknown', None)]
    """
    limit = config.max_false_names_stills if max_false_names is None else max_false_names
    if len(embeddings) == 0:
        return []
    everybody = np.arange(len(embeddings))
    apart = [np.delete(everybody, i) for i in everybody]
    scored = _Scored.of(embeddings, quality, scores, quality, model, model.stills)
    least_score, least_quality = model.stills.limit(limit), config.min_quality_named_stills
    return _decide(scored, apart, model, model.stills, limit, config, {}, set(), least_score, least_quality)


def identify_tracks(
    tracks: Sequence[Track],
    model: NamingModel,
    config: IdentificationConfig,
    *,
    analysis_id: str | None = None,
    max_false_names: float | None = None,
) -> list[Match]:
    """Name the tracks of one video, each from all its good faces.

    Tracks that share a frame are different people: a name goes to the better one. A track that by its own evidence shows a person
    who is named beside it is undecidable, not unknown. A track that is confirmed is that person, also beside another one.

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
    quality = np.array([track_quality(track) for track in everything], np.float32)
    scored = _Scored.of(
        normalize(np.stack([weighted_sum(track) for track in everything])),
        quality,
        np.array([track.scores.max() for track in everything], np.float32),
        # Of one face twice, the one that is longer in view is the one who is there.
        quality * np.array([len(track) for track in everything], np.float32),
        model,
        model.tracks,
    )
    least_score, least_quality = model.tracks.limit(limit), config.min_quality_named_tracks
    found, start = [], 0
    for analysis_id, tracks in videos:
        confirmed = {} if analysis_id is None else model.corrections.confirmed_in(analysis_id)
        named = {i: confirmed[track.track_id] for i, track in enumerate(tracks) if track.track_id in confirmed}
        part = scored.part(start, start + len(tracks))
        apart = apart_tracks(tracks)
        no_images = {
            i for i, track in enumerate(tracks) if (analysis_id, track.track_id) in model.corrections.no_images
        }
        if tracks:
            matches = _decide(
                part, apart, model, model.tracks, limit, config, named, no_images, least_score, least_quality
            )
        found.append(matches if tracks else [])
        start += len(tracks)
    return found


def apart_tracks(tracks: Sequence[Track]) -> list[IndexArray]:
    """Return with which others each track shares a frame.

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
            weight,
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
    apart: Sequence[IndexArray],
    model: NamingModel,
    calibration: ScoreCalibration,
    max_false_names: float,
    config: IdentificationConfig,
    confirmed: Mapping[int, str],
    no_images: Set[int],
    least_score: float,
    least_quality: float,
) -> list[Match]:
    """Give each face a person if few enough strangers are as near to anybody, and nobody twice among faces that are `apart`."""
    people = model.classifier.classes_
    nearest, scores, quality = scored.nearest, scored.scores, scored.quality
    own = (scored.rates <= max_false_names) & (quality >= least_quality)[:, None] & ~scored.ruled_out
    own[list(confirmed)] = False
    first = np.take_along_axis(scores, own.argmax(axis=1)[:, None], axis=1)
    # Where the likeliest is taken, another one is as good only if both are equally likely: then the frame decides between them.
    allowed = own & (scores >= first - calibration.genuine.deviation)
    for i, person in confirmed.items():
        allowed[apart[i]] &= people[nearest[apart[i]]] != person
    pair = _pair_scale(model.gallery.embedder)
    one_picture = pair.midpoint + _ONE_PICTURE_LOG_ODDS / pair.slope
    alike = find_alike(scored.embeddings, apart, quality >= config.min_quality_unknown, stranger_similarity(pair))
    refuted: dict[int, str] = {}
    while True:
        chosen = assign_people(nearest, np.where(allowed, scores - least_score, -1.0), apart)
        of_score = {i: k for i, k in enumerate(chosen) if k is not None}
        given = {i: str(people[nearest[i, k]]) for i, k in of_score.items()} | dict(confirmed)
        strength = {i: float(scores[i, k]) for i, k in of_score.items()} | dict.fromkeys(confirmed, np.inf)
        found = find_contradicted(given, strength, alike, one_picture)
        if not found:
            break
        refuted |= found
        allowed[list(found)] = False
    whose = _named_again(scored, apart, people, own, given, alike)
    images = {i: (_beside_reason(similarity, one_picture), person) for i, (person, similarity) in whose.items()}
    images |= {i: (UndecidableReason.SAME_PICTURE_BESIDE, person) for i, person in refuted.items()}
    reasons = _poor(scored, config) | images
    unknown = [i for i in range(len(quality)) if i not in given and i not in reasons and i not in no_images]
    for i, similarity in find_repeated(unknown, scored.weight, alike).items():
        reasons[i] = _beside_reason(similarity, one_picture), None
    return _matches(scored, chosen, confirmed, reasons, model, calibration)


@lru_cache(maxsize=8)
def _pair_scale(embedder: str) -> PairScale:
    return load_cohort(embedder).pair


def _named_again(
    scored: _Scored,
    apart: Sequence[IndexArray],
    people: npt.NDArray[np.str_],
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
        passed = set(people[scored.nearest[i, own[i]]].tolist())
        ruled_out = set(people[scored.nearest[i, scored.ruled_out[i]]].tolist())
        near = alike.get(i, {})
        shown = [j for j in named if given[j] not in ruled_out and (j in near or given[j] in passed)]
        if shown:
            most = max(shown, key=lambda j: (near.get(j, 0.0), -j))
            found[i] = given[most], near.get(most, 0.0)
    return found


def _poor(scored: _Scored, config: IdentificationConfig) -> dict[int, tuple[UndecidableReason, str | None]]:
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


def _matches(
    scored: _Scored,
    chosen: Sequence[int | None],
    confirmed: Mapping[int, str],
    reasons: Mapping[int, tuple[UndecidableReason, str | None]],
    model: NamingModel,
    calibration: ScoreCalibration,
) -> list[Match]:
    people = model.classifier.classes_
    # The figures of a face without a name are those of its first candidate. If all are ruled out, the others score no better than
    # the last of them.
    likeliest = np.where(scored.ruled_out.all(axis=1), -1, scored.ruled_out.argmin(axis=1)).tolist()
    # Lists, whose numbers are Python's own: a third of the time.
    similarity, probability = scored.similarity.tolist(), scored.probability.tolist()
    rates, is_out = scored.rates.tolist(), scored.ruled_out.tolist()
    names = people[scored.nearest].tolist()
    matches = []
    for i, k in enumerate(chosen):
        if i in confirmed:
            matches.append(_confirmed(confirmed[i], scored.embeddings[i], model, calibration))
            continue
        reason, beside = (None, None) if k is not None else reasons.get(i, (None, None))
        decision = Decision.NAMED if k is not None else Decision.UNKNOWN if reason is None else Decision.UNDECIDABLE
        rows = zip(names[i], similarity[i], probability[i], is_out[i], strict=True)
        matches.append(
            Match(
                decision=decision,
                person_id=None if k is None else names[i][k],
                probability=1 - probability[i][likeliest[i]] if k is None else probability[i][k],
                false_name_rate=rates[i][likeliest[i] if k is None else k],
                candidates=tuple(Candidate(*row) for *row, out in rows if not out),
                reason=reason,
                beside=beside,
            )
        )
    return matches


def _confirmed(person_id: str, embedding: FloatArray, model: NamingModel, calibration: ScoreCalibration) -> Match:
    """Return the match of a confirmed track; its false-name rate is still that of the person's own score."""
    people = model.classifier.classes_
    scores = model.classifier.decision_function(embedding[None])
    nearest, _ = _best(scores)
    similarity = model.prototypes @ embedding
    ruled_out = model.corrections.denies(embedding[None], people[nearest], similarity[nearest])[0]
    others = [i for i, out in zip(nearest[0].tolist(), ruled_out, strict=True) if people[i] != person_id and not out]
    at = int(np.searchsorted(people, person_id))
    is_enrolled = at < len(people) and people[at] == person_id
    rate = float(calibration.false_name_rate(scores[0, at : at + 1])[0]) if is_enrolled else 1.0
    first = Candidate(person_id, float(similarity[at]) if is_enrolled else 0.0, 1.0)
    rest = tuple(Candidate(str(people[i]), float(similarity[i]), 0.0) for i in others[: _CANDIDATES - 1])
    return Match(Decision.NAMED, person_id, 1.0, rate, (first, *rest))


def nearest_people(model: NamingModel, embedding: FloatArray, person_id: str | None, count: int = 2) -> list[Candidate]:
    """Return who is nearest to a track, the most similar first, other than `person_id` and those whom a correction rules out.

    Unlike `Match.candidates`, whose order is that of the scores that decide, these are ordered by the similarity that is shown.

    Parameters
    ----------
    embedding : (D,) float32
        The track's mean.
    """
    people = model.classifier.classes_
    similarity = model.prototypes @ embedding
    ruled_out = model.corrections.denies(embedding[None], people[None], similarity[None])[0] | (people == person_id)
    order = [i for i in np.argsort(-similarity, kind="stable").tolist() if not ruled_out[i]][:count]
    scores = model.classifier.decision_function(embedding[None])[0, order]
    probability = model.tracks.probability(scores)
    return [
        Candidate(str(people[i]), float(similarity[i]), float(chance))
        for i, chance in zip(order, probability, strict=True)
    ]


def _best(scores: FloatArray) -> tuple[IndexArray, FloatArray]:
    """Return who scores highest for each face, best first, and the scores; of equals the first in the alphabet."""
    count = min(_CANDIDATES, scores.shape[1])
    # A few searches for the greatest take a tenth of the time of sorting, or of partitioning.
    best = np.empty((len(scores), count), np.intp)
    left = scores.copy()
    for k in range(count):
        best[:, k] = left.argmax(axis=1)
        np.put_along_axis(left, best[:, k : k + 1], -np.inf, axis=1)
    return best, np.take_along_axis(scores, best, axis=1)
