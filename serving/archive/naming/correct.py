"""Corrections of tracks and names for strangers, which take effect at once.

Every correction is kept, becomes part of the next model version, and names from stored embeddings what it can change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from facerec_models.errors import (
    ConflictError,
    InputError,
    PersonNotFoundError,
    VideoNotFoundError,
)
from facerec_models.names import means_stranger, person_id_of
from facerec_models.types import Track
from facerec_models.vectors import track_embedding
from serving.archive.handle import Archive
from serving.archive.naming.aliases import aliases, find_stranger
from serving.archive.naming.correction_rows import correction_id, takes_back
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.faces_of_tracks import ENROLLED_OF_TRACK, best_faces
from serving.archive.naming.held_apart import hold_apart
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.refit import plan_refit
from serving.archive.naming.rename import require_unlike
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, Edit, Stranger
from serving.store.rows import AnalysisRow, Face, FaceStatus

# Corrections that the note of an edit tells in full.
_NOTED = 3


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
    InputError
        If there are no corrections, or two of one track contradict each other.
    VideoNotFoundError
        If a video was not analysed, or has no such track.
    PersonNotFoundError
        If a track is not to be a person whom the project does not know.
    ConflictError
        If a track is not to be a stranger who was named, if a new name is like one that is known, or the project is not at the
        expected version.
    """
    if not given:
        raise InputError("no correction was given: give at least one")
    return _change(archive, project, partial(_edit_of_corrections, archive, given), preview, expected)


def _change(
    archive: Archive, project: str, edit_now: Callable[[CurrentNaming], Edit], preview: bool, expected: int | None
) -> IdentificationChange:
    """Apply an edit that confirms tracks, and say of whom no face is enrolled then."""
    not_enrolled: list[str] = []
    new_people: list[str] = []

    def plan(current: CurrentNaming) -> PlannedEdit:
        planned = plan_refit(archive, current, edit_now(current))
        faces = (*current.faces(), *planned.edit.faces)
        enrolled = {face.person_id for face in faces if face.status is FaceStatus.TAKEN}
        confirmed = {row.person_id for row in planned.edit.corrections if row.kind is CorrectionKind.IS}
        not_enrolled[:] = sorted(confirmed - enrolled)
        new_people[:] = sorted(one for one in confirmed if not current.knows(one))
        return planned

    refine = partial(hold_apart, archive)
    change = change_names(archive, project, plan, refine=refine, preview=preview, expected=expected)
    change.not_enrolled = not_enrolled
    change.new_people = new_people
    return change


def _edit_of_corrections(archive: Archive, given: Sequence[TrackCorrection], current: CurrentNaming) -> Edit:
    project = current.project
    made: dict[str, tuple[Correction, list[Face], str]] = {}
    given_of: dict[tuple[str, int], list[Correction]] = {}
    tracks = _find_tracks(archive.store, current, given)
    for one in given:
        analysis, track = tracks[one.video_id, one.track_id]
        person_id = one.person_id
        if means_stranger(person_id):
            if one.kind is CorrectionKind.IS:
                raise InputError(f"{person_id!r} is a stranger: give the track a person, or name the stranger")
            stranger = find_stranger(archive.store, project, person_id)
            if stranger.person_id is not None:
                raise ConflictError(
                    f"Unknown {stranger.number} was named {stranger.person_id}: correct the track not to be {stranger.person_id}"
                )
            person_id, whom = stranger.stranger_id, f"Unknown {stranger.number}"
        else:
            whom = person_id = person_id_of(person_id)
            if one.kind is CorrectionKind.IS:
                require_unlike(current, person_id)
            elif not current.knows(person_id):
                raise PersonNotFoundError(
                    f"project {project!r} has no person {person_id!r}: 'facerec people list' lists all"
                )
        correction = _correction(project, analysis, track, one.kind, person_id)
        is_person = one.kind is CorrectionKind.IS
        faces = best_faces(archive.files, [(analysis, track)], person_id, archive.rules) if is_person else []
        name = archive.store.get_video(project, one.video_id).name
        others = given_of.setdefault((analysis.analysis_id, one.track_id), [])
        _require_no_contradiction(correction, others, name)
        others.append(correction)
        words = f"{one.kind.replace('_', ' ')} {whom} (track {one.track_id} of {name})"
        made[correction.correction_id] = correction, faces, words
    corrections = [correction for correction, *_ in made.values()]
    told = ", ".join(words for *_, words in [*made.values()][:_NOTED])
    note = told + (", ..." if len(corrections) > _NOTED else "")
    faces = [face for _, of_track, _ in made.values() for face in of_track]
    return Edit("correction", note, corrections, faces=faces)


