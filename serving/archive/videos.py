"""Register videos, analyse them once, keep what was found."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from facerec_models.analysis.analyze import Analysis, analyze, link_segments
from facerec_models.analysis.apart.probing import probe_video
from facerec_models.analysis.frame_faces import Engines, Scan, Timing
from facerec_models.analysis.networks import Networks
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.analysis.weights import file_sha256
from facerec_models.catalogue import Catalogue
from facerec_models.config import AnalysisConfig
from facerec_models.errors import ProjectNotFoundError, VideoNotFoundError, VideoOpenError
from facerec_models.files import remove_tree, write_atomically
from facerec_models.names import short_id
from facerec_models.types import Track
from serving.archive.coverage import ANALYSED_AT, JOINED, MADE_FROM, covers, ranges_of
from serving.archive.handle import Archive
from serving.sources.source import Resolved
from serving.store.contract import Store
from serving.store.rows import AnalysisRow, VideoRow

_KEPT_ELSEWHERE = {"info", "embedder", "tracks", "timing", "engines"}
BEFORE_S = 0.001
"""By how much an analysis counts as older than one that is to be its video's latest."""


def register_video(
    store: Store,
    project: str,
    file: Path,
    config: AnalysisConfig,
    *,
    uri: str | None = None,
    name: str | None = None,
    catalogue: Catalogue | None = None,
    place: Callable[[str], Path] | None = None,
) -> VideoRow:
    """Add a video file to a project.

    The same content again keeps its id, the time at which it was first submitted, and its file, as long as that is there.

    Parameters
    ----------
    uri : str, optional
        Where the video comes from; the file's own address by default.
    name : str, optional
        What it is called, in errors too; by default the file's name, and in errors its path.
    catalogue : Catalogue, optional
        What is known of it; without one, what was known stays.
    place : callable, optional
        Says for a SHA-256 where to move the file, on the same file system; a file that is not needed stays where it is. By default
        none is moved. Nothing refers to a file before it is in its place, and what a process that dies in between leaves there is
        used when the same content comes again.

    Raises
    ------
    VideoOpenError, VideoDecodeError, LimitExceededError
        If it is no video that can be read, or has no picture track ``config.sampling.stream``: nothing is stored.
    ProjectNotFoundError
        If there is no such project: nothing is stored.
    """
    store.get_project(project)
    probe_video(file, config.limits, name=name, stream=config.sampling.stream)
    sha256 = file_sha256(file)
    video_id = short_id("v", project, sha256)
    known = _known_video(store, project, video_id)
    kept = file.resolve() if place is None else place(sha256)
    if known is not None and known.file != str(kept) and _has_content(Path(known.file), sha256):
        kept = Path(known.file)
        uri = uri or known.uri
    elif place is not None and not _has_content(kept, sha256):
        # What is there already stays: a decoder may be about to open it, and may open no other.
        file.replace(kept)
    video = VideoRow(
        video_id=video_id,
        project=project,
        uri=uri or kept.as_uri(),
        sha256=sha256,
        name=name or file.name,
        file=str(kept),
        created_at=time.time() if known is None else known.created_at,
        catalogue=known.catalogue if catalogue is None and known is not None else dump_catalogue(catalogue),
    )
    store.put_video(video)
    return video


def add_video(archive: Archive, project: str, resolved: Resolved, config: AnalysisConfig) -> VideoRow:
    """Add a video that a source has made a local file of, with what the source knows of it; see `register_video`."""
    return register_video(
        archive.store,
        project,
        resolved.file,
        config,
        uri=resolved.uri,
        # Errors name a local file by its path.
        name=None if resolved.uri.startswith("file:") else resolved.name,
        catalogue=resolved.catalogue,
    )


def dump_catalogue(catalogue: Catalogue | None) -> dict[str, Any] | None:
    """Return what a catalogue says as a row keeps it."""
    return None if catalogue is None else catalogue.model_dump(mode="json")


def _known_video(store: Store, project: str, video_id: str) -> VideoRow | None:
    try:
        return store.get_video(project, video_id)
    except VideoNotFoundError:
        return None


def _has_content(file: Path, sha256: str) -> bool:
    """Whether a file is there and has not become another one under the same name."""
    try:
        return file_sha256(file) == sha256
    except OSError:
        return False


def analysis_id_of(video: VideoRow, config: AnalysisConfig, embedder: str) -> str:
    """Return the id of the analysis of a video with these settings: equal ids mean equal content."""
    return short_id("a", video.project, video.sha256, config.key(embedder))


def second_key(key: str, embedder: str) -> str:
    """Return the key of an analysis that is made from another one's crops: not that of one made from pictures."""
    return hashlib.sha256(f"{embedder}\n{key}".encode()).hexdigest()[:16]


