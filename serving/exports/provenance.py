"""What everything that is exported says of itself: by which model names were given, and how far they may be relied on."""

from __future__ import annotations

from datetime import UTC

from facerec_models.result import Result
from serving.exports.export_format import ExportContext
from serving.exports.labels import one_in


def explain_result(result: Result) -> str:
    """Return it as two sentences, on one line."""
    model = result.model
    named_by = "nobody enrolled" if model.version is None else f"model {model.version}"
    checked = ", a rate that no data checked" if model.extrapolated else ""
    return (
        f"FaceRec; project {result.project}, revision {result.revision}, {named_by}, embedder {model.embedder}. "
        f"Names are leads, not proof: at the accepted error {one_in(model.max_false_names)} tracks of people who are not enrolled gets "
        f"a name{checked}."
    )


def created_at(context: ExportContext) -> str:
    """Return when a document is written, as XML Schema's and Web Annotation's ``dateTime`` in UTC."""
    return f"{context.created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
