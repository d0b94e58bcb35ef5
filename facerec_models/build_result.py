"""Make the result document of a video from what was found and who was named."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facerec_models.identification.appearances import InView, build_appearances
from facerec_models.identification.identify import nearest_people, told_apart
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.reasons import reason_of
from facerec_models.metrics.intervals import length, union
from facerec_models.names import STRANGER_PREFIX, identity_of
from facerec_models.result import (
    AppearanceView,
    CandidateView,
    Coverage,
    CropView,
    Evidence,
    ModelView,
    NearestView,
    Result,
    SampleView,
    SamplingView,
    TimingView,
    TrackView,
    VideoView,
)
from facerec_models.types import Candidate, Decision, FloatArray, Interval, Match, Track
from facerec_models.vectors import track_embedding

if TYPE_CHECKING:
    from facerec_models.analysis.analyze import Analysis

_SHOWN_CROPS = 3
_NO_PICTURES = "pictures of it are no longer kept"


@dataclass(frozen=True, slots=True)
class StrangerLabel:
    """What a stranger is called: an id that lasts, and the n of "Unknown n"."""

    stranger_id: str
    number: int


def stranger_id(project: str, video_sha256: str, frame_index: int, box_xyxy: FloatArray) -> str:
    """Return the id of a stranger who is first seen here: the same for the same content."""
    box = ",".join(f"{value:.0f}" for value in box_xyxy.tolist())
    key = f"{project}\n{video_sha256}\n{frame_index}\n{box}"
    return STRANGER_PREFIX + base64.b32encode(hashlib.sha256(key.encode()).digest())[:10].decode().lower()


def owner_of(track: InView, match: Match, stranger: Hashable | None) -> Hashable:
    """Return whom a track's appearance belongs to: its person, else its stranger, else the track itself."""
    return match.person_id or stranger or ("track", track.track_id)


def build_result(
    analysis: Analysis,
    matches: Sequence[Match],
    *,
    video: VideoView,
    project: str,
    analysis_id: str | None,
    revision: str,
    model: NamingModel | None,
    model_view: ModelView,
    strangers: Mapping[int, StrangerLabel],
    crop_url: Callable[[int, int], str],
    identify_s: float,
    has_crop: Callable[[int, int], bool] = lambda _track_id, _k: True,
    with_samples: bool = True,
) -> Result:
    """Make the document from what was found and who it is.

    Parameters
    ----------
    matches : sequence of Match
        One for each track of `analysis`, in order.
    strangers : mapping of int to StrangerLabel
        Who the unknown tracks show, by track id.
    crop_url : callable
        Takes a track's id and the number of one of its kept crops, returns that picture's address.
    has_crop : callable, optional
        Whether that picture is still kept; by default all are.
    with_samples : bool
        False leaves the samples of tracks out, which are most of the document.
    """
    tracks = analysis.tracks
    owners = [owner_of(t, m, strangers.get(t.track_id)) for t, m in zip(tracks, matches, strict=True)]
    appearances = build_appearances(tracks, matches, owners, analysis.period_s)
    by_id = {track.track_id: i for i, track in enumerate(tracks)}
    views = []
    for appearance in appearances:
        stranger = strangers.get(appearance.track_ids[0])
        person_id = appearance.match.person_id
        members = [by_id[track_id] for track_id in appearance.track_ids]
        label = identity_of(person_id) or (f"Unknown {stranger.number}" if stranger else "Undecidable")
        views.append(
            AppearanceView(
                person_id=person_id,
                identity=identity_of(person_id),
                stranger=stranger.stranger_id if stranger else None,
                label=label,
                start_s=appearance.start_s,
                end_s=appearance.end_s,
                probability=appearance.match.probability,
                false_name_rate=appearance.match.false_name_rate,
                track_ids=list(appearance.track_ids),
                reason=reason_of(appearance.match, identity_of(appearance.match.beside)),
                confirmed=appearance.match.is_confirmed,
                evidence=_evidence(
                    appearance.match,
                    [tracks[i] for i in members],
                    next(tracks[i] for i in members if matches[i] == appearance.match),
                    model,
                    crop_url,
                    has_crop,
                ),
            )
        )
    intervals = [(track.start_s, track.end_s) for track in tracks]
    return Result(
        video=video,
        project=project,
        analysis_id=analysis_id,
        revision=revision,
        model=model_view,
        sampling=SamplingView(
            period_s=analysis.period_s,
            mode=analysis.mode,
            frames_sampled=analysis.frames_sampled,
            densified=analysis.densified,
            fragment=analysis.fragment,
            fragments=None if analysis.fragment is None else list(analysis.fragments or [analysis.fragment]),
        ),
        appearances=views,
        tracks=[
            _track_view(t, m, interval, with_samples=with_samples)
            for t, m, interval in zip(tracks, matches, intervals, strict=True)
        ],
        shots=list(analysis.shots),
        coverage=_coverage(intervals, matches),
        timing=TimingView(
            wall_s=analysis.timing.wall_s,
            decode_s=analysis.timing.decode_s,
            detect_s=analysis.timing.detect_s,
            embed_s=analysis.timing.embed_s,
            identify_s=identify_s,
            frames_decoded=analysis.timing.frames_decoded,
            frames_detected=analysis.timing.frames_detected,
            faces_embedded=analysis.timing.faces_embedded,
        ),
    )


