"""What a decision rests on, as one sentence for people: which answer it is, about whom, and how near a stranger comes."""

from __future__ import annotations

from facerec_models.names import identity_of
from facerec_models.result import AppearanceView, Result
from facerec_models.stills import FaceView
from facerec_models.types import Decision
from serving.exports.labels import strangers_as_near
from serving.store.naming_rows import AppearanceRow


def explain(
    *,
    person_id: str | None,
    is_known: bool,
    rate: float,
    limit: float,
    nearest: str | None,
    reason: str | None,
    is_confirmed: bool = False,
    told_apart: str | None = None,
) -> str:
    """Return what a decision about a face rests on, without a full stop.

    Parameters
    ----------
    person_id : str or None
        Who it was named.
    is_known : bool
        Whether it was decided at all: False where it is undecidable.
    rate : float
        Its false-name rate.
    limit : float
        The accepted error.
    nearest : str or None
        The id of the nearest person enrolled, of whom an unknown face was told apart.
    reason : str or None
        Why it is undecidable.
    is_confirmed : bool
        Whether a correction says who it is.
    told_apart : str or None
        The id of the nearest person of all, where the face was told apart from them.

    Examples
    --------
    >>> explain(person_id="Ann_Lee", is_known=True, rate=1 / 140, limit=0.01, nearest=None, reason=None)
    'Ann Lee; 1 stranger in 140 would come this near to an enrolled person'
    >>> explain(person_id=None, is_known=True, rate=0.24, limit=0.01, nearest="Ann_Lee", reason=None)
    'nobody enrolled; nearest is Ann Lee, not near enough'
    >>> explain(person_id=None, is_known=True, rate=1, limit=0.01, nearest=None, reason=None, told_apart="Ann_Lee")
    'nobody enrolled; nearest is Ann Lee, told apart from them'
    """
    if not is_known:
        return reason or "cannot be decided"
    if person_id is not None:
        if is_confirmed:
            return f"{identity_of(person_id)}; a correction says so"
        return f"{identity_of(person_id)}; {strangers_as_near(rate)} would come this near to an enrolled person"
    if told_apart is not None:
        return f"nobody enrolled; nearest is {identity_of(told_apart)}, told apart from them"
    if nearest is None:
        return "nobody enrolled"
    # What is near enough and yet unnamed shares a frame with a face that is nearer, or is too poor to be named.
    why = "not near enough" if rate > limit else "but another face in the frame has that name, or this one is too poor"
    return f"nobody enrolled; nearest is {identity_of(nearest)}, {why}"


def explain_appearance(view: AppearanceView, result: Result) -> str:
    """Return what the decision about an appearance rests on; see `explain`."""
    other = view.evidence.runner_up
    return explain(
        person_id=view.person_id,
        is_known=view.person_id is not None or view.stranger is not None,
        rate=view.false_name_rate,
        limit=result.model.max_false_names,
        nearest=None if other is None else other.person_id,
        reason=view.reason,
        is_confirmed=view.confirmed,
        told_apart=view.evidence.told_apart,
    )


def explain_found(row: AppearanceRow, rate: float) -> str:
    """Return what the decision about an appearance that a search found rests on; the nearest person is not kept with it.

    Parameters
    ----------
    rate : float
        Its false-name rate.
    """
    return explain(
        person_id=row.owner if row.decision is Decision.NAMED else None,
        is_known=row.decision is not Decision.UNDECIDABLE,
        rate=rate,
        limit=1.0,
        nearest=None,
        reason=row.reason,
        is_confirmed=row.is_confirmed,
    )


def explain_face(view: FaceView, limit: float) -> str:
    """Return what the decision about a face of a picture rests on; see `explain`."""
    return explain(
        person_id=view.person_id,
        is_known=view.decision != "undecidable",
        rate=view.false_name_rate,
        limit=limit,
        nearest=view.candidates[0].person_id if view.candidates else None,
        reason=view.reason,
    )