def _require_no_contradiction(one: Correction, others: Sequence[Correction], name: str) -> None:
    """Refuse that a track is two people, or is and is not one."""
    for other in others:
        if one.correction_id != other.correction_id and takes_back(one, other):
            told = " and ".join(f"{each.kind.replace('_', ' ')} {each.person_id}" for each in (other, one))
            raise InputError(f"track {one.track_id} of {name} cannot be corrected twice, {told}: give one of the two")


def name_stranger(
    archive: Archive,
    project: str,
    given: str,
    name: str,
    *,
    without: Sequence[tuple[str, int]] = (),
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Name a stranger: their tracks are confirmed as that person's, whose gallery gets the best of their faces.

    Parameters
    ----------
    without : sequence of (video_id, track_id)
        Those of their tracks that are not this person: told apart from them, and still the stranger's.
    preview, expected
        As of `correct`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    InputError
        If a track of `without` is not theirs, or none is left.
    ConflictError
        If no track is this stranger any more, if a new name is like one that is known, or the project is not at the expected version.
    """
    edit_now = partial(_edit_of_strangers, archive, [given], person_id_of(name), frozenset(without))
    return _change(archive, project, edit_now, preview, expected)


def name_strangers(
    archive: Archive,
    project: str,
    given: Sequence[str],
    name: str,
    *,
    also: Sequence[tuple[str, int]] = (),
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Name several strangers as one person, in one edit; see `name_stranger`.

    Parameters
    ----------
    also : sequence of (video_id, track_id)
        Tracks of others that are this person, too.
    """
    person_id = person_id_of(name)
    others = [TrackCorrection(*track, CorrectionKind.IS, person_id) for track in also]

    def edit_now(current: CurrentNaming) -> Edit:
        edit = _edit_of_strangers(archive, given, person_id, frozenset(), current)
        if not others:
            return edit
        more = _edit_of_corrections(archive, others, current)
        corrections = {one.correction_id: one for one in (*edit.corrections, *more.corrections)}
        faces = {one.face_id: one for one in (*edit.faces, *more.faces)}
        note = f"{edit.note}; {more.note}"
        return replace(edit, note=note, corrections=[*corrections.values()], faces=[*faces.values()])

    return _change(archive, project, edit_now, preview, expected)


def tell_apart(
    archive: Archive,
    project: str,
    given: str,
    other: str,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Remember of a stranger that they are not a person, or not another stranger.

    Parameters
    ----------
    preview, expected
        As of `correct`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    ConflictError
        If no track is this stranger any more; otherwise as of `correct`.
    """

    def edit_now(current: CurrentNaming) -> Edit:
        stranger = find_stranger(archive.store, project, given)
        tracks = _tracks_of(archive, project, stranger)
        latest = set(current.latest.values())
        corrections = [
            TrackCorrection(analysis.video_id, track.track_id, CorrectionKind.IS_NOT, other)
            for analysis, track in tracks
            if analysis.analysis_id in latest
        ]
        edit = _edit_of_corrections(archive, corrections, current)
        is_stranger = means_stranger(other)
        whom = f"Unknown {find_stranger(archive.store, project, other).number}" if is_stranger else person_id_of(other)
        return replace(edit, note=f"Unknown {stranger.number} is not {whom}")

    return _change(archive, project, edit_now, preview, expected)


def _edit_of_strangers(
    archive: Archive,
    given: Sequence[str],
    person_id: str,
    without: frozenset[tuple[str, int]],
    current: CurrentNaming,
) -> Edit:
    project = current.project
    found = {one.stranger_id: one for one in (find_stranger(archive.store, project, who) for who in given)}
    require_unlike(current, person_id)
    latest = set(current.latest.values())
    tracks: list[tuple[AnalysisRow, Track]] = []
    odd: list[tuple[AnalysisRow, Track]] = []
    for stranger in found.values():
        for analysis, track in _tracks_of(archive, project, stranger):
            is_odd = (analysis.video_id, track.track_id) in without and analysis.analysis_id in latest
            (odd if is_odd else tracks).append((analysis, track))
    _require_theirs(without, odd, tracks, ", ".join(f"Unknown {one.number}" for one in found.values()))
    corrections = [
        _correction(project, *one, kind, person_id)
        for kind, those in ((CorrectionKind.IS, tracks), (CorrectionKind.IS_NOT, odd))
        for one in those
    ]
    best = best_faces(archive.files, tracks, person_id, archive.rules, 3 * ENROLLED_OF_TRACK)
    # The stranger goes on with the tracks that are another person's.
    named = [] if odd else [replace(one, person_id=person_id) for one in found.values()]
    numbers = [f"Unknown {one.number}" for one in found.values()]
    told = ", ".join(numbers[:_NOTED]) + (", ..." if len(numbers) > _NOTED else "")
    note = f"{told} {'is' if len(numbers) == 1 else 'are'} {person_id}"
    note += f", without {len(odd)} of {len(odd) + len(tracks)} tracks" if odd else ""
    return Edit("stranger", note, corrections, faces=best, strangers=named)


def _require_theirs(
    without: frozenset[tuple[str, int]],
    odd: Sequence[tuple[AnalysisRow, Track]],
    tracks: Sequence[tuple[AnalysisRow, Track]],
    who: str,
) -> None:
    foreign = sorted(without - {(analysis.video_id, track.track_id) for analysis, track in odd})
    if foreign:
        video_id, track_id = foreign[0]
        raise InputError(f"track {track_id} of video {video_id} does not show {who}: give only tracks that do")
    if not tracks:
        raise InputError(f"no track of {who} is left to be named: leave out fewer of them")


def _tracks_of(archive: Archive, project: str, stranger: Stranger) -> list[tuple[AnalysisRow, Track]]:
    """Return the tracks that show a stranger; raise `ConflictError` if there are none."""
    others = aliases(archive.store, project, [stranger.stranger_id])[stranger.stranger_id]
    rows = archive.store.list_stranger_tracks(project, stranger_ids=[stranger.stranger_id, *others])
    if not rows:
        whom = f" was named {stranger.person_id} and" if stranger.person_id else ""
        raise ConflictError(
            f"Unknown {stranger.number}{whom} has no tracks left: correct tracks, as in 'facerec correct'"
        )
    track_ids: dict[str, list[int]] = {}
    for row in rows:
        track_ids.setdefault(row.analysis_id, []).append(row.track_id)
    found = archive.store.pick_tracks(project, track_ids)
    analyses = {row.analysis_id: row for row in archive.store.list_analyses(project, sorted(track_ids))}
    return [(analyses[one], track) for one, of_analysis in found.items() for track in of_analysis]


def _find_tracks(
    store: Store, current: CurrentNaming, given: Sequence[TrackCorrection]
) -> dict[tuple[str, int], tuple[AnalysisRow, Track]]:
    """Return the tracks that are corrected, by video and number; those of a video's latest analysis are meant."""
    analyses: dict[str, AnalysisRow] = {}
    for one in given:
        if one.video_id not in analyses:
            analysis = store.latest_analysis(current.project, one.video_id)
            if current.embedder not in (None, analysis.embedder):
                raise VideoNotFoundError(
                    f"video {one.video_id} has no vectors of {current.embedder}, which the project uses: submit it again"
                )
            analyses[one.video_id] = analysis
    wanted: dict[str, list[int]] = {}
    for one in given:
        wanted.setdefault(analyses[one.video_id].analysis_id, []).append(one.track_id)
    picked = store.pick_tracks(current.project, wanted)
    there = {(analysis_id, track.track_id): track for analysis_id, tracks in picked.items() for track in tracks}
    found = {}
    for one in given:
        analysis = analyses[one.video_id]
        track = there.get((analysis.analysis_id, one.track_id))
        if track is None:
            count = len(store.get_tracks(current.project, [analysis.analysis_id])[analysis.analysis_id])
            raise VideoNotFoundError(f"video {one.video_id} has no track {one.track_id}: it has {count}, from 1")
        found[one.video_id, one.track_id] = analysis, track
    return found


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
