"""The embedded store: one SQLite file on a local disk, for many threads and processes of one machine."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from facerec_models.types import Track
from serving.store import conflicts
from serving.store.codecs import pack_columns, pack_track, unpack_track, without_embeddings
from serving.store.lookups import require_analyses, require_project, require_video
from serving.store.rows import AnalysisRow, PersonSummary, Project
from serving.store.shared_access import SharedAccess, log
from serving.store.shared_corrections import SharedCorrections
from serving.store.shared_naming import SharedNaming, forget_names
from serving.store.shared_rows import SharedRows, noting_latest
from serving.store.sqlite.database import SqliteDatabase, SqliteTransaction
from serving.store.sqlite.jobs import SqliteJobs
from serving.store.sqlite.search import SqliteSearch
from serving.store.sqlite.transfer import SqliteTransfer


class SqliteStore(SharedAccess, SharedRows, SharedCorrections, SharedNaming, SqliteJobs, SqliteSearch, SqliteTransfer):
    """A `Store` in one SQLite file.

    Parameters
    ----------
    path : Path
        On a local disk: write-ahead logging needs shared memory. Created where there is none.
    busy_timeout_s : float
        How long to wait for another writer before raising `StoreError`.
    upgrading : bool
        Whether tables of an older version are brought to the present ones.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 30.0, upgrading: bool = False) -> None:
        self._database = self._shared = SqliteDatabase(path, busy_timeout_s, upgrading=upgrading)

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""
        self._database.close()

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the store's files."""
        self._database.empty_log()

    # Projects

    def create_project(self, name: str) -> Project:
        """Create a project, or return the one that has this name."""
        with self._database.writing() as tx:
            if not tx.count("projects", {"name": name}):
                tx.put_new(Project(name, time.time()))
                log(tx, name, "project-created")
            return require_project(tx, name)

    def fix_embedder(self, project: str, embedder: str) -> Project:
        """Set a project's embedder if it has none yet; raise `GalleryMismatchError` if it has another one."""
        with self._database.writing(project) as tx:
            tx.update("projects", {"name": project, "embedder": None}, {"embedder": embedder})
            return conflicts.require_fixed(require_project(tx, project), embedder)

    def delete_project(self, name: str) -> None:
        """Delete a project with everything in it."""
        with self._database.writing(name) as tx:
            tx.delete("projects", {"name": name})
            log(tx, name, "project-deleted")

    # People

    def list_people(self, project: str) -> list[PersonSummary]:
        """Return everyone with at least one face, by id."""
        with self._database.reading() as tx:
            require_project(tx, project)
            return tx.read(
                PersonSummary,
                """SELECT person_id, sum(status = 'taken') AS taken, sum(status = 'disabled') AS disabled,
                sum(status = 'refused') AS refused, max(created_at) AS newest_at
                FROM faces WHERE project = ? GROUP BY person_id ORDER BY person_id""",
                (project,),
            )

    # Videos and what was found in them

    def delete_video(self, project: str, video_id: str) -> None:
        """Delete a video with its analyses and tracks; the same submission is then a new job."""
        with self._database.writing() as tx:
            require_video(tx, project, video_id)
            tx.update("jobs", {"project": project, "video_id": video_id}, {"key": None})
            forget_names(tx, project, {"video_id": video_id})
            tx.delete("videos", {"project": project, "video_id": video_id})
            log(tx, project, "video-deleted", video_id)

    def put_analysis(self, analysis: AnalysisRow, tracks: Sequence[Track]) -> None:
        """Add a complete analysis with its tracks, replacing the one with the same id. Crops in tracks are not kept."""
        key = (analysis.project, analysis.analysis_id)
        packed = [
            (*key, track.track_id, track.shot, len(track), *track.embeddings.shape, pack_track(track))
            for track in tracks
        ]
        with self._database.writing() as tx:
            require_video(tx, analysis.project, analysis.video_id)
            forget_names(tx, analysis.project, {"analysis_id": analysis.analysis_id})
            with noting_latest(tx, analysis.project, analysis.video_id):
                tx.delete("analyses", {"project": analysis.project, "analysis_id": analysis.analysis_id})
                tx.insert([analysis], AnalysisRow)
            tx.executemany("INSERT INTO tracks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", packed)
            _put_columns(tx, *key, tracks)

    def delete_analysis(self, project: str, analysis_id: str) -> None:
        """Delete an analysis with its tracks and names, if it is there."""
        with self._database.writing() as tx:
            require_project(tx, project)
            for row in tx.find("analyses", {"project": project, "analysis_id": analysis_id}, columns=["video_id"]):
                forget_names(tx, project, {"analysis_id": analysis_id})
                with noting_latest(tx, project, row["video_id"]):
                    tx.delete("analyses", {"project": project, "analysis_id": analysis_id})

    def get_tracks(self, project: str, analysis_ids: Sequence[str]) -> dict[str, list[Track]]:
        """Return the tracks of each analysis, by track id."""
        with self._database.reading() as tx:
            require_project(tx, project)
            require_analyses(tx, project, analysis_ids)
            return _tracks(tx, project, analysis_ids)

    def pick_tracks(self, project: str, wanted: Mapping[str, Sequence[int]]) -> dict[str, list[Track]]:
        """Return some tracks of each analysis, by track id; those that it does not have are passed over."""
        with self._database.reading() as tx:
            require_project(tx, project)
            require_analyses(tx, project, list(wanted))
            tracks: dict[str, list[Track]] = {analysis_id: [] for analysis_id in wanted}
            found = tx.execute(
                f"""SELECT {_TRACK} FROM json_each(?) AS wanted CROSS JOIN json_each(wanted.value) AS number
                CROSS JOIN tracks ON project = ? AND analysis_id = wanted.key AND track_id = number.value
                ORDER BY analysis_id, track_id""",  # noqa: S608
                (json.dumps({name: sorted(set(ids)) for name, ids in wanted.items()}), project),
            )
            for analysis_id, *columns in found:
                tracks[analysis_id].append(unpack_track(*columns))
            return tracks

    def empty_tracks(self, project: str, tracks: Sequence[tuple[str, int]]) -> int:
        """Delete the embeddings of tracks, given as (analysis_id, track_id), and their vectors; return how many tracks had any."""
        emptied = 0
        with self._database.writing(project) as tx:
            for analysis_id in {analysis_id for analysis_id, _ in tracks}:
                wanted = {track_id for owner, track_id in tracks if owner == analysis_id}
                left = []
                for track in _tracks(tx, project, [analysis_id])[analysis_id]:
                    is_emptied = track.track_id in wanted and len(track.embedded) > 0
                    left.append(without_embeddings(track) if is_emptied else track)
                    if is_emptied:
                        tx.execute(
                            """UPDATE tracks SET embedded = 0, arrays = ?
                            WHERE project = ? AND analysis_id = ? AND track_id = ?""",
                            (pack_track(left[-1]), project, analysis_id, track.track_id),
                        )
                        emptied += 1
                if left:
                    _put_columns(tx, project, analysis_id, left)
        return emptied


_TRACK = "analysis_id, track_id, shot, samples, embedded, dimension, arrays"


def _put_columns(tx: SqliteTransaction, project: str, analysis_id: str, tracks: Sequence[Track]) -> None:
    """Write the columns of all tracks of an analysis, by track id, in place of those before."""
    # Here and not above: who only reads rows needs no scientific libraries.
    from facerec_models.identification.track_columns import TrackColumns

    key = {"project": project, "analysis_id": analysis_id}
    tx.delete("track_columns", key)
    tx.append("track_columns", key | pack_columns(TrackColumns.of(sorted(tracks, key=lambda track: track.track_id))))


def _tracks(tx: SqliteTransaction, project: str, analysis_ids: Sequence[str]) -> dict[str, list[Track]]:
    tracks: dict[str, list[Track]] = {analysis_id: [] for analysis_id in analysis_ids}
    query = f"""SELECT {_TRACK} FROM tracks WHERE project = ?
        AND analysis_id IN (SELECT value FROM json_each(?)) ORDER BY analysis_id, track_id"""  # noqa: S608
    for analysis_id, *columns in tx.execute(query, (project, json.dumps(analysis_ids))):
        tracks[analysis_id].append(unpack_track(*columns))
    return tracks
