"""Evaluate a project on videos with a truth: `facerec evaluate`, and the gate of a training.

Videos are analysed once; naming them with any model version takes no picture. A project keeps truths of its own below its
folder, named by the video's SHA-256: they are its evaluation set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from facerec_models.config import AnalysisConfig, IdentificationConfig
from facerec_models.errors import InputError, VideoNotFoundError
from facerec_models.metrics import NamedTime, ShownName
from serving.home import Home
from serving.naming import name_analysis
from serving.networks import Networks
from serving.store.base import Store
from serving.store.rows import AnalysisRow, Revision, VideoRow
from serving.videos import analyze_video, find_analysis, read_analysis, register_video
from training.baseline import IndependentClassifiers, merge_votes, vote_tracks
from training.counting import BASELINE_THRESHOLD, Evaluation, evaluate, score_names
from training.results import Result
from training.train import read_gallery
from training.truth import TRUTH_ENDINGS, Truth, read_document, write_truth

_log = logging.getLogger(__name__)

_NO_VIDEO = {*TRUTH_ENDINGS, ".csv", ".txt", ".md"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the same videos."""

    before: NamedTime
    after: NamedTime

    @property
    def f1_gain(self) -> float | None:
        """By how much F1 grew; None where no truth has a clear second."""
        return None if self.before.f1 is None or self.after.f1 is None else self.after.f1 - self.before.f1


def find_video(truth_path: Path, stem: str, truth: Truth) -> Path:
    """Return the video that a truth is about: the file that it names, or the one of its stem, beside it.

    Parameters
    ----------
    truth_path : Path
        The folder of truths, or the CSV.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    folder = truth_path if truth_path.is_dir() else truth_path.parent
    if truth.video is not None and (folder / truth.video).is_file():
        return folder / truth.video
    found = sorted(p for p in folder.glob("*") if p.stem == stem and p.suffix.lower() not in _NO_VIDEO and p.is_file())
    if len(found) != 1:
        said = f"{len(found)} files could be it: {', '.join(p.name for p in found)}" if found else "there is none"
        raise InputError(f"the video of the truth {stem!r} must lie in {folder}, but {said}; or give --results")
    return found[0]


def recognise(
    store: Store,
    home: Home,
    project: str,
    file: Path,
    revision: Revision,
    config: AnalysisConfig,
    rules: IdentificationConfig,
    networks: Callable[[], Networks],
    *,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[AnalysisRow, Result]:
    """Analyse a video unless that was done, and name it. Which revision names it in the archive stays as it is.

    Parameters
    ----------
    networks : callable
        Returns the networks; called only where something must be analysed.
    """
    video = register_video(store, project, file, config)
    model = store.get_model(project, revision.model_version)
    analysis = find_analysis(store, video, config, model.embedder)
    if analysis is None:
        analysis = analyze_video(store, home, video, config, networks(), on_progress=on_progress)
    return analysis, named(store, home, analysis, revision, rules)


def named(store: Store, home: Home, analysis: AnalysisRow, revision: Revision, rules: IdentificationConfig) -> Result:
    """Return the answers of a revision about an analysis, from stored embeddings."""
    document = name_analysis(store, home, analysis, revision, rules, lambda *_: "")
    return Result.model_validate(document.model_dump(by_alias=True))


def best_analysis(store: Store, video: VideoRow) -> AnalysisRow:
    """Return the analysis that covers most of a video, the newest of equals: not the latest look at a part of it.

    Raises
    ------
    VideoNotFoundError
        If the video was not analysed.
    """
    analyses = [one for one in store.list_analyses(video.project) if one.video_id == video.video_id]
    if not analyses:
        raise VideoNotFoundError(
            f"video {video.name} of project {video.project!r} was not analysed: recognise it first"
        )
    return max(analyses, key=lambda one: (round(_covered_s(one), 1), one.created_at))


def _covered_s(analysis: AnalysisRow) -> float:
    shots = analysis.summary["shots"]
    return float(shots[-1][1] - shots[0][0]) if shots else 0.0


def analysis_of(store: Store, project: str, stem: str, result: Result) -> AnalysisRow:
    """Return the stored analysis that a result was made from.

    Raises
    ------
    VideoNotFoundError
        If the project has no such video, or no analysis of it with these tracks.
    """
    rows = [video for video in store.list_videos(project) if video.sha256 == result.video.sha256]
    wanted = [(track.track_id, tuple(s.frame_index for s in track.samples)) for track in result.tracks]
    for analysis in reversed(store.list_analyses(project)):
        if any(analysis.video_id == video.video_id for video in rows):
            tracks = store.get_tracks(project, [analysis.analysis_id])[analysis.analysis_id]
            if [(track.track_id, tuple(track.frame_indexes.tolist())) for track in tracks] == wanted:
                return analysis
    raise VideoNotFoundError(
        f"project {project!r} has no analysis with the tracks of the result {stem!r}, which the baseline needs: "
        f"name the home and project that made it, or leave --results out"
    )


def add_baseline(
    store: Store,
    project: str,
    evaluation: Evaluation,
    truths: Mapping[str, Truth],
    analyses: Mapping[str, AnalysisRow],
) -> Evaluation:
    """Name the same tracks the predecessor's way, with the project's enabled faces, and count them beside ours.

    Parameters
    ----------
    truths, analyses : mapping of str
        By the name of each video of `evaluation`.
    """
    classifiers = IndependentClassifiers(read_gallery(store, project))
    videos = []
    for video in evaluation.videos:
        row = analyses[video.name]
        found = read_analysis(row, store.get_tracks(project, [row.analysis_id])[row.analysis_id])
        votes = vote_tracks(found.tracks, found.shots, found.period_s, classifiers)
        baseline = score_names(
            truths[video.name],
            merge_votes(votes, found.period_s),
            [one.interval for one in votes if one.confidence >= BASELINE_THRESHOLD],
            found.info.duration_s or found.shots[-1][1],
            [ShownName(one.person_id, *one.interval, one.confidence) for one in votes],
        )
        videos.append(replace(video, baseline=baseline))
    return replace(evaluation, videos=tuple(videos))


def keep_truth(home: Home, project: str, sha256: str, truth: Truth) -> None:
    """Make a video with its truth part of a project's evaluation set, replacing an earlier truth of the same content."""
    write_truth(truth, _kept(home, project) / f"{sha256}.json")


