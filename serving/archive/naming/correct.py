"""Corrections of tracks and names for strangers, which take effect at once.

Every correction is kept, becomes part of the next model version, and names the whole archive again from stored embeddings.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
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
from facerec_models.files import write_atomically
from facerec_models.identification.naming_model import NamingModel
from facerec_models.names import person_id_of, short_id
from facerec_models.types import STRANGER_PREFIX, Track
from facerec_models.vectors import track_embedding
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.model_versions import Unstored, fit_preview, train, version_of
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.naming.correction_rows import correction_id, inverse_to_json, with_corrections
from serving.archive.naming.one_video import revision_of
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.strangers import find_stranger
from serving.archive.naming.whole_archive import (
    NamingInput,
    rename,
    require_state,
    state_of,
    usual_error,
    with_current_corrections,
)
from serving.archive.vector_sets import origins
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, EditInverse, EditRows, ProjectState, Stranger
from serving.store.rows import AnalysisRow, Face, FaceStatus

# Faces of one confirmed track that are enrolled: more of one moment would outweigh the person's other pictures.
_ENROLLED_OF_TRACK = 4
# Corrections that the note of an application tells in full.
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
    expected_state: str | None = None,
) -> IdentificationChange:
    """Store corrections, fit a model that knows them, and name the archive again.

    "Is X" makes the track X's whatever its score, and enrols its best faces as pictures of X, those that are good enough. "Is not X"
    keeps the track, and faces that are more like it than like X, from being named X; of a stranger, it takes the track out.

    Parameters
    ----------
    preview : bool
        Answer what that would change, and keep nothing of it.
    expected_state : str, optional
        What a preview answered as `state`.

    Raises
    ------
    VideoNotFoundError
        If a video was not analysed, or has no such track.
    PersonNotFoundError
        If a track is not to be a person whom the project does not know.
    ConflictError
        If the archive is not in the expected state.
    """

    def edit() -> _Edit:
        return _edit_of_corrections(archive, project, given)

    return _learn_and_name(archive, project, edit, preview=preview, expected_state=expected_state)


def _edit_of_corrections(archive: Archive, project: str, given: Sequence[TrackCorrection]) -> _Edit:
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
    return _Edit("correction", note, corrections, [face for _, faces in made.values() for face in faces])


def name_stranger(
    archive: Archive,
    project: str,
    given: str,
    name: str,
    *,
    preview: bool = False,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Name a stranger: their tracks are confirmed as that person's, whose gallery gets the best of their faces.

    Parameters
    ----------
    preview, expected_state
        As of `correct`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    ConflictError
        If no track is this stranger any more, or the archive is not in the expected state.
    """

    def edit() -> _Edit:
        return _edit_of_stranger(archive, project, given, person_id_of(name))

    return _learn_and_name(archive, project, edit, preview=preview, expected_state=expected_state)


def _edit_of_stranger(archive: Archive, project: str, given: str, person_id: str) -> _Edit:
    stranger = find_stranger(archive.store, project, given)
    rows = [row for row in archive.store.list_stranger_tracks(project) if row.stranger_id == stranger.stranger_id]
    if not rows:
        whom = f" was named {stranger.person_id} and" if stranger.person_id else ""
        raise ConflictError(
            f"Unknown {stranger.number}{whom} has no tracks left: correct tracks, as in 'facerec correct'"
        )
    corrections, candidates = [], []
    found = archive.store.get_tracks(project, sorted({row.analysis_id for row in rows}))
    for row in rows:
        analysis = archive.store.get_analysis(project, row.analysis_id)
        (track,) = [track for track in found[row.analysis_id] if track.track_id == row.track_id]
        corrections.append(_correction(project, analysis, track, CorrectionKind.IS, person_id))
        candidates += _faces_of_track(archive.files, analysis, track, person_id, archive.rules)
    best = sorted(candidates, key=lambda face: -face.quality)[: 3 * _ENROLLED_OF_TRACK]
    note = f"Unknown {stranger.number} is {person_id}"
    return _Edit("stranger", note, corrections, best, replace(stranger, person_id=person_id))


@dataclass(frozen=True, slots=True)
class _Edit:
    """What is learned at once: corrections, the faces that they enrol, and a stranger who has a name now."""

    cause: str
    note: str
    corrections: Sequence[Correction] = ()
    faces: Sequence[Face] = ()
    stranger: Stranger | None = None


