"""Name stored tracks and single faces: cheap, needs no picture, and is done again whenever anything about names changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from facerec_models.config import IdentificationConfig
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.decide import (
    NO_TRACKS,
    DecisionRules,
    KeptName,
    ScoredFaces,
    VideoNames,
    decide,
    make_matches,
)
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import Candidate, Decision, FloatArray, Match, Track
from facerec_models.vectors import PairScale


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
    >>> from facerec_models.identification.cohort import load_cohort
    >>> from facerec_models.identification.fit import fit_model
    >>> from facerec_models.identification.naming_model import Gallery
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
    scored = ScoredFaces.of(embeddings, quality, scores, quality, model, model.stills)
    people = model.classifier.classes_
    least_score, least_quality = model.stills.limit(limit), config.min_quality_named_stills
    rules = DecisionRules(model, model.stills, people, model.pair, least_score, least_quality, config)
    return decide(scored, apart, rules, {}, set()).matches


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
    columns = TrackColumns.of(tracks)
    (names,) = identify_videos([(analysis_id, columns)], model, config, max_false_names=max_false_names)
    return names.matches


def identify_videos(
    videos: Sequence[tuple[str | None, TrackColumns]],
    model: NamingModel | None,
    config: IdentificationConfig,
    *,
    max_false_names: float | None = None,
    pair: PairScale | None = None,
    lists_candidates: bool = True,
    kept: Sequence[Mapping[int, KeptName]] = (),
) -> list[VideoNames]:
    """Name the tracks of several videos, each video as `identify_tracks` does, but all of them scored at once.

    Parameters
    ----------
    videos : sequence of (str or None, TrackColumns)
        The id of each analysis, and its tracks.
    model : NamingModel or None
        None where nobody is enrolled: then no track has a name.
    pair : PairScale, optional
        What similarities of the tracks tell; needed only without a model.
    lists_candidates : bool
        Whether matches have their candidates.
    kept : sequence of mapping of int to KeptName
        For each video the rows of tracks without vectors that stay whom they were named; by default none.

    Returns
    -------
    list of VideoNames
        In the order of `videos`.
    """
    parts = [columns for _, columns in videos if len(columns)]
    if not parts:
        return [NO_TRACKS for _ in videos]
    scored = ScoredFaces.of_tracks(parts, model)
    rules = DecisionRules.of_tracks(model, config, max_false_names, pair, lists_candidates=lists_candidates)
    found: list[VideoNames] = []
    start = 0
    for number, (analysis_id, columns) in enumerate(videos):
        part = scored.part(start, start + len(columns))
        start += len(columns)
        confirmed, no_images = _corrected(columns, analysis_id, None if model is None else model.corrections)
        of_video = kept[number] if kept else None
        found.append(decide(part, columns.apart(), rules, confirmed, no_images, of_video))
    return found


def _corrected(
    columns: TrackColumns, analysis_id: str | None, corrections: Corrections | None
) -> tuple[dict[int, str], set[int]]:
    """Return the rows that are confirmed, with their people, and those that are no image of another face."""
    if corrections is None or analysis_id is None:
        return {}, set()
    people, others = corrections.confirmed_in(analysis_id), corrections.no_images_in(analysis_id)
    if not people and not others:
        return {}, set()
    rows = list(enumerate(columns.track_ids.tolist()))
    return {i: people[one] for i, one in rows if one in people}, {i for i, one in rows if one in others}


def match_again(
    columns: TrackColumns, decided: Sequence[Match], model: NamingModel | None, config: IdentificationConfig
) -> list[Match]:
    """Return matches with a model's figures and candidates; who the tracks are was decided before, and stays.

    Parameters
    ----------
    decided : sequence of Match
        One for each track: decision, person, reason, and whether it is confirmed.
    """
    if not len(columns):
        return []
    scored = ScoredFaces.of_tracks([columns], model)
    rules = DecisionRules.of_tracks(model, config, None, None)
    people = rules.people[scored.nearest]
    chosen: list[int | None] = []
    confirmed: dict[int, str] = {}
    kept: dict[int, KeptName] = {}
    is_embedded = columns.is_embedded
    for i, match in enumerate(decided):
        at = np.flatnonzero(people[i] == match.person_id).tolist()
        chosen.append(at[0] if at else None)
        if match.person_id is not None and match.is_confirmed:
            confirmed[i] = match.person_id
        elif match.decision is Decision.NAMED and match.person_id is not None and not is_embedded[i]:
            kept[i] = KeptName(match.person_id, match.score)
        elif match.person_id is not None and not at:
            raise ValueError(f"{match.person_id!r} is not among the likeliest people of track {columns.track_ids[i]}")
    reasons = {i: (match.reason, match.beside) for i, match in enumerate(decided) if match.reason is not None}
    return make_matches(scored, chosen, confirmed, reasons, rules, kept)


def match_unnamed(embeddings: FloatArray, model: NamingModel, config: IdentificationConfig) -> list[Match]:
    """Return the figures of tracks without a name, those of their likeliest people, as answers that are "unknown".

    Parameters
    ----------
    embeddings : (N, D) float32
        Mean embeddings; zeros for a track that has none.
    """
    unused = np.zeros(len(embeddings), np.float32)
    scored = ScoredFaces.of(embeddings, unused, unused, unused, model, model.tracks)
    rules = DecisionRules.of_tracks(model, config, None, None, lists_candidates=False)
    return make_matches(scored, [None] * len(embeddings), {}, {}, rules)


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


def told_apart(model: NamingModel, embedding: FloatArray) -> str | None:
    """Return the nearest person of all if a correction rules them out for a track; None if it does not.

    Parameters
    ----------
    embedding : (D,) float32
        The track's mean.
    """
    people = model.classifier.classes_
    similarity = model.prototypes @ embedding
    first = int(similarity.argmax())
    is_out = model.corrections.denies(embedding[None], people[None], similarity[None])[0, first]
    return str(people[first]) if is_out else None
