"""All that is kept of a person, as files that they can read: what is kept about them, their pictures, and numbers made of these."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from facerec_models.errors import InputError
from facerec_models.files import AnyPath
from facerec_models.identification.naming_model import NamingModel
from facerec_models.names import identity_of, local_path, person_id_of
from facerec_models.types import Decision, FloatArray, Track
from facerec_models.vectors import track_embedding
from serving.archive.access.audit import all_entries
from serving.archive.former_names import name_now
from serving.archive.handle import Archive
from serving.archive.known_by_versions import knows
from serving.archive.learning.evaluation_set import kept_truths
from serving.archive.learning.loaded_models import load_model, promoted_version
from serving.archive.naming.figures import ScoreFigures
from serving.archive.naming.whole_archive import batched
from serving.archive.privacy.consent import note_document, notes_of, require_person
from serving.archive.vector_sets import in_all_sets, read_vectors
from serving.store.contract import Store
from serving.store.job_rows import Job
from serving.store.naming_rows import AppearanceRow, CorrectionKind
from serving.store.rows import AnalysisRow, Face

# Analyses whose names are in memory at once, and tracks of one of them.
_BLOCK, _TRACKS = 256, 32

_README = """\
What is kept of {name}
{line}

This archive has all that the FaceRec project "{project}" keeps of {name}, as of {at}.

person.json    What is written down: names, what was agreed (consent), the enrolled pictures with where they come from, what users
               corrected, where and when {name} was seen in videos and how sure that is, and which versions of the
               recognition model learned from the pictures. A text file that any editor opens.
faces/         The enrolled pictures, cut out and turned upright: what the recognition learns from.
pictures/      Pictures that were collected, as they were found.
tracks/        Faces in videos that were recognised as {name}, by video.
vectors/       The numbers that a neural network makes of each face, one face a line; the file's name has the network's. Two
               faces of one person have similar numbers. A spreadsheet opens these files.

A name in a video is a machine's conclusion, and may be wrong: "probability" says how sure it was, and "confirmed" that a person
confirmed it. Times are in seconds from the beginning of a video; dates are in UTC.

Not in here: the videos themselves, copies of backups, and files outside FaceRec. To have something corrected, restricted or
removed, ask whoever gave you this file.
"""

_File = tuple[str, Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class _Person:
    """A person, the names they had before, and their enrolled faces."""

    archive: Archive
    project: str
    person_id: str
    former_names: list[str]
    faces: list[Face]

    @property
    def store(self) -> Store:
        return self.archive.store


def export_person(archive: Archive, project: str, given: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Return all that is kept of a person as files: a name and its pieces each; of videos, one track is in memory at a time.

    What is told of other people, as of those beside whom the person is seen, is left out, and so is who made an entry.

    Raises
    ------
    PersonNotFoundError
        If the project knows nobody of this name.
    """
    person_id = require_person(archive.store, project, given)
    faces = archive.store.list_faces(project, person_id=person_id)
    person = _Person(archive, project, person_id, _former_names(archive.store, project, person_id, faces), faces)
    return _files(person)


def _files(person: _Person) -> Iterator[_File]:
    yield "README.txt", iter([_readme(person).encode()])
    yield "person.json", _document(person)
    yield from _enrolled(person)
    yield from _collected(person)
    yield from _seen(person)
    yield from _vectors(person)


def _readme(person: _Person) -> str:
    name = identity_of(person.person_id)
    title = f"What is kept of {name}"
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return _README.format(name=name, project=person.project, line="=" * len(title), at=at)


# What is written down


def _document(person: _Person) -> Iterator[bytes]:
    """Yield the document, its lists item by item."""
    store, project, person_id = person.store, person.project, person.person_id
    note = notes_of(store, project).get(person_id)
    head = {
        "project": project,
        "person_id": person_id,
        "name": identity_of(person_id),
        "former_names": person.former_names,
        "exported_at": _moment(time.time()),
        "consent": None if note is None else _without_author(note_document(note)),
    }
    lists: dict[str, Iterable[Any]] = {
        "enrolled_faces": map(_face, person.faces),
        "corrections": _corrections(person),
        "appearances": _appearances(person),
        "model_versions": _models(person),
        "collections": _crawls(person),
        "asked_for": _asked(person),
        "evaluation_set": _truths(person),
        "audit_log": _entries(person),
    }
    text = json.dumps(head, ensure_ascii=False, indent=1)
    yield text.removesuffix("\n}").encode()
    for name, items in lists.items():
        yield f',\n "{name}": ['.encode()
        mark = "\n  "
        for item in items:
            yield (mark + json.dumps(item, ensure_ascii=False)).encode()
            mark = ",\n  "
        yield b"\n ]"
    yield b"\n}\n"


