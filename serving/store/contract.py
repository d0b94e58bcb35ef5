"""The contract that every store keeps: SQLite on one machine, MongoDB on many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from facerec_models.types import FloatArray, Track
from serving.store.access_rows import ApiKey, AuditEntry, PersonNote
from serving.store.job_rows import Job, JobState
from serving.store.naming_rows import (
    AppearanceKey,
    AppearanceQuery,
    AppearanceRow,
    AppliedEdit,
    Correction,
    Edit,
    NamedTracks,
    NamingChange,
    NamingState,
    ScreenTime,
    Stranger,
    StrangerSums,
    StrangerTrack,
)
from serving.store.rows import (
    AnalysisColumns,
    AnalysisRow,
    Face,
    FaceStatus,
    ModelVersion,
    PersonSummary,
    Project,
    VideoRow,
)
from serving.store.transfer import Export, Import, StoreInfo

if TYPE_CHECKING:  # who only reads rows needs no scientific libraries
    from facerec_models.identification.track_columns import TrackColumns


class Store(Protocol):
    """Everything that must survive a crash. Methods may be called from any thread and any process at once.

    Methods that name a project raise `ProjectNotFoundError` when it does not exist; a store that does not answer raises
    `StoreError`. What a method writes is durable when it returns, and whole or not there at all.
    """

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the store's files; raise `StoreError` if others are at work for too long."""

    # The store as a whole

    def describe(self) -> StoreInfo:
        """Return which store it is, what is in it, and what it promises."""

    def list_tables(self) -> list[str]:
        """Return the names of all tables: the same for every kind of store."""

    def exporting(self) -> AbstractContextManager[Export]:
        """Begin to read everything, in one state."""

    def importing(self) -> AbstractContextManager[Import]:
        """Begin to fill the store, whole when the block ends; raise `ConflictError` unless it is empty.

        After an exception it is empty still, or can be opened for nothing but another copy.
        """

    # Who may do what, who did what, what was agreed

    def add_key(self, key: ApiKey) -> None:
        """Add a key; raise `ConflictError` if there is one of its id."""

    def get_key(self, key_id: str) -> ApiKey:
        """Return a key, also one that has expired or was revoked; raise `KeyNotFoundError` if there is none."""

    def list_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first."""

    def revoke_key(self, key_id: str) -> ApiKey:
        """Let a key open nothing any more; raise `KeyNotFoundError` if there is none."""

    def log_action(self, project: str, action: str, subject: str | None = None, **details: Any) -> None:
        """Add an entry to the audit log, for what no other method writes; the project is empty for what is of none."""

    def list_audit(
        self, project: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[AuditEntry]:
        """Return entries of a project, or of no project where its name is empty: at most `limit` that come after a number.

        Oldest first, or newest first, where 0 means from the last one on. A project that was deleted has its entries still.
        """

    def find_editors(self, project: str, numbers: Sequence[int]) -> dict[int, str]:
        """Return who has applied edits, by number, so far as the audit log says it."""

    def put_note(self, note: PersonNote) -> None:
        """Keep what was agreed with a person, in place of what there is."""

    def list_notes(self, project: str) -> list[PersonNote]:
        """Return what was agreed with the people of a project, by person."""

    def delete_note(self, project: str, person_id: str) -> bool:
        """Delete what was agreed with a person; return whether there was anything."""

    def set_policy(self, project: str, policy: dict[str, Any]) -> None:
        """Set what a project keeps, and for how long."""

    # Projects

    def create_project(self, name: str) -> Project:
        """Create a project, or return the one that has this name."""

    def get_project(self, name: str) -> Project:
        """Return a project."""

    def list_projects(self) -> list[Project]:
        """Return all projects by name."""

    def fix_embedder(self, project: str, embedder: str) -> Project:
        """Set a project's embedder if it has none yet; raise `GalleryMismatchError` if it has another one."""

    def delete_project(self, name: str) -> None:
        """Delete a project with everything in it."""

    # People

    def put_faces(self, project: str, faces: Iterable[Face]) -> None:
        """Add faces, replacing those with the same id."""

    def list_faces(self, project: str, *, person_id: str | None = None, status: FaceStatus | None = None) -> list[Face]:
        """Return faces by person and path."""

    def judge_faces(self, project: str, face_ids: Sequence[str], status: FaceStatus, reason: str | None) -> int:
        """Enable or disable faces; return how many there were.

        Those without an embedding are left as they are, and those whose status a user decided.
        """

    def set_vectors(self, project: str, embedder: str, vectors: Mapping[str, FloatArray]) -> None:
        """Give faces, by id, their vectors of an embedder; those that are there no more are passed over."""

    def delete_faces(self, project: str, face_ids: Sequence[str]) -> int:
        """Delete faces; return how many there were. Their crops are files, and the caller's to remove."""

    def list_people(self, project: str) -> list[PersonSummary]:
        """Return everyone with at least one face, by id."""

    # Models

    def add_model(self, model: ModelVersion) -> None:
        """Add a trained version, which serves nobody until it is promoted, or replace what is known of it."""

    def add_new_model(self, model: ModelVersion) -> bool:
        """Add a trained version unless it is there; return whether it was not."""

    def get_model(self, project: str, version: str | None = None) -> ModelVersion:
        """Return a version, or the promoted one; raise `ModelNotFoundError` if there is none."""

    def list_models(self, project: str) -> list[ModelVersion]:
        """Return all versions, oldest first."""

    def former_model(self, project: str) -> ModelVersion:
        """Return the version that was promoted before the present one; raise `ModelNotFoundError` if there is none."""

    def delete_model(self, project: str, version: str) -> None:
        """Delete a version; raise `ConflictError` if it names now. Edits that would bring it back cannot be undone."""

    # Videos and what was found in them

    def put_video(self, video: VideoRow) -> None:
        """Add a video, replacing the row with the same project and id."""

    def get_video(self, project: str, video_id: str) -> VideoRow:
        """Return a video; raise `VideoNotFoundError` if there is none."""

    def list_videos(self, project: str, *, after: VideoRow | None = None, limit: int | None = None) -> list[VideoRow]:
        """Return videos, oldest first; at most `limit` of those that come after one of them."""

    def find_videos(
        self,
        project: str,
        video_ids: Sequence[str] | None = None,
        *,
        name: str | None = None,
        sha256: str | None = None,
        uri: str | None = None,
    ) -> list[VideoRow]:
        """Return those of these videos that have this name, content and address, oldest first; what is None restricts nothing."""

    def delete_video(self, project: str, video_id: str) -> None:
        """Delete a video with its analyses and tracks; the same submission is then a new job."""

    def put_analysis(self, analysis: AnalysisRow, tracks: Sequence[Track]) -> None:
        """Add a complete analysis with its tracks and their vectors, replacing the one with the same id.

        Crops in tracks are not kept. Its appearances come when a revision names it.
        """

    def delete_analysis(self, project: str, analysis_id: str) -> None:
        """Delete an analysis with its tracks and names, if it is there."""

    def get_analysis(self, project: str, analysis_id: str) -> AnalysisRow:
        """Return an analysis; raise `VideoNotFoundError` if there is none."""

    def touch_analysis(self, project: str, analysis_id: str, at: float) -> None:
        """Let an analysis count as made at this time: it was asked for again, and is what its video's result means."""

    def latest_analysis(self, project: str, video_id: str) -> AnalysisRow:
        """Return a video's latest analysis, one of the project's embedder where there is any; `VideoNotFoundError` if there is none."""

    def list_analyses(
        self, project: str, analysis_ids: Sequence[str] | None = None, *, video_id: str | None = None
    ) -> list[AnalysisRow]:
        """Return analyses, oldest first: all, those of these that are there, or those of a video."""

    def get_tracks(self, project: str, analysis_ids: Sequence[str]) -> dict[str, list[Track]]:
        """Return the tracks of each analysis, by track id."""

    def pick_tracks(self, project: str, wanted: Mapping[str, Sequence[int]]) -> dict[str, list[Track]]:
        """Return some tracks of each analysis, by track id; those that it does not have are passed over."""

    def empty_tracks(self, project: str, tracks: Sequence[tuple[str, int]]) -> int:
        """Delete the embeddings of tracks, given as (analysis_id, track_id), and their vectors; return how many tracks had any."""

    # Corrections of tracks, and who the unknown ones are

    def list_corrections(
        self, project: str, *, person_id: str | None = None, analysis_ids: Sequence[str] | None = None
    ) -> list[Correction]:
        """Return corrections, oldest first: all, those about a person, or those of some analyses."""

    def delete_corrections(self, project: str, correction_ids: Sequence[str]) -> int:
        """Delete corrections; return how many there were."""

    def list_strangers(
        self, project: str, stranger_ids: Sequence[str] | None = None, *, merged_into: Sequence[str] | None = None
    ) -> list[Stranger]:
        """Return strangers, merged and named ones included, by number: all, these, or those that were merged into these."""

    def find_stranger_number(self, project: str, number: int | None = None) -> Stranger | None:
        """Return the stranger of a number, or the last one; None if there is none."""

    def list_stranger_tracks(
        self,
        project: str,
        *,
        stranger_ids: Sequence[str] | None = None,
        analysis_ids: Sequence[str] | None = None,
    ) -> list[StrangerTrack]:
        """Return which stranger each unknown track shows, by analysis and track: all, those of some strangers, or of some analyses."""

    def list_some_tracks(self, project: str, stranger_ids: Sequence[str], limit: int) -> list[StrangerTrack]:
        """Return at most `limit` tracks of each of these strangers, the first ones by analysis and track."""

    def list_stranger_sums(self, project: str) -> list[StrangerSums]:
        """Return the sums of the mean embeddings of all strangers' tracks, by block; those without tracks are left out."""

    # How tracks are named

    def read_naming(self, project: str, analysis_ids: Sequence[str] | None = None) -> NamingState:
        """Return, as of one moment, what names depend on and who tracks are: of all analyses, or of these."""

    def list_named(self, project: str, analysis_ids: Sequence[str] | None = None) -> list[NamedTracks]:
        """Return who the tracks of analyses are, by analysis; of all that are named, or of these."""

    def list_former_named(self, project: str, number: int) -> list[NamedTracks]:
        """Return who tracks were before an edit, as far as it changed that."""

    def apply(self, project: str, change: NamingChange, *, if_version: int) -> int:
        """Write names, and with them an edit, all at once; return the edit's number, 0 without one.

        What the edit replaces is kept, so that it can be undone. Raises `ConflictError`, and writes nothing, if the project is at
        another version by now; `VideoNotFoundError` for an analysis that is gone; `GalleryMismatchError` for one that is not of the
        project's embedder, and for a model of another one; `ModelNotFoundError` for a model that is gone.
        """

    def apply_alone(self, project: str, work_out: Callable[[], NamingChange | None]) -> int:
        """Write, as `apply` does, what is worked out while nobody else writes to the project: others wait until that is written.

        `work_out` reads from the store as ever, and writes nothing to the project; where it returns None nothing is written. What it
        raises is raised. It must be quick: others wait for half a minute, and a MongoDB ends a transaction after a minute.
        """

    def list_edits(
        self, project: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[AppliedEdit]:
        """Return edits, the first one first, or the last one first: at most `limit` that come after a number (0: from the first)."""

    def last_edit(self, project: str) -> AppliedEdit | None:
        """Return the last edit that stands, if there is one."""

    def get_inverse(self, project: str, number: int) -> Edit:
        """Return the edit that takes another one back, but for names; raise `ModelNotFoundError` if there is none."""

    def raise_version(self, project: str) -> None:
        """Note that something has changed that names depend on and that no row has: previews of before are refused."""

    def seal_edits(self, project: str) -> None:
        """Let no edit so far be undone any more: what undoing needs is deleted, and so are the notes and the names."""

    # Search

    def list_appearances(self, project: str, analysis_ids: Sequence[str]) -> list[AppearanceRow]:
        """Return the appearances of these analyses, by analysis, in the order of time."""

    def find_appearances(
        self, project: str, query: AppearanceQuery, *, after: AppearanceKey | None = None, limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances by `AppearanceRow.key`, those after `after`; a video counts by its latest analysis."""

    def find_some_appearances(
        self, project: str, query: AppearanceQuery, owners: Sequence[str], limit: int
    ) -> list[AppearanceRow]:
        """Return at most `limit` appearances of each of these owners, the first ones that a query finds, whoever it asks for."""

    def list_screen_times(self, project: str, query: AppearanceQuery, *, of_people: bool = False) -> list[ScreenTime]:
        """Return how long strangers, or people, are in view, and in how many videos, in the appearances that a query finds.

        Those without any are left out; the others come by id.
        """

    def latest_analyses(self, project: str) -> dict[str, str]:
        """Return the id of each analysed video's latest analysis, see `latest_analysis`, by video id."""

    def columns_state(self, project: str) -> tuple[int, int]:
        """Return how many analyses have columns, and the highest position: the same two mean that nothing has changed."""

    def columns_positions(self, project: str) -> dict[str, int]:
        """Return the position of each analysis's columns."""

    def list_columns(self, project: str, *, since: int = 0, limit: int) -> list[AnalysisColumns]:
        """Return at most `limit` analyses' columns by position, those after `since`."""

    def get_columns(self, project: str, analysis_ids: Sequence[str]) -> dict[str, TrackColumns]:
        """Return the columns of each analysis; those that are not there are left out."""

    # Jobs; who works on which is decided in `serving.store.leases`

    def submit_job(self, job: Job) -> Job:
        """Add a job in state ``queued``, or return the one that has this id or key already."""

    def find_job(self, key: str) -> Job | None:
        """Return the job that has this key, if there is one."""

    def get_job(self, job_id: str) -> Job:
        """Return a job; raise `JobNotFoundError` if there is none."""

    def list_jobs(
        self,
        project: str | None = None,
        states: Sequence[JobState] = (),
        *,
        after: Job | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Job]:
        """Return jobs, oldest first or newest first; at most `limit` of those that come after one of them in that order."""

    def count_jobs(self, states: Sequence[JobState]) -> int:
        """Return how many jobs are in one of these states."""

    def find_due_jobs(self, kinds: Sequence[str], now: float, limit: int) -> list[str]:
        """Return ids of jobs with ``due_at <= now``, or so late that it means nothing (see `has_ended`).

        Those of high priority come first, then the oldest.
        """

    def update_job(self, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
        """Replace a job by what `change` makes of it, and return that; None if there is no job, or nothing to change.

        Atomic: nobody else changes the job in between. `change` has no side effects, for it may be called again. Raises
        `ConflictError`, and changes nothing, if another job has the new key.
        """
