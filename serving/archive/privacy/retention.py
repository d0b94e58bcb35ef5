"""Remove what a project keeps no longer: videos, pictures, vectors, strangers, and people whose consent is over.

Each step can be done again: what is left to do is read from what is there. What goes is told by a report, and noted in the audit log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from facerec_models.errors import ConflictError, FacerecError, PersonNotFoundError, VideoNotFoundError
from facerec_models.files import AnyPath
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import Decision
from serving.archive.coverage import JOINED, analysed_at
from serving.archive.deletion import delete_video
from serving.archive.forget import forget
from serving.archive.former_names import name_now
from serving.archive.handle import Archive
from serving.archive.naming.aliases import follow_all
from serving.archive.naming.named import strangers_of
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.whole_archive import batched
from serving.archive.privacy.consent import is_over, move_note, notes_of
from serving.archive.privacy.policy import DAY_S, Policy, read_policy
from serving.archive.privacy.unmatched import remove_unmatched, scrub_soon
from serving.archive.track_removal import remove_drawn, unlink
from serving.archive.vector_sets import TrackKey, origins
from serving.store.job_rows import JobState
from serving.store.naming_rows import NamedTracks
from serving.store.rows import AnalysisRow, VideoRow

logger = logging.getLogger(__name__)

_NAMED, _UNKNOWN = (tuple(Decision).index(one) for one in (Decision.NAMED, Decision.UNKNOWN))
# Analyses whose columns are in memory at once.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What a project keeps no longer, and is gone; or would go.

    Parameters
    ----------
    preview : bool
        Whether all of it is still there.
    videos : list of str
        Ids of videos that were deleted, with all that was found in them.
    crops : int
        Pictures of faces in videos that stay.
    tracks : int
        Tracks of videos that stay and lost their vectors, in every set.
    strangers : list of str
        Ids of strangers whose time was over.
    expired : list of str
        Ids of people whose consent is over and who are still known.
    forgotten : list of str
        Those who were forgotten for that.
    """

    project: str
    at: float
    preview: bool
    videos: list[str] = field(default_factory=list)
    crops: int = 0
    tracks: int = 0
    strangers: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    @property
    def removes_anything(self) -> bool:
        """Whether anything is gone, or would go."""
        return bool(self.videos or self.crops or self.tracks or self.strangers or self.forgotten)

    def counts(self) -> dict[str, int]:
        """Return how much of each there is: what may be noted of it."""
        return {
            "videos": len(self.videos),
            "crops": self.crops,
            "tracks": self.tracks,
            "strangers": len(self.strangers),
            "expired": len(self.expired),
            "forgotten": len(self.forgotten),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def has_policy(archive: Archive, project: str) -> bool:
    """Whether anything of a project may have to go: a question of two rows."""
    return read_policy(archive.store, project).removes_anything or any(
        note.expires_at is not None for note in archive.store.list_notes(project)
    )


def apply_policy(
    archive: Archive,
    project: str,
    *,
    preview: bool = False,
    now: float | None = None,
    instead: Policy | None = None,
) -> RetentionReport:
    """Remove what a project keeps no longer, or say what would go.

    Parameters
    ----------
    instead : Policy, optional
        Say what would go by this one, which is not set; for a preview alone.
    now : float, optional
        In seconds since the epoch.

    Raises
    ------
    StoreError
        If the policy cannot be read: nothing is removed then.
    """
    if instead is not None and not preview:
        raise ValueError("a policy that is not set removes nothing: preview it")
    policy, store = instead or read_policy(archive.store, project), archive.store
    now = time.time() if now is None else now
    videos = _old_videos(archive, project, policy, now)
    if not preview:
        for video in videos:
            with suppress(VideoNotFoundError):  # it was deleted just now
                delete_video(archive, project, video.video_id, scrubs=False)
    due = _Due.of(archive, project, policy, now, {video.video_id for video in videos})
    crops, tracks = 0, 0
    for analysis_id, paths in _crops_due(archive, project, due):
        crops += len(paths) if preview else unlink(paths)
        if not preview and analysis_id in due.of_analysis:
            remove_drawn(archive.files, project, [analysis_id])
    if preview:
        tracks = len(due.tracks)
    elif due.tracks:
        emptied, more = remove_unmatched(archive, project, sorted(due.tracks))
        crops, tracks = crops + more, emptied
    if not preview:
        _name_emptied(archive, project)
        _drop_lost_notes(archive, project)
    expired, forgotten = _expired(archive, project, now), []
    if policy.forget_expired:
        forgotten = expired if preview else [one for one in expired if _is_forgotten(archive, project, one)]
    still = [one for one in expired if preview or one not in forgotten]
    ids = [video.video_id for video in videos]
    report = RetentionReport(project, now, preview, ids, crops, tracks, sorted(due.strangers), still, forgotten)
    if not preview and report.removes_anything:
        store.log_action(project, "privacy-sweep", None, **report.counts())
    if not preview and (report.removes_anything or not policy.keep_unmatched):
        scrub_soon(store)
    return report


def _old_videos(archive: Archive, project: str, policy: Policy, now: float) -> list[VideoRow]:
    if policy.videos_days is None:
        return []
    then = now - policy.videos_days * DAY_S
    return [video for video in archive.store.list_videos(project) if video.created_at < then]


class _Due(NamedTuple):
    """What of the videos that stay has to go.

    Parameters
    ----------
    tracks : set of TrackKey
        Which have vectors, and are to have none.
    faceless : set of str
        Analyses that are to have no pictures at all.
    strangers : set of str
        Whose time is over.
    of_analysis : mapping of str to set of int
        The tracks by analysis.
    """

    tracks: set[TrackKey]
    faceless: set[str]
    strangers: set[str]
    of_analysis: Mapping[str, set[int]]

    @classmethod
    def of(cls, archive: Archive, project: str, policy: Policy, now: float, gone: set[str]) -> _Due:
        """Return it for a project; `gone` are videos that are deleted with it."""
        times = [policy.crops_days, policy.vectors_days, policy.strangers_days]
        if policy.keep_unmatched and not any(one is not None for one in times):
            return cls(set(), set(), set(), {})
        store = archive.store
        analyses = [row for row in store.list_analyses(project) if row.video_id not in gone]
        named = {row.analysis_id: row for row in store.list_named(project)}
        # A picture is as good as a vector: one can be made of it again.
        least = min((one for one in times[:2] if one is not None), default=None)
        faceless = set() if least is None else {row.analysis_id for row in analyses if _age_days(row, now) > least}
        vectorless = (
            set()
            if policy.vectors_days is None
            else {row.analysis_id for row in analyses if _age_days(row, now) > policy.vectors_days}
        )
        strangers, shown = _old_strangers(archive, project, policy, now, analyses, named)
        unmatched = _Unmatched.of(archive, project, analyses, named) if not policy.keep_unmatched else None
        tracks: set[TrackKey] = set()
        wanted = [
            row
            for row in analyses
            if row.analysis_id in vectorless or row.analysis_id in shown or unmatched is not None
        ]
        for part in batched(wanted, _BLOCK):
            for analysis_id, columns in store.get_columns(project, [row.analysis_id for row in part]).items():
                is_due = np.full(len(columns), analysis_id in vectorless)
                is_due[shown.get(analysis_id, [])] = True
                if unmatched is not None:
                    is_due |= unmatched.rows(analysis_id, columns)
                numbers = columns.track_ids[is_due & columns.is_embedded].tolist()
                tracks |= {(analysis_id, track_id) for track_id in numbers}
        of_analysis: dict[str, set[int]] = {}
        for analysis_id, track_id in tracks:
            of_analysis.setdefault(analysis_id, set()).add(track_id)
        return cls(tracks, faceless, strangers, of_analysis)


def _age_days(row: AnalysisRow, now: float) -> float:
    """Return how long ago an analysis was made; one that is joined of others is as old as the oldest of them."""
    parts: list[float] = [at for _, at in row.summary[JOINED]["parts"]] if JOINED in row.summary else []
    return (now - min(analysed_at(row), *parts, now)) / DAY_S


def _old_strangers(
    archive: Archive,
    project: str,
    policy: Policy,
    now: float,
    analyses: Sequence[AnalysisRow],
    named: Mapping[str, NamedTracks],
) -> tuple[set[str], dict[str, list[int]]]:
    """Return the strangers whom no video shows that was submitted lately, and the rows of their tracks by analysis."""
    if policy.strangers_days is None:
        return set(), {}
    then = now - policy.strangers_days * DAY_S
    submitted = {video.video_id: video.created_at for video in archive.store.list_videos(project)}
    shown = {
        row.analysis_id: (submitted.get(row.video_id, now), strangers_of(named[row.analysis_id]))
        for row in analyses
        if row.analysis_id in named
    }
    means = follow_all(archive.store, project, {one for _, rows in shown.values() for one in rows.values()})
    lately = {means[one].stranger_id for at, rows in shown.values() if at >= then for one in rows.values()}
    old: dict[str, list[int]] = {}
    for analysis_id, (_, rows) in shown.items():
        if mine := [row for row, one in rows.items() if means[one].stranger_id not in lately]:
            old[analysis_id] = mine
    everybody = {means[one].stranger_id for _, rows in shown.values() for one in rows.values()}
    return everybody - lately, old


class _Unmatched(NamedTuple):
    """What tells which tracks match nobody enrolled.

    Parameters
    ----------
    named : mapping of str to NamedTracks
    matched : set of TrackKey
        The tracks that named ones are copies of.
    origin : callable
        As of `serving.archive.vector_sets.origins`.
    waiting : set of str
        Analyses that a job is about to name.
    """

    named: Mapping[str, NamedTracks]
    matched: set[TrackKey]
    origin: Any
    waiting: set[str]

    @classmethod
    def of(
        cls, archive: Archive, project: str, analyses: Sequence[AnalysisRow], named: Mapping[str, NamedTracks]
    ) -> _Unmatched:
        store, origin = archive.store, cache(origins(analyses))
        jobs = store.list_jobs(project, states=[JobState.QUEUED, JobState.RUNNING])
        busy = {job.video_id for job in jobs}
        waiting = {row.analysis_id for row in analyses if row.video_id in busy and row.analysis_id not in named}
        matched: set[TrackKey] = set()
        if len(named) < len(analyses):
            for part in batched(sorted(named), _BLOCK):
                for analysis_id, columns in store.get_columns(project, part).items():
                    if len(columns) == len(named[analysis_id]):
                        numbers = columns.track_ids[named[analysis_id].decisions == _NAMED].tolist()
                        matched |= {origin(analysis_id, track_id) for track_id in numbers}
        return cls(named, matched, origin, waiting)

    def rows(self, analysis_id: str, columns: TrackColumns) -> Any:
        """Return which tracks of an analysis match nobody, (N,) bool."""
        if analysis_id in self.waiting:
            return np.zeros(len(columns), np.bool_)
        row = self.named.get(analysis_id)
        if row is not None and len(row) == len(columns):
            return row.decisions != _NAMED
        # Of a second set, or what nothing has named: who its tracks are is what those say that they are copies of.
        numbers = columns.track_ids.tolist()
        return np.array([self.origin(analysis_id, one) not in self.matched for one in numbers], np.bool_)


def _crops_due(archive: Archive, project: str, due: _Due) -> Iterator[tuple[str, list[AnyPath]]]:
    """Yield the pictures that have to go, by analysis."""
    for analysis_id in sorted(due.faceless | due.of_analysis.keys()):
        found = archive.files.analysis(project, analysis_id).glob("*-*.jpg")
        numbers = {str(track_id) for track_id in due.of_analysis.get(analysis_id, ())}
        paths = [path for path in found if analysis_id in due.faceless or path.name.partition("-")[0] in numbers]
        if paths:
            yield analysis_id, paths


def _name_emptied(archive: Archive, project: str) -> None:
    """Name those again that still say of a track without vectors that it is a stranger: nobody can say any more."""
    store = archive.store
    named = {row.analysis_id: row for row in store.list_named(project)}
    unknown = [one for one, row in named.items() if (row.decisions == _UNKNOWN).any()]
    for part in batched(sorted(unknown), _BLOCK):
        columns = store.get_columns(project, part)
        for analysis in store.list_analyses(project, part):
            row, own = named[analysis.analysis_id], columns.get(analysis.analysis_id)
            if own is None or len(own) != len(row) or not ((row.decisions == _UNKNOWN) & ~own.is_embedded).any():
                continue
            try:
                assign_current(archive, analysis, row.max_false_names)
            except (ConflictError, VideoNotFoundError) as error:
                logger.info("analysis %s is named again with the next sweep: %s", analysis.analysis_id, error)


def _drop_lost_notes(archive: Archive, project: str) -> None:
    """Remove notes about people whom the project knows no more; who has another name since keeps theirs."""
    store = archive.store
    notes = store.list_notes(project)
    if not notes:
        return
    known = {person.person_id for person in store.list_people(project)}
    known |= {row.person_id for row in store.list_corrections(project)}
    for note in notes:
        if note.person_id in known:
            continue
        name = name_now(store, project, note.person_id, note.updated_at)
        if name in known:  # who renamed them was killed before the note was moved
            move_note(store, project, note.person_id, name)
        else:
            store.delete_note(project, note.person_id)


def _expired(archive: Archive, project: str, now: float) -> list[str]:
    return [note.person_id for note in archive.store.list_notes(project) if is_over(note, now)]


def _is_forgotten(archive: Archive, project: str, person_id: str) -> bool:
    """Forget a person; return whether nothing is left of them but traces in the store's log. One who cannot be is in no other's way."""
    try:
        forget(archive, project, person_id)
    except PersonNotFoundError:  # only the note was left
        archive.store.delete_note(project, person_id)
    except FacerecError as error:
        logger.warning(
            "what is left of a person of project %s whose consent is over goes with the next sweep: %s", project, error
        )
        # It goes last.
        return person_id not in notes_of(archive.store, project)
    return True