def _evidence(
    match: Match,
    tracks: Sequence[Track],
    best: Track,
    model: NamingModel | None,
    crop_url: Callable[[int, int], str],
    has_crop: Callable[[int, int], bool],
) -> Evidence:
    """Return the evidence for the decision about some tracks; `best` is the track that `match` belongs to."""
    crops = sorted(
        (
            (float(track.quality[sample]), track, k, int(sample))
            for track in tracks
            for k, sample in enumerate(track.embedded)
        ),
        key=lambda crop: (-crop[0], crop[1].track_id, crop[2]),
    )[:_SHOWN_CROPS]
    # A face that is shown twice is compared with the person whom it shows.
    shown = match.person_id or match.beside
    nearest = model.nearest_faces(track_embedding(crops[0][1]), shown) if model and shown and crops else []
    runner_up, margin = (None, None) if model is None else _runner_up(match, best, model)
    shown_crops = [
        CropView(time_s=float(track.times_s[sample]), url=crop_url(track.track_id, k))
        for _, track, k, sample in crops
        if has_crop(track.track_id, k)
    ]
    return Evidence(
        crops=shown_crops,
        nearest=[NearestView(face_id=face_id, similarity=similarity) for face_id, similarity in nearest],
        runner_up=CandidateView.of(runner_up) if runner_up else None,
        margin=margin,
        told_apart=told_apart(model, track_embedding(best)) if model and len(best.embedded) else None,
        note=None if shown_crops else _NO_PICTURES,
    )


def _runner_up(match: Match, track: Track, model: NamingModel) -> tuple[Candidate | None, float | None]:
    """Return the nearest other person, and the margin; see `Evidence`."""
    near = nearest_people(model, track_embedding(track), match.person_id) if len(track.embedded) else []
    if not near:
        return None, None
    if match.person_id is None:
        return near[0], near[0].similarity - near[1].similarity if len(near) > 1 else None
    (own,) = (one.similarity for one in match.candidates if one.person_id == match.person_id)
    return near[0], own - near[0].similarity


def _track_view(track: Track, match: Match, interval: Interval, *, with_samples: bool) -> TrackView:
    return TrackView(
        track_id=track.track_id,
        shot=track.shot,
        start_s=interval[0],
        end_s=interval[1],
        person_id=match.person_id,
        identity=identity_of(match.person_id),
        decision=match.decision.value,
        reason=reason_of(match, identity_of(match.beside)),
        probability=match.probability,
        false_name_rate=match.false_name_rate,
        candidates=[CandidateView.of(candidate) for candidate in match.candidates],
        samples=[
            SampleView(
                time_s=float(track.times_s[i]),
                frame_index=int(track.frame_indexes[i]),
                box_xyxy=tuple(track.boxes[i].tolist()),
                score=float(track.scores[i]),
                landmarks=[(x, y) for x, y in track.landmarks[i].tolist()],
                quality=float(track.quality[i]),
            )
            for i in range(len(track) if with_samples else 0)
        ],
    )


def _coverage(intervals: Sequence[Interval], matches: Sequence[Match]) -> Coverage:
    def seconds(decision: Decision | None) -> float:
        pairs = zip(intervals, matches, strict=True)
        return length(union(interval for interval, match in pairs if decision in (None, match.decision)))

    return Coverage(
        face_s=seconds(None),
        named_s=seconds(Decision.NAMED),
        unknown_s=seconds(Decision.UNKNOWN),
        undecidable_s=seconds(Decision.UNDECIDABLE),
    )
