"""Corrections: which hold once new ones are stored, and what undoing an edit takes as JSON values."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from facerec_models.names import short_id
from serving.store.codecs import pack_embedding, unpack_embedding
from serving.store.naming_rows import Correction, CorrectionKind, EditInverse


def correction_id(project: str, kind: CorrectionKind, person_id: str, analysis_id: str, track_id: int) -> str:
    """Return the id of a correction: the same correction twice is one."""
    return short_id("c", project, kind, person_id, analysis_id, str(track_id))


def with_corrections(known: Sequence[Correction], new: Sequence[Correction]) -> list[Correction]:
    """Return what `Store.list_corrections` answers once `new` was put to `known`."""
    rows = list(known)
    for one in new:
        rows = [row for row in rows if row.correction_id != one.correction_id and not _takes_back(one, row)]
        rows.append(one)
    return sorted(rows, key=lambda row: (row.created_at, row.correction_id))


def _takes_back(new: Correction, old: Correction) -> bool:
    """Whether a correction replaces another: a track is one person, and cannot be a person and not be that person."""
    if (new.analysis_id, new.track_id) != (old.analysis_id, old.track_id):
        return False
    both_is = new.kind is old.kind is CorrectionKind.IS
    return both_is or (new.person_id == old.person_id and new.kind is not old.kind)


def inverse_to_json(inverse: EditInverse) -> dict[str, Any]:
    """Return what undoing an edit takes, as JSON values."""
    return {
        "corrections": list(inverse.corrections),
        "replaced": [_correction_to_json(row) for row in inverse.replaced],
        "faces": list(inverse.faces),
        "disabled": dict(inverse.disabled),
        "enabled": dict(inverse.enabled),
    }


def inverse_from_json(values: dict[str, Any]) -> EditInverse:
    """Return what `inverse_to_json` was given."""
    return EditInverse(**{**values, "replaced": [_correction_from_json(row) for row in values["replaced"]]})


def _correction_to_json(row: Correction) -> dict[str, Any]:
    return {**asdict(row), "embedding": b64encode(pack_embedding(row.embedding)).decode()}


def _correction_from_json(values: dict[str, Any]) -> Correction:
    embedding = unpack_embedding(b64decode(values["embedding"]))
    return Correction(**{**values, "kind": CorrectionKind(values["kind"]), "embedding": embedding})
