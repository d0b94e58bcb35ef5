"""A video's answer: made of all that was analysed of it, and named.

The latest analysis of a video is its answer. Where several parts were analysed, it is one that is joined of them, see
`serving.archive.joining`; it becomes the latest once it is named and has the corrections of its parts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from facerec_models.files import remove_tree
from facerec_models.types import Track
from facerec_models.vectors import track_embedding
from serving.archive.coverage import MADE_FROM, Share, analysed_at, is_joined, ranges_of, shares_of
from serving.archive.handle import Archive
from serving.archive.joining import join_shares
from serving.archive.naming.correction_rows import correction_id, with_corrections
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.refit import plan_refit
from serving.archive.vector_sets import TrackKey, origins
from serving.archive.videos import BEFORE_S
from serving.store.contract import Store
from serving.store.naming_rows import Correction, Edit
from serving.store.rows import AnalysisRow

# So long a joined analysis stays when another one takes its place.
_KEPT_S = 600.0


def become_answer(archive: Archive, analysis: AnalysisRow, max_false_names: float | None = None) -> None:
    """Name an analysis that was asked for, and let its video's answer be made of it and of all other parts that were analysed.

    Of fragments that overlap, the one that was analysed last counts within its range. What a larger one covers adds nothing.

    Parameters
    ----------
    max_false_names : float, optional
        The accepted error of the analysis, and of one that is joined of it and others.

    Raises
    ------
    ConflictError
        As `serving.archive.naming.one_video.assign_current`.
    """
    assign_current(archive, analysis, max_false_names)
    if ranges_of(analysis) is None:
        return
    store, stream = archive.store, analysis.summary["info"]["stream"]
    made_of: list[str] = []
    shares = shares_of(_of_video(store, analysis), stream)
    # Another part, or all of the video, may be stored while this one is joined.
    while _names_of(shares) != made_of:
        made_of, answer = _names_of(shares), shares[0].analysis
        if len(shares) > 1:
            answer = join_shares(archive, store.get_video(analysis.project, analysis.video_id), shares)
            assign_current(archive, answer, max_false_names)
            _carry_corrections(archive, answer)
        _be_latest(store, answer)
        _drop_superseded(archive, answer)
        shares = shares_of(_of_video(store, analysis), stream)


def _names_of(shares: Sequence[Share]) -> list[str]:
    return [f"{share.analysis.analysis_id} {analysed_at(share.analysis)} {share.ranges}" for share in shares]


def _of_video(store: Store, analysis: AnalysisRow) -> list[AnalysisRow]:
    rows = store.list_analyses(analysis.project, video_id=analysis.video_id)
    return [row for row in rows if row.embedder == analysis.embedder]


def _be_latest(store: Store, answer: AnalysisRow) -> None:
    latest = _of_video(store, answer)[-1]
    if latest.analysis_id != answer.analysis_id:
        store.touch_analysis(answer.project, answer.analysis_id, max(time.time(), latest.created_at + BEFORE_S))


def _drop_superseded(archive: Archive, answer: AnalysisRow) -> None:
    """Delete what was joined of other parts before, unless it was corrected, or a second set was made of it: all else can be again.

    Others may be at work with one that was joined lately, or be reading it.
    """
    store, project = archive.store, answer.project
    rows = store.list_analyses(project, video_id=answer.video_id)
    used = {answer.analysis_id, *(row.summary.get(MADE_FROM) for row in rows)}
    then = time.time() - _KEPT_S
    old = {
        row.analysis_id
        for row in _of_video(store, answer)
        if is_joined(row) and row.analysis_id not in used and analysed_at(row) < then
    }
    corrected = {row.analysis_id for row in store.list_corrections(project, analysis_ids=sorted(old))} if old else set()
    for analysis_id in sorted(old - corrected):
        store.delete_analysis(project, analysis_id)
        remove_tree(archive.files.analysis(project, analysis_id))


def _carry_corrections(archive: Archive, joined: AnalysisRow) -> None:
    """Let what was corrected in the parts, or in what was joined of them before, hold in a joined analysis: its tracks are copies."""
    if not _missing(archive.store, joined):
        return
    name = archive.store.get_video(joined.project, joined.video_id).name

    def plan(current: CurrentNaming) -> PlannedEdit:
        missing = _missing(archive.store, joined)
        edit = Edit("join", f"corrections of parts of {name} hold in all of them: {len(missing)}", corrections=missing)
        if current.model is None:
            return PlannedEdit(edit, None, None, more={joined.analysis_id})
        return plan_refit(archive, current, edit)

    change_names(archive, joined.project, plan)


def _missing(store: Store, joined: AnalysisRow) -> list[Correction]:
    """Return the corrections of other copies of its tracks that a joined analysis lacks; of contrary ones the last holds."""
    project = joined.project
    origin = origins(store.list_analyses(project, video_id=joined.video_id))
    copies: dict[TrackKey, list[Track]] = {}
    for track in store.get_tracks(project, [joined.analysis_id])[joined.analysis_id]:
        copies.setdefault(origin(joined.analysis_id, track.track_id), []).append(track)
    ids = [row.analysis_id for row in _of_video(store, joined)]
    rows = store.list_corrections(project, analysis_ids=ids)
    held: list[Correction] = []
    for row in rows:
        is_own = row.analysis_id == joined.analysis_id
        tracks = copies.get(origin(row.analysis_id, row.track_id), [])
        held = with_corrections(held, [row] if is_own else [_copied(row, joined, track) for track in tracks])
    known = {row.correction_id for row in rows}
    return [row for row in held if row.correction_id not in known]


def _copied(row: Correction, joined: AnalysisRow, track: Track) -> Correction:
    return replace(
        row,
        correction_id=correction_id(row.project, row.kind, row.person_id, joined.analysis_id, track.track_id),
        analysis_id=joined.analysis_id,
        track_id=track.track_id,
        # "Is not" needs a vector: that of the whole track, where none is of the part of it that was taken.
        embedding=track_embedding(track) if len(track.embedded) else row.embedding,
    )
