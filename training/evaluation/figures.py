"""Figures that the text, the page and the plots of an evaluation share."""

from __future__ import annotations

from facerec_models.metrics import (
    ClusterScore,
    ObservedRate,
    cluster_score,
    observed_rates,
)
from training.evaluation.evidence import TrackEvidence

LIMITS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def claims_of(evidence: TrackEvidence, claimed: tuple[float, ...] = ()) -> tuple[ObservedRate, ...]:
    """Count strangers' tracks at each limit, those of the results included; empty without such a track."""
    return observed_rates(evidence.stranger_rates, sorted({*LIMITS, *claimed})) if evidence.stranger_rates else ()


def clusters_of(evidence: TrackEvidence) -> ClusterScore:
    """Compare strangers with who they are, each video by itself: the same person in two videos may be two strangers."""
    return cluster_score([((video, stranger), (video, person)) for video, stranger, person in evidence.grouped])


def project_clusters_of(evidence: TrackEvidence) -> ClusterScore:
    """Compare strangers with who they are over all videos: a person is to be one stranger in all of them."""
    return cluster_score([(stranger, person) for _, stranger, person in evidence.grouped])


def ratio(value: float | None) -> str:
    """Write a ratio with three places; a dash where it is not defined."""
    return "-" if value is None else f"{value:.3f}"