def _without_author(note: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in note.items() if name != "updated_by"}


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _face(face: Face) -> dict[str, Any]:
    return {
        "face_id": face.face_id,
        "picture": face.path,
        "source": face.source,
        "fetched_at": _moment(face.fetched_at),
        "enrolled_at": _moment(face.created_at),
        "status": face.status.value,
        "reason": face.reason,
        "decided_by_hand": face.by_hand,
        "quality": face.quality,
        "network": face.embedder,
        "sha256": face.sha256,
        "file": f"faces/{face.face_id}.jpg" if face.crop else None,
    }


def _corrections(person: _Person) -> Iterator[dict[str, Any]]:
    for row in person.store.list_corrections(person.project, person_id=person.person_id):
        yield {
            "kind": row.kind.value,
            "analysis_id": row.analysis_id,
            "track_id": row.track_id,
            "made_at": _moment(row.created_at),
        }


def _appearances(person: _Person) -> Iterator[dict[str, Any]]:
    """Yield where the person was seen, in every analysis; the latest one of a video is what its result shows."""
    store, project = person.store, person.project
    latest = set(store.latest_analyses(project).values())
    model = _present_model(person)
    figures = ScoreFigures(model)
    for analysis, rows in _named(person):
        video = store.get_video(project, analysis.video_id)
        for row, figure in zip(rows, figures.of(rows), strict=True):
            yield {
                "video_id": video.video_id,
                "video": video.name,
                "address": _address(person, video.uri),
                "submitted_at": _moment(video.created_at),
                "analysis_id": analysis.analysis_id,
                "is_latest": analysis.analysis_id in latest,
                "start_s": row.start_s,
                "end_s": row.end_s,
                "probability": figure.probability,
                "false_name_rate": figure.false_name_rate,
                "confirmed": row.is_confirmed,
                "tracks": [_track(person, model, one) for one in _tracks(person, row.analysis_id, row.track_ids)],
            }


def _address(person: _Person, uri: str) -> str | None:
    """Return where a video comes from; None for one that was sent, whose place is in the home."""
    is_file = uri.startswith("file://")
    home = person.archive.files.root.resolve()
    return None if is_file and local_path(uri).resolve().is_relative_to(home) else uri


def _track(person: _Person, model: NamingModel | None, track: Track) -> dict[str, Any]:
    nearest: list[tuple[str, float]] = []
    if model is not None and len(track.embedded) and person.person_id in model.classifier.classes_:
        nearest = model.nearest_faces(track_embedding(track), person.person_id)
    return {
        "track_id": track.track_id,
        "start_s": track.start_s,
        "end_s": track.end_s,
        "seen": [
            {"time_s": time_s, "box_xyxy": [round(value, 1) for value in box], "quality": round(quality, 3)}
            for time_s, box, quality in zip(
                track.times_s.tolist(), track.boxes.tolist(), track.quality.tolist(), strict=True
            )
        ],
        "nearest_enrolled_faces": [{"face_id": one, "similarity": round(value, 4)} for one, value in nearest],
    }


def _models(person: _Person) -> Iterator[dict[str, Any]]:
    promoted = promoted_version(person.store, person.project)
    for row in person.store.list_models(person.project):
        names = [person.person_id, *person.former_names]
        if any(knows(person.archive.files, person.project, row.version, one) for one in names):
            yield {
                "version": row.version,
                "made_at": _moment(row.created_at),
                "network": row.embedder,
                "names_now": row.version == promoted,
            }


def _crawls(person: _Person) -> Iterator[dict[str, Any]]:
    for job in _jobs(person, "crawl"):
        yield {"job_id": job.job_id, "begun_at": _moment(job.created_at), "source": job.spec.get("source")}