def kept_truths(home: Home, project: str) -> dict[str, Truth]:
    """Return a project's evaluation set, by the SHA-256 of each video; empty if none was kept."""
    return {path.stem: read_document(Truth, path) for path in sorted(_kept(home, project).glob("*.json"))}


def _kept(home: Home, project: str) -> Path:
    return home.project(project) / "truth"


def evaluate_version(
    store: Store, home: Home, project: str, version: str, rules: IdentificationConfig
) -> NamedTime | None:
    """Measure a model version on the project's evaluation set, from stored analyses: no video is opened.

    Parameters
    ----------
    version : str
        Any version in the store, promoted or not.

    Returns
    -------
    NamedTime or None
        Pooled over all videos of the set; None if the project has no evaluation set.
    """
    evaluation = evaluate_kept(store, home, project, version, rules, kept_truths(home, project))
    return None if evaluation is None else evaluation.pooled


def compare(
    store: Store,
    home: Home,
    project: str,
    version_a: str,
    version_b: str,
    truths: Mapping[str, Truth],
    rules: IdentificationConfig,
) -> Comparison | None:
    """Measure two model versions on the same videos, from stored analyses.

    Parameters
    ----------
    truths : mapping of str to Truth
        By the SHA-256 of each video, as `kept_truths` returns them.

    Returns
    -------
    Comparison or None
        None if there is nothing to compare them on.
    """
    a, b = (evaluate_kept(store, home, project, version, rules, truths) for version in (version_a, version_b))
    return None if a is None or b is None else Comparison(a.pooled, b.pooled)


def evaluate_kept(
    store: Store, home: Home, project: str, version: str, rules: IdentificationConfig, truths: Mapping[str, Truth]
) -> Evaluation | None:
    """Count a model version on stored analyses of videos with these truths; None without any of them.

    A video that was deleted since its truth was kept is passed over, with a warning: it would count as missed for every version.
    """
    model = store.get_model(project, version)
    revision = Revision("", project, model.version, rules.max_false_names_tracks, 0.0)
    videos = {video.sha256: video for video in store.list_videos(project)}
    results: dict[str, Result] = {}
    for sha256 in truths:
        if sha256 not in videos:
            _log.warning("the evaluation set of project %s has a truth of %s, but not that video", project, sha256)
            continue
        results[sha256] = named(store, home, best_analysis(store, videos[sha256]), revision, rules)
    if not results:
        return None
    return evaluate({sha256: truths[sha256] for sha256 in results}, results)
