"""From identified tracks to what search finds: a row for each appearance of a stored analysis."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from facerec_models.identification.appearances import InView, build_appearances
from facerec_models.identification.reasons import reason_of
from facerec_models.result import identity_of, owner_of
from facerec_models.types import Decision, Match
from serving.store.naming_rows import AppearanceRow
from serving.store.rows import AnalysisRow


def appearance_rows(
    analysis: AnalysisRow, tracks: Sequence[InView], matches: Sequence[Match], strangers: Mapping[int, str]
) -> list[AppearanceRow]:
    """Return the appearances of an analysis, as its result has them.

    Parameters
    ----------
    matches : sequence of Match
        One for each track, in order.
    strangers : mapping of int to str
        The stranger's id of each unknown track, by track id.
    """
    owners: list[Hashable] = [
        owner_of(track, match, strangers.get(track.track_id)) for track, match in zip(tracks, matches, strict=True)
    ]
    by_id = {track.track_id: i for i, track in enumerate(tracks)}
    rows = []
    found = build_appearances(tracks, matches, owners, analysis.summary["period_s"])
    for position, appearance in enumerate(found):
        owner = owners[by_id[appearance.track_ids[0]]]
        seen_in = [tracks[by_id[track_id]].shot for track_id in appearance.track_ids]
        rows.append(
            AppearanceRow(
                project=analysis.project,
                analysis_id=analysis.analysis_id,
                position=position,
                video_id=analysis.video_id,
                decision=appearance.match.decision if isinstance(owner, str) else Decision.UNDECIDABLE,
                owner=owner if isinstance(owner, str) else None,
                first_shot=min(seen_in),
                last_shot=max(seen_in),
                start_s=appearance.start_s,
                end_s=appearance.end_s,
                # The last digits depend on how many tracks were scored together: without them, equal answers are equal rows.
                probability=round(appearance.match.probability, 6),
                false_name_rate=round(appearance.match.false_name_rate, 9),
                track_ids=appearance.track_ids,
                reason=reason_of(appearance.match, identity_of(appearance.match.beside)),
            )
        )
    return rows
