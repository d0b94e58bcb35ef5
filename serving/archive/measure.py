"""The videos that an evaluation measures: where they are, what was found in them, and who the predecessor would say it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig
from facerec_models.errors import InputError, VideoNotFoundError
from facerec_models.metrics import ShownName
from serving.archive.handle import Archive
from serving.archive.learning.gallery import read_gallery
from serving.archive.naming.one_video import name_analysis
from serving.archive.vector_sets import present_analyses
from serving.archive.videos import analyze_video, find_analysis, read_analysis, register_video
from serving.store.contract import Store
from serving.store.rows import AnalysisRow
from training.evaluation.baseline import IndependentClassifiers, merge_votes, vote_tracks
from training.evaluation.counting import BASELINE_THRESHOLD, Evaluation, score_names
from training.evaluation.results import MeasuredResult
from training.evaluation.truth import TRUTH_ENDINGS, Truth

_NO_VIDEO = {*TRUTH_ENDINGS, ".csv", ".txt", ".md"}


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
        problem = f"{len(found)} files could be it: {', '.join(p.name for p in found)}" if found else "there is none"
        raise InputError(f"the video of the truth {stem!r} must lie in {folder}, but {problem}; or give --results")
    return found[0]


def recognize(
    archive: Archive,
    project: str,
    file: Path,
    version: str,
    max_false_names: float,
    config: AnalysisConfig,
    networks: Callable[[], Networks],
) -> tuple[AnalysisRow, MeasuredResult]:
    """Analyse a video unless that was done, and name it. How it is named in the archive stays as it is.

    Parameters
    ----------
    version : str
        Of the model that names it.
    networks : callable
        Returns the networks; called only where something must be analysed.
    """
    video = register_video(archive.store, project, file, config)
    model = archive.store.get_model(project, version)
    analysis = find_analysis(archive.store, video, config, model.embedder, is_answer=False)
    if analysis is None:
        analysis = analyze_video(archive, video, config, networks(), is_answer=False)
    return analysis, named(archive, analysis, version, max_false_names)


def named(archive: Archive, analysis: AnalysisRow, version: str, max_false_names: float) -> MeasuredResult:
    """Return the answers of a model about an analysis, from stored embeddings."""
    document = name_analysis(archive, analysis, version, max_false_names)
    return MeasuredResult.model_validate(document.model_dump(by_alias=True))


def analysis_of(store: Store, project: str, stem: str, result: MeasuredResult) -> AnalysisRow:
    """Return the stored analysis that a result was made from.

    Raises
    ------
    VideoNotFoundError
        If the project has no such video, or no analysis of it with these tracks.
    """
    rows = [video for video in store.list_videos(project) if video.sha256 == result.video.sha256]
    wanted = [(track.track_id, tuple(s.frame_index for s in track.samples)) for track in result.tracks]
    for analysis in reversed(present_analyses(store, project)):
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
        votes = vote_tracks(found.tracks, classifiers)
        baseline = score_names(
            truths[video.name],
            merge_votes(votes, found.period_s),
            [one.interval for one in votes if one.confidence >= BASELINE_THRESHOLD],
            found.info.duration_s or found.shots[-1][1],
            [ShownName(one.person_id, *one.interval, one.confidence) for one in votes],
        )
        videos.append(replace(video, baseline=baseline))
    return replace(evaluation, videos=tuple(videos))
