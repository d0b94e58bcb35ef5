"""Measure a model version on the videos whose truth a project keeps: what the gate of a training asks.

A truth is a file below the project's shared folder, named by the SHA-256 of its video; ``facerec evaluate --keep`` puts it there, or
whoever labels a video by watching it. It goes with the video and with the project; who is forgotten is a stranger in it.
Videos were analysed before, so that naming them with any version takes no picture. Measuring writes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from facerec_models.build_result import owner_of
from facerec_models.files import AnyPath
from facerec_models.identification.appearances import build_appearances
from facerec_models.identification.identify import identify_tracks
from facerec_models.identification.naming_model import NamingModel
from facerec_models.metrics import NamedTime, ShownName
from facerec_models.types import Decision
from serving.archive.files import Files
from serving.archive.former_names import names_now
from serving.archive.handle import Archive
from serving.archive.learning.labels import KeptTruth, VideoLabels, with_names, without_people
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


def keep_truth(files: Files, project: str, sha256: str, truth: Truth, labels: VideoLabels | None = None) -> None:
    """Make a video with its truth part of a project's evaluation set, replacing an earlier truth of the same content."""
    kept = KeptTruth(**dict(truth), kept_at=time.time(), labels=labels)
    write_truth(kept, files.truth(project, sha256))


def kept_truths(archive: Archive, project: str) -> dict[str, KeptTruth]:
    """Return a project's evaluation set, by the SHA-256 of each video, with people as they are called now; empty if none was kept."""
    found = _written(archive.files, project)
    name_of = names_now(archive.store, project) if found else None
    if name_of is None:
        return {}
    return {
        sha256: with_names(kept, {one.name: name_of(one.name, kept.kept_at) for one in kept.people})
        for sha256, kept in found.items()
    }


def remove_truth(files: Files, project: str, sha256: str) -> bool:
    """Take a video out of a project's evaluation set; return whether it was part of it."""
    file = files.truth(project, sha256)
    was_there = file.is_file()
    file.unlink(missing_ok=True)
    return was_there


def settle_names(archive: Archive, project: str) -> None:
    """Write truths with people as they are called now: once the notes of edits are gone, nothing else tells it."""
    written = _written(archive.files, project)
    for sha256, kept in kept_truths(archive, project).items():
        if kept != written[sha256]:
            keep_truth(archive.files, project, sha256, Truth(**_plain(kept)), kept.labels)


def forget_in_truths(archive: Archive, project: str, names: Collection[str]) -> int:
    """Let truths name people no more, who are strangers in them from then on; return in how many they were."""
    count = 0
    for sha256, kept in _written(archive.files, project).items():
        if any(one.name in names for one in kept.people):
            left = without_people(kept, frozenset(names))
            write_truth(left, archive.files.truth(project, sha256))
            count += 1
    return count


def _plain(kept: KeptTruth) -> dict[str, Any]:
    return {name: getattr(kept, name) for name in Truth.model_fields}


def _written(files: Files, project: str) -> dict[str, KeptTruth]:
    paths: list[AnyPath] = list(files.truths(project).glob("*.json"))
    by_name = {path.name: path for path in paths}
    return {name.removesuffix(".json"): read_document(KeptTruth, by_name[name]) for name in sorted(by_name)}


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
    for sha256, truth in kept_truths(archive, project).items():
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