def second_analysis_id(video: VideoRow, key: str, embedder: str) -> str:
    """Return the id of the analysis that is made with another embedder from the crops of the one with this key."""
    return short_id("a", video.project, video.sha256, second_key(key, embedder))


def analyses_of(store: Store, video: VideoRow, config: AnalysisConfig, embedder: str) -> list[str]:
    """Return the ids that analyses of a video with these settings may have: made from pictures, or from another one's crops."""
    others = {row.embedder for row in store.list_analyses(video.project, video_id=video.video_id)} - {embedder}
    made_from_crops = [second_analysis_id(video, config.key(name), embedder) for name in sorted(others)]
    return [analysis_id_of(video, config, embedder), *made_from_crops]


def find_analysis(
    store: Store, video: VideoRow, config: AnalysisConfig, embedder: str, *, is_answer: bool = True
) -> AnalysisRow | None:
    """Return the stored analysis with these settings, if there is one; what it then counts as, see `_counts_from`.

    One that was made from the crops of such an analysis by another embedder is as good: no frame is decoded again.

    Parameters
    ----------
    is_answer : bool
        Whether it becomes part of the video's answer, see `serving.archive.naming.answer`; otherwise it counts as it did.
    """
    for analysis_id in analyses_of(store, video, config, embedder):
        try:
            row = store.get_analysis(video.project, analysis_id)
            if is_answer:
                store.touch_analysis(video.project, analysis_id, _counts_from(store, row))
            return store.get_analysis(video.project, analysis_id)
        except VideoNotFoundError:
            continue
    return None


def _counts_from(store: Store, row: AnalysisRow, *, is_answer: bool = True) -> float:
    """Return when an analysis counts as made: now if it covers what the latest one is of, otherwise before that.

    The latest analysis of a video is its answer: a fragment must not hide what is known of the rest. One that is not to be the answer
    counts as made before all others.
    """
    now = time.time()
    found = store.list_analyses(row.project, video_id=row.video_id)
    others = [one for one in found if one.embedder == row.embedder and one.analysis_id != row.analysis_id]
    if not others or (is_answer and covers(row, others[-1])):
        return now
    return min(now, (others[-1] if is_answer else others[0]).created_at - BEFORE_S)


def video_file(video: VideoRow) -> Path:
    """Return the file of a video.

    Raises
    ------
    VideoOpenError
        If it is no longer there.
    """
    file = Path(video.file)
    if not file.is_file():
        # Paths of this machine are nobody else's business.
        address = "" if video.uri.startswith("file:") else f", {video.uri}"
        raise VideoOpenError(
            f"the file of video {video.video_id} ({video.name!r}) is no longer there: submit it again{address}"
        )
    return file


