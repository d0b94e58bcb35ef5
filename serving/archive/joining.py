"""One analysis that is joined of several of the same video: copies of their tracks, each from the part that counts where it is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain
from operator import add, itemgetter
from typing import NamedTuple

import numpy as np

from facerec_models.analysis.analyze import Analysis
from facerec_models.errors import VideoNotFoundError
from facerec_models.files import write_atomically
from facerec_models.metrics.intervals import union
from facerec_models.names import short_id
from facerec_models.types import Interval, Track
from serving.archive.coverage import ANALYSED_AT, JOINED, Share, analysed_at, ranges_of
from serving.archive.handle import Archive
from serving.archive.vector_sets import TrackKey, empty_forgotten
from serving.archive.videos import BEFORE_S, being_made, read_analysis, summarize
from serving.store.contract import Store
from serving.store.rows import AnalysisRow, VideoRow


class _Piece(NamedTuple):
    """What is taken of a track: itself or a part of it, of which it is, and which of its crops it has."""

    track: Track
    origin: TrackKey
    crops: list[int]


def join_shares(archive: Archive, video: VideoRow, shares: Sequence[Share]) -> AnalysisRow:
    """Return the analysis that is joined of these, the newest first: the stored one, or a new one that counts before all others.

    Doing it again gives the same analysis. Of a track that reaches over the border of a share, what is within is taken.
    """
    store, project = archive.store, video.project
    analysis_id = short_id("a", project, video.sha256, _key_of(shares))
    parts = [[share.analysis.analysis_id, analysed_at(share.analysis)] for share in shares]
    known = _known(store, project, analysis_id)
    if known is not None and [list(one) for one in known.summary[JOINED]["parts"]] == parts:
        return known
    tracks = store.get_tracks(project, [share.analysis.analysis_id for share in shares])
    found = [read_analysis(share.analysis, tracks[share.analysis.analysis_id]) for share in shares]
    shots, pieces = _cut(shares, found)
    place = {share.analysis.analysis_id: at for at, share in enumerate(shares)}
    joined = {"parts": parts, "tracks": [[place[piece.origin[0]], piece.origin[1]] for piece in pieces]}
    first = store.list_analyses(project, video_id=video.video_id)[0]
    row = AnalysisRow(
        analysis_id=analysis_id,
        project=project,
        video_id=video.video_id,
        key=_key_of(shares),
        embedder=shares[0].analysis.embedder,
        summary={**summarize(_joined(shares, found, shots)), ANALYSED_AT: time.time(), JOINED: joined},
        created_at=first.created_at - BEFORE_S if known is None else known.created_at,
    )
    with being_made(archive, project, analysis_id):
        for piece in pieces:
            _copy_crops(archive, row, piece)
        store.put_analysis(row, [piece.track for piece in pieces])
    copies = [(piece.origin, (analysis_id, piece.track.track_id)) for piece in pieces if len(piece.track.embedded)]
    empty_forgotten(store, archive.files, project, copies)
    return row


def _key_of(shares: Sequence[Share]) -> str:
    """Return the key of what is joined of these: the same for the same parts of the same analyses."""
    parts = sorted((share.ranges, share.analysis.key) for share in shares)
    return hashlib.sha256(f"{shares[0].analysis.embedder}\n{parts!r}".encode()).hexdigest()[:16]


def _known(store: Store, project: str, analysis_id: str) -> AnalysisRow | None:
    try:
        return store.get_analysis(project, analysis_id)
    except VideoNotFoundError:
        return None


def _cut(shares: Sequence[Share], found: Sequence[Analysis]) -> tuple[list[Interval], list[_Piece]]:
    """Return the shots and tracks of all shares, in the order of time, tracks under new numbers."""
    shots: list[tuple[Interval, tuple[int, Interval, int]]] = []
    for at, (share, analysis) in enumerate(zip(shares, found, strict=True)):
        for limits in share.ranges:
            for number, (start_s, end_s) in enumerate(analysis.shots):
                start_s, end_s = max(start_s, limits[0]), min(end_s, limits[1])
                if start_s < end_s:
                    shots.append(((start_s, end_s), (at, limits, number)))
    shots.sort(key=itemgetter(0))
    number_of = {key: number for number, (_, key) in enumerate(shots)}
    pieces: list[_Piece] = []
    for at, (share, analysis) in enumerate(zip(shares, found, strict=True)):
        for limits in share.ranges:
            for track in analysis.tracks:
                piece = _within(share.analysis.analysis_id, track, limits)
                if piece is not None:
                    shot = number_of[at, limits, track.shot]
                    pieces.append(piece._replace(track=replace(piece.track, shot=shot)))
    pieces.sort(key=lambda piece: (piece.track.start_s, piece.origin))
    numbered = [piece._replace(track=replace(piece.track, track_id=i)) for i, piece in enumerate(pieces, 1)]
    return [shot for shot, _ in shots], numbered


def _within(analysis_id: str, track: Track, limits: Interval) -> _Piece | None:
    """Return what of a track was sampled from the first of `limits` to before the second; None if that is nothing."""
    inside = (track.times_s >= limits[0]) & (track.times_s < limits[1])
    if not inside.any():
        return None
    crops = np.flatnonzero(inside[track.embedded])
    place = np.cumsum(inside) - 1
    part = replace(
        track,
        times_s=track.times_s[inside],
        frame_indexes=track.frame_indexes[inside],
        boxes=track.boxes[inside],
        scores=track.scores[inside],
        landmarks=track.landmarks[inside],
        quality=track.quality[inside],
        embedded=place[track.embedded[crops]].astype(np.int64),
        embeddings=track.embeddings[crops],
        start_s=max(track.start_s, limits[0]),
        end_s=min(track.end_s, limits[1]),
    )
    return _Piece(part, (analysis_id, track.track_id), crops.tolist())


def _joined(shares: Sequence[Share], found: Sequence[Analysis], shots: Sequence[Interval]) -> Analysis:
    """Return what is known of all shares together, but for their tracks; of how frames were sampled, what holds for all."""
    newest = found[0]
    ranges = union(chain.from_iterable(ranges_of(share.analysis) or () for share in shares))
    in_order = [one for _, one in sorted(zip(shares, found, strict=True), key=lambda pair: pair[0].ranges)]
    return replace(
        newest,
        tracks=(),
        shots=tuple(shots),
        period_s=max(one.period_s for one in found),
        frames_sampled=sum(one.frames_sampled for one in found),
        densified=all(one.densified for one in found),
        complete=all(one.complete for one in found),
        warnings=tuple(dict.fromkeys(chain.from_iterable(one.warnings for one in in_order))),
        fragment=(ranges[0][0], ranges[-1][1]),
        fragments=tuple(ranges),
        timing=reduce(add, (one.timing for one in found)),
        engines=reduce(add, (one.engines for one in found)),
    )


def _copy_crops(archive: Archive, row: AnalysisRow, piece: _Piece) -> None:
    for new, k in enumerate(piece.crops):
        crop = archive.files.track_crop(row.project, *piece.origin, k)
        if crop.is_file():
            copy = archive.files.track_crop(row.project, row.analysis_id, piece.track.track_id, new)
            write_atomically(copy, crop.read_bytes())
