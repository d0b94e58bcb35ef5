"""What became of pictures that were enrolled, one line each as JSON, or the exceptions and a count for people to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from ui.cli.common import print_json, print_note

if TYPE_CHECKING:
    from serving.store.rows import Face

_ALWAYS_COUNTED = ("taken", "disabled", "guessed", "refused")
_IF_ANY = {"duplicate": "duplicates", "gone": "gone", "removed": "removed"}


def enrolled_document(face: Face) -> dict[str, str | None]:
    """Return what became of a picture as JSON values; a file that is nobody's has no person and no face, a removed one no face."""
    from serving.archive.learning.enrol import REMOVED, tally

    has_face = bool(face.person_id) and tally(face) != REMOVED
    return {
        "path": face.path,
        "person_id": face.person_id or None,
        "face_id": face.face_id if has_face else None,
        "status": face.status.value,
        "reason": face.reason,
    }


def print_enrolled(face: Face) -> None:
    """Print what became of a picture as a line of JSON."""
    print_json(enrolled_document(face))


def print_reasons(faces: Iterable[Face]) -> None:
    """Tell why each picture was not simply taken or disabled; of files that are nobody's, those with one reason together."""
    from serving.archive.learning.enrol import tally

    told = ((face, tally(face)) for face in faces)
    others = ((face, kind) for face, kind in told if kind not in {"taken", "disabled"})
    for (kind, reason, _), alike in groupby(
        others, key=lambda one: (one[1], one[0].reason, one[0].path if one[0].person_id else None)
    ):
        first, *more = [face for face, _ in alike]
        and_more = f" and {len(more)} more" if more else ""
        confirm = f" (facerec people enable {first.face_id})" if kind == "guessed" and not more else ""
        print_note(kind, f"{first.path}{and_more}: {(reason or '').removeprefix(f'{kind}: ')}{confirm}", "yellow")


def count_statuses(faces: Iterable[Face]) -> str:
    """Return how many pictures were taken, disabled, guessed and refused, and found twice, gone or removed where any was."""
    from serving.archive.learning.enrol import tally

    counts = Counter(map(tally, faces))
    parts = [f"{counts[kind]} {kind}" for kind in _ALWAYS_COUNTED]
    return ", ".join(parts + [f"{counts[kind]} {name}" for kind, name in _IF_ANY.items() if counts[kind]])
