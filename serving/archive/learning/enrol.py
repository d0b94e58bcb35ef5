"""Enrol people from folders of pictures: find the person's face in each picture, judge it, embed it, store it.

What a picture's face is, and whether the picture shows the person at all, decides `training.curate`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig, IdentificationConfig
from facerec_models.errors import PersonNotFoundError
from facerec_models.files import write_atomically
from facerec_models.identification.cohort import Cohort, load_cohort
from facerec_models.images import encode_crop
from facerec_models.names import short_id
from facerec_models.stills import find_stills
from facerec_models.types import FaceSet, FloatArray
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.shared_faces import LearnedFaces
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.vector_sets import drop_vectors
from serving.store.contract import Store
from serving.store.rows import Face, FaceStatus
from training.crawling.album import stem_of
from training.curate import Choice, choose_faces, find_outliers
from training.outlier_strategy import OutlierStrategy
from training.pictures import DISABLED_LIST, FOLDER, Picture, folder_source, owners_of, with_content

GUESSED, DUPLICATE, GONE, REMOVED = "guessed", "duplicate", "gone", "removed"


def tally(face: Face) -> str:
    """Return the heading of an import's summary under which a face counts: its status, or what the reason begins with."""
    begins = (face.reason or "").partition(":")[0]
    return begins if begins in {GUESSED, DUPLICATE, GONE, REMOVED} else face.status.value


