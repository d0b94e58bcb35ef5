"""Remove what tells who tracks are: vectors, face files, and drawn videos. When and where a face was seen stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from facerec_models.files import AnyPath
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.vector_sets import TrackKey, in_all_sets
from serving.store.contract import Store

# Analyses whose tracks are in memory at once.
_AT_ONCE = 64


def remove_tracks(archive: Archive, project: str, tracks: Sequence[TrackKey]) -> tuple[int, int]:
    """Remove the vectors and face files of tracks, in every set; return how many tracks had vectors, and how many files there were.

    A second set that was being made the first time is there the second time.
    """
    emptied, crops = 0, 0
    for _ in range(2):
        everywhere = in_all_sets(archive.store, project, tracks)
        crops += remove_crops(archive.files, project, everywhere)
        emptied += empty_tracks(archive.store, project, everywhere)
    return emptied, crops


def empty_tracks(store: Store, project: str, tracks: Collection[TrackKey]) -> int:
    """Remove the vectors of tracks, those of some analyses at a time; return how many had any."""
    of_analysis: dict[str, list[TrackKey]] = {}
    for key in tracks:
        of_analysis.setdefault(key[0], []).append(key)
    emptied, rows = 0, list(of_analysis.values())
    for start in range(0, len(rows), _AT_ONCE):
        emptied += store.empty_tracks(project, [key for part in rows[start : start + _AT_ONCE] for key in part])
    return emptied


def remove_crops(files: Files, project: str, tracks: Iterable[TrackKey]) -> int:
    """Remove the face files of tracks; return how many there were."""
    return unlink(_crops_of(files, project, tracks))


def remove_drawn(files: Files, project: str, analysis_ids: Collection[str]) -> None:
    """Remove drawn videos of analyses, which show names.

    One that is being drawn is removed under its hidden name, which ends the drawing; what is drawn of an older result is swept.
    """
    unlink(
        drawn
        for analysis_id in analysis_ids
        for pattern in ("annotated-*", ".annotated-*")
        for drawn in files.analysis(project, analysis_id).glob(pattern)
    )


def _crops_of(files: Files, project: str, tracks: Iterable[TrackKey]) -> Iterator[AnyPath]:
    """Yield the face files of tracks; each analysis' folder is listed once."""
    wanted: dict[str, set[str]] = {}
    for analysis_id, track_id in tracks:
        wanted.setdefault(analysis_id, set()).add(str(track_id))
    for analysis_id, track_ids in wanted.items():
        for path in files.analysis(project, analysis_id).glob("*-*.jpg"):
            if path.name.partition("-")[0] in track_ids:
                yield path


def unlink(paths: Iterable[AnyPath]) -> int:
    """Remove files; return how many there were."""
    count = 0
    for path in paths:
        if path.is_file():
            path.unlink()
            count += 1
    return count
