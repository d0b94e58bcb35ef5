"""A video's answer: made of all that was analysed of it, and named.

The latest analysis of a video is its answer. Where several parts were analysed, it is one that is joined of them, see
`serving.archive.joining`; it becomes the latest once it is named. What was corrected in other analyses of the video holds in it,
see `serving.archive.same_faces`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from facerec_models.files import remove_tree
from serving.archive.coverage import MADE_FROM, Share, analysed_at, is_joined, ranges_of, shares_of
from serving.archive.handle import Archive
from serving.archive.joining import join_shares
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.one_video import assign_current, patiently
from serving.archive.naming.refit import plan_refit
from serving.archive.same_faces import carried_corrections
from serving.archive.videos import BEFORE_S
from serving.store.contract import Store
from serving.store.naming_rows import Edit
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
    _carry_corrections(archive, analysis)
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
        # What was corrected meanwhile.
        _carry_corrections(archive, answer)
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


def _carry_corrections(archive: Archive, analysis: AnalysisRow) -> None:
    """Let what was corrected in other analyses of a video hold in this one; what is not clear is told by its result."""

    def plan(current: CurrentNaming) -> PlannedEdit:
        carried = carried_corrections(archive.store, analysis)
        count = len(carried.missing)
        note = f"corrections of {name} hold in another analysis of it, too: {count}"
        edit = Edit("carry", note, corrections=carried.missing, carried=carried.tracks)
        if current.model is None:
            return PlannedEdit(edit, None, None, more={analysis.analysis_id})
        return plan_refit(archive, current, edit)

    if carried_corrections(archive.store, analysis).missing:
        name = archive.store.get_video(analysis.project, analysis.video_id).name
        patiently(lambda: change_names(archive, analysis.project, plan))
