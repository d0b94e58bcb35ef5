"""What people say of tracks, and what follows at once: "is X", "is not X", a name for a stranger, "forget X".

Every correction is kept, becomes part of the next model version, and names the whole archive anew from stored embeddings.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from facerec_models.config import IdentificationConfig, TrainingConfig
from facerec_models.errors import (
    EmptyGalleryError,
    InputError,
    PersonNotFoundError,
    VideoNotFoundError,
)
from facerec_models.identification import identify_tracks, track_embedding
from facerec_models.result import STRANGER_PREFIX
from facerec_models.types import Track
from facerec_models.weights import file_sha256
from serving.archive import (
    Said,
    promoted_version,
    rename,
    require_state,
    state_of,
    usual_error,
)
from serving.changes import IdentificationChange
from serving.home import Home, remove_tree, write_atomically
from serving.names import person_id_of, short_id
from serving.naming import drop_loaded_models, index_archive, load_model, revision_of
from serving.statements import correction_to_json, with_corrections
from serving.store.base import Store
from serving.store.rows import AnalysisRow, Correction, CorrectionKind, Face, FaceStatus, Stranger
from serving.strangers import resolve
from training.train import fit_preview, train, version_of

# Faces of one confirmed track that are enrolled: more of one moment would outweigh the person's other pictures.
_ENROLLED_OF_TRACK = 4
# Corrections that the note of an application tells in full.
_NOTED = 3
_SOURCE = "track:"


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
    known = {person.person_id for person in store.list_people(project)}
    corrections, faces = [], []
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
        corrections.append(_correction(project, analysis, track, statement.kind, person_id))
        if statement.kind is CorrectionKind.IS:
            faces += _faces_of_track(home, analysis, track, person_id, rules)
    words = ", ".join(f"{c.kind.replace('_', ' ')} {c.person_id}" for c in corrections[:_NOTED])
    news = _News("correction", words + (", ..." if len(corrections) > _NOTED else ""), corrections, faces)
    return _learn_and_name(store, home, project, rules, news, preview=preview, expected_state=expected_state)


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
        If the archive is not in the expected state.
    """
    stranger = resolve(store, project, given)
    person_id = person_id_of(name)
    rows = [row for row in store.list_stranger_tracks(project) if row.stranger_id == stranger.stranger_id]
    corrections, candidates = [], []
    for row in rows:
        analysis = store.get_analysis(project, row.analysis_id)
        track = _track_of(store, analysis, row.track_id)
        corrections.append(_correction(project, analysis, track, CorrectionKind.IS, person_id))
        candidates += _faces_of_track(home, analysis, track, person_id, rules)
    best = sorted(candidates, key=lambda face: -face.quality)[: 3 * _ENROLLED_OF_TRACK]
    words = f"Unknown {stranger.number} is {person_id}"
    news = _News("stranger", words, corrections, best, replace(stranger, person_id=person_id))
    return _learn_and_name(store, home, project, rules, news, preview=preview, expected_state=expected_state)


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
    return _learn_and_name(store, home, project, rules, _News("training", ""))


def _learn_and_name(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    news: _News,
    *,
    preview: bool = False,
    expected_state: str | None = None,
) -> IdentificationChange:
    index_archive(store, home, project, rules)
    promoted = promoted_version(store, project)
    classifier = store.get_model(project).classifier if promoted else None
    config = TrainingConfig.model_validate({"promote": "yes", **({"classifier": classifier} if classifier else {})})
    before = store.list_corrections(project)
    said = with_corrections(before, news.corrections)
    known = {face.face_id for face in store.list_faces(project)}
    faces = [face for face in news.faces if face.face_id not in known]
    limit = usual_error(store, project)
    version = version_of(store, home, project, rules, config, more=faces, said=said)
    state = state_of(store, project, revision_of(project, version, rules, limit))
    require_state(project, state, expected_state)
    if preview:
        model = fit_preview(store, home, project, rules, config, more=faces, said=said)
    else:
        _keep(store, home, project, news, faces)
        version = train(store, home, project, rules, config).version
        model = load_model(home, project, version)
    revision = revision_of(project, version, rules, limit)
    words = {
        "corrections": [
            row.correction_id for row in said if row.correction_id not in {b.correction_id for b in before}
        ],
        "replaced": [
            correction_to_json(row) for row in before if row.correction_id not in {s.correction_id for s in said}
        ],
        "faces": [face.face_id for face in faces],
    }
    return rename(
        store,
        project,
        rules,
        revision,
        model,
        cause=news.cause,
        note=news.note,
        said=Said(said, news.stranger, state, {"promoted": promoted, "said": words}),
        apply=not preview,
    )


