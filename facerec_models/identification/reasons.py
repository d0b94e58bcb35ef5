"""Why a face is undecidable, as a sentence for people."""

from __future__ import annotations

from facerec_models.types import Match, UndecidableReason

_ALONE = {
    UndecidableReason.POOR: "too small, blurred, turned or cut off to say who this is, or that it is nobody enrolled",
    UndecidableReason.MAYBE_NO_FACE: "may be no face at all: the detector was never sure of it",
    UndecidableReason.NO_VECTORS: (
        "nothing is left to compare: its vectors were deleted, as they are when a person is forgotten, when a project's time for them "
        "is over, and where a project keeps nothing of faces that match nobody enrolled"
    ),
}
_BESIDE = {
    UndecidableReason.SAME_FACE_BESIDE: "looks like {}: a mirror, a screen, or a look-alike",
    UndecidableReason.SAME_PICTURE_BESIDE: "shows the same face as {}: a mirror, a screen, or a split screen",
}

_WHERE = "beside it in the same frame"


def reason_of(match: Match, beside: str | None) -> str | None:
    """Return why a face or track is undecidable, as a sentence without a full stop; None where it is not.

    Parameters
    ----------
    beside : str or None
        How the person `match.beside` is called.

    Examples
    --------
    >>> from facerec_models.types import Decision
    >>> reason = UndecidableReason.SAME_FACE_BESIDE
    >>> reason_of(Match(Decision.UNDECIDABLE, None, 0.1, 0.001, reason=reason, beside="Ann_Lee"), "Ann Lee")
    'looks like Ann Lee, who is named beside it in the same frame: a mirror, a screen, or a look-alike'
    """
    if match.reason is None:
        return None
    if match.reason in _ALONE:
        return _ALONE[match.reason]
    other = "an unknown face" if beside is None else f"{beside}, who is named"
    return _BESIDE[match.reason].format(f"{other} {_WHERE}")


def is_beside(reason: str | None) -> bool:
    """Return whether a sentence of `reason_of` is about a face beside it: a person can tell who that is, and confirm it."""
    return reason is not None and _WHERE in reason
