"""What a job has found in its video so far, for whoever watches it: small files that go with the job's parts.

A file holds what was found since the one before, or in a segment, and never changes. Its name says which part of the video that is, so
that a list of them costs no more than the listing of a folder.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from facerec_models.analysis.analyze import Linker
from facerec_models.analysis.frame_faces import Scan
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.errors import GalleryMismatchError, InputError
from facerec_models.files import AnyPath, remove_tree, write_atomically
from facerec_models.identification.identify import identify_tracks
from facerec_models.names import identity_of
from facerec_models.types import Decision, Track
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.naming.current import read_current
from serving.archive.privacy.policy import read_policy
from serving.store.job_rows import Job

# The first is written soon, and later ones at longer and longer intervals: a job of hours has some hundred of them.
_PERIOD_S, _GROWTH = 2.0, 0.05
_FACTS = "video.json"
_NAME = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)\.json")
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A part of a video that was searched: its name, and from when to when it reaches, in seconds."""

    part: str
    start_s: float
    until_s: float


class FoundSoFar:
    """Writes what one runner finds in the video of a job.

    Parameters
    ----------
    segment : int
        What it is at; what another one has found in the same segment, and has not finished, is forgotten.
    begins_s : float
        Where the search begins, in seconds.
    """

    def __init__(self, archive: Archive, job: Job, *, segment: int = 0, begins_s: float = 0.0) -> None:
        self._archive = archive
        self._job = job
        self._folder = archive.files.job_found(job.project, job.job_id)
        self._segment = segment
        self._written_to_s = begins_s
        self._began_at = self._written_at = time.monotonic()
        self._waiting: list[Track] = []
        self._count = 0
        unfinished: list[AnyPath] = list(self._folder.glob(f"{segment}-*.json"))
        for file in unfinished:
            file.unlink(missing_ok=True)

    def begin(self, info: VideoInfo) -> None:
        """Forget what an attempt before has found, and tell what the video is."""
        remove_tree(self._folder)
        facts = {
            "width": info.width,
            "height": info.height,
            "sample_aspect_ratio": info.sample_aspect_ratio,
            "start_pts_s": info.start_pts_s,
            "duration_s": info.duration_s,
        }
        write_atomically(self._folder / _FACTS, json.dumps(facts).encode())

    def take(self, track: Track) -> None:
        """Keep a track that has ended, until it is written."""
        self._waiting.append(track)

    def reach(self, until_s: float) -> None:
        """Note how far the video is searched, and write what was found, if that was not done just now."""
        now = time.monotonic()
        if now - self._written_at >= max(_PERIOD_S, _GROWTH * (now - self._began_at)):
            self.write(until_s)
            self._written_at = now

    def write(self, until_s: float) -> None:
        """Write what was found since the last time."""
        until_s = max(until_s, self._written_to_s)
        if not self._waiting and until_s == self._written_to_s:
            return
        bounds_ms = f"{1000 * self._written_to_s:.0f}-{1000 * until_s:.0f}"
        file = self._folder / f"{self._segment}-{self._count}-{bounds_ms}.json"
        write_atomically(file, json.dumps(self._told(self._waiting)).encode())
        self._waiting, self._written_to_s = [], until_s
        self._count += 1

    def _told(self, tracks: Sequence[Track]) -> list[dict[str, Any]]:
        if not tracks:
            return []
        store, project = self._archive.store, self._job.project
        current = read_current(self._archive, project)
        limit = self._job.spec.get("max_false_names") or current.max_false_names
        names: list[str | None] = [None] * len(tracks)
        if current.model is not None:
            try:
                matches = identify_tracks(tracks, current.model, self._archive.rules, max_false_names=limit)
                names = [one.person_id if one.decision is Decision.NAMED else None for one in matches]
            except GalleryMismatchError:  # of another network than the model: the end of the job tells
                pass
        # Where faces that match nobody are not kept, no picture of one is, not even for now.
        keeps_all = read_policy(store, project).keep_unmatched
        return [
            _dump(track, person_id, with_picture=keeps_all or person_id is not None)
            for track, person_id in zip(tracks, names, strict=True)
        ]


class LinkedAlone:
    """Links the faces of one segment while it is scanned: those that are in view at its ends are cut there.

    Parameters
    ----------
    make_linker : callable
        Makes what links them, which gives `so_far` the tracks; asked when the video is open.
    """

    def __init__(self, so_far: FoundSoFar, make_linker: Callable[[], Linker]) -> None:
        self._so_far = so_far
        self._make_linker = make_linker
        self._linker: Linker | None = None
        self._end_s = 0.0

    def take(self, part: Scan) -> None:
        """Take the next part of the segment."""
        self._linker = self._linker or self._make_linker()
        self._linker.link(part)
        self._end_s = max(self._end_s, part.end_s)
        self._so_far.reach(self._end_s)

    def finish(self, info: VideoInfo) -> None:
        """End all tracks, and write what is left."""
        if self._linker is None:
            return
        with suppress(InputError):  # no frame of it is analysed
            self._linker.result(info, complete=True, warnings=())
            self._so_far.write(self._end_s)


def list_found(files: Files, project: str, job_id: str) -> tuple[dict[str, Any] | None, list[FoundPart]]:
    """Return what is known of the video of a job that is at work, and the parts of it that were searched, by time."""
    folder = files.job_found(project, job_id)
    parts = []
    for file in folder.glob("*-*.json"):
        if (named := _NAME.fullmatch(file.name)) is not None:
            segment, number, start_ms, until_ms = map(int, named.groups())
            parts.append(FoundPart(f"{segment}-{number}", start_ms / 1000, until_ms / 1000))
    try:
        facts = json.loads((folder / _FACTS).read_bytes())
    except FileNotFoundError:
        return None, []
    return facts, sorted(parts, key=lambda one: (one.start_s, one.part))


def read_found(files: Files, project: str, job_id: str, part: str) -> bytes | None:
    """Return the tracks of a part as JSON; None if there is no such part, or the job has ended."""
    for file in files.job_found(project, job_id).glob(f"{part}-*.json"):
        try:
            return file.read_bytes()
        except FileNotFoundError:  # the job has just ended
            return None
    return None


def _dump(track: Track, person_id: str | None, *, with_picture: bool) -> dict[str, Any]:
    picture = base64.b64encode(track.crops[0]).decode() if with_picture and track.crops else None
    return {
        "track_id": track.track_id,
        "start_s": track.start_s,
        "end_s": track.end_s,
        "times_s": track.times_s.round(_DIGITS).tolist(),
        "boxes_xyxy": track.boxes.astype(float).round(1).tolist(),
        "person_id": person_id,
        "identity": identity_of(person_id),
        "picture": None if picture is None else f"data:image/jpeg;base64,{picture}",
    }
