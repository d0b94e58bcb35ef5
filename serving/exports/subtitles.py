"""Who is in view, as subtitles: what players and editors show beside the picture."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Iterator

from webvtt import Caption, WebVTT

from facerec_models.result import Result
from serving.exports.export_format import ExportContext
from serving.exports.labels import timecode
from serving.exports.provenance import explain_result

# No player shows a cue as short as this: where comments are not allowed, it carries what would be one.
_UNSEEN_S = 0.001


def to_webvtt(results: Iterable[Result], _: ExportContext) -> Iterator[bytes]:
    """Yield a cue for each appearance of a person or stranger, with the time as a player counts it, and a note on what names are.

    Undecidable faces have no cue.
    """
    for result in results:
        captions = [Caption(start, end, html.escape(label, quote=False)) for start, end, label in _cues(result)]
        notes = [explain_result(result)]
        if (first := result.video.start_timecode) is not None:
            notes.append(f"The file's own timecode begins at {first}.")
        yield f"{WebVTT(captions=captions, header_comments=notes).content}\n".encode()


def to_srt(results: Iterable[Result], _: ExportContext) -> Iterator[bytes]:
    """Yield the same as SubRip, which knows no comments: its first cue is the note, and lasts a millisecond."""
    for result in results:
        text = io.StringIO()
        note = Caption(timecode(0), timecode(_UNSEEN_S), explain_result(result))
        # Its players take what looks like a tag for one, and have no way to write it otherwise.
        captions = [
            Caption(start, end, label.replace("<", "(").replace(">", ")")) for start, end, label in _cues(result)
        ]
        WebVTT(captions=[note, *captions]).write(text, format="srt")
        yield f"{text.getvalue()}\n".encode()


def _cues(result: Result) -> Iterator[tuple[str, str, str]]:
    # A player wants them by their beginnings.
    for view in sorted(result.appearances, key=lambda view: view.start_s):
        if view.person_id is not None or view.stranger is not None:
            # A cue that ends with its beginning is none.
            end_s = max(view.end_s, view.start_s + _UNSEEN_S)
            yield timecode(view.start_s), timecode(end_s), view.label
