"""Results in the words of the predecessor's API: one record for each track, boxes in pixels of the picture as players show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from facerec_models.catalogue import Catalogue, Channel
from facerec_models.result import AppearanceView, Result, SampleView, TrackView, VideoView


def track_records(result: Result, locator: str) -> Iterator[dict[str, Any]]:
    """Yield a record for each track of a person."""
    for view, track in _tracks(result):
        if view.person_id is not None:
            yield {**_record(result, view, track, locator), "confidence": round(view.probability, 4)}


def stranger_records(result: Result, locator: str) -> Iterator[dict[str, Any]]:
    """Yield a record for each track of a stranger; without a confidence, which would list them unasked."""
    for view, track in _tracks(result):
        if view.stranger is not None:
            yield {**_record(result, view, track, locator), "unknown": True, "cluster": view.stranger}


def metadata_record(catalogue: Catalogue) -> dict[str, Any]:
    """Return what a catalogue says; times of segments are ``hh:mm:ss``."""
    return {
        "media": catalogue.uri,
        "programme": catalogue.programme,
        "title": catalogue.titles,
        "date": catalogue.dates,
        "channel": [_channel(channel) for channel in catalogue.channels],
        "genre": "; ".join(catalogue.genres),
        "theme": "; ".join(catalogue.themes),
        "duration": catalogue.duration,
        "publication": [
            {"date": one.date, "channel": {"id": "", "name": ""} if one.channel is None else _channel(one.channel)}
            for one in catalogue.publications
        ],
        "rights": catalogue.rights,
        "segments": [
            {"label": segment.label, "start": _clock(segment.start_s), "end": _clock(segment.end_s)}
            for segment in catalogue.segments
        ],
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {"id": channel.id or channel.name, "name": channel.name}


def _tracks(result: Result) -> Iterator[tuple[AppearanceView, TrackView]]:
    tracks = {track.track_id: track for track in result.tracks}
    for view in result.appearances:
        for track_id in view.track_ids:
            yield view, tracks[track_id]


def _record(result: Result, view: AppearanceView, track: TrackView, locator: str) -> dict[str, Any]:
    first, last = track.samples[0], track.samples[-1]
    left, top, right, bottom = _square_box(result.video, _shown_sample(track))
    width, height = right - left, bottom - top
    fps = result.video.fps
    return {
        "name": view.label,
        "project": result.project,
        "locator": locator,
        "track_id": track.track_id,
        "merged_tracks": view.track_ids,
        "start_npt": round(track.start_s, 3),
        "end_npt": round(track.end_s, 3),
        "start_frame": round(track.start_s * fps),
        "end_frame": round(track.end_s * fps),
        "start_sample": first.frame_index,
        "end_sample": last.frame_index,
        "bounding": {"x": left, "y": top, "w": width, "h": height, "xywh": f"{left},{top},{width},{height}"},
        "rect": [left, top, right, bottom],
        "frame_size": list(_square_size(result.video)),
    }


def _shown_sample(track: TrackView) -> SampleView:
    """Return where a face is in the middle of its track: one box must do for all of it."""
    middle_s = (track.start_s + track.end_s) / 2
    return min(track.samples, key=lambda sample: abs(sample.time_s - middle_s))


def _square_size(video: VideoView) -> tuple[int, int]:
    ratio = video.sample_aspect_ratio
    return round(video.width * max(ratio, 1)), round(video.height / min(ratio, 1))


def _square_box(video: VideoView, sample: SampleView) -> tuple[int, int, int, int]:
    ratio = video.sample_aspect_ratio
    left, top, right, bottom = sample.box_xyxy
    across, down = max(ratio, 1), 1 / min(ratio, 1)
    return round(left * across), round(top * down), round(right * across), round(bottom * down)


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
