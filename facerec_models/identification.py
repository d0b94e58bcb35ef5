"""Name stored tracks and single faces: cheap, needs no picture, and is done again whenever anything about names changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facerec_models.calibration import ScoreCalibration
from facerec_models.classifiers import normalize
from facerec_models.config import IdentificationConfig
from facerec_models.gallery import NamingModel
from facerec_models.types import Candidate, Decision, FloatArray, Match, Track

_CANDIDATES = 5


def identify_faces(
    embeddings: FloatArray,
    quality: FloatArray,
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
    max_false_names : float, optional
        Accepted fraction of strangers' faces that get any name; the configured one by default.

    Returns
    -------
    list of Match
        In the order of the faces.
    """
    limit = config.max_false_names_stills if max_false_names is None else max_false_names
    apart = ~np.eye(len(embeddings), dtype=bool)
    return _decide(embeddings, quality, apart, model, model.stills, limit, config)


def identify_tracks(
    tracks: Sequence[Track],
    model: NamingModel,
    config: IdentificationConfig,
    *,
    max_false_names: float | None = None,
) -> list[Match]:
    """Name the tracks of one video, each from all its good faces.

    Tracks that share a frame are different people: a name goes to the better one.

    Parameters
    ----------
    max_false_names : float, optional
        Accepted fraction of strangers' tracks that get any name; the configured one by default.

    Returns
    -------
    list of Match
        In the order of `tracks`.
    """
    if not tracks:
        return []
    limit = config.max_false_names_tracks if max_false_names is None else max_false_names
    embeddings = np.stack([track_embedding(track) for track in tracks])
    quality = np.array([track_quality(track) for track in tracks], np.float32)
    return _decide(embeddings, quality, apart_tracks(tracks), model, model.tracks, limit, config)


def track_embedding(track: Track) -> FloatArray:
    """Average a track's kept embeddings, weighted by quality, to unit length."""
    weights = np.maximum(track.quality[track.embedded], 1e-3)
    return normalize((weights[:, None] * track.embeddings).sum(axis=0))


def track_quality(track: Track) -> float:
    """Return the mean quality of the better half of a track's samples: one lucky look does not make a face recognisable."""
    best = np.sort(track.quality)[-((len(track) + 1) // 2) :]
    return float(best.mean())


def apart_tracks(tracks: Sequence[Track]) -> npt.NDArray[np.bool_]:
    """Return which tracks share a frame, and so are different people, as (N, N)."""
    apart = np.zeros((len(tracks), len(tracks)), bool)
    by_frame: dict[int, list[int]] = {}
    for i, track in enumerate(tracks):
        for frame in track.frame_indexes.tolist():
            by_frame.setdefault(frame, []).append(i)
    for members in by_frame.values():
        if len(members) > 1:
            apart[np.ix_(members, members)] = True
    np.fill_diagonal(apart, False)
    return apart


def _decide(
    embeddings: FloatArray,
    quality: FloatArray,
    apart: npt.NDArray[np.bool_],
    model: NamingModel,
    calibration: ScoreCalibration,
    max_false_names: float,
    config: IdentificationConfig,
) -> list[Match]:
    """Give each face its nearest person if few enough strangers are as near, best faces first."""
    if len(embeddings) == 0:
        return []
    people = model.classifier.classes_
    similarity = model.classifier.decision_function(embeddings)
    nearest = np.argsort(-similarity, axis=1)[:, :_CANDIDATES]
    scores = np.take_along_axis(similarity, nearest, axis=1)
    probability = calibration.probability(scores)
    rates = calibration.false_name_rate(scores[:, 0])
    named: dict[int, int] = {}
    for i in np.argsort(-scores[:, 0], kind="stable").tolist():
        person = int(nearest[i, 0])
        taken = any(apart[i, j] and named[j] == person for j in named)
        if rates[i] <= max_false_names and quality[i] >= config.min_quality_named and not taken:
            named[i] = person
    matches = []
    for i in range(len(embeddings)):
        if i in named:
            decision = Decision.NAMED
        elif quality[i] >= config.min_quality_unknown:
            decision = Decision.UNKNOWN
        else:
            decision = Decision.UNDECIDABLE
        matches.append(
            Match(
                decision=decision,
                person_id=str(people[named[i]]) if i in named else None,
                probability=float(probability[i, 0] if i in named else 1 - probability[i, 0]),
                false_name_rate=float(rates[i]),
                candidates=tuple(
                    Candidate(str(people[person]), float(score), float(chance))
                    for person, score, chance in zip(nearest[i], scores[i], probability[i], strict=True)
                ),
            )
        )
    return matches
