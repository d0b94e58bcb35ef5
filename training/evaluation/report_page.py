"""An evaluation as one page of HTML that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from facerec_models.metrics import best_f1, reliability, sweep
from training.evaluation.counting import Evaluation
from training.evaluation.evidence import by_pose, by_quality, by_size
from training.evaluation.figures import claims_of, clusters_of, project_clusters_of, ratio
from training.evaluation.gate import Check
from training.evaluation.report_plots import (
    claimed_observed,
    face_bars,
    judgement_legend,
    precision_recall,
    reliability_diagram,
)


def render(evaluation: Evaluation, checks: Sequence[Check] = (), *, at: datetime | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    checks : sequence of Check
        The limits of a gate, shown on top.
    at : datetime, optional
        What the page says it was made at; now by default.
    """
    environment = Environment(
        loader=PackageLoader("training"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ratio"] = ratio
    environment.filters["seconds"] = lambda value: f"{value:.1f}"
    environment.filters["percent"] = lambda value: "-" if value is None else f"{100 * value:.3g} %"
    environment.filters["identity"] = lambda person_id: person_id.replace("_", " ")
    made = (at or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template("report.html").render(made=made, checks=checks, **_context(evaluation))


def _context(evaluation: Evaluation) -> dict[str, Any]:
    evidence, baseline = evaluation.evidence, evaluation.baseline
    claims, stated = claims_of(evidence, evaluation.claimed), reliability(evidence.predictions)
    methods = [("FaceRec", evaluation), *([("Predecessor", baseline)] if baseline is not None else [])]
    other = None if baseline is None else (baseline.records, baseline.shown_at)
    has_records = bool(evaluation.records.found)
    return {
        "evaluation": evaluation,
        "baseline": baseline,
        "methods": methods,
        "records": [(name, one.shown_records, best_f1(sweep(one.records))) for name, one in methods],
        "people": _people(evaluation, baseline),
        "claims": claims,
        "stated": stated,
        "clusters": clusters_of(evidence),
        "project_clusters": project_clusters_of(evidence),
        "video_clusters": [
            (v.name, clusters_of(v.evidence), v.evidence)
            for v in evaluation.videos
            if v.evidence.grouped or v.evidence.undecidable or v.evidence.misnamed
        ],
        "faces": len(evidence.faces),
        "legend": judgement_legend(),
        "plots": {
            "curve": precision_recall(evaluation.records, evaluation.shown_at, other) if has_records else None,
            "claims": claimed_observed(claims) if claims else None,
            "reliability": reliability_diagram(stated) if stated.count else None,
            "faces": [
                face_bars(bins, label)
                for bins, label in (
                    (by_size(evidence.faces), "by width of the face"),
                    (by_pose(evidence.faces), "by turn of the head"),
                    (by_quality(evidence.faces), "by quality"),
                )
            ]
            if evidence.faces
            else [],
        },
    }


def _people(evaluation: Evaluation, baseline: Evaluation | None) -> list[dict[str, Any]]:
    """Return a row for each person: person-seconds, records, and the predecessor's beside them."""
    others = {} if baseline is None else baseline.people
    rows = []
    for person in sorted({*evaluation.people, *others}):
        rows.append(
            {
                "person": person,
                "time": evaluation.people.get(person),
                "records": evaluation.records.of(person).at(evaluation.shown_at),
                "other": others.get(person),
                "other_records": None if baseline is None else baseline.records.of(person).at(baseline.shown_at),
            }
        )
    return rows
