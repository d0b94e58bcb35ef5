"""Who a face or a stranger may be, of those who are enrolled: what a reviewer is offered to choose from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from facerec_models.identification.calibration import ScoreCalibration
from facerec_models.identification.naming_model import NamingModel
from facerec_models.types import FloatArray
from facerec_models.vectors import normalize
from serving.archive.handle import Archive
from serving.archive.naming.aliases import aliases, find_stranger
from serving.archive.naming.current import read_current
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind, StrangerTrack

# Tracks of a stranger that are compared: their mean tells enough.
_MOST_TRACKS = 32
# From here on the first one is suggested, if the second one is not likely as well.
_SURE = 0.6
_OTHER = 0.4


@dataclass(frozen=True, slots=True)
class Likely:
    """An enrolled person who a face or a stranger may be.

    Parameters
    ----------
    similarity : float
        To the mean of the person's faces.
    probability : float
        That it is this person, as the model scores it; what a correction tells is not in it.
    is_sure : bool
        Whether it is likely enough, and much likelier than anybody else, to be suggested.
    face_id : str or None
        The enrolled face that is most alike.
    """

    person_id: str
    similarity: float
    probability: float
    is_sure: bool
    face_id: str | None


def likely_people(
    model: NamingModel,
    scale: ScoreCalibration,
    embedding: FloatArray,
    *,
    without: Collection[str] = (),
    count: int = 5,
) -> list[Likely]:
    """Return whom a face may show, the likeliest first.

    Unlike in an answer, people are among them from whom it was only held apart when another one was named.

    Parameters
    ----------
    scale : ScoreCalibration
        What scores mean: the model's for one picture, or for a track.
    embedding : (D,) float32
    without : collection of str
        Who it is not.
    """
    people = model.classifier.classes_
    scores = model.classifier.decision_function(embedding[None])[0]
    order = [i for i in np.argsort(-scores, kind="stable").tolist() if people[i] not in without][: count + 1]
    chances = scale.probability(scores[order]).tolist()
    found = []
    for at, (i, chance) in enumerate(zip(order, chances, strict=True)):
        other = chances[at + 1] if at + 1 < len(chances) else 0.0
        nearest = model.nearest_faces(embedding, str(people[i]), 1)
        found.append(
            Likely(
                str(people[i]),
                float(model.prototypes[i] @ embedding),
                chance,
                at == 0 and chance >= _SURE and other <= _OTHER,
                nearest[0][0] if nearest else None,
            )
        )
    return found[:count]


def likely_of_stranger(archive: Archive, project: str, given: str, *, count: int = 5) -> list[Likely]:
    """Return whom a stranger may show, the likeliest first; nobody where nobody is enrolled.

    Parameters
    ----------
    given : str
        An id or its beginning, which may be an alias's, or ``Unknown n``.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    """
    store = archive.store
    stranger_id = find_stranger(store, project, given).stranger_id
    model = read_current(archive, project).model
    tracks = tracks_of_strangers(store, project, [stranger_id])[stranger_id]
    if model is None or not tracks:
        return []
    return likely_people(
        model, model.tracks, mean_of(tracks), without=denied_people(archive, project, tracks), count=count
    )


def tracks_of_strangers(store: Store, project: str, identifiers: Sequence[str]) -> dict[str, list[StrangerTrack]]:
    """Return some tracks of each of these strangers, those of their aliases included."""
    means = {one: one for one in identifiers}
    for one, others in aliases(store, project, identifiers).items():
        means |= dict.fromkeys(others, one)
    found: dict[str, list[StrangerTrack]] = {one: [] for one in identifiers}
    for row in store.list_some_tracks(project, sorted(means), _MOST_TRACKS):
        found[means[row.stranger_id]].append(row)
    return found


def mean_of(tracks: Collection[StrangerTrack]) -> FloatArray:
    """Return the mean direction of some tracks."""
    mean: FloatArray = normalize(np.stack([row.embedding for row in tracks]).mean(axis=0)[None])[0]
    return mean


def denied_people(archive: Archive, project: str, tracks: Collection[StrangerTrack]) -> set[str]:
    """Return who some tracks are not, people and strangers, as users have told."""
    keys = {(row.analysis_id, row.track_id) for row in tracks}
    told = archive.store.list_corrections(project, analysis_ids=sorted({row.analysis_id for row in tracks}))
    return {
        row.person_id for row in told if row.kind is CorrectionKind.IS_NOT and (row.analysis_id, row.track_id) in keys
    }
