"""Who is in view, for editors: markers on the video (OpenTimelineIO), and its appearances one after the other (CMX 3600)."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator

from opentimelineio import adapters, opentime, schema

from facerec_models.result import AppearanceView, Result
from serving.exports.evidence import explain_appearance
from serving.exports.export_format import ExportContext
from serving.exports.provenance import explain_result
from serving.exports.timecodes import FrameClock

# The file that a source is, where it is no tape: programs find it by the name of the clip.
_REEL = "AX"
_RECORD_HOUR = 1
_WIDTH = 76
_TITLE_WIDTH = 70


def to_otio(results: Iterable[Result], context: ExportContext) -> Iterator[bytes]:
    """Yield a timeline of one clip, the whole video, with a marker for each appearance; undecidable ones are white.

    Times are frames of the file's own timecode, at its exact rate. People are green and strangers orange.
    """
    for result in results:
        clock = FrameClock.of(result.video)
        media = schema.ExternalReference(
            target_url=result.video.uri,
            available_range=_range(clock, 0, max(1, _length(result, clock))),
            metadata={"facerec": {"video_id": result.video.id, "sha256": result.video.sha256}},
        )
        clip = schema.Clip(name=result.video.name, media_reference=media)
        clip.markers.extend(_marker(view, clock) for view in result.appearances)
        track = schema.Track(name="V1", kind=schema.TrackKind.Video, children=[clip])
        timeline = schema.Timeline(
            name=result.video.name,
            global_start_time=opentime.RationalTime(clock.start, float(clock.rate)),
            metadata={
                "facerec": {
                    "provenance": explain_result(result),
                    "creator": context.creator,
                    "created": context.created.isoformat(timespec="seconds"),
                    "frame_rate": str(clock.rate),
                    "start_timecode": clock.label(clock.start),
                    **({} if clock.is_exact else {"note": _explain_rate(result, clock)}),
                }
            },
        )
        timeline.tracks.append(track)
        yield adapters.write_to_string(timeline, "otio_json", indent=1).encode() + b"\n"


def to_edl(results: Iterable[Result], _: ExportContext) -> Iterator[bytes]:
    """Yield an event for each appearance of a person or stranger in order of time, laid one after the other from one hour on.

    The source is the file's own timecode. Names and file names are UTF-8 in comments, and ASCII in the title. From the thousandth event
    on, numbers have four digits, which programs read that do not drive tape machines. A rate that timecode
    is not made for is replaced by the nearest one that it is made for, and a comment says so.
    """
    for result in results:
        clock = FrameClock.of(result.video, is_standard=True)
        drops = clock.counted.drop_frame
        name = unicodedata.normalize("NFKD", result.video.name).encode("ascii", "ignore").decode()
        title = _one_line(name)[:_TITLE_WIDTH] or result.video.id
        yield f"TITLE: {title}\nFCM: {'DROP FRAME' if drops else 'NON-DROP FRAME'}\n\n".encode()
        # Programs take comments before the first event for an error.
        notes = [explain_result(result)] if clock.is_exact else [explain_result(result), _explain_rate(result, clock)]
        record = clock.counted.tc_to_frames(f"{_RECORD_HOUR:02}:00:00{';' if drops else ':'}00") - 1
        views = [view for view in result.appearances if view.person_id is not None or view.stranger is not None]
        for number, view in enumerate(sorted(views, key=lambda view: view.start_s), 1):
            first, end = clock.frames(view.start_s, view.end_s)
            edges = (clock.start + first, clock.start + end, record, record + end - first)
            record = edges[-1]
            lines = [
                f"{number:03}  {_REEL:8} V     C        {' '.join(map(clock.label, edges))}",
                f"* FROM CLIP NAME:  {_one_line(result.video.name)}",
                f"* COMMENT: {_one_line(_comment(view, result))}",
                *(f"* COMMENT: {line}" for note in notes for line in textwrap.wrap(_one_line(note), _WIDTH)),
            ]
            notes = []
            yield ("\n".join(lines) + "\n\n").encode()


def _range(clock: FrameClock, first: int, end: int) -> opentime.TimeRange:
    rate = float(clock.rate)
    return opentime.TimeRange(
        opentime.RationalTime(clock.start + first, rate), opentime.RationalTime(end - first, rate)
    )


def _length(result: Result, clock: FrameClock) -> int:
    """Return the frames of the video, at least as many as appearances have."""
    ends = (clock.frames(view.start_s, view.end_s)[1] for view in result.appearances)
    return max(clock.frame(result.video.duration_s), *ends, 0)


def _marker(view: AppearanceView, clock: FrameClock) -> schema.Marker:
    if view.person_id is not None:
        colour = schema.MarkerColor.GREEN
    else:
        colour = schema.MarkerColor.WHITE if view.stranger is None else schema.MarkerColor.ORANGE
    fields = view.model_dump(mode="json", exclude={"evidence", "label", "start_s", "end_s"})
    return schema.Marker(
        name=view.label,
        marked_range=_range(clock, *clock.frames(view.start_s, view.end_s)),
        color=colour,
        metadata={"facerec": fields},
    )


def _comment(view: AppearanceView, result: Result) -> str:
    why = explain_appearance(view, result)
    return why if view.person_id is not None else f"{view.label}; {why}"


def _explain_rate(result: Result, clock: FrameClock) -> str:
    own = result.video.frame_rate
    why = "The frame rate varies" if own is None else f"Timecode has no frame rate of {own}"
    return f"{why}: timecodes count {float(clock.rate):.6g} frames a second."


def _one_line(text: str) -> str:
    return " ".join(text.split())
