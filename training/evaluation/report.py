"""Write an evaluation down: JSON for programs and gates, text for a terminal, a page for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facerec_models.files import write_atomically
from facerec_models.metrics import (
    NamedTime,
    ObservedRate,
    best_f1,
    reliability,
    sweep,
)
from training.evaluation.counting import Evaluation
from training.evaluation.evidence import by_pose, by_quality, by_size
from training.evaluation.figures import claims_of, clusters_of, project_clusters_of, ratio
from training.evaluation.gate import Check


def to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything as JSON values, ``facerec.evaluation/1``."""
    evidence, baseline = evaluation.evidence, evaluation.baseline
    return {
        "schema": "facerec.evaluation/1",
        **_names(evaluation),
        "claims": [_claim(claim) for claim in claims_of(evidence, evaluation.claimed)],
        "reliability": reliability(evidence.predictions).to_dict(),
        "faces": {
            "by_size": [one.to_dict() for one in by_size(evidence.faces)],
            "by_pose": [one.to_dict() for one in by_pose(evidence.faces)],
            "by_quality": [one.to_dict() for one in by_quality(evidence.faces)],
        },
        "clusters": {
            **clusters_of(evidence).to_dict(),
            "undecidable": evidence.undecidable,
            "misnamed": evidence.misnamed,
            "project": project_clusters_of(evidence).to_dict(),
            "videos": {
                video.name: {
                    **clusters_of(video.evidence).to_dict(),
                    "undecidable": video.evidence.undecidable,
                    "misnamed": video.evidence.misnamed,
                }
                for video in evaluation.videos
                if video.evidence.grouped or video.evidence.undecidable or video.evidence.misnamed
            },
        },
        "baseline": None if baseline is None else {"method": "predecessor", **_names(baseline)},
        "max_false_names": list(evaluation.claimed),
        "without_truth": list(evaluation.without_truth),
    }


def _names(evaluation: Evaluation) -> dict[str, Any]:
    records = evaluation.records
    curve = sweep(records)
    best = best_f1(curve)
    return {
        "pooled": evaluation.pooled.to_dict(),
        "known": evaluation.known.pooled.to_dict(),
        "strangers": evaluation.strangers.to_dict(),
        "people": {name: time.to_dict() for name, time in evaluation.people.items()},
        "videos": {
            video.name: {
                "total": video.total.to_dict(),
                "people": {name: time.to_dict() for name, time in video.people.items()},
                "strangers": None if video.strangers is None else video.strangers.to_dict(),
                "complete": video.is_complete,
            }
            for video in evaluation.videos
        },
        "records": {
            "shown": evaluation.shown_records.to_dict(),
            "best": None if best is None else best.to_dict(),
            "curve": [point.to_dict() for point in curve],
            "people": {person: records.of(person).at(evaluation.shown_at).to_dict() for person in records.people},
        },
    }


def _claim(claim: ObservedRate) -> dict[str, float | int | bool]:
    low, high = claim.interval
    return {
        "claimed": claim.claimed,
        "observed": claim.observed,
        "observed_low": low,
        "observed_high": high,
        "false_names": claim.false_names,
        "strangers": claim.strangers,
        "kept": claim.is_kept,
    }


def as_text(evaluation: Evaluation) -> str:
    """Return the figures as tables for people to read: pooled, by video, by person, strangers."""
    parts = [
        [_row("all videos", evaluation.pooled)],
        [_row(v.name if v.is_complete else f"{v.name} (incomplete)", v.total) for v in evaluation.videos],
        [_row(name, time) for name, time in evaluation.people.items()],
    ]
    baseline = evaluation.baseline
    if baseline is not None:
        parts[0].append(_row("all videos, predecessor", baseline.pooled))
        parts.append([_row(f"{v.name}, predecessor", v.total) for v in baseline.videos])
    width = max(len(row[0]) for part in parts for row in part)
    lines = [_line(width, _HEAD)]
    for part in parts:
        lines += [*(_line(width, row) for row in part), ""]
    lines += [*_strangers(evaluation, "nobody enrolled"), *_records(evaluation, "records")]
    if baseline is not None:
        lines += [*_strangers(baseline, "predecessor, nobody enrolled"), *_records(baseline, "predecessor, records")]
    lines += _chances(evaluation)
    if evaluation.without_truth:
        lines.append(f"not counted, no truth: {', '.join(evaluation.without_truth)}")
    return "\n".join(lines).rstrip() + "\n"


_HEAD = ("", "recall", "precision", "F1", "clear s", "found s", "right s", "ignored s", "wrong s")


def _row(name: str, time: NamedTime) -> tuple[str, ...]:
    seconds = (f"{s:.1f}" for s in (time.clear_s, time.found_s, time.right_s, time.ignored_s, time.wrong_s))
    return (name, *map(ratio, (time.recall, time.precision, time.f1)), *seconds)


def _line(width: int, row: tuple[str, ...]) -> str:
    cells = (f"{cell:>{max(len(head), 6) + 2}}" for head, cell in zip(_HEAD[1:], row[1:], strict=True))
    return f"{row[0]:<{width}}" + "".join(cells)


def _strangers(evaluation: Evaluation, name: str) -> list[str]:
    strangers = evaluation.strangers
    if strangers.names_per_hour is None:
        return []
    return [
        f"{name}, {strangers.duration_s:.0f} s: {strangers.named_tracks} named tracks, "
        f"{strangers.named_s:.1f} named s, {strangers.names_per_hour:.1f} false names an hour"
    ]


def _records(evaluation: Evaluation, name: str) -> list[str]:
    shown = evaluation.shown_records
    if not shown.records:
        return []
    best = best_f1(sweep(evaluation.records))
    at_best = "" if best is None else f"; best F1 {ratio(best.f1)} at confidence {best.threshold:.2f}"
    return [
        f"{name}: {shown.found} of {shown.records} found, {shown.false} false: "
        f"precision {ratio(shown.precision)}, recall {ratio(shown.recall)}{at_best}"
    ]


def _chances(evaluation: Evaluation) -> list[str]:
    evidence = evaluation.evidence
    lines = [
        f"claimed {claim.claimed:g}: {claim.false_names} of {claim.strangers} strangers' tracks named, "
        f"{claim.observed:.4f}{'' if claim.is_kept else ', more than claimed'}"
        for claim in claims_of(evidence, evaluation.claimed)
    ]
    stated = reliability(evidence.predictions)
    if stated.error is not None:
        lines.append(f"probability of {stated.count} tracks: {stated.error:.3f} from the observed fraction in the mean")
    clusters = clusters_of(evidence)
    if clusters.items:
        lines.append(
            f"strangers, {clusters.items} tracks of known people: B-cubed precision {ratio(clusters.precision)}, "
            f"recall {ratio(clusters.recall)}, purity {ratio(clusters.purity)}; {evidence.undecidable} more undecidable"
        )
    return lines


def write_report(evaluation: Evaluation, directory: Path, checks: Sequence[Check] = (), *, page: bool = True) -> None:
    """Write ``report.json``, ``report.txt`` and ``report.html`` into `directory`, which is made where it is missing.

    Parameters
    ----------
    checks : sequence of Check
        The limits of a gate and whether they were kept.
    page : bool
        Whether to draw the page; it takes some seconds.
    """
    document = {**to_dict(evaluation), "gate": [check.to_dict() for check in checks]}
    files = {
        "report.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
        "report.txt": as_text(evaluation),
    }
    if page:
        from training.evaluation.report_page import render

        files["report.html"] = render(evaluation, checks)
    for name, text in files.items():
        write_atomically(directory / name, text.encode(), is_private=False)
