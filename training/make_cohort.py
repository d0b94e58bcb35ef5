"""Make an embedder's cohort: what strangers' faces score, and what similarities tell, from pictures of many people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import find_faces
from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig
from facerec_models.confinement.pictures import read_image_apart
from facerec_models.errors import ImageError, InputError
from facerec_models.identification.calibration import GenuineScale
from facerec_models.identification.cohort import Cohort
from facerec_models.types import FloatArray, ImageArray
from facerec_models.vectors import PairScale, normalize
from training.footage import Portrait, as_tracks, face_colours, in_colours

# Fewer strangers cannot tell what one in a hundred scores; fewer people with two pictures not what the right person scores.
_LEAST_STRANGERS, _LEAST_PAIRED = 200, 20
# Of one person: more say little more.
_MOST_PICTURES = 4
# How many of the strangers' photographs are in colour.
_COLOURED_STILLS = 0.5
# Pictures whose faces are searched for at once, and that are compared with each other.
_BATCH, _MOST_COMPARED = 16, 4000
# Larger faces are reduced: no network sees more of them, and thousands are in memory.
_LARGEST_PX = 300.0
# Of the log odds of pairs: the inverse of what the square of their slope, in standard deviations, costs.
_REGULARISED = 100.0

# Where an embedder is measured: the parts of the whole that finding faces takes.
_FINDING = 0.4


def make_cohort(
    people: Mapping[str, Sequence[Path]],
    networks: Networks,
    source: str,
    config: AnalysisConfig = AnalysisConfig(),
    *,
    on_progress: Callable[[float], None] | None = None,
) -> Cohort:
    """Make the cohort of an embedder from pictures of people who are enrolled nowhere, several of some of them.

    Every person is a stranger: one photograph, and one track as a video would show them. People with several pictures tell what the
    right person's similarity is, and all pairs what two faces tell of each other.

    Parameters
    ----------
    people : mapping of str to sequence of Path
        Everybody's pictures; four of each are used, of which the largest face counts. One that cannot be read, or shows no face, is
        passed over.
    source : str
        What the pictures are, as a reader of the cohort learns it.
    on_progress : callable, optional
        Gets the fraction that is done.

    Raises
    ------
    InputError
        If there are too few people, or too few of whom there are two pictures.
    """
    tell = on_progress or (lambda _: None)
    pictures = [(who, path) for who, own in people.items() for path in own[:_MOST_PICTURES]]
    portraits = find_portraits(pictures, networks, config, lambda done: tell(_FINDING * done / len(pictures)))
    strangers = by_person(portraits)
    paired = [one for own in strangers.values() if len(own) > 1 for one in own]
    several = len({one.person for one in paired})
    if len(strangers) < _LEAST_STRANGERS or several < _LEAST_PAIRED:
        raise InputError(
            f"a cohort needs faces of {_LEAST_STRANGERS} people, and two pictures of {_LEAST_PAIRED} of them: {len(pictures)} "
            f"pictures show {len(strangers)} people, {several} of them twice"
        )
    embedder = networks.embedder
    tracks = len(strangers) + len(paired)
    colours = face_colours([one.crop(embedder) for one in portraits])
    shown = list(strangers.values())
    stills = embed_stills(shown, embedder, colours)
    as_seen = as_tracks(shown, embedder, colours, lambda done: tell(_FINDING + (1 - _FINDING) * done / tracks))
    genuine = as_tracks(
        [[one] for one in paired],
        embedder,
        None,
        lambda done: tell(_FINDING + (1 - _FINDING) * (len(strangers) + done) / tracks),
    )
    return Cohort(
        embedder.name,
        stills,
        as_seen,
        pair_scale(*all_pairs(portraits)),
        genuine_scale(paired, np.stack([one.embedding for one in paired])),
        genuine_scale(paired, genuine),
        f"{source}: {len(strangers)} people, as videos show them",
    )


def are_enough(people: Mapping[str, Sequence[Path]]) -> bool:
    """Whether so many pictures may make a cohort."""
    return len(people) >= _LEAST_STRANGERS and sum(len(own) > 1 for own in people.values()) >= _LEAST_PAIRED


def find_portraits(
    pictures: Sequence[tuple[str, Path]],
    networks: Networks,
    config: AnalysisConfig = AnalysisConfig(),
    on_progress: Callable[[int], None] | None = None,
    *,
    largest_px: float = _LARGEST_PX,
) -> list[Portrait]:
    """Find the largest face of each picture, given with its person; pictures without any are left out."""
    found: list[Portrait] = []
    for start in range(0, len(pictures), _BATCH):
        read: list[tuple[str, Path, ImageArray]] = []
        for person, path in pictures[start : start + _BATCH]:
            try:
                read.append((person, path, read_image_apart(path, config.limits)))
            except ImageError:  # one of thousands: who is left is counted
                continue
        faces = find_faces([image for _, _, image in read], networks.detector, networks.embedder, config.detection)
        found += [Portrait.cut(*one, own, largest_px) for one, own in zip(read, faces, strict=True) if len(own)]
        if on_progress is not None:
            on_progress(min(start + _BATCH, len(pictures)))
    return found


def embed_stills(
    people: Sequence[Sequence[Portrait]], embedder: FaceEmbedder, colours: Sequence[ImageArray]
) -> FloatArray:
    """Return a photograph of each person, half of them in colour, (N, D) unit vectors."""
    rng = np.random.default_rng(0)
    is_gray = (rng.random(len(people)) >= _COLOURED_STILLS).tolist()
    crops = [
        in_colours([own[0].crop(embedder)], colours, rng, is_gray=gray)[0]
        for own, gray in zip(people, is_gray, strict=True)
    ]
    return embedder.embed(np.stack(crops))


def by_person(portraits: Sequence[Portrait]) -> dict[str, list[Portrait]]:
    """Return everybody's portraits, in the order given."""
    found: dict[str, list[Portrait]] = defaultdict(list)
    for one in portraits:
        found[one.person].append(one)
    return found