def enrol(
    archive: Archive,
    project: str,
    pictures: Sequence[Picture],
    networks: Networks,
    analysis: AnalysisConfig,
    *,
    outliers: OutlierStrategy | None = OutlierStrategy.ROBUST,
    one_face_only: bool = False,
) -> Iterator[Face]:
    """Enrol pictures, person by person; yield what became of each, in the reason what was guessed or found twice.

    Everything of a person is stored at once, so that an interruption leaves whole people. A picture that is there already, with
    the same content, keeps the status that was given to it by hand; a guess is made anew. A file that cannot be read as a picture is
    refused and not stored.

    Parameters
    ----------
    outliers : OutlierStrategy or None
        How pictures of other people are found and disabled; None leaves them enabled.
    one_face_only : bool
        Refuse pictures with more than one face.

    Raises
    ------
    GalleryMismatchError
        If the project was begun with another embedder.
    ConflictError
        If a person was forgotten meanwhile.
    """
    name = networks.embedder.name
    archive.store.create_project(project)
    archive.fix_embedder(project, name)
    cohort = load_cohort(name, archive.files.weights)
    read = [with_content(picture) for picture in pictures]
    owners = owners_of(read)
    learned: dict[str, list[Face]] = {}
    for face in archive.store.list_faces(project, status=FaceStatus.TAKEN):
        learned.setdefault(face.person_id, []).append(face)
        if face.sha256:
            owners.setdefault(face.sha256, {}).setdefault(face.person_id, face.path)
    for person_id in sorted({picture.person_id for picture in read}):
        of_person = [picture for picture in read if picture.person_id == person_id]
        unread = {
            picture: _refused(project, picture, picture.problem, name)
            for picture in of_person
            if picture.problem is not None
        }
        known = (
            {face.face_id: face for face in archive.store.list_faces(project, person_id=person_id)} if person_id else {}
        )
        pending = {face_id for face_id, face in known.items() if _is_guess(face)}
        # One that is known from under another name keeps the id that it was given there.
        of_content = {face.sha256: face_id for face_id, face in known.items() if face.sha256}
        ids = [short_id("f", project, person_id, picture.sha256) for picture in of_person]
        ids = [
            i if i in known else of_content.get(picture.sha256, i) for i, picture in zip(ids, of_person, strict=True)
        ]
        first: dict[str, Picture] = {}
        for face_id, picture in zip(ids, of_person, strict=True):
            if picture not in unread:
                first.setdefault(face_id, picture)
        new = {i: picture for i, picture in first.items() if i not in known or i in pending}
        stills = find_stills([(picture.path, picture.file) for picture in new.values()], networks, analysis)
        sets = []
        for face_id, seen in zip(list(new), stills, strict=True):
            if isinstance(seen, FaceSet):
                sets.append(seen)
            else:
                picture = new.pop(face_id)
                unread[picture] = _refused(project, picture, str(seen.error), name)
        others = LearnedFaces(
            archive.files,
            project,
            [one for who, theirs in learned.items() if who != person_id for one in theirs if one.embedder == name],
        )
        own = [face for face in known.values() if face.embedder == name]
        anchors = [face.embedding for face in own if face.status is FaceStatus.TAKEN]
        shared = {
            i: f"the same content is {_listed(of_others)} as well"
            for i, picture in enumerate(new.values())
            if (of_others := {who: path for who, path in owners[picture.sha256].items() if who != person_id})
        }
        places = {
            face_id: _at_its_place(known[face_id], picture) for face_id, picture in first.items() if face_id in known
        }
        twins = [list(map(others.same_as, seen.embeddings, seen.crops)) for seen in sets]
        theirs = [np.array([twin is not None for twin in of_picture], bool) for of_picture in twins]
        chosen = choose_faces(sets, np.array(anchors, np.float32), cohort.pair, shared, theirs)
        faces = dict(known)
        with enrolling(archive, project, {person_id: list(new)}) as require_not_forgotten:
            for (face_id, picture), seen, choice, of_picture in zip(new.items(), sets, chosen, twins, strict=True):
                twin = None if choice is None else of_picture[choice.index]
                faces[face_id] = _enrol_picture(
                    archive.files, project, face_id, picture, seen, choice, twin, name, archive.rules, one_face_only
                )
            if outliers is not None:
                faces.update(disable_outliers(faces.values(), cohort, outliers))
            for face_id, place in places.items():
                if (place.path, place.source) != (faces[face_id].path, faces[face_id].source):
                    faces[face_id] = replace(faces[face_id], path=place.path, source=place.source)
            require_not_forgotten()
            archive.store.put_faces(project, _to_store(archive.store, project, person_id, faces, known))
        changed = [face for face_id, face in faces.items() if known.get(face_id, face) is not face]
        put_judgements(archive.store, project, [face for face in changed if face.face_id not in new])
        if changed:
            faces.update({face.face_id: face for face in archive.store.list_faces(project, person_id=person_id)})
        learned[person_id] = [face for face in faces.values() if face.status is FaceStatus.TAKEN]
        for face_id, picture in zip(ids, of_person, strict=True):
            if (refused := unread.get(picture)) is not None:
                yield refused
            elif face_id not in faces:  # another file with the same content was refused
                yield replace(unread[first[face_id]], path=picture.path)
            elif first[face_id] is not picture:
                reason = f"{DUPLICATE}: the same content as {first[face_id].path!r}"
                yield replace(faces[face_id], path=picture.path, reason=reason)
            elif (there := _elsewhere(faces[face_id], picture)) is not None:
                known_reason = "" if faces[face_id].reason is None else f"; {faces[face_id].reason}"
                reason = f"{DUPLICATE}: the same content as {there}, where the face stays registered{known_reason}"
                yield replace(faces[face_id], path=picture.path, reason=reason)
            else:
                yield replace(faces[face_id], path=picture.path)


@dataclass(frozen=True, slots=True)
class Gone:
    """The enrolled faces whose pictures are no longer in the folder that they were imported from.

    Parameters
    ----------
    faces : list of Face
        Whose pictures were removed.
    doubtful : list of Face
        Whose whole folder is there and empty: as likely as not it is one where something is not mounted.
    """

    faces: list[Face]
    doubtful: list[Face]


def find_gone(store: Store, project: str, directory: Path, pictures: Sequence[Picture]) -> Gone:
    """Return the enrolled faces whose pictures were imported from a folder and are there no more, under any name.

    What cannot be read now is not gone, nor is what lies below it. Nor is what is there where it is not clear whose it is.
    """
    there = {(picture.person_id, picture.sha256) for picture in pictures if picture.sha256}
    # Of a person who was renamed here, and whose folder was not.
    places = {(picture.path, picture.sha256) for picture in pictures if picture.sha256}
    unclear = {picture.sha256 for picture in pictures if picture.sha256 and picture.problem is not None}
    unread = {picture.path for picture in pictures if not picture.sha256}
    filled = {str(folder) for picture in pictures for folder in PurePosixPath(picture.path).parents}
    source = folder_source(directory)
    gone = Gone([], [])
    for face in store.list_faces(project):
        folders = [str(folder) for folder in PurePosixPath(face.path).parents]
        if face.source != source or (face.person_id, face.sha256) in there or face.sha256 in unclear:
            continue
        if (face.path, face.sha256) in places:
            continue
        if not unread.isdisjoint([face.path, *folders]):
            continue
        is_doubtful = any(folder not in filled and (directory / folder).is_dir() for folder in folders)
        (gone.doubtful if is_doubtful else gone.faces).append(face)
    return gone


