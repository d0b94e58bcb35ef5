"""Name what was analysed: revisions, and the results that follow from them."""

from __future__ import annotations

import time
from collections.abc import Callable

from facerec_models.config import IdentificationConfig
from facerec_models.errors import ModelNotFoundError
from facerec_models.identification.identify import identify_tracks
from facerec_models.names import short_id
from facerec_models.result import ModelView, Result, VideoView, build_result
from serving.archive.files import Home
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming import strangers
from serving.archive.naming.appearance_rows import appearance_rows
from serving.archive.naming.strangers import UnknownTracks
from serving.archive.videos import read_analysis
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, Revision
from serving.store.rows import AnalysisRow

CropUrl = Callable[[AnalysisRow | AppearanceRow, int, int], str]


def current_revision(
    store: Store, project: str, rules: IdentificationConfig, max_false_names: float | None = None
) -> Revision:
    """Return the revision of the promoted model and this accepted error, recording it if it is new.

    Raises
    ------
    ModelNotFoundError
        If no model is promoted yet.
    """
    revision = revision_of(project, store.get_model(project).version, rules, max_false_names)
    store.put_revision(revision)
    return revision


def revision_of(
    project: str, model_version: str, rules: IdentificationConfig, max_false_names: float | None = None
) -> Revision:
    """Return the revision of a model and an accepted error, by default the configured one; it is not stored."""
    limit = rules.max_false_names_tracks if max_false_names is None else max_false_names
    return Revision(
        revision=short_id("r", project, model_version, repr(limit)),
        project=project,
        model_version=model_version,
        max_false_names=limit,
        created_at=time.time(),
    )


def name_analysis(
    store: Store,
    home: Home,
    analysis: AnalysisRow,
    revision: Revision,
    rules: IdentificationConfig,
    crop_url: CropUrl,
) -> Result:
    """Return the result of an analysis under a revision: the same for the same two, whenever it is asked for."""
    started = time.perf_counter()
    found = read_analysis(analysis, store.get_tracks(analysis.project, [analysis.analysis_id])[analysis.analysis_id])
    model_row = store.get_model(analysis.project, revision.model_version)
    model = load_model(home, analysis.project, revision.model_version)
    model.check_embedder(analysis.embedder)
    matches = identify_tracks(
        found.tracks, model, rules, analysis_id=analysis.analysis_id, max_false_names=revision.max_false_names
    )
    video = store.get_video(analysis.project, analysis.video_id)
    info = found.info
    return build_result(
        found,
        matches,
        video=VideoView(
            id=video.video_id,
            uri=video.uri,
            sha256=video.sha256,
            duration_s=found.shots[-1][1] if info.duration_s is None else info.duration_s,
            start_pts_s=info.start_pts_s,
            fps=info.fps,
            stream=info.stream,
            width=info.width,
            height=info.height,
            sample_aspect_ratio=info.sample_aspect_ratio,
            complete=found.complete,
            warnings=list(found.warnings),
        ),
        project=analysis.project,
        revision=revision.revision,
        model=model,
        model_view=ModelView(
            version=model_row.version,
            embedder=model_row.embedder,
            classifier=model_row.classifier,
            max_false_names=revision.max_false_names,
            prior_known=model.prior_known,
            extrapolated=model.tracks.is_extrapolated(revision.max_false_names),
        ),
        strangers=strangers.settle(store, UnknownTracks.of(analysis, video.sha256, found.tracks, matches)),
        crop_url=lambda track_id, k: crop_url(analysis, track_id, k),
        identify_s=time.perf_counter() - started,
    )


def assign(store: Store, home: Home, analysis: AnalysisRow, revision: Revision, rules: IdentificationConfig) -> None:
    """Let a revision name an analysis, in results and in search."""
    model = load_model(home, analysis.project, revision.model_version)
    model.check_embedder(analysis.embedder)
    tracks = store.get_tracks(analysis.project, [analysis.analysis_id])[analysis.analysis_id]
    matches = identify_tracks(
        tracks, model, rules, analysis_id=analysis.analysis_id, max_false_names=revision.max_false_names
    )
    sha256 = store.get_video(analysis.project, analysis.video_id).sha256
    found = strangers.settle(store, UnknownTracks.of(analysis, sha256, tracks, matches))
    names = {track_id: stranger.stranger_id for track_id, stranger in found.items()}
    rows = appearance_rows(analysis, tracks, matches, names)
    store.assign_revision(analysis.project, revision.revision, [analysis.analysis_id], rows)


def assign_current(
    store: Store, home: Home, analysis: AnalysisRow, rules: IdentificationConfig, max_false_names: float | None = None
) -> Revision:
    """Let the promoted model name an analysis, also if another one is promoted meanwhile; return the revision."""
    while True:
        revision = current_revision(store, analysis.project, rules, max_false_names)
        assign(store, home, analysis, revision, rules)
        if store.get_model(analysis.project).version == revision.model_version:
            return revision


def stored_result(
    store: Store, home: Home, project: str, video_id: str, rules: IdentificationConfig, crop_url: CropUrl
) -> Result:
    """Return the result of a video's newest analysis, under the revision that names it.

    Raises
    ------
    VideoNotFoundError
        If the video was not analysed.
    ModelNotFoundError
        If nothing has named it yet.
    """
    store.get_video(project, video_id)
    return result_of(store, home, store.latest_analysis(project, video_id), rules, crop_url)


def result_of(
    store: Store, home: Home, analysis: AnalysisRow, rules: IdentificationConfig, crop_url: CropUrl
) -> Result:
    """Return the result of an analysis, under the revision that names it.

    Raises
    ------
    ModelNotFoundError
        If nothing has named it yet.
    """
    if analysis.revision is None:
        raise ModelNotFoundError(
            f"video {analysis.video_id} was analysed but not identified: train a model, then 'facerec identify'"
        )
    revision = store.get_revision(analysis.project, analysis.revision)
    return name_analysis(store, home, analysis, revision, rules, crop_url)
