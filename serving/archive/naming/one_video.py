"""Name what was analysed: one analysis at a time, and the results that follow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from facerec_models.build_result import StrangerLabel, build_result, stranger_id
from facerec_models.catalogue import Catalogue
from facerec_models.errors import ConflictError, GalleryMismatchError, ModelNotFoundError, VideoNotFoundError
from facerec_models.identification.clustering import group_unknown
from facerec_models.identification.identify import identify_videos, match_again
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.result import ModelView, Result, VideoView
from facerec_models.types import Match
from facerec_models.vectors import PairScale
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming.affected import floor_of
from serving.archive.naming.aliases import follow_all, moved_meanings, strangers_in
from serving.archive.naming.current import CurrentNaming, read_current, revision_of
from serving.archive.naming.named import (
    appearance_moves,
    count_named,
    matches_of,
    name_tracks,
    stranger_moves,
    strangers_of,
    unknown_rows,
    with_strangers,
)
from serving.archive.naming.strangers import UnknownTracks, settle
from serving.archive.privacy.kept_names import kept_names
from serving.archive.privacy.kept_pictures import pictures_of
from serving.archive.privacy.policy import read_policy
from serving.archive.privacy.unmatched import remove_unmatched, scrub_soon, unmatched_tracks
from serving.archive.same_faces import unclear_corrections
from serving.archive.videos import read_analysis
from serving.store.naming_rows import AppearanceRow, NamedTracks, NamingChange
from serving.store.rows import AnalysisRow
from serving.telemetry.metrics import measured
from serving.telemetry.traces import span

CropUrl = Callable[[AnalysisRow | AppearanceRow, int, int], str]

# So long a video waits for others that end at the same moment.
_PATIENCE_S = 120.0
_LONGEST_PAUSE_S = 1.0


def assign_current(archive: Archive, analysis: AnalysisRow, max_false_names: float | None = None) -> None:
    """Name an analysis by the project's model, in results and in search; where nobody is enrolled, all are strangers.

    Of several videos that end at once one is named after the other.

    Raises
    ------
    GalleryMismatchError
        If the project has another embedder by now.
    ConflictError
        If others were always faster, for minutes.
    """
    patiently(lambda: _assign(archive, analysis, max_false_names))
    if not read_policy(archive.store, analysis.project).keep_unmatched:
        scrub_soon(archive.store)


def patiently(write: Callable[[], object]) -> None:
    """Write what others may be faster with; raise their `ConflictError` after minutes."""
    deadline, pause_s = time.monotonic() + _PATIENCE_S, 0.01
    while True:
        try:
            write()
        except GalleryMismatchError:  # of another embedder than the project's: that stays so
            raise
        except ConflictError:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, pause_s))  # noqa: S311
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            return


def _assign(archive: Archive, analysis: AnalysisRow, max_false_names: float | None) -> None:
    store, project, analysis_id = archive.store, analysis.project, analysis.analysis_id
    current = read_current(archive, project, [analysis_id])
    limit = current.max_false_names if max_false_names is None else max_false_names
    if current.model is not None:
        current.model.check_embedder(analysis.embedder)
    was = current.named.get(analysis_id)
    columns, pair, decided = _decide(archive, analysis, current, limit)
    if not read_policy(store, project).keep_unmatched and (unmatched := unmatched_tracks(decided, columns)):
        remove_unmatched(archive, project, unmatched)
        columns, pair, decided = _decide(archive, analysis, current, limit)
    so_far = {} if was is None else strangers_of(was)
    rows = unknown_rows(decided, columns)
    held = {row: so_far[row] for row in rows if row in so_far}
    unknown = UnknownTracks(analysis_id, analysis.video_id, columns, rows, held)
    shown = {unknown.key(row): (who, columns.vectors[row]) for row, who in so_far.items()}
    found = settle(store, project, pair, [unknown], shown, current.corrections)
    named = with_strangers(decided, {row: found.of_track[unknown.key(row)] for row in rows})
    freed, new = stranger_moves(columns, was, named)
    known = strangers_in(store, project, [named] if was is None else [was, named])
    means = moved_meanings(store, project, known, found.strangers)
    lost, appearances = appearance_moves(analysis, columns, was, named, means)
    change = NamingChange(
        [named],
        lost=lost,
        appearances=appearances,
        freed=freed,
        stranger_tracks=new,
        strangers=found.strangers,
    )
    with span("appearances", added=len(appearances), removed=len(lost)):
        store.apply(project, change, if_version=current.version)
    count_named([named])


def _decide(
    archive: Archive, analysis: AnalysisRow, current: CurrentNaming, limit: float
) -> tuple[TrackColumns, PairScale, NamedTracks]:
    """Return the columns of an analysis, what similarities of them tell, and who its tracks are but for strangers."""
    analysis_id, model = analysis.analysis_id, current.model
    columns = archive.store.get_columns(analysis.project, [analysis_id]).get(analysis_id)
    if columns is None:
        raise VideoNotFoundError(f"video {analysis.video_id} of project {analysis.project!r} was deleted meanwhile")
    pair = archive.pair_scale(analysis.embedder) if model is None else model.pair
    kept = kept_names(columns, current.named.get(analysis_id), model, current.corrections)
    with measured("identify"), span("identify"):
        (names,) = identify_videos(
            [(analysis_id, columns)], model, archive.rules, max_false_names=limit, pair=pair, kept=[kept]
        )
    return columns, pair, name_tracks(analysis, names, {}, limit, floor_of(model, limit))


def name_analysis(
    archive: Archive, analysis: AnalysisRow, version: str, max_false_names: float, *, with_confirmed: bool = True
) -> Result:
    """Return the result of an analysis by any model version; nothing is stored, and its strangers are its own.

    Parameters
    ----------
    with_confirmed : bool
        Whether tracks that were confirmed keep their names; whoever measures a version lets it name them, too.
    """
    model = load_model(archive.files, analysis.project, version)
    if not with_confirmed:
        model = replace(model, corrections=replace(model.corrections, confirmed={}))
    model.check_embedder(analysis.embedder)
    columns = archive.store.get_columns(analysis.project, [analysis.analysis_id])[analysis.analysis_id]
    (names,) = identify_videos([(analysis.analysis_id, columns)], model, archive.rules, max_false_names=max_false_names)
    video = archive.store.get_video(analysis.project, analysis.video_id)
    labels: dict[int, StrangerLabel] = {}
    for row, number in group_unknown(columns, names.matches, model.pair).items():
        first = stranger_id(analysis.project, video.sha256, int(columns.first_frames[row]), columns.first_boxes[row])
        known = next((one for one in labels.values() if one.number == number), None)
        labels[int(columns.track_ids[row])] = known or StrangerLabel(first, number)
    return _result(archive, analysis, names.matches, labels, version, model, max_false_names, lambda *_: "")


def stored_result(
    archive: Archive, project: str, video_id: str, crop_url: CropUrl, *, with_samples: bool = True
) -> Result:
    """Return the result of a video's newest analysis, or all of it but the samples of its tracks.

    Raises
    ------
    VideoNotFoundError
        If the video was not analysed.
    ModelNotFoundError
        If nothing has named it yet.
    """
    archive.store.get_video(project, video_id)
    return result_of(archive, archive.store.latest_analysis(project, video_id), crop_url, with_samples=with_samples)


def result_of(archive: Archive, analysis: AnalysisRow, crop_url: CropUrl, *, with_samples: bool = True) -> Result:
    """Return the result of an analysis: who was found, with what that means by the model that names now. Nothing is written.

    Raises
    ------
    ModelNotFoundError
        If nothing has named it yet.
    """
    store, project = archive.store, analysis.project
    current = read_current(archive, project, [analysis.analysis_id])
    named = current.named.get(analysis.analysis_id)
    if named is None:
        raise ModelNotFoundError(
            f"video {analysis.video_id} was analysed but not identified: 'facerec identify' does that"
        )
    columns = store.get_columns(project, [analysis.analysis_id])[analysis.analysis_id]
    matches = match_again(columns, matches_of(named), current.model, archive.rules)
    shown = strangers_of(named)
    known = follow_all(store, project, set(shown.values()))
    labels = {
        int(columns.track_ids[row]): StrangerLabel(known[one].stranger_id, known[one].number)
        for row, one in shown.items()
    }
    owners = {
        track_id: match.person_id or (labels[track_id].stranger_id if track_id in labels else None)
        for track_id, match in zip(columns.track_ids.tolist(), matches, strict=True)
    }
    warnings = unclear_corrections(store, analysis, owners)
    return _result(
        archive,
        analysis,
        matches,
        labels,
        current.model_version,
        current.model,
        named.max_false_names,
        crop_url,
        warnings,
        with_samples=with_samples,
    )


def _result(
    archive: Archive,
    analysis: AnalysisRow,
    matches: list[Match],
    strangers: dict[int, StrangerLabel],
    version: str | None,
    model: NamingModel | None,
    max_false_names: float,
    crop_url: CropUrl,
    warnings: Sequence[str] = (),
    *,
    with_samples: bool = True,
) -> Result:
    started = time.perf_counter()
    project, analysis_id = analysis.project, analysis.analysis_id
    found = read_analysis(analysis, archive.store.get_tracks(project, [analysis_id])[analysis_id])
    found = replace(found, warnings=(*found.warnings, *warnings))
    video = archive.store.get_video(project, analysis.video_id)
    return build_result(
        found,
        matches,
        video=VideoView.of(
            found,
            video_id=video.video_id,
            name=video.name,
            uri=video.uri,
            sha256=video.sha256,
            catalogue=None if video.catalogue is None else Catalogue(**video.catalogue),
        ),
        project=project,
        analysis_id=analysis_id,
        revision=revision_of(project, version, max_false_names),
        model=model,
        model_view=ModelView.of(model, version, found, max_false_names, archive.rules.prior_known),
        strangers=strangers,
        crop_url=lambda track_id, k: crop_url(analysis, track_id, k),
        identify_s=time.perf_counter() - started,
        has_crop=pictures_of(archive, project, analysis_id),
        with_samples=with_samples,
    )