def genuine_scale(gallery: Sequence[Portrait], looks: FloatArray) -> GenuineScale:
    """Return mean and deviation of the similarity of each look to the mean of the person's other pictures."""
    people = by_person(gallery)
    similarity = []
    for one, look in zip(gallery, looks, strict=True):
        others = [other.embedding for other in people[one.person] if other is not one]
        if others:
            similarity.append(float(look @ normalize(np.sum(others, axis=0))))
    return GenuineScale(float(np.mean(similarity)), float(np.std(similarity)))


def all_pairs(portraits: Sequence[Portrait]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return the similarity of every two pictures of the first thousands, and whether they show one person."""
    some = portraits[:_MOST_COMPARED]
    vectors, people = np.stack([one.embedding for one in some]), np.array([one.person for one in some])
    first, second = np.triu_indices(len(some), 1)
    return (vectors @ vectors.T)[first, second], people[first] == people[second]


def pair_scale(similarity: npt.NDArray[np.floating], same: npt.NDArray[np.bool_]) -> PairScale:
    """Fit the log odds that two pictures show one person, where both are as likely beforehand.

    A network that tells all pairs apart has no finite slope: the fit is regularised, by as much as a pair or so weighs.
    """
    from sklearn.linear_model import LogisticRegression  # here: it takes long to import, and analyzers never learn

    centre, unit = float(similarity.mean()), float(similarity.std())
    standard = ((similarity - centre) / unit)[:, None]
    fitted = LogisticRegression(C=_REGULARISED, solver="newton-cholesky", tol=1e-8, max_iter=1000).fit(standard, same)
    slope = float(fitted.coef_[0, 0]) / unit
    prior = float(np.log(same.mean() / (1 - same.mean())))
    return PairScale(centre - (float(fitted.intercept_[0]) - prior) / slope, slope)