def _asked(person: _Person) -> Iterator[dict[str, Any]]:
    """Yield in which videos users sought the person."""
    for job in _jobs(person, "video", "fetch"):
        yield {"job_id": job.job_id, "asked_at": _moment(job.created_at), "video_id": job.video_id}


def _jobs(person: _Person, *kinds: str) -> Iterator[Job]:
    """Yield jobs about the person; one of a former name that another person has now is about that one, if it came later."""
    store, project = person.store, person.project
    for job in store.list_jobs(project):
        given = job.spec.get("person_id") if job.kind in kinds else None
        if given is not None and name_now(store, project, given, job.created_at) == person.person_id:
            yield job


def _truths(person: _Person) -> Iterator[dict[str, Any]]:
    for sha256, truth in kept_truths(person.archive, person.project).items():
        if any(one.name == person.person_id for one in truth.people):
            yield {"video_sha256": sha256}


def _entries(person: _Person) -> Iterator[dict[str, Any]]:
    """Yield the entries of the audit log that name one of the person's faces; it names nobody by name."""
    ids = {face.face_id for face in person.faces}
    for entry in all_entries(person.store, person.project):
        if entry.subject in ids or any(one in ids for one in _strings(entry.details)):
            yield {"number": entry.number, "at": _moment(entry.at), "action": entry.action, "subject": entry.subject}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


# Pictures


def _enrolled(person: _Person) -> Iterator[_File]:
    for face in person.faces:
        if face.crop:
            yield from _file(f"faces/{face.face_id}.jpg", person.archive.files.face_crop(person.project, face.face_id))


def _collected(person: _Person) -> Iterator[_File]:
    """Yield collected pictures; in the album of a former name that another person has now, those of this person alone."""
    others = {face.person_id for face in person.store.list_faces(person.project)} - {person.person_id}
    mine = {face.path for face in person.faces}
    for name in (person.person_id, *person.former_names):
        album = person.archive.files.pictures(person.project, name)
        for path in sorted(album.rglob("*")) if album.is_dir() else []:
            if path.is_file() and (name not in others or f"{name}/{path.name}" in mine):
                yield from _file(f"pictures/{name}/{path.relative_to(album).as_posix()}", path)


def _seen(person: _Person) -> Iterator[_File]:
    for analysis, rows in _named(person):
        for row in rows:
            for track in _tracks(person, row.analysis_id, row.track_ids):
                for k in range(len(track.embedded)):
                    crop = person.archive.files.track_crop(person.project, analysis.analysis_id, track.track_id, k)
                    yield from _file(
                        f"tracks/{analysis.video_id}/{analysis.analysis_id}/{track.track_id}-{k}.jpg", crop
                    )


def _file(name: str, path: AnyPath) -> Iterator[_File]:
    if path.is_file():
        yield name, iter([path.read_bytes()])


# Vectors


def _vectors(person: _Person) -> Iterator[_File]:
    store, files, project = person.store, person.archive.files, person.project
    of_network: dict[str, list[tuple[str, FloatArray]]] = {}
    for face in person.faces:
        if face.embedding is not None:
            of_network.setdefault(face.embedder, []).append((face.face_id, face.embedding))
    folder = files.face_vectors(project, "x").parent
    for path in folder.iterdir() if folder.is_dir() else ():
        network = path.name.removesuffix(".npz")
        kept, ids = read_vectors(files, project, network), {face.face_id for face in person.faces}
        own = {one for one, _ in of_network.get(network, [])}
        of_network.setdefault(network, []).extend((one, kept[one]) for one in kept if one in ids and one not in own)
    for network, rows in sorted(of_network.items()):
        if rows:
            yield f"vectors/faces-{network}.csv", _table(("face_id",), (((one,), vector) for one, vector in rows))
    networks, copies = sorted({row.embedder for row in store.list_analyses(project)}), _copies(person)
    for network in networks:
        if any(True for _ in _track_vectors(person, network, copies)):
            names = ("analysis_id", "track_id", "time_s")
            yield f"vectors/tracks-{network}.csv", _table(names, _track_vectors(person, network, copies))
    # What is not the person is another one's face.
    corrections = [
        row for row in store.list_corrections(project, person_id=person.person_id) if row.kind is CorrectionKind.IS
    ]
    for network in sorted({row.embedder for row in corrections}):
        rows_of = [
            ((row.kind, row.analysis_id, row.track_id), row.embedding) for row in corrections if row.embedder == network
        ]
        yield f"vectors/corrections-{network}.csv", _table(("kind", "analysis_id", "track_id"), rows_of)