def prune(archive: Archive, project: str, faces: Sequence[Face]) -> None:
    """Remove faces: their files, vectors and rows. The next training learns without them."""
    ids = [face.face_id for face in faces]
    # Files before rows: by the rows an interrupted try is done again.
    for face_id in ids:
        archive.files.face_crop(project, face_id).unlink(missing_ok=True)
    drop_vectors(archive.files, project, set(ids))
    archive.store.delete_faces(project, ids)


def _listed(theirs: Mapping[str, str]) -> str:
    return ", ".join(f"{who}'s ({path!r})" for who, path in sorted(theirs.items()))


def _is_guess(face: Face) -> bool:
    return face.status is FaceStatus.DISABLED and not face.by_hand and tally(face) == GUESSED


def _at_its_place(face: Face, picture: Picture) -> Face:
    """Return a known face with the folder and path at which its picture is now, if it was imported from a folder and moved.

    Content that comes another way, or is in another folder besides, takes no face out of its folder.
    """
    before, now = face.source or "", picture.source or ""
    if not before.startswith(FOLDER) or not now.startswith(FOLDER) or (face.path, before) == (picture.path, now):
        return face
    if before != now and _is_still_there(face, Path(before.removeprefix(FOLDER), face.path)):
        return face
    return replace(face, path=picture.path, source=now)


def _is_still_there(face: Face, file: Path) -> bool:
    """Whether a face's picture is where it was; one that cannot be read now is."""
    content = with_content(Picture(file, face.path, face.person_id)).sha256
    return content == face.sha256 or (not content and os.path.lexists(file))


def _elsewhere(face: Face, picture: Picture) -> str | None:
    """Return where a face's picture is, if that is another folder than the one that is imported now."""
    before, now = face.source or "", picture.source or ""
    if before == now or not before.startswith(FOLDER) or not now.startswith(FOLDER):
        return None
    return repr(str(Path(before.removeprefix(FOLDER), face.path)))


def _to_store(
    store: Store, project: str, person_id: str, faces: Mapping[str, Face], known: Mapping[str, Face]
) -> list[Face]:
    """Return the rows to write: new ones, guesses that were made anew, and moved ones.

    Of those that are there, what was decided or removed meanwhile stays so.
    """
    rows = [face for face_id, face in faces.items() if face_id not in known]
    present = {face.face_id: face for face in store.list_faces(project, person_id=person_id)} if known else {}
    for face_id, before in known.items():
        now, face = present.get(face_id), faces[face_id]
        if now is None or now.by_hand != before.by_hand:
            continue
        if _is_guess(before) and face is not before:
            rows.append(face)
        elif (face.path, face.source) != (now.path, now.source):
            rows.append(replace(now, path=face.path, source=face.source))
    return rows


def disable_outliers(faces: Iterable[Face], cohort: Cohort, strategy: OutlierStrategy) -> dict[str, Face]:
    """Return a person's faces whose status changes, by id: outliers are disabled, former outliers enabled again.

    What was decided by hand is left alone: a face enabled by hand is never an outlier.
    """
    judged = [
        face
        for face in faces
        if face.embedding is not None
        and face.embedder == cohort.embedder
        and (face.status is FaceStatus.TAKEN or _is_machine_outlier(face))
    ]
    if not judged:
        return {}
    reasons = find_outliers(
        np.stack([face.embedding for face in judged if face.embedding is not None]), cohort, strategy
    )
    changed = {}
    for face, reason in zip(judged, reasons, strict=True):
        status = FaceStatus.TAKEN if reason is None else FaceStatus.DISABLED
        if not face.by_hand and (status, reason) != (face.status, face.reason):
            changed[face.face_id] = replace(face, status=status, reason=reason)
    return changed


