"""Faces that confirmed tracks give to people: made, enrolled, and disabled where the track is another's."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from facerec_models.config import IdentificationConfig
from facerec_models.files import write_atomically
from facerec_models.names import short_id
from facerec_models.types import Track
from serving.archive.files import Files
from serving.archive.naming.current import CurrentNaming
from serving.archive.same_faces import find_same_faces
from serving.archive.vector_sets import origins_of
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind
from serving.store.rows import AnalysisRow, Face, FaceStatus

# Faces of one confirmed track that are enrolled: more of one moment would outweigh the person's other pictures.
ENROLLED_OF_TRACK = 4
# More than the embeddings that a track keeps: the numbers of its faces lie below.
_MOST_OF_TRACK = 16
_SOURCE = "track:"
CORRECTED_OTHERWISE = "its track was corrected to another person"


def source_of_track(analysis_id: str, track_id: int, k: int) -> str:
    """Return what the source of a face is that was enrolled from a track: of its k-th best crop."""
    return f"{_SOURCE}{analysis_id}/{track_id}/{k}"


def faces_of_track(project: str, person_id: str, analysis_id: str, track_id: int) -> set[str]:
    """Return the ids that faces of a person have which were enrolled from a track, or would have."""
    return {_face_id(project, person_id, source_of_track(analysis_id, track_id, k)) for k in range(_MOST_OF_TRACK)}


def _face_id(project: str, person_id: str, source: str) -> str:
    return short_id("f", project, person_id, source)


def best_faces(
    files: Files,
    tracks: Sequence[tuple[AnalysisRow, Track]],
    person_id: str,
    rules: IdentificationConfig,
    most: int = ENROLLED_OF_TRACK,
) -> list[Face]:
    """Make faces of a person from the best of tracks that pass the quality gate; nothing is stored, and no other crop is read."""
    found = [
        (float(track.quality[sample]), analysis, track, k, sample)
        for analysis, track in tracks
        for k, sample in enumerate(track.embedded.tolist())
        if track.quality[sample] >= rules.min_quality_enrolled
    ]
    faces: list[Face] = []
    of_track: Counter[tuple[str, int]] = Counter()
    paths: set[str] = set()
    for quality, analysis, track, k, sample in sorted(found, key=lambda one: -one[0]):
        key, project = (analysis.analysis_id, track.track_id), analysis.project
        crop = files.track_crop(project, *key, k)
        path = f"{person_id}/{analysis.video_id}_{track.times_s[sample]:.2f}s.jpg"
        # A frame that was analysed twice, or whose analysis was joined with others, gives one face.
        if of_track[key] == ENROLLED_OF_TRACK or path in paths or not crop.is_file():
            continue
        of_track[key] += 1
        paths.add(path)
        source = source_of_track(*key, k)
        face_id = _face_id(project, person_id, source)
        faces.append(
            Face(
                face_id=face_id,
                project=project,
                person_id=person_id,
                path=path,
                sha256=hashlib.sha256(crop.read_bytes()).hexdigest(),
                status=FaceStatus.TAKEN,
                reason="confirmed in a video",
                quality=quality,
                embedder=analysis.embedder,
                embedding=track.embeddings[k],
                crop=f"{face_id}.jpg",
                created_at=time.time(),
                source=source,
                by_hand=True,
            )
        )
        if len(faces) == most:
            break
    return faces


def new_faces(
    store: Store, current: CurrentNaming, candidates: Sequence[Face], corrections: Sequence[Correction]
) -> list[Face]:
    """Return the faces that are enrolled: of tracks that all corrections together make their person, and not enrolled yet."""
    confirmed = {(c.analysis_id, c.track_id, c.person_id) for c in corrections if c.kind is CorrectionKind.IS}
    people = {face.person_id for face in candidates}
    # A face that was disabled by hand stays so.
    rows = [face for face in current.faces() if face.person_id in people and face.reason != CORRECTED_OTHERWISE]
    known = {face.face_id for face in rows}
    of_tracks = [face for face in rows if is_of_track(face)]
    # The same crop of the same track, enrolled while the project had another embedder.
    analyses = {track_of_face(face)[0] for face in (*of_tracks, *candidates)} if of_tracks else set()
    origin = origins_of(store, current.project, analyses)
    taken = {(origin(*track_of_face(face)), face.person_id, face.sha256) for face in of_tracks}
    # A frame that was analysed twice, with the video and with a fragment of it, gives one face.
    analysis_of = {_moment(face): track_of_face(face)[0] for face in of_tracks}
    found = []
    for face in candidates:
        analysis_id, track_id = track_of_face(face)
        if (
            face.face_id not in known
            and (origin(analysis_id, track_id), face.person_id, face.sha256) not in taken
            and analysis_of.get(_moment(face), analysis_id) == analysis_id
            and (analysis_id, track_id, face.person_id) in confirmed
        ):
            analysis_of[_moment(face)] = analysis_id
            found.append(face)
    return found


def _moment(face: Face) -> tuple[str, str]:
    """Return whose face it is, and of which video and time: the rest of its path may be a former name."""
    return face.person_id, face.path.rpartition("/")[2]


def lost_faces(
    store: Store, current: CurrentNaming, corrections: Sequence[Correction], enrolled: Sequence[Face]
) -> list[Face]:
    """Return the faces that tracks gave to people whom they are no longer, disabled.

    Parameters
    ----------
    corrections : sequence of Correction
        All that hold then.
    enrolled : sequence of Face
        New ones.
    """
    kept = {row.correction_id for row in corrections}
    replaced = [row for row in current.corrections if row.correction_id not in kept and row.kind is CorrectionKind.IS]
    if not replaced:
        return []
    again = {face.face_id for face in enrolled}
    people = {row.person_id for row in replaced}
    faces = [
        face
        for face in current.faces()
        if face.person_id in people
        and face.status is FaceStatus.TAKEN
        and is_of_track(face)
        and face.face_id not in again
    ]
    analyses = {c.analysis_id for c in replaced} | {track_of_face(face)[0] for face in faces}
    origin = origins_of(store, current.project, analyses)
    lost = {(origin(c.analysis_id, c.track_id), c.person_id) for c in replaced}
    # The same face of the video, enrolled when another analysis of it was the answer.
    tracks = {(c.analysis_id, c.track_id) for c in replaced}
    also = find_same_faces(store, current.project, tracks, {track_of_face(face) for face in faces})
    lost |= {
        (origin(*other), c.person_id) for one, other in also for c in replaced if one == (c.analysis_id, c.track_id)
    }
    return [
        replace(face, status=FaceStatus.DISABLED, reason=CORRECTED_OTHERWISE, by_hand=True)
        for face in faces
        if (origin(*track_of_face(face)), face.person_id) in lost
    ]


def keep_crops(files: Files, project: str, faces: Sequence[Face]) -> None:
    """Copy the crops that faces come from."""
    for face in faces:
        (analysis_id, track_id), k = track_of_face(face), (face.source or "").rpartition("/")[2]
        crop = files.track_crop(project, analysis_id, track_id, int(k))
        write_atomically(files.face_crop(project, face.face_id), crop.read_bytes())


def track_of_face(face: Face) -> tuple[str, int]:
    """Return analysis and track of a face that came from a video."""
    analysis_id, track_id, _ = (face.source or "").removeprefix(_SOURCE).split("/")
    return analysis_id, int(track_id)


def is_of_track(face: Face) -> bool:
    """Whether a face came from a video."""
    return (face.source or "").startswith(_SOURCE)