def refit_and_name(archive: Archive, project: str, cause: str) -> IdentificationChange:
    """Fit a version to what is known now, with the classifier in use, promote it, and name the archive with it."""
    return _learn_and_name(archive, project, lambda: _Edit(cause, ""))


def _learn_and_name(
    archive: Archive,
    project: str,
    make_edit: Callable[[], _Edit],
    *,
    preview: bool = False,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Fit a version that knows an edit, and store both with the names that follow, in one transaction.

    Where another edit is applied meanwhile, it begins again with that, unless a state is expected.

    Parameters
    ----------
    make_edit : callable
        Returns the edit, for the archive as it is now.
    """

    def work(before: list[Correction], known: ProjectState) -> IdentificationChange:
        return _learn_once(archive, project, make_edit(), before, known, preview, expected_state)

    return with_current_corrections(archive.store, project, work, once=preview or expected_state is not None)


def _learn_once(
    archive: Archive,
    project: str,
    edit: _Edit,
    before: Sequence[Correction],
    known: ProjectState,
    preview: bool,
    expected_state: str | None,
) -> IdentificationChange:
    # The application promotes it: until then nothing is named by a model that may never be promoted.
    config = TrainingConfig.model_validate({**_learned_with(archive.store, project, known.promoted), "promote": "no"})
    corrections = with_corrections(before, edit.corrections)
    faces = _new_faces(archive.store, project, edit.faces, corrections)
    effect = _effect(archive.store, project, before, corrections, faces)
    limit = usual_error(archive.store, project)
    version = version_of(archive, project, config, more=faces, less=effect.disabled, corrections=corrections)
    about = "" if edit.stranger is None else f"{edit.stranger.stranger_id} is {edit.stranger.person_id}"
    state = state_of(archive.store, project, revision_of(project, version, archive.rules, limit), about)
    require_state(project, state, expected_state)

    def name(version: str, model: NamingModel) -> IdentificationChange:
        return rename(
            archive,
            project,
            revision_of(project, version, archive.rules, limit),
            model,
            cause=edit.cause,
            note=edit.note,
            given=NamingInput(
                corrections,
                known,
                EditRows(edit.corrections, faces, list(effect.disabled), _CORRECTED_OTHERWISE),
                edit.stranger,
                (about,),
                {"promoted": known.promoted, "effect": inverse_to_json(effect)},
            ),
            apply=not preview,
            expected_state=expected_state,
        )

    if preview:
        model = fit_preview(archive, project, config, more=faces, less=effect.disabled, corrections=corrections)
        return name(version, model)
    unstored = Unstored(faces, effect.disabled, corrections, effect.corrections)
    version = train(archive, project, config, unstored=unstored).version
    of_people: dict[str, list[str]] = {}
    for face in faces:
        of_people.setdefault(face.person_id, []).append(face.face_id)
    with enrolling(archive, project, of_people) as require_not_forgotten:
        _keep_crops(archive.files, project, faces)
        model = load_model(archive.files, project, version)
        require_not_forgotten()
        return name(version, model)


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
    # A face that was disabled by hand stays so.
    rows = [face for face in store.list_faces(project) if face.reason != _CORRECTED_OTHERWISE]
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


def _effect(
    store: Store, project: str, before: Sequence[Correction], corrections: Sequence[Correction], faces: Sequence[Face]
) -> EditInverse:
    """Return what corrections change; a track that is corrected to another person loses the faces that it gave."""
    old, new = {row.correction_id for row in before}, {row.correction_id for row in corrections}
    replaced = [row for row in before if row.correction_id not in new]
    origin_of = origins(store.list_analyses(project)) if replaced else {}
    lost = {
        ((origin_of.get(c.analysis_id, c.analysis_id), c.track_id), c.person_id)
        for c in replaced
        if c.kind is CorrectionKind.IS
    }
    rows = store.list_faces(project)
    disabled = {
        face.face_id: face.reason
        for face in rows
        if face.status is FaceStatus.TAKEN
        and lost
        and _is_of_track(face)
        and (_origin_of_face(face, origin_of), face.person_id) in lost
    }
    enrolled = {face.face_id for face in faces}
    # Those that an earlier correction disabled come back under their ids.
    enabled = {face.face_id: face.reason for face in rows if face.face_id in enrolled}
    return EditInverse(
        [c.correction_id for c in corrections if c.correction_id not in old],
        replaced,
        [face.face_id for face in faces if face.face_id not in enabled],
        disabled,
        enabled,
    )


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
