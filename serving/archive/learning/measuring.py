"""How good a model version is, by all figures, on the videos whose truth a project keeps; and what its limits claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facerec_models.errors import InputError
from facerec_models.identification.calibration import ScoreCalibration
from serving.archive.handle import Archive
from serving.archive.learning.evaluation_set import best_analysis, keep_truth, kept_truths
from serving.archive.learning.labels import KeptTruth, VideoLabels, truth_of
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming.faces_of_tracks import faces_of_track
from serving.archive.naming.one_video import name_analysis
from serving.archive.videos import read_analysis
from serving.store.rows import AnalysisRow, VideoRow
from training.evaluation.counting import Evaluation, evaluate
from training.evaluation.evidence import told_evidence
from training.evaluation.report import to_dict
from training.evaluation.results import MeasuredResult

# Accepted errors that people choose among.
CHOICES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3)


@dataclass(frozen=True, slots=True)
class ClaimedLimit:
    """What a version claims at an accepted error.

    Parameters
    ----------
    claimed : float
        The largest fraction of strangers that may get a name.
    score : float or None
        The least score of a name; None where no score is high enough.
    named : float
        The fraction of enrolled people's tracks that would get their name, as the version expects it.
    is_extrapolated : bool
        Whether fewer strangers than can check it lie beyond it.
    """

    claimed: float
    score: float | None
    named: float
    is_extrapolated: bool


@dataclass(frozen=True, slots=True)
class VersionMeasurement:
    """A version, measured.

    Parameters
    ----------
    report : dict or None
        Of the form ``facerec.evaluation/1``, videos by their ids; None where there is nothing to measure.
    left_out : list of str
        Ids of videos that have a truth and no analysis by the version's network.
    learned : int
        Enrolled faces of the version that come from tracks of these videos: they flatter it.
    """

    version: str
    max_false_names: float
    report: dict[str, Any] | None
    left_out: list[str]
    learned: int


def present_limit(archive: Archive, project: str) -> float:
    """Return the accepted error that holds in a project."""
    own = archive.store.get_project(project).max_false_names
    return archive.rules.max_false_names_tracks if own is None else own


def claimed_limits(archive: Archive, project: str, version: str) -> list[ClaimedLimit]:
    """Return what a version claims at the accepted errors that people choose among, and at the present one."""
    calibration = load_model(archive.files, project, archive.store.get_model(project, version).version).tracks
    return [_claimed(calibration, one) for one in sorted({*CHOICES, present_limit(archive, project)})]


def _claimed(calibration: ScoreCalibration, claimed: float) -> ClaimedLimit:
    score, genuine = calibration.limit(claimed), calibration.genuine
    # The part of a normal distribution that lies beyond.
    named = 0.5 * math.erfc((score - genuine.mean) / (genuine.deviation * math.sqrt(2)))
    return ClaimedLimit(claimed, score if math.isfinite(score) else None, named, calibration.is_extrapolated(claimed))


def label_video(archive: Archive, project: str, video_id: str, labels: VideoLabels) -> KeptTruth:
    """Keep what was told of a video as its truth, in place of what there is.

    Raises
    ------
    InputError
        If the labels do not fit the analysis, or that is of another video.
    """
    store = archive.store
    video = store.get_video(project, video_id)
    analysis = store.get_analysis(project, labels.analysis_id)
    if analysis.video_id != video_id:
        raise InputError(f"analysis {labels.analysis_id} is not of video {video_id}")
    found = read_analysis(analysis, store.get_tracks(project, [analysis.analysis_id])[analysis.analysis_id])
    truth = truth_of(labels, found.tracks, found.info.duration_s)
    keep_truth(archive.files, project, video.sha256, truth, labels)
    return kept_truths(archive, project)[video.sha256]


def labelled_videos(archive: Archive, project: str) -> list[tuple[VideoRow, KeptTruth]]:
    """Return the videos of a project's evaluation set that are there, with their truths, by name."""
    found = [
        (video, kept)
        for sha256, kept in kept_truths(archive, project).items()
        for video in archive.store.find_videos(project, sha256=sha256)[:1]
    ]
    return sorted(found, key=lambda one: (one[0].name, one[0].video_id))


def measure_version(
    archive: Archive, project: str, version: str, max_false_names: float | None = None
) -> VersionMeasurement:
    """Measure a version on the project's evaluation set, from stored vectors: no picture is read, and nothing is stored.

    Tracks that were confirmed are named by the version, too: their names would measure nothing.
    """
    version = archive.store.get_model(project, version).version
    limit = present_limit(archive, project) if max_false_names is None else max_false_names
    model = load_model(archive.files, project, version)
    truths: dict[str, KeptTruth] = {}
    results: dict[str, MeasuredResult] = {}
    told: dict[str, dict[int, str | None]] = {}
    left_out, learned = [], 0
    enrolled = set(model.gallery.face_ids.tolist())
    for video, kept in labelled_videos(archive, project):
        analysis = best_analysis(archive.store, video, model.gallery.embedder)
        if analysis is None:
            left_out.append(video.video_id)
            continue
        document = name_analysis(archive, analysis, version, limit, with_confirmed=False)
        truths[video.video_id] = kept
        results[video.video_id] = MeasuredResult.model_validate(document.model_dump(by_alias=True))
        if kept.labels is not None and kept.labels.analysis_id == analysis.analysis_id:
            told[video.video_id] = kept.labels.told()
        learned += len(_faces_of(analysis, [track.track_id for track in document.tracks], kept) & enrolled)
    report = to_dict(_with_told(evaluate(truths, results), results, told)) if truths else None
    return VersionMeasurement(version, limit, report, left_out, learned)


def _with_told(
    evaluation: Evaluation, results: Mapping[str, MeasuredResult], told: Mapping[str, Mapping[int, str | None]]
) -> Evaluation:
    """Return an evaluation in which tracks count as those whom they were told to show, not only where one person is in view."""
    videos = [
        replace(
            one, evidence=replace(told_evidence(one.name, told[one.name], results[one.name]), faces=one.evidence.faces)
        )
        if one.name in told
        else one
        for one in evaluation.videos
    ]
    return replace(evaluation, videos=tuple(videos))


def _faces_of(analysis: AnalysisRow, track_ids: Sequence[int], kept: KeptTruth) -> set[str]:
    """Return the ids that faces have which people of a truth were given from tracks of an analysis."""
    return {
        face_id
        for person in kept.people
        for track_id in track_ids
        for face_id in faces_of_track(analysis.project, person.name, analysis.analysis_id, track_id)
    }
