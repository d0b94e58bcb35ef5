"""Addresses that answers name."""

from __future__ import annotations

from serving.archive.search.strangers import Sighting
from serving.store.naming_rows import AppearanceRow
from serving.store.rows import AnalysisRow


def crop_address(analysis: AnalysisRow | AppearanceRow | Sighting, track_id: int, k: int) -> str:
    """Return the path under which the service gives out a kept crop."""
    return f"/v1/projects/{analysis.project}/videos/{analysis.video_id}/crops/{analysis.analysis_id}/{track_id}/{k}.jpg"