def propose_statuses(archive: Archive, project: str, person_id: str) -> list[Face]:
    """Return the faces of a person whose status `disable_outliers` would change, as they would be, by path; store nothing.

    Raises
    ------
    PersonNotFoundError
        If the project has no faces of this person.
    """
    faces = archive.store.list_faces(project, person_id=person_id)
    if not faces:
        raise PersonNotFoundError(f"project {project!r} has no person {person_id!r}")
    embedder = archive.store.get_project(project).embedder
    if embedder is None:
        return []
    cohort = load_cohort(embedder, archive.files.weights)
    changed = disable_outliers(faces, cohort, OutlierStrategy.ROBUST)
    return [changed[face.face_id] for face in faces if face.face_id in changed]


def put_judgements(store: Store, project: str, judged: Iterable[Face]) -> None:
    """Store the status of faces that `disable_outliers` judged, except of those that were decided by hand since."""
    alike: dict[tuple[FaceStatus, str | None], list[str]] = {}
    for face in judged:
        alike.setdefault((face.status, face.reason), []).append(face.face_id)
    for (status, reason), face_ids in alike.items():
        store.judge_faces(project, face_ids, status, reason)


def _is_machine_outlier(face: Face) -> bool:
    return face.status is FaceStatus.DISABLED and not face.by_hand and not _is_guess(face)


def _enrol_picture(
    files: Files,
    project: str,
    face_id: str,
    picture: Picture,
    found: FaceSet,
    choice: Choice | None,
    twin: Face | None,
    embedder: str,
    rules: IdentificationConfig,
    one_face_only: bool,
) -> Face:
    """Make the row of one picture, and keep its aligned face."""
    status, reason, quality, crop = FaceStatus.REFUSED, None, 0.0, None
    embedding: FloatArray | None = None
    by_hand = False
    if choice is None:
        reason = "no face was found"
    elif one_face_only and len(found) > 1:
        reason = f"{len(found)} faces were found, and only pictures of one were to be taken"
    else:
        quality = float(found.quality[choice.index])
        embedding = found.embeddings[choice.index]
        if quality < rules.min_quality_enrolled:
            reason = (
                f"too small, blurred, turned or cut off: quality {quality:.2f}, least {rules.min_quality_enrolled:.2f}"
            )
        elif picture.disabled:
            status, reason, by_hand = FaceStatus.DISABLED, f"listed in {DISABLED_LIST}", True
        elif choice.doubt is not None:
            status, reason = FaceStatus.DISABLED, choice.doubt
        elif twin is not None:
            status = FaceStatus.DISABLED
            reason = f"{GUESSED}: the same face is learned as {twin.person_id}'s, from {twin.path!r}"
        else:
            status = FaceStatus.TAKEN
        path = files.face_crop(project, face_id)
        write_atomically(path, encode_crop(found.crops[choice.index]))
        crop = path.name
    return replace(
        _refused(project, picture, reason, embedder),
        face_id=face_id,
        status=status,
        quality=quality,
        embedding=embedding,
        crop=crop,
        by_hand=by_hand,
    )


def _refused(project: str, picture: Picture, reason: str | None, embedder: str) -> Face:
    """Make the row of a picture that is refused; that of a file that cannot be read is not stored."""
    return Face(
        face_id=short_id("f", project, picture.person_id, "unread", picture.path),
        project=project,
        person_id=picture.person_id,
        path=picture.path,
        sha256=picture.sha256,
        status=FaceStatus.REFUSED,
        reason=reason,
        quality=0.0,
        embedder=embedder,
        embedding=None,
        crop=None,
        created_at=time.time(),
        source=picture.source,
        fetched_at=picture.fetched_at,
    )


def content_elsewhere(faces: Sequence[Face]) -> frozenset[str]:
    """Return the SHA-256 of enrolled pictures that do not come from a person's crawled folder."""
    return frozenset(face.sha256 for face in faces if Path(face.path).stem != stem_of(face.sha256))
