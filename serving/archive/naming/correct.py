"""What people say of tracks, and what follows at once: "is X", "is not X", a name for a stranger, "forget X".

Every correction is kept, becomes part of the next model version, and names the whole archive anew from stored embeddings.
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
from facerec_models.identification.naming_model import NamingModel
from facerec_models.names import person_id_of, short_id
from facerec_models.types import STRANGER_PREFIX, Track
from facerec_models.vectors import track_embedding
from serving.archive.files import Home, write_atomically
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.model_versions import Unstored, fit_preview, train, version_of
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.naming.correction_rows import with_corrections, words_to_json
from serving.archive.naming.one_video import revision_of
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.strangers import resolve
from serving.archive.naming.whole_archive import (
    Said,
    on_what_was_said,
    rename,
    require_state,
    state_of,
    usual_error,
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
_SAID_OTHERWISE = "its track was said to be somebody else"


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says of one track of a video."""

    video_id: str
    track_id: int
    kind: CorrectionKind
    person_id: str


def correct(
    store: Store,
    home: Home,
    project: str,
    statements: Sequence[Statement],
    rules: IdentificationConfig,
    *,
    preview: bool = False,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Take statements, learn from them, and name the archive anew.

    "Is X" makes the track X's whatever its score, and enrols its best faces as pictures of X, those that are good enough. "Is not X"
    keeps the track, and faces that are more like it than like X, from being named X; of a stranger, it takes the track out.

    Parameters
    ----------
    preview : bool
        Say what that would change, and keep nothing of it.
    expected_state : str, optional
        What a preview answered as `state`.

    Raises
    ------
    VideoNotFoundError
        If a video was not analysed, or has no such track.
    PersonNotFoundError
        If somebody is said not to be a person whom the project does not know.
    ConflictError
        If the archive is not in the expected state.
    """

    def news() -> _News:
        return _news_of(store, home, project, statements, rules)

    return _learn_and_name(store, home, project, rules, news, preview=preview, expected_state=expected_state)


def _news_of(
    store: Store, home: Home, project: str, statements: Sequence[Statement], rules: IdentificationConfig
) -> _News:
    known = {person.person_id for person in store.list_people(project)}
    said: dict[str, tuple[Correction, list[Face]]] = {}
    for statement in statements:
        analysis, track = _find_track(store, project, statement.video_id, statement.track_id)
        person_id = statement.person_id
        if person_id.startswith(STRANGER_PREFIX):
            if statement.kind is CorrectionKind.IS:
                raise InputError(f"{person_id!r} is a stranger: give the track a person, or name the stranger")
            person_id = resolve(store, project, person_id).stranger_id
        else:
            person_id = person_id_of(person_id)
            if statement.kind is CorrectionKind.IS_NOT and person_id not in known:
                raise PersonNotFoundError(f"project {project!r} has no person {person_id!r} whom a track could not be")
        correction = _correction(project, analysis, track, statement.kind, person_id)
        is_person = statement.kind is CorrectionKind.IS
        # The same word twice is one, and is said when it is said last.
        said.pop(correction.correction_id, None)
        faces = _faces_of_track(home, analysis, track, person_id, rules) if is_person else []
        said[correction.correction_id] = correction, faces
    corrections = [correction for correction, _ in said.values()]
    words = ", ".join(f"{c.kind.replace('_', ' ')} {c.person_id}" for c in corrections[:_NOTED])
    note = words + (", ..." if len(corrections) > _NOTED else "")
    return _News("correction", note, corrections, [face for _, faces in said.values() for face in faces])


def name_stranger(
    store: Store,
    home: Home,
    project: str,
    given: str,
    name: str,
    rules: IdentificationConfig,
    *,
    preview: bool = False,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Say who a stranger is: their tracks are confirmed as that person's, whose gallery gets the best of their faces.

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

    def news() -> _News:
        return _news_of_stranger(store, home, project, given, person_id_of(name), rules)

    return _learn_and_name(store, home, project, rules, news, preview=preview, expected_state=expected_state)


def _news_of_stranger(
    store: Store, home: Home, project: str, given: str, person_id: str, rules: IdentificationConfig
) -> _News:
    stranger = resolve(store, project, given)
    rows = [row for row in store.list_stranger_tracks(project) if row.stranger_id == stranger.stranger_id]
    if not rows:
        whom = f", but {stranger.person_id}" if stranger.person_id else ""
        raise ConflictError(f"no track is Unknown {stranger.number}{whom}: correct tracks, as in 'facerec correct'")
    corrections, candidates = [], []
    found = store.get_tracks(project, sorted({row.analysis_id for row in rows}))
    for row in rows:
        analysis = store.get_analysis(project, row.analysis_id)
        (track,) = [track for track in found[row.analysis_id] if track.track_id == row.track_id]
        corrections.append(_correction(project, analysis, track, CorrectionKind.IS, person_id))
        candidates += _faces_of_track(home, analysis, track, person_id, rules)
    best = sorted(candidates, key=lambda face: -face.quality)[: 3 * _ENROLLED_OF_TRACK]
    words = f"Unknown {stranger.number} is {person_id}"
    return _News("stranger", words, corrections, best, replace(stranger, person_id=person_id))


@dataclass(frozen=True, slots=True)
class _News:
    """What is learned at once: what was said, the faces that follow from it, and a stranger who has a name now."""

    cause: str
    note: str
    corrections: Sequence[Correction] = ()
    faces: Sequence[Face] = ()
    stranger: Stranger | None = None


def learn_and_name(store: Store, home: Home, project: str, rules: IdentificationConfig) -> IdentificationChange:
    """Make a model version of what is known now, with the classifier in use, promote it, and name the archive with it."""
    return _learn_and_name(store, home, project, rules, lambda: _News("training", ""))


def _learn_and_name(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    make_news: Callable[[], _News],
    *,
    preview: bool = False,
    expected_state: str | None = None,
) -> IdentificationChange:
    """Learn what is said, and store it with the names that follow: all of it at once, or nothing.

    Whoever says something meanwhile and is faster is learned too: it begins again, unless a state is expected.

    Parameters
    ----------
    make_news : callable
        Returns what is said, as the archive is now.
    """

    def work(before: list[Correction], basis: ProjectState) -> IdentificationChange:
        return _learn_once(store, home, project, rules, make_news(), before, basis, preview, expected_state)

    return on_what_was_said(store, project, work, once=preview or expected_state is not None)


def _learn_once(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    news: _News,
    before: Sequence[Correction],
    basis: ProjectState,
    preview: bool,
    expected_state: str | None,
) -> IdentificationChange:
    # The application promotes it: until then nothing is named by a model that nobody may come to see.
    config = TrainingConfig.model_validate({**_learned_with(store, project, basis.promoted), "promote": "no"})
    said = with_corrections(before, news.corrections)
    faces = _new_faces(store, project, news.faces, said)
    words = _words(store, project, before, said, faces)
    limit = usual_error(store, project)
    version = version_of(store, home, project, rules, config, more=faces, less=words.disabled, said=said)
    about = "" if news.stranger is None else f"{news.stranger.stranger_id} is {news.stranger.person_id}"
    state = state_of(store, project, revision_of(project, version, rules, limit), about)
    require_state(project, state, expected_state)

    def name(version: str, model: NamingModel) -> IdentificationChange:
        return rename(
            store,
            project,
            rules,
            revision_of(project, version, rules, limit),
            model,
            cause=news.cause,
            note=news.note,
            said=Said(
                said,
                basis,
                EditRows(news.corrections, faces, list(words.disabled), _SAID_OTHERWISE),
                news.stranger,
                (about,),
                {"promoted": basis.promoted, "said": words_to_json(words)},
            ),
            apply=not preview,
            expected_state=expected_state,
        )

    if preview:
        model = fit_preview(store, home, project, rules, config, more=faces, less=words.disabled, said=said)
        return name(version, model)
    unstored = Unstored(faces, words.disabled, said, words.corrections)
    version = train(store, home, project, rules, config, unstored=unstored).version
    of_people: dict[str, list[str]] = {}
    for face in faces:
        of_people.setdefault(face.person_id, []).append(face.face_id)
    with enrolling(store, home, project, of_people) as require_not_forgotten:
        _keep_crops(home, project, faces)
        model = load_model(home, project, version)
        require_not_forgotten()
        return name(version, model)


def _learned_with(store: Store, project: str, version: str | None) -> dict[str, Any]:
    """Return how the promoted version was trained; nothing where there is none."""
    if version is None:
        return {}
    try:
        found: dict[str, Any] = store.get_model(project, version).metrics.get("training", {})
    except ModelNotFoundError as error:
        raise ConflictError(f"version {version} of project {project!r} was deleted meanwhile: look again") from error
    return found


def _new_faces(store: Store, project: str, candidates: Sequence[Face], said: Sequence[Correction]) -> list[Face]:
    """Return the faces that are enrolled: those of tracks that, all said, are their person, and that are not enrolled yet."""
    confirmed = {(c.analysis_id, c.track_id, c.person_id) for c in said if c.kind is CorrectionKind.IS}
    # Somebody who disabled a face by hand is not overruled.
    rows = [face for face in store.list_faces(project) if face.reason != _SAID_OTHERWISE]
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


def _words(
    store: Store, project: str, before: Sequence[Correction], said: Sequence[Correction], faces: Sequence[Face]
) -> EditInverse:
    """Return what of the news changes anything; a track that is said to be somebody else now loses the faces that it gave."""
    old, new = {row.correction_id for row in before}, {row.correction_id for row in said}
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
    # Those that an earlier word disabled come back under their ids.
    enabled = {face.face_id: face.reason for face in rows if face.face_id in enrolled}
    return EditInverse(
        [c.correction_id for c in said if c.correction_id not in old],
        replaced,
        [face.face_id for face in faces if face.face_id not in enabled],
        disabled,
        enabled,
    )


def _keep_crops(home: Home, project: str, faces: Sequence[Face]) -> None:
    """Copy the crops that faces come from."""
    for face in faces:
        (analysis_id, track_id), k = _track_of_face(face), (face.source or "").rpartition("/")[2]
        crop = home.track_crop(project, analysis_id, track_id, int(k))
        write_atomically(home.face_crop(project, face.face_id), crop.read_bytes())


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
        correction_id=short_id("c", project, kind, person_id, analysis.analysis_id, str(track.track_id)),
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
    home: Home, analysis: AnalysisRow, track: Track, person_id: str, rules: IdentificationConfig
) -> list[Face]:
    """Make faces of a person from the best of a track that pass the quality gate; nothing is stored."""
    faces: list[Face] = []
    project = analysis.project
    for k, sample in enumerate(track.embedded.tolist()):
        crop = home.track_crop(project, analysis.analysis_id, track.track_id, k)
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
