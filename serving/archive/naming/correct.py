"""Corrections of tracks and names for strangers, which take effect at once.

Every correction is kept, becomes part of the next model version, and names from stored embeddings what it can change.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from facerec_models.config import IdentificationConfig, TrainingConfig
from facerec_models.errors import (
    ConflictError,
    InputError,
    ModelNotFoundError,
    PersonNotFoundError,
    VideoNotFoundError,
)
from facerec_models.files import remove_tree, write_atomically
from facerec_models.names import person_id_of, short_id
from facerec_models.types import STRANGER_PREFIX, Track
from facerec_models.vectors import track_embedding
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import FittedVersion, fit_edit
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.naming.correction_rows import correction_id, with_corrections
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.strangers import find_stranger
from serving.archive.vector_sets import origins
from serving.store.conflicts import require_version
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, Edit, Promotion
from serving.store.rows import AnalysisRow, Face, FaceStatus
from training.ray_tasks import Workers

# Faces of one confirmed track that are enrolled: more of one moment would outweigh the person's other pictures.
_ENROLLED_OF_TRACK = 4
# Corrections that the note of an edit tells in full.
_NOTED = 3
_SOURCE = "track:"
_CORRECTED_OTHERWISE = "its track was corrected to another person"


@dataclass(frozen=True, slots=True)
class TrackCorrection:
    """A correction of one track of a video, as it is given."""

    video_id: str
    track_id: int
    kind: CorrectionKind
    person_id: str


def correct(
    archive: Archive,
    project: str,
    given: Sequence[TrackCorrection],
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Store corrections, fit a model that knows them, and name the archive again.

    "Is X" makes the track X's whatever its score, and enrols its best faces as pictures of X, those that are good enough. "Is not X"
    keeps the track, and faces that are more like it than like X, from being named X; of a stranger, it takes the track out.

    Parameters
    ----------
    preview : bool
        Answer what that would change, and keep nothing of it.
    expected : int, optional
        The version that a preview answered.

    Raises
    ------
    VideoNotFoundError
        If a video was not analysed, or has no such track.
    PersonNotFoundError
        If a track is not to be a person whom the project does not know.
    ConflictError
        If the project is not at the expected version.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        return plan_refit(archive, current, _edit_of_corrections(archive, project, given))

    return change_names(archive, project, plan, preview=preview, expected=expected)


def _edit_of_corrections(archive: Archive, project: str, given: Sequence[TrackCorrection]) -> Edit:
    known = {person.person_id for person in archive.store.list_people(project)}
    made: dict[str, tuple[Correction, list[Face]]] = {}
    for one in given:
        analysis, track = _find_track(archive.store, project, one.video_id, one.track_id)
        person_id = one.person_id
        if person_id.startswith(STRANGER_PREFIX):
            if one.kind is CorrectionKind.IS:
                raise InputError(f"{person_id!r} is a stranger: give the track a person, or name the stranger")
            person_id = find_stranger(archive.store, project, person_id).stranger_id
        else:
            person_id = person_id_of(person_id)
            if one.kind is CorrectionKind.IS_NOT and person_id not in known:
                raise PersonNotFoundError(
                    f"project {project!r} has no person {person_id!r}: 'facerec people list' lists all"
                )
        correction = _correction(project, analysis, track, one.kind, person_id)
        is_person = one.kind is CorrectionKind.IS
        # The same correction twice is one, and counts as given when it is given last.
        made.pop(correction.correction_id, None)
        faces = _faces_of_track(archive.files, analysis, track, person_id, archive.rules) if is_person else []
        made[correction.correction_id] = correction, faces
    corrections = [correction for correction, _ in made.values()]
    told = ", ".join(f"{c.kind.replace('_', ' ')} {c.person_id}" for c in corrections[:_NOTED])
    note = told + (", ..." if len(corrections) > _NOTED else "")
    faces = [face for _, of_track in made.values() for face in of_track]
    return Edit("correction", note, corrections, faces=faces)


def name_stranger(
    archive: Archive,
    project: str,
    given: str,
    name: str,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Name a stranger: their tracks are confirmed as that person's, whose gallery gets the best of their faces.

    Parameters
    ----------
    preview, expected
        As of `correct`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    ConflictError
        If no track is this stranger any more, or the project is not at the expected version.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        return plan_refit(archive, current, _edit_of_stranger(archive, project, given, person_id_of(name)))

    return change_names(archive, project, plan, preview=preview, expected=expected)


def _edit_of_stranger(archive: Archive, project: str, given: str, person_id: str) -> Edit:
    stranger = find_stranger(archive.store, project, given)
    rows = archive.store.list_stranger_tracks(project, stranger_ids=[stranger.stranger_id])
    if not rows:
        whom = f" was named {stranger.person_id} and" if stranger.person_id else ""
        raise ConflictError(
            f"Unknown {stranger.number}{whom} has no tracks left: correct tracks, as in 'facerec correct'"
        )
    corrections, candidates = [], []
    track_ids: dict[str, list[int]] = {}
    for row in rows:
        track_ids.setdefault(row.analysis_id, []).append(row.track_id)
    found = archive.store.pick_tracks(project, track_ids)
    analyses = {row.analysis_id: row for row in archive.store.list_analyses(project, sorted(track_ids))}
    for analysis, track in [(analyses[one], track) for one, tracks in found.items() for track in tracks]:
        corrections.append(_correction(project, analysis, track, CorrectionKind.IS, person_id))
        candidates += _faces_of_track(archive.files, analysis, track, person_id, archive.rules)
    best = sorted(candidates, key=lambda face: -face.quality)[: 3 * _ENROLLED_OF_TRACK]
    note = f"Unknown {stranger.number} is {person_id}"
    return Edit("stranger", note, corrections, faces=best, strangers=[replace(stranger, person_id=person_id)])


def refit_and_name(archive: Archive, project: str, cause: str, changed: Collection[str]) -> IdentificationChange:
    """Fit a version to what is known now, with the classifier in use, promote it, and name the archive with it.

    Parameters
    ----------
    changed : collection of str
        Analyses whose tracks have changed since they were named.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        planned = plan_refit(archive, current, Edit(cause))
        named = {row.analysis_id for row in archive.store.list_named(project, sorted(changed))}
        return replace(planned, more=named)

    return change_names(archive, project, plan)


