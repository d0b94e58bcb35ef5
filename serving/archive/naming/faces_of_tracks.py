"""Faces that confirmed tracks give to people: made, enrolled, and disabled where the track is another's."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace

from facerec_models.config import IdentificationConfig
from facerec_models.files import write_atomically
from facerec_models.names import short_id
from facerec_models.types import Track
from serving.archive.files import Files
from serving.archive.vector_sets import origins
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind
from serving.store.rows import AnalysisRow, Face, FaceStatus

# Faces of one confirmed track that are enrolled: more of one moment would outweigh the person's other pictures.
ENROLLED_OF_TRACK = 4
_SOURCE = "track:"
CORRECTED_OTHERWISE = "its track was corrected to another person"


def faces_of_track(
    files: Files, analysis: AnalysisRow, track: Track, person_id: str, rules: IdentificationConfig
) -> list[Face]:
    """Make faces of a person from the best of a track that pass the quality gate; nothing is stored."""
    faces: list[Face] = []
    project = analysis.project
    for k, sample in enumerate(track.embedded.tolist()):
        crop = files.track_crop(project, analysis.analysis_id, track.track_id, k)
        quality = float(track.quality[sample])
        if len(faces) == ENROLLED_OF_TRACK or quality < rules.min_quality_enrolled or not crop.is_file():
            continue
        source = f"{_SOURCE}{analysis.analysis_id}/{track.track_id}/{k}"
        face_id = short_id("f", project, person_id, source)
        faces.append(
            Face(
                face_id=face_id,
                project=project,
                person_id=person_id,
                path=f"{person_id}/{analysis.video_id}_{track.times_s[sample]:.2f}s.jpg",
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
    return faces


def new_faces(store: Store, project: str, candidates: Sequence[Face], corrections: Sequence[Correction]) -> list[Face]:
    """Return the faces that are enrolled: of tracks that all corrections together make their person, and not enrolled yet."""
    confirmed = {(c.analysis_id, c.track_id, c.person_id) for c in corrections if c.kind is CorrectionKind.IS}
    if not candidates:
        return []
    # A face that was disabled by hand stays so.
    rows = [
        face
        for person_id in sorted({face.person_id for face in candidates})
        for face in store.list_faces(project, person_id=person_id)
        if face.reason != CORRECTED_OTHERWISE
    ]
    known = {face.face_id for face in rows}
    # The same crop of the same track, enrolled while the project had another embedder.
    origin_of = origins(store.list_analyses(project))
    taken = {(origin_of(*_track_of_face(face)), face.person_id, face.sha256) for face in rows if _is_of_track(face)}
    # A frame that was analysed twice, with the video and with a fragment of it, gives one face: the path tells video and time.
    analysis_of = {face.path: _track_of_face(face)[0] for face in rows if _is_of_track(face)}
    found = []
    for face in candidates:
        analysis_id, track_id = _track_of_face(face)
        if (
            face.face_id not in known
            and (origin_of(analysis_id, track_id), face.person_id, face.sha256) not in taken
            and analysis_of.get(face.path, analysis_id) == analysis_id
            and (analysis_id, track_id, face.person_id) in confirmed
        ):
            analysis_of[face.path] = analysis_id
            found.append(face)
    return found


def lost_faces(
    store: Store,
    project: str,
    before: Sequence[Correction],
    corrections: Sequence[Correction],
    enrolled: Sequence[Face],
) -> list[Face]:
    """Return the faces that tracks gave to people whom they are no longer, disabled."""
    kept = {row.correction_id for row in corrections}
    replaced = [row for row in before if row.correction_id not in kept and row.kind is CorrectionKind.IS]
    if not replaced:
        return []
    origin_of = origins(store.list_analyses(project))
    lost = {(origin_of(c.analysis_id, c.track_id), c.person_id) for c in replaced}
    again = {face.face_id for face in enrolled}
    return [
        replace(face, status=FaceStatus.DISABLED, reason=CORRECTED_OTHERWISE, by_hand=True)
        for person_id in sorted({person_id for _, person_id in lost})
        for face in store.list_faces(project, person_id=person_id, status=FaceStatus.TAKEN)
        if _is_of_track(face) and face.face_id not in again and (origin_of(*_track_of_face(face)), person_id) in lost
    ]


def keep_crops(files: Files, project: str, faces: Sequence[Face]) -> None:
    """Copy the crops that faces come from."""
    for face in faces:
        (analysis_id, track_id), k = _track_of_face(face), (face.source or "").rpartition("/")[2]
        crop = files.track_crop(project, analysis_id, track_id, int(k))
        write_atomically(files.face_crop(project, face.face_id), crop.read_bytes())


def _track_of_face(face: Face) -> tuple[str, int]:
    """Return analysis and track of a face that came from a video."""
    analysis_id, track_id, _ = (face.source or "").removeprefix(_SOURCE).split("/")
    return analysis_id, int(track_id)


def _is_of_track(face: Face) -> bool:
    return (face.source or "").startswith(_SOURCE)
