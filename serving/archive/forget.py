"""Forget a person: pictures, vectors, parts of models, and the name in results and in search."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from facerec_models.errors import (
    ConflictError,
    GalleryError,
    GalleryMismatchError,
    InputError,
    ModelNotFoundError,
    PersonNotFoundError,
)
from facerec_models.files import AnyPath, remove_tree
from facerec_models.identification.identify import identify_videos
from facerec_models.names import person_id_of
from facerec_models.types import Decision
from facerec_models.vectors import track_embedding
from serving.archive.former_names import name_now
from serving.archive.handle import Archive
from serving.archive.known_by_versions import has_learned, known_otherwise, knows, remove_models
from serving.archive.learning.evaluation_set import forget_in_truths, settle_names
from serving.archive.learning.loaded_models import drop_loaded_models, load_model, promoted_version
from serving.archive.learning.unfinished_enrolments import crops_of, marks_of
from serving.archive.naming.current import read_current
from serving.archive.naming.faces_of_tracks import is_of_track, track_of_face
from serving.archive.naming.identify import name_nobody
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.refit import refit_and_name
from serving.archive.track_removal import remove_drawn, remove_tracks, unlink
from serving.archive.vector_sets import count_corrections, drop_vectors, in_all_sets, present_analyses
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from serving.store.naming_rows import Correction, NamingChange, Stranger
from serving.store.rows import AnalysisRow, Face

logger = logging.getLogger(__name__)

# So long a crawl has to see that it is cancelled, or to enrol what it has.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What forgetting a person removed.

    Parameters
    ----------
    faces, crops, pictures : int
        Enrolled faces with their vectors; aligned face files; files of crawled pictures.
    tracks, track_crops : int
        Tracks of videos that were named so, in every set: their vectors and their face files. When and where a face was seen stays.
    models : list of str
        Versions that knew the person, and are gone: nobody can go back to them.
    new_model : str or None
        What names now; None where nobody is enrolled any more, or too few to learn from.
    videos : int
        Whose results no longer have the name.
    truths : int
        Videos of the evaluation set in which the person is a stranger now.
    """

    person_id: str
    forgotten_at: float
    faces: int
    crops: int
    pictures: int
    corrections: int
    tracks: int
    track_crops: int
    models: list[str]
    new_model: str | None
    videos: int
    truths: int

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as JSON values."""
        return asdict(self)


def forget(archive: Archive, project: str, given: str) -> Receipt:
    """Remove a person: pictures, crops, vectors, parts of models, and the name in results.

    Crawls of the person are cancelled. Where it is interrupted, or others are at work for too long, it can be done again.

    Raises
    ------
    PersonNotFoundError
        If the project knows nobody of this id.
    ConflictError
        If a crawl of the person does not stop in time; nothing is removed.
    StoreError
        If others read the store for so long that traces stay in its files.
    """
    person_id = person_id_of(given)
    names = [person_id, *_former_names(archive.store, project, person_id)]
    albums = {name: archive.files.pictures(project, name) for name in names}
    _give_present_names(archive.store, project)
    settle_names(archive, project)
    truths = forget_in_truths(archive, project, names)
    has_crawls = sum(_end_crawls(archive.store, project, name) for name in names) > 0
    was_asked_for = sum(_unask(archive.store, project, name) for name in names) > 0
    # Then: an enrolment that is under way finds that its mark is gone, and one that was killed has no rows.
    marks = [mark for name in names for mark in marks_of(archive.files, project, name)]
    crops = unlink(path for mark in marks for path in crops_of(archive.files, project, mark).values())
    unlink(marks)
    faces = archive.store.list_faces(project, person_id=person_id)
    corrections = archive.store.list_corrections(project, person_id=person_id)
    corrections_made = count_corrections(archive.store, project, corrections)
    models = [
        row for row in archive.store.list_models(project) if knows(archive.files, project, row.version, person_id)
    ]
    also = _of_others(archive.store, project, person_id)
    faces, corrections = [*faces, *also.faces], [*corrections, *also.corrections]
    if not (
        faces
        or corrections
        or models
        or marks
        or has_crawls
        or was_asked_for
        or truths
        or any(album.is_dir() for album in albums.values())
    ):
        for name in names:
            archive.store.delete_note(project, name)
        archive.store.scrub()  # in case that is all that an earlier try left to do
        raise PersonNotFoundError(f"project {project!r} has no person {person_id!r}; 'facerec people list' names all")
    # Before all else: what undoing takes knows them too, and nobody goes back any more.
    archive.store.seal_edits(project)
    # Before the rows, too: what the person was called in them is told by nothing else.
    kept = {promoted_version(archive.store, project), *(row.version for row in models)}
    otherwise = known_otherwise(archive, project, {person_id}, kept)
    kept |= {row.version for row in otherwise}
    otherwise += [
        row
        for row in archive.store.list_models(project)
        if row.version not in kept and has_learned(archive.files, project, row.version, also.vectors)
    ]
    remove_models(archive, project, otherwise)
    archive.store.delete_corrections(project, [correction.correction_id for correction in corrections])
    # Files before rows, here and below: by the rows an interrupted try is done again.
    crops += unlink(archive.files.face_crop(project, face.face_id) for face in faces)
    pictures = unlink(archive.files.pictures(project, one) / name for one, name in _collected(faces))
    # A person who was renamed may have pictures in the album of another one who has the former name now.
    of_others = {
        (one, name)
        for one, name in _collected(archive.store.list_faces(project))
        if (one, name) not in set(_collected(faces))
    }
    for one, album in albums.items():
        pictures += unlink([path for path in album.rglob("*") if (one, path.name) not in of_others])
        if not any(path.is_file() for path in album.rglob("*")):
            remove_tree(album)
    # Also before the rows: no model need have learned the person, and then nothing else tells what is left to do.
    drop_vectors(archive.files, project, {face.face_id for face in faces})
    _unname_strangers(archive.store, project, person_id)
    archive.store.delete_faces(project, [face.face_id for face in faces])
    # Again: one that was trained meanwhile is here by now, or its training finds that the faces are gone.
    models = [
        row for row in archive.store.list_models(project) if knows(archive.files, project, row.version, person_id)
    ]
    drop_vectors(archive.files, project, {face.face_id for face in faces})
    former = promoted_version(archive.store, project)
    seen = _analyses(archive.store, project)
    tracks, videos = _named_tracks(archive.store, project, person_id)
    emptied, track_crops = _remove_tracks(archive, project, tracks)
    new_model: str | None = None
    try:
        refit_and_name(archive, project, "forget", {analysis_id for analysis_id, _ in tracks})
        new_model = archive.store.get_model(project).version
    except GalleryMismatchError:
        raise
    except GalleryError as error:  # nobody is left, or too few: all are strangers then
        logger.info("nothing is learned from who is left in %s: %s", project, error)
        name_nobody(archive, project, "forget")
    if former is not None:
        late = [
            row for row in present_analyses(archive.store, project) if (row.analysis_id, row.created_at) not in seen
        ]
        more, in_videos = _named_by(archive, project, former, late, person_id)
        counts = _remove_tracks(archive, project, more)
        _name_emptied(archive, project, late, {analysis_id for analysis_id, _ in more})
        emptied, track_crops, videos = emptied + counts[0], track_crops + counts[1], videos | in_videos
    late_models = [
        row
        for row in archive.store.list_models(project)
        if row.version not in {new_model, *(m.version for m in models)}
    ]
    models += [
        row
        for row in late_models
        if knows(archive.files, project, row.version, person_id)
        or has_learned(archive.files, project, row.version, also.vectors)
    ]
    models += known_otherwise(archive, project, set(), {new_model, *(row.version for row in models)})
    # Before the last trace goes by which an interrupted try is done again; what others apply until it is gone is sealed below.
    archive.store.seal_edits(project)
    remove_models(archive, project, models)
    drop_loaded_models()
    archive.store.seal_edits(project)
    unlink(archive.files.job_change(project, "").parent.glob("*.json"))
    _remove_found(archive, project)
    for name in names:
        archive.store.delete_note(project, name)
    archive.store.scrub()
    return Receipt(
        person_id, time.time(), len(faces), crops, pictures, corrections_made, emptied, track_crops,
        [row.version for row in (*otherwise, *models)], new_model, len(videos), truths,
    )  # fmt: skip


def _end_crawls(store: Store, project: str, person_id: str) -> bool:
    """Cancel crawls of a person, wait until none is at work, and take the name out of them; return whether there were any."""
    deadline = time.monotonic() + _PATIENCE_S
    while active := [job for job in _crawls(store, project, person_id) if not job.state.is_final]:
        for job in active:
            leases.cancel(store, job.job_id)
        # Whoever takes one up that its owner has left finds that it is cancelled.
        working = [job for job in active if job.state is JobState.RUNNING and job.lease_until > time.time()]
        if not working:
            break
        if time.monotonic() > deadline:
            raise ConflictError(
                f"a crawl of {person_id} still enrols pictures, job {working[0].job_id}: try again soon"
            )
        time.sleep(0.1)
    crawls = _crawls(store, project, person_id)
    for job in crawls:
        store.update_job(job.job_id, _without_name)
    return bool(crawls)


def _crawls(store: Store, project: str, person_id: str) -> list[Job]:
    return [job for job in store.list_jobs(project) if job.kind == "crawl" and job.spec["person_id"] == person_id]


def _give_present_names(store: Store, project: str) -> None:
    """Let jobs name people as they are called now: once the notes of edits are gone, nothing else tells it."""
    for job in store.list_jobs(project):
        given = job.spec.get("person_id")
        if given is not None and (name := name_now(store, project, given, job.created_at)) != given:
            store.update_job(job.job_id, partial(_with_name, name=name))


def _with_name(job: Job, name: str) -> Job:
    return replace(job, key=None, spec={**job.spec, "person_id": name})


def _unask(store: Store, project: str, person_id: str) -> bool:
    """Take the name out of jobs that ask whether the person is in a video; return whether there were any."""
    asking = [
        job
        for job in store.list_jobs(project)
        if job.kind in ("video", "fetch") and job.spec.get("person_id") == person_id
    ]
    for job in asking:
        store.update_job(job.job_id, lambda row: replace(row, key=None, spec={**row.spec, "person_id": None}))
    return bool(asking)


def _without_name(job: Job) -> Job:
    # The source may be a page about the person, and the error names them.
    error = None if job.error is None else "it failed; its person was forgotten since"
    return replace(job, spec={**job.spec, "person_id": None, "source": None}, error=error)


def _named_tracks(store: Store, project: str, person_id: str) -> tuple[list[tuple[str, int]], set[str]]:
    """Return the tracks that are named so now, and their videos."""
    mine = [row.analysis_id for row in store.list_named(project) if person_id in row.names]
    rows = [
        row
        for row in store.list_appearances(project, mine)
        if row.decision is Decision.NAMED and row.owner == person_id
    ]
    return [(row.analysis_id, track_id) for row in rows for track_id in row.track_ids], {row.video_id for row in rows}


def _analyses(store: Store, project: str) -> set[tuple[str, float]]:
    return {(row.analysis_id, row.created_at) for row in present_analyses(store, project)}


def _named_by(
    archive: Archive,
    project: str,
    version: str,
    analyses: Sequence[AnalysisRow],
    person_id: str,
) -> tuple[list[tuple[str, int]], set[str]]:
    """Return the tracks of analyses that a model version names so, and their videos."""
    if not analyses:
        return [], set()
    limit = read_current(archive, project).max_false_names
    try:
        model = load_model(archive.files, project, version)
    except ModelNotFoundError:  # an interrupted try has removed its files: nothing is named by it any more
        return [], set()
    videos = list(archive.store.get_columns(project, [row.analysis_id for row in analyses]).items())
    tracks = [
        (analysis_id, track_id)
        for (analysis_id, columns), names in zip(
            videos, identify_videos(videos, model, archive.rules, max_false_names=limit), strict=True
        )
        for track_id, match in zip(columns.track_ids.tolist(), names.matches, strict=True)
        if match.person_id == person_id
    ]
    ids = {analysis_id for analysis_id, _ in tracks}
    return tracks, {row.video_id for row in analyses if row.analysis_id in ids}


def _name_emptied(archive: Archive, project: str, analyses: Sequence[AnalysisRow], emptied: Collection[str]) -> None:
    """Name those again of which tracks were emptied after they were named: these show nobody any more."""
    limits = {row.analysis_id: row.max_false_names for row in archive.store.list_named(project, sorted(emptied))}
    for row in analyses:
        if row.analysis_id in limits:
            assign_current(archive, row, limits[row.analysis_id])


def _remove_found(archive: Archive, project: str) -> None:
    """Remove what jobs that are at work have found so far, for it has names; what they find next has the names of now."""
    jobs = archive.files.job_parts(project, "")
    there: list[AnyPath] = list(jobs.iterdir()) if jobs.is_dir() else []
    for folder in there:
        unlink(archive.files.job_found(project, folder.name).glob("*-*.json"))


def _remove_tracks(archive: Archive, project: str, tracks: Sequence[tuple[str, int]]) -> tuple[int, int]:
    """Remove the vectors and face files of tracks, and all drawn videos; return how many of the first two."""
    remove_drawn(archive.files, project, [row.analysis_id for row in archive.store.list_analyses(project)])
    return remove_tracks(archive, project, tracks)


class _OfOthers(NamedTuple):
    """What others have of the tracks of a person: corrections, faces; and the vectors that versions may have learned as theirs."""

    corrections: list[Correction]
    faces: list[Face]
    vectors: Set[bytes]


def _of_others(store: Store, project: str, person_id: str) -> _OfOthers:
    """Return what was told of the tracks that show a person before they were named so: that they are others, or are not."""
    tracks, _ = _named_tracks(store, project, person_id)
    everywhere = set(in_all_sets(store, project, tracks))
    numbers: dict[str, list[int]] = {}
    for analysis_id, track_id in sorted(everywhere):
        numbers.setdefault(analysis_id, []).append(track_id)
    corrections = [
        row
        for row in store.list_corrections(project, analysis_ids=sorted(numbers))
        if (row.analysis_id, row.track_id) in everywhere and row.person_id != person_id
    ]
    faces = [
        face
        for face in store.list_faces(project)
        if face.person_id != person_id and is_of_track(face) and track_of_face(face) in everywhere
    ]
    found = [track for some in store.pick_tracks(project, numbers).values() for track in some if len(track.embedded)]
    vectors = {one.tobytes() for track in found for one in (*track.embeddings, track_embedding(track))}
    return _OfOthers(corrections, faces, vectors | {row.embedding.tobytes() for row in corrections})


def _former_names(store: Store, project: str, person_id: str) -> list[str]:
    """Return under which other names a person was enrolled whom nobody has now: pictures and crawls may have them."""
    faces = store.list_faces(project, person_id=person_id)
    names = {one for one, _ in _collected(faces) if one != person_id}
    known = {face.person_id for face in store.list_faces(project)}
    return sorted(names - known - {row.person_id for row in store.list_corrections(project)})


def _collected(faces: Iterable[Face]) -> Iterator[tuple[str, str]]:
    """Yield the name and the file under which the pictures of faces were enrolled, where that is a file of a person."""
    for face in faces:
        folder, _, name = face.path.partition("/")
        with suppress(InputError):
            if name and "/" not in name:
                yield person_id_of(folder), name


def _unname_strangers(store: Store, project: str, person_id: str) -> None:
    while True:
        version = store.get_project(project).version
        strangers = store.list_strangers(project)
        named: list[Stranger] = [replace(one, person_id=None) for one in strangers if one.person_id == person_id]
        try:
            store.apply(project, NamingChange(strangers=named), if_version=version)
        except ConflictError:  # something else has changed
            continue
        return
