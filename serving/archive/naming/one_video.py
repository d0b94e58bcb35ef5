"""Name what was analysed: revisions, and the results that follow from them."""

from __future__ import annotations

import time
from collections.abc import Callable

from facerec_models.config import IdentificationConfig
from facerec_models.errors import ModelNotFoundError
from facerec_models.identification.identify import identify_tracks
from facerec_models.names import short_id
from facerec_models.result import ModelView, Result, VideoView, build_result
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming import strangers
from serving.archive.naming.appearance_rows import appearance_rows
from serving.archive.naming.strangers import UnknownTracks
from serving.archive.videos import read_analysis
from serving.store.naming_rows import AppearanceRow, Revision
from serving.store.rows import AnalysisRow

CropUrl = Callable[[AnalysisRow | AppearanceRow, int, int], str]


def current_revision(archive: Archive, project: str, max_false_names: float | None = None) -> Revision:
    """Return the revision of the promoted model and this accepted error, recording it if it is new.

    Raises
    ------
    ModelNotFoundError
        If no model is promoted yet.
    """
    revision = revision_of(project, archive.store.get_model(project).version, archive.rules, max_false_names)
    archive.store.put_revision(revision)
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
    archive: Archive,
    analysis: AnalysisRow,
    revision: Revision,
    crop_url: CropUrl,
) -> Result:
    """Return the result of an analysis under a revision: the same for the same two, whenever it is asked for."""
    started = time.perf_counter()
    found = read_analysis(
        analysis, archive.store.get_tracks(analysis.project, [analysis.analysis_id])[analysis.analysis_id]
    )
    model = load_model(archive.files, analysis.project, revision.model_version)
    model.check_embedder(analysis.embedder)
    matches = identify_tracks(
        found.tracks, model, archive.rules, analysis_id=analysis.analysis_id, max_false_names=revision.max_false_names
    )
    video = archive.store.get_video(analysis.project, analysis.video_id)
    return build_result(
        found,
        matches,
        video=VideoView.of(found, video_id=video.video_id, uri=video.uri, sha256=video.sha256),
        project=analysis.project,
        revision=revision.revision,
        model=model,
        model_view=ModelView.of(model, revision.model_version, revision.max_false_names),
        strangers=strangers.settle(archive.store, UnknownTracks.of(analysis, video.sha256, found.tracks, matches)),
        crop_url=lambda track_id, k: crop_url(analysis, track_id, k),
        identify_s=time.perf_counter() - started,
    )


def assign(archive: Archive, analysis: AnalysisRow, revision: Revision) -> None:
    """Let a revision name an analysis, in results and in search."""
    model = load_model(archive.files, analysis.project, revision.model_version)
    model.check_embedder(analysis.embedder)
    tracks = archive.store.get_tracks(analysis.project, [analysis.analysis_id])[analysis.analysis_id]
    matches = identify_tracks(
        tracks, model, archive.rules, analysis_id=analysis.analysis_id, max_false_names=revision.max_false_names
    )
    sha256 = archive.store.get_video(analysis.project, analysis.video_id).sha256
    found = strangers.settle(archive.store, UnknownTracks.of(analysis, sha256, tracks, matches))
    names = {track_id: stranger.stranger_id for track_id, stranger in found.items()}
    rows = appearance_rows(analysis, tracks, matches, names)
    archive.store.assign_revision(analysis.project, revision.revision, [analysis.analysis_id], rows)


def assign_current(archive: Archive, analysis: AnalysisRow, max_false_names: float | None = None) -> Revision:
    """Let the promoted model name an analysis, also if another one is promoted meanwhile; return the revision."""
    while True:
        revision = current_revision(archive, analysis.project, max_false_names)
        assign(archive, analysis, revision)
        if archive.store.get_model(analysis.project).version == revision.model_version:
            return revision


def stored_result(archive: Archive, project: str, video_id: str, crop_url: CropUrl) -> Result:
    """Return the result of a video's newest analysis, under the revision that names it.

    Raises
    ------
    VideoNotFoundError
        If the video was not analysed.
    ModelNotFoundError
        If nothing has named it yet.
    """
    archive.store.get_video(project, video_id)
    return result_of(archive, archive.store.latest_analysis(project, video_id), crop_url)


def result_of(archive: Archive, analysis: AnalysisRow, crop_url: CropUrl) -> Result:
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
    revision = archive.store.get_revision(analysis.project, analysis.revision)
    return name_analysis(archive, analysis, revision, crop_url)
