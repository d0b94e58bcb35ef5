"""Another name for a person, and two people who are one, or are two again: faces, corrections and named strangers go with the name."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from facerec_models.errors import ConflictError, InputError, PersonNotFoundError
from facerec_models.names import person_id_of
from serving.archive.former_names import MERGE, RENAME, UNMERGE, StandingMerge, standing_merges
from serving.archive.handle import Archive
from serving.archive.naming.correction_rows import correction_id
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.faces_of_tracks import is_of_track, track_of_face
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.refit import plan_faces
from serving.archive.privacy.consent import move_note, require_person
from serving.archive.vector_sets import TrackKey
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, Edit, Stranger
from serving.store.rows import Face

logger = logging.getLogger(__name__)

# Which of two corrections of one track holds for one person.
_RANK = {CorrectionKind.IS: 2, CorrectionKind.IS_NOT: 1, CorrectionKind.APART: 0}


def rename_person(
    archive: Archive,
    project: str,
    given: str,
    name: str,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Give a person another name, everywhere and at once.

    Parameters
    ----------
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    PersonNotFoundError
        If there is nobody of the first name.
    ConflictError
        If another person has the second name already, or one that is like it, or pictures of the person are being collected.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        former, person_id = person_id_of(given), person_id_of(name)
        _require_person(current, former)
        if current.knows(person_id):
            raise ConflictError(
                f"project {project!r} has a person {person_id!r} already: 'facerec people merge' makes one of two"
            )
        require_unlike(current, person_id, but=former)
        return plan_faces(archive, current, _edit(archive.store, current, RENAME, former, person_id))

    return _change(archive, project, plan, given, name, preview, expected)


def merge_people(
    archive: Archive,
    project: str,
    given: str,
    into: str,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Make one person of two: what the first one has is the second one's then.

    Parameters
    ----------
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    InputError
        If both are the same.
    PersonNotFoundError
        If there is nobody of one of the names.
    ConflictError
        If pictures of the first one are being collected.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        former, person_id = person_id_of(given), person_id_of(into)
        if former == person_id:
            raise InputError(f"{former!r} cannot be merged with itself: give two people")
        _require_person(current, former)
        _require_person(current, person_id)
        return plan_faces(archive, current, _edit(archive.store, current, MERGE, former, person_id))

    return _change(archive, project, plan, given, into, preview, expected)


def unmerge_person(
    archive: Archive,
    project: str,
    given: str,
    *,
    holder: str | None = None,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Take a person who was merged with another apart again, also later than the last edit.

    Faces, corrections and named strangers that came from them are theirs again, as far as the other person still has them. What was
    corrected by hand since stays. What was agreed then holds for both: nobody can say whose it was.

    Parameters
    ----------
    given : str
        What the person was called before the merge, and is called again.
    holder : str, optional
        Whom they are taken from, where people of that name were merged with several; by default the last one.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    PersonNotFoundError
        If there never was anybody of this name.
    ConflictError
        If the person was not merged with another, or is apart again; if nothing is left that was theirs; or if another person has the
        name by now.
    """
    taken_from: list[str] = []

    def plan(current: CurrentNaming) -> PlannedEdit:
        former = person_id_of(given)
        merges = _merges_of(archive.store, current, former, None if holder is None else person_id_of(holder))
        taken_from[:] = [merges[0].holder]
        if current.knows(former):
            raise ConflictError(
                f"project {project!r} has another person {former!r} by now: give that one another name with 'facerec people rename', "
                f"then take {former} apart from {merges[0].holder}"
            )
        back = _Returning.of(archive.store, current, merges)
        if not back.faces and not back.corrections:
            raise ConflictError(
                f"{merges[0].holder} has nothing any more that came from {former}: correct tracks, as in "
                f"'facerec correct VIDEO TRACK --is {former}'"
            )
        edit = Edit(
            UNMERGE,
            f"{former} is not {merges[0].holder}",
            corrections=back.corrections,
            withdrawn=back.withdrawn,
            faces=back.faces,
            strangers=back.strangers,
            renamed=(merges[0].holder, former),
        )
        before = {
            row.analysis_id: row
            for merge in reversed(merges)
            for row in archive.store.list_former_named(project, merge.edit.number)
        }
        return replace(plan_faces(archive, current, edit), before_merge=before)

    change = change_names(archive, project, plan, preview=preview, expected=expected)
    if change.applied:
        move_note(archive.store, project, taken_from[0], person_id_of(given), stays=True)
    return change


@dataclass(frozen=True, slots=True)
class MergedPerson:
    """A person who was merged with another one, and can be taken apart.

    Parameters
    ----------
    merged_at : float
        When that was done last, in seconds since the epoch.
    faces : int
        How many go back.
    """

    person_id: str
    merged_at: float
    faces: int