def analyze_video(
    archive: Archive,
    video: VideoRow,
    config: AnalysisConfig,
    networks: Networks,
    *,
    on_progress: Callable[[float], None] | None = None,
    on_track: Callable[[Track], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    is_answer: bool = True,
) -> AnalysisRow:
    """Analyse a video in one go and store tracks, embeddings and crops.

    Nothing is stored when it fails or is stopped. Doing it again gives the same analysis.

    Parameters
    ----------
    on_track : callable, optional
        Gets each track when it has ended, with its crops, though nothing is stored yet.
    is_answer : bool
        Whether it becomes the video's answer, see `find_analysis`.

    Raises
    ------
    GalleryMismatchError
        If the project was begun with another embedder.
    AnalysisStoppedError
        If `should_stop` returned true.
    """
    embedder = networks.embedder.name
    archive.fix_embedder(video.project, embedder)
    file = video_file(video)

    def make(keep_crops: Callable[[Track], None]) -> Analysis:
        def take(track: Track) -> None:
            keep_crops(track)
            if on_track is not None:
                on_track(track)

        return analyze(
            file,
            config,
            networks.detector,
            networks.embedder,
            archive.pair_scale(embedder),
            name=video.name,
            take_crops=take,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    return _store_analysis(archive, video, config, embedder, make, is_answer=is_answer)


def join_video(
    archive: Archive,
    video: VideoRow,
    config: AnalysisConfig,
    embedder: str,
    scans: Iterable[Scan],
    info: VideoInfo,
    warnings: tuple[str, ...],
    *,
    should_stop: Callable[[], bool] | None = None,
) -> AnalysisRow:
    """Link the scans of a video's segments, in their order, and store the analysis as `analyze_video` does."""

    def make(keep_crops: Callable[[Track], None]) -> Analysis:
        return link_segments(
            info,
            config,
            embedder,
            archive.pair_scale(embedder),
            scans,
            warnings=warnings,
            take_crops=keep_crops,
            should_stop=should_stop,
        )

    return _store_analysis(archive, video, config, embedder, make)


def _store_analysis(
    archive: Archive,
    video: VideoRow,
    config: AnalysisConfig,
    embedder: str,
    make: Callable[[Callable[[Track], None]], Analysis],
    *,
    is_answer: bool = True,
) -> AnalysisRow:
    """Store an analysis whose crops are written while it is made."""
    store, analysis_id = archive.store, analysis_id_of(video, config, embedder)

    def keep_crops(track: Track) -> None:
        for k, crop in enumerate(track.crops):
            write_atomically(archive.files.track_crop(video.project, analysis_id, track.track_id, k), crop)

    with being_made(archive, video.project, analysis_id):
        analysis = make(keep_crops)
        store.fix_embedder(video.project, embedder)  # it may have changed meanwhile
        row = AnalysisRow(
            analysis_id=analysis_id,
            project=video.project,
            video_id=video.video_id,
            key=config.key(embedder),
            embedder=embedder,
            summary={**summarize(analysis), ANALYSED_AT: time.time()},
            created_at=0.0,
        )
        row = replace(row, created_at=_counts_from(store, row, is_answer=is_answer))
        store.put_analysis(row, analysis.tracks)
    if is_answer:
        _count_again(store, row)
    return row


def _count_again(store: Store, row: AnalysisRow) -> None:
    """Let an analysis count as it must where another one was stored at the same moment, before either could see the other."""
    at = _counts_from(store, row)
    found = store.list_analyses(row.project, video_id=row.video_id)
    parts_after = any(one.created_at > row.created_at and ranges_of(one) is not None for one in found)
    if at < row.created_at or (ranges_of(row) is None and parts_after):
        store.touch_analysis(row.project, row.analysis_id, at)


@contextmanager
def being_made(archive: Archive, project: str, analysis_id: str) -> Iterator[None]:
    """Mark an analysis whose crops are written in the block; leave nothing of one that fails.

    What a killed process leaves bears a mark, for `sweep`.
    """
    mark, own = archive.files.analysis_mark(project, analysis_id), uuid.uuid4().bytes
    write_atomically(mark, own)
    try:
        yield
    except BaseException:
        # Another process may be making the same analysis by now, or have made it before. Without a mark the project was deleted.
        if not mark.is_file() or mark.read_bytes() == own:
            _discard(archive, project, analysis_id)
        raise
    mark.unlink(missing_ok=True)


def _discard(archive: Archive, project: str, analysis_id: str) -> None:
    """Remove the crops of an analysis, unless it is there already: then only the mark."""
    try:
        archive.store.get_analysis(project, analysis_id)
    except (ProjectNotFoundError, VideoNotFoundError):
        remove_tree(archive.files.analysis(project, analysis_id))
    else:
        archive.files.analysis_mark(project, analysis_id).unlink(missing_ok=True)


def summarize(analysis: Analysis) -> dict[str, Any]:
    """Return everything of an analysis but its tracks as JSON values."""
    info = asdict(analysis.info)
    info["path"] = str(analysis.info.path)
    info["time_base"] = str(analysis.info.time_base)
    info["frame_rate"] = None if analysis.info.frame_rate is None else str(analysis.info.frame_rate)
    rest = {f.name: getattr(analysis, f.name) for f in fields(analysis) if f.name not in _KEPT_ELSEWHERE}
    return {**rest, "info": info, "timing": asdict(analysis.timing), "engines": asdict(analysis.engines)}


def read_analysis(row: AnalysisRow, tracks: list[Track]) -> Analysis:
    """Return a stored analysis as the value that it was made from."""
    summary = dict(row.summary)
    info = summary.pop("info")
    timing = summary.pop("timing")
    engines = summary.pop("engines")
    for name in (MADE_FROM, ANALYSED_AT, JOINED):
        summary.pop(name, None)
    return Analysis(
        **{
            **summary,
            "shots": tuple((start_s, end_s) for start_s, end_s in summary["shots"]),
            "warnings": tuple(summary["warnings"]),
            "fragment": None if summary.get("fragment") is None else tuple(summary["fragment"]),
            "fragments": tuple((start_s, end_s) for start_s, end_s in summary.get("fragments", ())),
        },
        info=VideoInfo(
            **{
                **info,
                "path": Path(info["path"]),
                "time_base": Fraction(info["time_base"]),
                "frame_rate": None if info["frame_rate"] is None else Fraction(info["frame_rate"]),
            }
        ),
        embedder=row.embedder,
        timing=Timing(**timing),
        engines=Engines(**engines),
        tracks=tuple(tracks),
    )