def _copies(person: _Person) -> list[tuple[AnalysisRow, list[int]]]:
    """Return the copies of the person's tracks in sets of other networks than the project's: nothing names these."""
    store, project = person.store, person.project
    present = store.get_project(project).embedder
    others = {row.analysis_id: row for row in store.list_analyses(project) if row.embedder != present}
    if not others:
        return []
    named = [(one.analysis_id, track_id) for one, rows in _named(person) for row in rows for track_id in row.track_ids]
    found: dict[str, list[int]] = {}
    for analysis_id, track_id in in_all_sets(store, project, named):
        if analysis_id in others:
            found.setdefault(analysis_id, []).append(track_id)
    return [(others[analysis_id], numbers) for analysis_id, numbers in found.items()]


def _track_vectors(
    person: _Person, network: str, copies: Sequence[tuple[AnalysisRow, list[int]]]
) -> Iterator[tuple[Sequence[Any], FloatArray]]:
    own = ((one.analysis_id, row.track_ids) for one, rows in _named(person) if one.embedder == network for row in rows)
    second = ((row.analysis_id, numbers) for row, numbers in copies if row.embedder == network)
    for analysis_id, track_ids in chain(own, second):
        for track in _tracks(person, analysis_id, track_ids):
            for sample, vector in zip(track.embedded.tolist(), track.embeddings, strict=True):
                yield (analysis_id, track.track_id, f"{track.times_s[sample]:.3f}"), vector


def _table(names: Sequence[str], rows: Iterable[tuple[Sequence[Any], FloatArray]]) -> Iterator[bytes]:
    """Yield a table of comma-separated values: ids are ours, so that nothing in it needs quotes or is a formula."""
    yield f"{','.join(names)},numbers\n".encode()
    for key, vector in rows:
        yield (",".join([*map(str, key), *(f"{value:.9g}" for value in vector.tolist())]) + "\n").encode()


# What is named so


def _named(person: _Person) -> Iterator[tuple[AnalysisRow, list[AppearanceRow]]]:
    """Yield the analyses in which the person is named, with these appearances; names of some analyses are in memory at once."""
    store, project = person.store, person.project
    ids = [row.analysis_id for row in store.list_analyses(project)]
    for part in batched(ids, _BLOCK):
        named = [row.analysis_id for row in store.list_named(project, part) if person.person_id in row.names]
        analyses = {row.analysis_id: row for row in store.list_analyses(project, named)} if named else {}
        for analysis_id in named:
            rows = [
                row
                for row in store.list_appearances(project, [analysis_id])
                if row.decision is Decision.NAMED and row.owner == person.person_id
            ]
            if rows and analysis_id in analyses:
                yield analyses[analysis_id], rows


def _tracks(person: _Person, analysis_id: str, track_ids: Sequence[int]) -> Iterator[Track]:
    for part in batched(track_ids, _TRACKS):
        yield from person.store.pick_tracks(person.project, {analysis_id: part}).get(analysis_id, [])


def _present_model(person: _Person) -> NamingModel | None:
    version = promoted_version(person.store, person.project)
    return None if version is None else load_model(person.archive.files, person.project, version)


def _former_names(store: Store, project: str, person_id: str, faces: Sequence[Face]) -> list[str]:
    """Return what a person was called before: as their pictures were enrolled, and as edits tell that can still be told."""
    names: set[str] = set()
    for folder in {face.path.partition("/")[0] for face in faces}:
        try:
            names.add(person_id_of(folder))
        except InputError:  # a folder whose name is nobody's
            continue
    for edit in store.list_edits(project):
        if edit.renamed is not None and edit.undone_at is None:
            former = edit.renamed[0]
            if name_now(store, project, former, edit.created_at - 1e-3) == person_id:
                names.add(former)
    return sorted(names - {person_id})