def plan_refit(archive: Archive, current: CurrentNaming, edit: Edit) -> PlannedEdit:
    """Return an edit of corrections and faces with the version that learns them, which it promotes.

    Faces of a track that is corrected to another person are disabled with it; those whom the store has already are left out.
    """
    store, project = archive.store, current.project
    config = TrainingConfig.model_validate({**_learned_with(store, project, current.model_version), "promote": "no"})
    before = store.list_corrections(project)
    corrections = with_corrections(before, edit.corrections, edit.withdrawn)
    enrolled = _new_faces(store, project, edit.faces, corrections)
    changed = [*enrolled, *_lost_faces(store, project, before, corrections, enrolled)]
    with Workers(archive.files.root) as workers:
        fitted = fit_edit(
            archive,
            project,
            config,
            changed=changed,
            removed=edit.removed,
            corrections=corrections,
            workers=workers,
        )
    version = fitted.row.version

    @contextmanager
    def files() -> Iterator[None]:
        of_people: dict[str, list[str]] = {}
        for face in enrolled:
            of_people.setdefault(face.person_id, []).append(face.face_id)
        with enrolling(archive, project, of_people) as require_not_forgotten, _written(archive, current, fitted):
            _keep_crops(archive.files, project, enrolled)
            require_not_forgotten()
            yield

    return PlannedEdit(
        replace(edit, faces=changed, promotion=Promotion.PROMOTE, model_version=version),
        version,
        fitted.fitted.model,
        more=_unnamed(store, project, {row.analysis_id for row in edit.corrections}),
        files=files,
    )


def _unnamed(store: Store, project: str, analysis_ids: Collection[str]) -> set[str]:
    """Return which of these analyses nothing has named yet."""
    return set(analysis_ids) - {row.analysis_id for row in store.list_named(project, sorted(analysis_ids))}


@contextmanager
def _written(archive: Archive, current: CurrentNaming, fitted: FittedVersion) -> Iterator[None]:
    """Write a version; where it is not promoted after all, it is gone again: it may know a person who was forgotten meanwhile."""
    store, project, version = archive.store, current.project, fitted.row.version
    is_known = any(row.version == version for row in store.list_models(project))
    try:
        if not is_known:
            fitted.write(archive)
        # Whoever is forgotten afterwards finds the version.
        require_version(project, current.version, store.get_project(project).version)
        yield
    except BaseException:
        if not is_known:
            with suppress(ModelNotFoundError, ConflictError):
                store.delete_model(project, version)
                remove_tree(archive.files.model(project, version))
        raise


