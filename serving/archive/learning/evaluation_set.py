"""Measure a model version on the videos whose truth a project keeps: what the gate of a training asks.

A truth is a file below the project's folder, named by the SHA-256 of its video; ``facerec evaluate --keep`` puts it there. Videos were
analysed before, so that naming them with any version takes no picture. Nothing is written.
"""

from __future__ import annotations

import logging
from pathlib import Path

from facerec_models.build_result import owner_of
from facerec_models.identification.appearances import build_appearances
from facerec_models.identification.identify import identify_tracks
from facerec_models.identification.naming_model import NamingModel
from facerec_models.metrics import NamedTime, ShownName
from facerec_models.types import Decision
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.videos import read_analysis
from serving.store.contract import Store
from serving.store.rows import AnalysisRow, VideoRow
from training.evaluation.counting import Evaluation, VideoScore, score_names
from training.evaluation.evidence import TrackEvidence
from training.evaluation.truth import Truth, read_document, write_truth

_log = logging.getLogger(__name__)


def best_analysis(store: Store, video: VideoRow, embedder: str) -> AnalysisRow | None:
    """Return the analysis by an embedder that covers most of a video, the newest of equals; None without any.

    The latest analysis may be of a part only.
    """
    rows = store.list_analyses(video.project)
    analyses = [one for one in rows if one.video_id == video.video_id and one.embedder == embedder]
    return max(analyses, key=lambda one: (round(_covered_s(one), 1), one.created_at), default=None)


def _covered_s(analysis: AnalysisRow) -> float:
    return float(sum(end_s - start_s for start_s, end_s in analysis.summary["shots"]))


def keep_truth(files: Files, project: str, sha256: str, truth: Truth) -> None:
    """Make a video with its truth part of a project's evaluation set, replacing an earlier truth of the same content."""
    write_truth(truth, _kept(files, project) / f"{sha256}.json")


def kept_truths(files: Files, project: str) -> dict[str, Truth]:
    """Return a project's evaluation set, by the SHA-256 of each video; empty if none was kept."""
    return {path.stem: read_document(Truth, path) for path in sorted(_kept(files, project).glob("*.json"))}


def _kept(files: Files, project: str) -> Path:
    return files.project(project) / "truth"


def evaluate_version(archive: Archive, project: str, version: str) -> NamedTime | None:
    """Measure a model version on the project's evaluation set, from stored analyses: no video is opened.

    A video that was deleted since its truth was kept is passed over, with a warning: it would count as missed for every version.
    Confirmed tracks are named by the version as well: corrections are not used.

    Parameters
    ----------
    version : str
        Any version in the store, promoted or not.

    Returns
    -------
    NamedTime or None
        Pooled over all videos of the set; None if there is none of them.
    """
    model = load_model(archive.files, project, archive.store.get_model(project, version).version)
    videos = {video.sha256: video for video in archive.store.list_videos(project)}
    scores = []
    for sha256, truth in kept_truths(archive.files, project).items():
        analysis = best_analysis(archive.store, videos[sha256], model.gallery.embedder) if sha256 in videos else None
        if analysis is None:
            _log.warning("the evaluation set of project %s has a truth of %s, but no analysis of it", project, sha256)
            continue
        scores.append(_score(archive, analysis, sha256, truth, model))
    return Evaluation(tuple(scores), claimed=(archive.rules.max_false_names_tracks,)).pooled if scores else None


def _score(archive: Archive, row: AnalysisRow, name: str, truth: Truth, model: NamingModel) -> VideoScore:
    """Count the names that a model gives to stored tracks, without what only a shown result needs, such as strangers."""
    model.check_embedder(row.embedder)
    found = read_analysis(row, archive.store.get_tracks(row.project, [row.analysis_id])[row.analysis_id])
    matches = identify_tracks(found.tracks, model, archive.rules)
    owners = [owner_of(t, m, None) for t, m in zip(found.tracks, matches, strict=True)]
    appearances = build_appearances(found.tracks, matches, owners, found.period_s)
    names = score_names(
        truth,
        [
            ShownName(a.match.person_id, a.start_s, a.end_s, a.match.probability)
            for a in appearances
            if a.match.person_id is not None
        ],
        [
            (track.start_s, track.end_s)
            for track, match in zip(found.tracks, matches, strict=True)
            if match.decision is Decision.NAMED
        ],
        found.info.duration_s or found.shots[-1][1],
    )
    return VideoScore(name, names, TrackEvidence(), found.complete)
