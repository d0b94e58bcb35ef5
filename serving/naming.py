"""Name what was analysed: revisions, results, and what would change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from facerec_models.config import IdentificationConfig
from facerec_models.errors import ModelNotFoundError
from facerec_models.gallery import NamingModel
from facerec_models.identification import identify_tracks
from facerec_models.result import ModelView, Result, VideoView, build_result
from facerec_models.types import Match, Track
from serving import strangers
from serving.home import Home
from serving.names import short_id
from serving.store.base import Store
from serving.store.rows import AnalysisRow, Revision
from serving.strangers import UnknownTracks
from serving.videos import read_analysis

CropUrl = Callable[[AnalysisRow, int, int], str]


def load_model(home: Home, project: str, version: str) -> NamingModel:
    """Return a trained model; the latest ones stay in memory."""
    return _load(home.model(project, version))


@lru_cache(maxsize=8)
def _load(directory: Path) -> NamingModel:
    return NamingModel.load(directory)


def drop_loaded_models() -> None:
    """Keep no trained model in memory: one of them knows somebody who was forgotten."""
    _load.cache_clear()


def current_revision(
    store: Store, project: str, rules: IdentificationConfig, max_false_names: float | None = None
) -> Revision:
    """Return the revision of the promoted model and this accepted error, recording it if it is new.

    Raises
    ------
    ModelNotFoundError
        If no model is promoted yet.
    """
    model = store.get_model(project)
    limit = rules.max_false_names_tracks if max_false_names is None else max_false_names
    revision = Revision(
        revision=short_id("r", project, model.version, repr(limit)),
        project=project,
        model_version=model.version,
        max_false_names=limit,
        created_at=time.time(),
    )
    store.put_revision(revision)
    return revision


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
            width=info.width,
            height=info.height,
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
    analysis = store.latest_analysis(project, video_id)
    if analysis.revision is None:
        raise ModelNotFoundError(
            f"video {video_id} was analysed but not identified: train a model, then 'facerec identify'"
        )
    return name_analysis(store, home, analysis, store.get_revision(project, analysis.revision), rules, crop_url)


@dataclass(slots=True)
class IdentificationChange:
    """What another revision changes in the archive, in named tracks per person."""

    revision: str
    videos: int = 0
    tracks: int = 0
    added: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        everybody = sorted(self.added.keys() | self.removed.keys())
        people = {person: {"added": self.added[person], "removed": self.removed[person]} for person in everybody}
        return {"revision": self.revision, "videos": self.videos, "tracks": self.tracks, "people": people}


def identify_archive(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    *,
    max_false_names: float | None = None,
    apply: bool,
) -> IdentificationChange:
    """Name all stored tracks again with the promoted model, from stored embeddings; `apply` makes it so.

    Parameters
    ----------
    max_false_names : float, optional
        Accepted error; by default that of most of the archive, or the configured one where nothing is named yet.
    """
    analyses = store.list_analyses(project)
    if max_false_names is None:
        limits = {revision.revision: revision.max_false_names for revision in store.list_revisions(project)}
        usual = Counter(limits[analysis.revision] for analysis in analyses if analysis.revision in limits)
        max_false_names = usual.most_common(1)[0][0] if usual else None
    revision = current_revision(store, project, rules, max_false_names)
    tracks = store.get_tracks(project, [analysis.analysis_id for analysis in analyses])
    sha256 = {video.video_id: video.sha256 for video in store.list_videos(project)}
    change = IdentificationChange(revision.revision)
    unknown = []
    for analysis in analyses:
        found = tracks[analysis.analysis_id]
        before = (
            [None] * len(found)
            if analysis.revision is None
            else [
                match.person_id
                for match in _match(home, analysis, found, store.get_revision(project, analysis.revision), rules)
            ]
        )
        after = _match(home, analysis, found, revision, rules)
        unknown.append(UnknownTracks.of(analysis, sha256[analysis.video_id], found, after))
        change.videos += 1
        change.tracks += len(found)
        for old, match in zip(before, after, strict=True):
            if old != match.person_id:
                change.removed.update([old] if old else [])
                change.added.update([match.person_id] if match.person_id else [])
    if apply:
        changed = [a.analysis_id for a in analyses if a.revision != revision.revision]
        store.assign_revision(project, revision.revision, changed)
        strangers.regroup(store, project, unknown)
    return change


def _match(
    home: Home, analysis: AnalysisRow, tracks: Sequence[Track], revision: Revision, rules: IdentificationConfig
) -> list[Match]:
    model = load_model(home, analysis.project, revision.model_version)
    return identify_tracks(
        tracks, model, rules, analysis_id=analysis.analysis_id, max_false_names=revision.max_false_names
    )