def _learned_with(store: Store, project: str, version: str | None) -> dict[str, Any]:
    """Return how the promoted version was trained; nothing where there is none."""
    if version is None:
        return {}
    try:
        found: dict[str, Any] = store.get_model(project, version).metrics.get("training", {})
    except ModelNotFoundError as error:
        raise ConflictError(f"version {version} of project {project!r} was deleted meanwhile: try again") from error
    return found


def _new_faces(store: Store, project: str, candidates: Sequence[Face], corrections: Sequence[Correction]) -> list[Face]:
    """Return the faces that are enrolled: of tracks that all corrections together make their person, and not enrolled yet."""
    confirmed = {(c.analysis_id, c.track_id, c.person_id) for c in corrections if c.kind is CorrectionKind.IS}
    if not candidates:
        return []
    # A face that was disabled by hand stays so.
    rows = [
        face
        for person_id in sorted({face.person_id for face in candidates})
        for face in store.list_faces(project, person_id=person_id)
        if face.reason != _CORRECTED_OTHERWISE
    ]
    known = {face.face_id for face in rows}
    # The same crop of the same track, enrolled while the project had another embedder.
    origin_of = origins(store.list_analyses(project))
    taken = {(_origin_of_face(face, origin_of), face.person_id, face.sha256) for face in rows if _is_of_track(face)}
    return [
        face
        for face in candidates
        if face.face_id not in known
        and (_origin_of_face(face, origin_of), face.person_id, face.sha256) not in taken
        and (*_track_of_face(face), face.person_id) in confirmed
    ]


def _lost_faces(
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
    lost = {((origin_of.get(c.analysis_id, c.analysis_id), c.track_id), c.person_id) for c in replaced}
    again = {face.face_id for face in enrolled}
    return [
        replace(face, status=FaceStatus.DISABLED, reason=_CORRECTED_OTHERWISE, by_hand=True)
        for person_id in sorted({person_id for _, person_id in lost})
        for face in store.list_faces(project, person_id=person_id, status=FaceStatus.TAKEN)
        if _is_of_track(face) and face.face_id not in again and (_origin_of_face(face, origin_of), person_id) in lost
    ]


def _keep_crops(files: Files, project: str, faces: Sequence[Face]) -> None:
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


def _origin_of_face(face: Face, origin_of: Mapping[str, str]) -> tuple[str, int]:
    """Return analysis and track of a face that came from a video, whichever set it came from."""
    analysis_id, track_id = _track_of_face(face)
    return origin_of.get(analysis_id, analysis_id), track_id


def _find_track(store: Store, project: str, video_id: str, track_id: int) -> tuple[AnalysisRow, Track]:
    analysis = store.latest_analysis(project, video_id)
    embedder = store.get_project(project).embedder
    if embedder not in (None, analysis.embedder):
        raise VideoNotFoundError(
            f"video {video_id} has no vectors of {embedder}, which the project uses: submit it again"
        )
    return analysis, _track_of(store, analysis, track_id)


def _track_of(store: Store, analysis: AnalysisRow, track_id: int) -> Track:
    tracks = store.get_tracks(analysis.project, [analysis.analysis_id])[analysis.analysis_id]
    for track in tracks:
        if track.track_id == track_id:
            return track
    raise VideoNotFoundError(f"video {analysis.video_id} has no track {track_id}: it has {len(tracks)}, from 1")


def _correction(project: str, analysis: AnalysisRow, track: Track, kind: CorrectionKind, person_id: str) -> Correction:
    return Correction(
        correction_id=correction_id(project, kind, person_id, analysis.analysis_id, track.track_id),
        project=project,
        kind=kind,
        person_id=person_id,
        analysis_id=analysis.analysis_id,
        track_id=track.track_id,
        embedder=analysis.embedder,
        embedding=track_embedding(track),
        created_at=time.time(),
    )


def _faces_of_track(
    files: Files, analysis: AnalysisRow, track: Track, person_id: str, rules: IdentificationConfig
) -> list[Face]:
    """Make faces of a person from the best of a track that pass the quality gate; nothing is stored."""
    faces: list[Face] = []
    project = analysis.project
    for k, sample in enumerate(track.embedded.tolist()):
        crop = files.track_crop(project, analysis.analysis_id, track.track_id, k)
        quality = float(track.quality[sample])
        if len(faces) == _ENROLLED_OF_TRACK or quality < rules.min_quality_enrolled or not crop.is_file():
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