def _keep(store: Store, home: Home, project: str, news: _News, faces: Sequence[Face]) -> None:
    """Store what was said, and enrol faces with copies of the crops that they come from."""
    for face in faces:
        analysis_id, track_id, k = (face.source or "").removeprefix(_SOURCE).split("/")
        crop = home.track_crop(project, analysis_id, int(track_id), int(k))
        write_atomically(home.face_crop(project, face.face_id), crop.read_bytes())
    store.put_faces(project, faces)
    store.put_corrections(project, news.corrections)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What forgetting a person removed.

    Parameters
    ----------
    faces, crops, pictures : int
        Enrolled faces with their vectors; aligned face files; files of crawled pictures.
    tracks, track_crops : int
        Tracks of videos that were named so: their vectors and their face files. When and where a face was seen stays.
    models : list of str
        Versions that knew the person, and are gone: nobody can go back to them.
    new_model : str or None
        What names now; None where nobody is enrolled any more.
    videos : int
        Whose results no longer have the name.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as JSON values."""
        return asdict(self)


def forget(store: Store, home: Home, project: str, given: str, rules: IdentificationConfig) -> Receipt:
    """Remove a person: pictures, crops, vectors, parts of models, and the name in results.

    Raises
    ------
    PersonNotFoundError
        If the project knows nobody of this id.
    """
    person_id = person_id_of(given)
    faces = store.list_faces(project, person_id=person_id)
    corrections = store.list_corrections(project, person_id=person_id)
    if not faces and not corrections:
        raise PersonNotFoundError(f"project {project!r} has no person {person_id!r}; 'facerec people list' names all")
    tracks, videos = _named_tracks(store, home, project, person_id, rules)
    models = [row for row in store.list_models(project) if _knows(home, project, row.version, person_id)]
    store.delete_corrections(project, [correction.correction_id for correction in corrections])
    store.delete_faces(project, [face.face_id for face in faces])
    emptied = store.empty_tracks(project, tracks)
    _unname_strangers(store, project, person_id)
    crops = _unlink(home.face_crop(project, face.face_id) for face in faces)
    track_crops = sum(
        _unlink(home.analysis(project, analysis_id).glob(f"{track_id}-*.jpg")) for analysis_id, track_id in tracks
    )
    _unlink(
        drawn
        for analysis in store.list_analyses(project)
        for drawn in home.analysis(project, analysis.analysis_id).glob("annotated-*")
    )
    album = home.pictures(project, person_id)
    pictures = sum(1 for path in album.rglob("*") if path.is_file()) if album.is_dir() else 0
    remove_tree(album)
    try:
        learn_and_name(store, home, project, rules)
        new_model: str | None = store.get_model(project).version
    except EmptyGalleryError:
        new_model = None
    for row in models:
        store.delete_model(project, row.version)
        remove_tree(home.model(project, row.version))
    drop_loaded_models()
    store.seal_applications(project)
    store.scrub()
    return Receipt(
        person_id, time.time(), len(faces), crops, pictures, len(corrections), emptied, track_crops,
        [row.version for row in models], new_model, len(videos),
    )  # fmt: skip


def _named_tracks(
    store: Store, home: Home, project: str, person_id: str, rules: IdentificationConfig
) -> tuple[list[tuple[str, int]], set[str]]:
    """Return the tracks that are named so now, and their videos."""
    analyses = store.list_analyses(project)
    found = store.get_tracks(project, [analysis.analysis_id for analysis in analyses])
    named: list[tuple[str, int]] = []
    videos = set()
    for analysis in analyses:
        if analysis.revision is None:
            continue
        revision = store.get_revision(project, analysis.revision)
        tracks = found[analysis.analysis_id]
        matches = identify_tracks(
            tracks,
            load_model(home, project, revision.model_version),
            rules,
            analysis_id=analysis.analysis_id,
            max_false_names=revision.max_false_names,
        )
        own = [track.track_id for track, match in zip(tracks, matches, strict=True) if match.person_id == person_id]
        named += [(analysis.analysis_id, track_id) for track_id in own]
        videos |= {analysis.video_id} if own else set()
    return named, videos


def _knows(home: Home, project: str, version: str, person_id: str) -> bool:
    model = load_model(home, project, version)
    return (
        person_id in model.classifier.classes_
        or person_id in model.corrections.denied_people
        or person_id in model.corrections.confirmed.values()
    )


def _unname_strangers(store: Store, project: str, person_id: str) -> None:
    strangers = store.list_strangers(project)
    named: list[Stranger] = [replace(one, person_id=None) for one in strangers if one.person_id == person_id]
    store.put_strangers(project, named, [], [], known=len(strangers))


def _unlink(paths: Any) -> int:
    count = 0
    for path in paths:
        if path.is_file():
            path.unlink()
            count += 1
    return count


def _find_track(store: Store, project: str, video_id: str, track_id: int) -> tuple[AnalysisRow, Track]:
    analysis = store.latest_analysis(project, video_id)
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
                sha256=file_sha256(crop),
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
