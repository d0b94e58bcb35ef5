"""Write what is stored of videos as documents, one after the other: no more than one result is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from facerec_models.files import RemotePath
from facerec_models.names import local_path
from serving.archive.handle import Archive
from serving.archive.naming.one_video import CropUrl, stored_result
from serving.exports.export_format import ExportContext, ExportFormat
from serving.exports.formats import FORMATS
from serving.settings import ExportConfig
from serving.store.naming_rows import AppearanceRow
from serving.store.rows import AnalysisRow, VideoRow


def analysed_videos(archive: Archive, project: str) -> list[VideoRow]:
    """Return all videos of a project that have a result, oldest first."""
    store = archive.store
    named = {row.analysis_id for row in store.list_named(project)}
    latest = store.latest_analyses(project)
    return [video for video in store.list_videos(project) if latest.get(video.video_id) in named]


def write_document(
    archive: Archive,
    config: ExportConfig,
    videos: Sequence[VideoRow],
    export_format: ExportFormat,
    crop_url: CropUrl,
) -> Iterator[bytes]:
    """Yield the results of videos in a form of `serving.exports.formats.FORMATS`, with today's names.

    Parameters
    ----------
    videos : sequence of VideoRow
        One, unless the form holds many.
    crop_url : callable
        Says where the picture of a crop is, for who reads the document.

    Raises
    ------
    VideoNotFoundError, ModelNotFoundError
        As of `stored_result`: for the first video before anything is yielded.
    """
    url = crop_files(archive) if export_format is ExportFormat.CONTACT_SHEET else crop_url
    context = ExportContext(config.creator, config.public_url.rstrip("/"), datetime.now(UTC), read_crop)
    return FORMATS[export_format].write(
        (stored_result(archive, video.project, video.video_id, url) for video in videos), context
    )


def file_names(videos: Sequence[VideoRow], ending: str) -> list[str]:
    """Return a different name for the document of each video, on every file system; characters that do not show are left out."""
    names: dict[str, str] = {}
    for video in videos:
        stem = "".join(c for c in Path(video.name).stem if c.isprintable()) or "video"
        name = f"{stem}{ending}"
        if name.casefold() in names:
            name = f"{stem}-{video.video_id}{ending}"
        names[name.casefold()] = name
    return [*names.values()]


def crop_files(archive: Archive) -> CropUrl:
    """Return what says in which file the k-th best face of a track is."""

    def uri(analysis: AnalysisRow | AppearanceRow, track_id: int, k: int) -> str:
        return archive.files.track_crop(analysis.project, analysis.analysis_id, track_id, k).as_uri()

    return uri


def read_crop(uri: str) -> bytes | None:
    """Return the face at an address of `crop_files`; None if the file is gone."""
    protocol, key = uri.split("://", 1)
    file = local_path(uri) if protocol == "file" else RemotePath(protocol, key)
    return file.read_bytes() if file.is_file() else None
