"""Take back the last application of names to the archive: names, appearances, strangers, and the corrections that it made."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facerec_models.errors import ConflictError, ModelNotFoundError
from facerec_models.identification.naming_model import NamingModel
from facerec_models.types import FloatArray
from facerec_models.vectors import track_embedding
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model, promoted_version
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.naming.correction_rows import inverse_from_json, with_corrections
from serving.archive.naming.one_video import revision_of
from serving.archive.naming.strangers import group
from serving.archive.naming.whole_archive import Named, name_analyses, newest_rows, read_state
from serving.archive.vector_sets import read_vectors
from serving.store.contract import Store
from serving.store.naming_rows import Application, EditInverse, Naming, Revision, Stranger, StrangerTrack
from serving.store.rows import AnalysisRow

_ATTEMPTS = 5

_Wanted = tuple[AnalysisRow, Revision, NamingModel]


@dataclass(frozen=True, slots=True)
class Undone:
    """What taking an application back did.

    Parameters
    ----------
    undone : str
        The revision that named by it.
    application : int
    videos : int
        Analyses that are named as before.
    promoted : str or None
        The version that names new videos.
    note : str
        What is left to do; empty if nothing is.
    """

    undone: str
    application: int
    videos: int
    promoted: str | None
    note: str


def undo_application(archive: Archive, project: str, revision: str) -> Undone:
    """Take back the last application, which must be this revision's.

    Videos that came since and were named by its model are named by the model before, or by none where there was none.

    Raises
    ------
    ModelNotFoundError
        If this revision was never applied.
    ConflictError
        If another one was applied since, if it was undone already, or if a person was forgotten since.
    """
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        application = _last(archive.store, project, revision)
        try:
            return _undo(archive, project, application)
        except ConflictError:
            # A video that ended meanwhile is named again with the others; corrections stay.
            if attempts == 0 or application.undo is None:
                raise


def _undo(archive: Archive, project: str, application: Application) -> Undone:
    revision, undo = application.revision, application.undo
    if undo is None:
        raise ConflictError(
            f"revision {revision} of project {project!r} cannot be undone: a person was forgotten since, and is in what was before"
        )
    corrections, state = read_state(archive.store, project)
    analyses = archive.store.list_analyses(project)
    targets = _targets(archive, project, application, undo, analyses)
    embedder = undo.get("embedder")
    wanted: list[_Wanted] = [
        (row, target, load_model(archive.files, project, target.model_version))
        for row in analyses
        if (target := targets.get(row.analysis_id)) is not None
    ]
    wanted.sort(key=lambda one: (one[1].revision, one[0].created_at, one[0].analysis_id))
    named = name_analyses(archive, project, wanted)
    effect = inverse_from_json(undo["effect"]) if "effect" in undo else EditInverse()
    # As they will be then: what came in between stays.
    remaining = [row for row in corrections if row.correction_id not in effect.corrections]
    known, shown = archive.store.read_strangers(project)
    restored = [Stranger(**row) for row in undo["strangers"]]
    people = {row.stranger_id: row for row in [*known, *restored]}
    settled = _settled(project, shown, targets, undo, named)
    grouping = group(project, named.unknown, settled, people, with_corrections(remaining, effect.replaced))
    for target in {target.revision: target for target in targets.values() if target is not None}.values():
        archive.store.put_revision(target)
    # With the embedder goes every version that was trained for it.
    is_promoted = embedder is not None or state.promoted == application.model_version
    naming = Naming(
        expected={row.analysis_id: row.revision for row in analyses if row.analysis_id in targets},
        revisions={analysis_id: None if target is None else target.revision for analysis_id, target in targets.items()},
        beside={row.analysis_id: row.revision for row in analyses if row.analysis_id not in targets},
        appearances=[row for rows in named.rows(grouping).values() for row in rows],
        strangers=newest_rows([*restored, *grouping.strangers]),
        stranger_tracks=grouping.tracks,
        known=len(known),
        # A version that was promoted since stays.
        promoted=undo["promoted"] if is_promoted else None,
        promotes_none=is_promoted and undo["promoted"] is None,
        inverse=effect,
        embedder=embedder,
        vectors={} if embedder is None else _vectors(archive, project, embedder),
        state=state,
    )
    # Their files go after their rows.
    with enrolling(archive, project, _by_person(archive.store, project, effect.faces)):
        archive.store.undo_naming(project, naming, application.number, time.time())
        for face_id in effect.faces:
            archive.files.face_crop(project, face_id).unlink(missing_ok=True)
    promoted = promoted_version(archive.store, project)
    lone = 0 if embedder is None else _lone(analyses, embedder)
    named_again = [target for target in targets.values() if embedder is None or target is not None]
    return Undone(revision, application.number, len(named_again), promoted, _note(targets, promoted, lone, embedder))


def _by_person(store: Store, project: str, face_ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for face in store.list_faces(project) if face_ids else ():
        if face.face_id in face_ids:
            found[face.person_id].append(face.face_id)
    return found


def _last(store: Store, project: str, revision: str) -> Application:
    applications = store.list_applications(project)
    mine = [one for one in applications if one.revision == revision]
    if not mine:
        raise ModelNotFoundError(f"project {project!r} has no application of a revision {revision!r}")
    standing = [one for one in applications if one.undone_at is None]
    if not standing or all(one.undone_at is not None for one in mine):
        raise ConflictError(f"revision {revision} of project {project!r} was undone already")
    if standing[-1].revision != revision:
        raise ConflictError(
            f"revision {revision} of project {project!r} is not the last that was applied: undo {standing[-1].revision} first"
        )
    return store.get_application(project, standing[-1].number)


def _targets(
    archive: Archive,
    project: str,
    application: Application,
    undo: Mapping[str, Any],
    analyses: Sequence[AnalysisRow],
) -> dict[str, Revision | None]:
    """Return which revision is to name each analysis again; those that are named otherwise by now are left out."""
    revisions = {row.revision: row for row in archive.store.list_revisions(project)}
    former: dict[str, str | None] = undo["revisions"]
    lost = {one for one in former.values() if one is not None and one not in revisions}
    if lost:
        raise ConflictError(f"what named before is gone: {', '.join(sorted(lost))}")
    models = Counter(revisions[one].model_version for one in former.values() if one is not None)
    before = models.most_common(1)[0][0] if models else undo["promoted"]
    if undo.get("embedder") is not None:
        limit = application.max_false_names
        other = None if before is None else revision_of(project, before, archive.rules, limit)
        return _targets_of_embedder(undo, analyses, revisions, other)
    targets: dict[str, Revision | None] = {}
    for row in analyses:
        present = None if row.revision is None else revisions[row.revision]
        if row.analysis_id in former and present is not None and present.revision == application.revision:
            previous = former[row.analysis_id]
            targets[row.analysis_id] = None if previous is None else revisions[previous]
        elif present is not None and present.model_version == application.model_version != before:
            limit = present.max_false_names
            targets[row.analysis_id] = None if before is None else revision_of(project, before, archive.rules, limit)
    return targets


def _targets_of_embedder(
    undo: Mapping[str, Any],
    analyses: Sequence[AnalysisRow],
    revisions: Mapping[str, Revision],
    other: Revision | None,
) -> dict[str, Revision | None]:
    """Return the targets where the embedder is what is undone: nothing names its analyses, and those before are named as before.

    Parameters
    ----------
    other : Revision or None
        What names analyses of the embedder before that were made since.
    """
    former: dict[str, str | None] = undo["revisions"]
    targets: dict[str, Revision | None] = {}
    for row in analyses:
        if row.embedder != undo["embedder"]:
            if row.revision is not None:
                targets[row.analysis_id] = None
        elif row.analysis_id in former:
            previous = former[row.analysis_id]
            targets[row.analysis_id] = None if previous is None else revisions[previous]
        else:
            targets[row.analysis_id] = other
    return targets


def _vectors(archive: Archive, project: str, embedder: str) -> dict[str, FloatArray]:
    """Return the vectors of this embedder that faces had."""
    kept = read_vectors(archive.files, project, embedder)
    faces = [face.face_id for face in archive.store.list_faces(project) if face.embedder != embedder]
    return {face_id: kept[face_id] for face_id in faces if face_id in kept}


def _lone(analyses: Sequence[AnalysisRow], embedder: str) -> int:
    """Return how many videos have no analysis of an embedder."""
    return len({row.video_id for row in analyses} - {row.video_id for row in analyses if row.embedder == embedder})


def _settled(
    project: str,
    shown: Sequence[StrangerTrack],
    targets: Mapping[str, Revision | None],
    undo: Mapping[str, Any],
    named: Named,
) -> list[StrangerTrack]:
    """Return which stranger tracks show: of the analyses that are named as before what was, of the others what is."""
    rows = [row for row in shown if row.analysis_id not in targets]
    former = {
        (analysis_id, track_id): stranger_id
        for analysis_id, tracks in undo["stranger_tracks"].items()
        for track_id, stranger_id in tracks
    }
    for unknown in named.unknown:
        analysis_id = unknown.analysis.analysis_id
        for track in unknown.tracks:
            if (analysis_id, track.track_id) in former:
                stranger_id = former[analysis_id, track.track_id]
                rows.append(StrangerTrack(project, analysis_id, track.track_id, stranger_id, track_embedding(track)))
    return rows


def _note(targets: Mapping[str, Revision | None], promoted: str | None, lone: int, embedder: str | None) -> str:
    """Say whether the archive and the promoted version are at odds, and what the embedder before has not seen."""
    if lone:
        return f"{lone} videos came since and have no vectors of {embedder}: submit them again"
    naming = Counter(target.model_version for target in targets.values() if target is not None)
    if promoted is None or not naming:
        return ""
    version = naming.most_common(1)[0][0]
    if version == promoted:
        return ""
    return (
        f"the archive is named by {version} again, but {promoted} is promoted and names new videos: "
        f"'facerec models promote {version}' promotes"
    )