def list_merged(archive: Archive, project: str, given: str) -> list[MergedPerson]:
    """Return who was merged with a person and can be taken apart, the last one first.

    Raises
    ------
    PersonNotFoundError
        If the project does not know the person.
    """
    store = archive.store
    person_id = require_person(store, project, given)
    theirs = [one for one in standing_merges(store.list_edits(project)) if one.holder == person_id]
    if not theirs:
        return []
    faces, corrections = (
        store.list_faces(project, person_id=person_id),
        store.list_corrections(project, person_id=person_id),
    )
    found = []
    for former in {one.former for one in theirs}:
        merges = [one for one in theirs if one.former == former]
        back = _Returning.of_rows(store, project, merges, faces, corrections)
        if back.faces or back.corrections:
            found.append(MergedPerson(former, merges[-1].edit.created_at, len(back.faces)))
    return sorted(found, key=lambda one: (-one.merged_at, one.person_id))


def _merges_of(store: Store, current: CurrentNaming, former: str, holder: str | None) -> list[StandingMerge]:
    """Return the merges of a person with whom they are taken from; raise if there are none."""
    project = current.project
    edits = store.list_edits(project)
    standing = standing_merges(edits)
    merges = [one for one in standing if one.former == former and holder in (None, one.holder)]
    if merges:
        return [one for one in merges if one.holder == merges[-1].holder]
    others = sorted({one.holder for one in standing if one.former == former})
    if others:
        raise ConflictError(f"{former} is merged with {others[0]}, not with {holder}: take them apart from that one")
    was_merged = any(edit.cause == MERGE and edit.renamed is not None and edit.renamed[0] == former for edit in edits)
    if not was_merged and not current.knows(former):
        raise PersonNotFoundError(
            f"project {project!r} has no person {former!r}, and nobody of that name was merged with another: 'facerec history list' "
            "shows who was"
        )
    if was_merged:
        raise ConflictError(f"{former} was merged with another, and is apart again: nothing is to be taken apart")
    theirs = [one.former for one in standing if one.holder == former]
    remedy = f": {theirs[-1]} was with {former}, give that name" if theirs else ""
    raise ConflictError(
        f"{former} was not merged with another, or a person was forgotten since, and the merge cannot be undone any more{remedy}"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Returning:
    """What goes back to a person who is taken apart, and what the other one has then.

    Parameters
    ----------
    corrections : list of Correction
        Of both, as they are then.
    withdrawn : list of str
        Corrections of the other one that are the person's then.
    """

    corrections: list[Correction]
    withdrawn: list[str]
    faces: list[Face]
    strangers: list[Stranger]

    @classmethod
    def of(cls, store: Store, current: CurrentNaming, merges: Sequence[StandingMerge]) -> _Returning:
        """Return it, for some merges of one person with one other."""
        holder = merges[0].holder
        faces = [face for face in current.faces() if face.person_id == holder]
        corrections = [row for row in current.corrections if row.person_id == holder]
        return cls.of_rows(store, current.project, merges, faces, corrections)

    @classmethod
    def of_rows(
        cls,
        store: Store,
        project: str,
        merges: Sequence[StandingMerge],
        faces: Sequence[Face],
        corrections: Sequence[Correction],
    ) -> _Returning:
        """Return it, from the faces and corrections that the other one has."""
        former, holder = merges[0].former, merges[0].holder
        inverses = {edit.number: store.get_inverse(project, edit.number) for one in merges for edit in one.edits}
        own = [inverses[one.edit.number] for one in merges]
        # A correction keeps its time where it goes, and where it is carried to another analysis; one that is made anew has its own.
        times = {(row.kind, row.created_at) for one in own for row in one.corrections if row.person_id == former}
        moved = [row for row in corrections if (row.kind, row.created_at) in times]
        made_since = {
            _track_of(row)
            for row in corrections
            if row.kind is CorrectionKind.IS and (row.kind, row.created_at) not in times
        }
        back = {row.correction_id: row for row in (_given_to(row, former) for row in moved)}
        restored: dict[str, Correction] = {}
        for one in merges:
            replaced, hidden = _beside(one, inverses, corrections)
            restored |= {row.correction_id: row for row in (_given_to(row, holder) for row in replaced)}
            back |= {row.correction_id: row for row in hidden}
        face_ids = {face.face_id for one in own for face in one.faces if face.person_id == former}
        stranger_ids = {row.stranger_id for one in own for row in one.strangers if row.person_id == former}
        strangers = store.list_strangers(project, sorted(stranger_ids)) if stranger_ids else []
        return cls(
            corrections=[*restored.values(), *back.values()],
            withdrawn=[row.correction_id for row in moved],
            faces=[
                replace(face, person_id=former)
                for face in faces
                if face.face_id in face_ids and not (is_of_track(face) and track_of_face(face) in made_since)
            ],
            strangers=[replace(row, person_id=former) for row in strangers if row.person_id == holder],
        )


def _beside(
    merge: StandingMerge, inverses: Mapping[int, Edit], corrections: Sequence[Correction]
) -> tuple[list[Correction], list[Correction]]:
    """Return the corrections that those of a merged person took the place of, and those of the person that others hid.

    Of both the ones of whose tracks nothing was corrected by hand since.
    """
    present = {_track_of(row): row for row in corrections}
    by_track: dict[int, dict[TrackKey, list[Correction]]] = {edit.number: defaultdict(list) for edit in merge.edits}
    for number, of_track in by_track.items():
        for row in inverses[number].corrections:
            of_track[_track_of(row)].append(row)
    new = {number: set(inverses[number].withdrawn) for number in by_track}
    replaced, hidden = [], []
    for own in inverses[merge.edit.number].corrections:
        if own.person_id != merge.former:
            continue
        track, now = _track_of(own), present.get(_track_of(own))
        weaker, hidden_at = [], None
        for edit in merge.edits:
            beside, (_, into) = by_track[edit.number][track], edit.renamed or ("", "")
            if not any((row.kind, row.created_at) == (own.kind, own.created_at) for row in beside):
                break  # it was taken back before this merge
            if _given_to(own, into).correction_id not in new[edit.number]:
                hidden_at = edit.created_at
                break
            weaker += [row for row in beside if row.person_id == into]
        if hidden_at is not None:
            if now is None or now.created_at <= hidden_at:
                hidden.append(own)
        elif weaker and now is not None and (now.kind, now.created_at) == (own.kind, own.created_at):
            replaced.append(max(weaker, key=lambda row: _RANK[row.kind]))
    return replaced, hidden


def _track_of(row: Correction) -> TrackKey:
    return row.analysis_id, row.track_id


def require_unlike(current: CurrentNaming, person_id: str, *, but: str | None = None) -> None:
    """Refuse a new name that differs from a known one only in case or underscores: it is most likely the same person's.

    Pictures of that name make it known.

    Parameters
    ----------
    but : str, optional
        Whose name it may be like.
    """
    like = sorted(one for one in current.people() - {but} if _folded(one) == _folded(person_id))
    if like and not current.knows(person_id):
        raise ConflictError(
            f"project {current.project!r} has no person {person_id!r}, but {like[0]!r}: give that name, or one that differs in more "
            "than case and underscores"
        )


def _folded(person_id: str) -> str:
    return person_id.casefold().replace("_", "")


def _change(
    archive: Archive,
    project: str,
    plan: Callable[[CurrentNaming], PlannedEdit],
    given: str,
    name: str,
    preview: bool,
    expected: int | None,
) -> IdentificationChange:
    """Change names, and move what was agreed with the person."""
    change = change_names(archive, project, plan, preview=preview, expected=expected)
    former = person_id_of(given)
    if change.applied:
        move_note(archive.store, project, former, person_id_of(name))
    return change


def _require_person(current: CurrentNaming, person_id: str) -> None:
    if not current.knows(person_id):
        raise PersonNotFoundError(
            f"project {current.project!r} has no person {person_id!r}: 'facerec people list' lists all"
        )


def _edit(store: Store, current: CurrentNaming, cause: str, former: str, person_id: str) -> Edit:
    project = current.project
    for job in store.list_jobs(project):
        if job.kind == "crawl" and job.spec["person_id"] == former and not job.state.is_final:
            raise ConflictError(
                f"pictures of {former} are being collected by job {job.job_id}: wait for it, or 'facerec jobs cancel' it"
            )
    return Edit(
        cause,
        f"{former} is {person_id}",
        corrections=list(_carried(current, former, person_id)),
        withdrawn=[row.correction_id for row in current.corrections if row.person_id == former],
        faces=[replace(face, person_id=person_id) for face in current.faces() if face.person_id == former],
        strangers=[
            replace(one, person_id=person_id) for one in store.list_strangers(project) if one.person_id == former
        ],
        renamed=(former, person_id),
    )


def _carried(current: CurrentNaming, former: str, person_id: str) -> Iterator[Correction]:
    """Yield the corrections of one name as those of another; of two of one track the stronger one holds."""
    there = {
        (row.analysis_id, row.track_id): _RANK[row.kind] for row in current.corrections if row.person_id == person_id
    }
    for row in current.corrections:
        if row.person_id == former and _RANK[row.kind] > there.get((row.analysis_id, row.track_id), -1):
            yield _given_to(row, person_id)


def _given_to(row: Correction, person_id: str) -> Correction:
    """Return a correction of one person as that of another."""
    changed = correction_id(row.project, row.kind, person_id, row.analysis_id, row.track_id)
    return replace(row, person_id=person_id, correction_id=changed)
