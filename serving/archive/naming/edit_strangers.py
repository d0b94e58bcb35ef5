"""What a user tells of strangers: two turn out to be one, or are taken apart again; one is not to be in lists.

Of two who are one both keep their tracks, so that it can be taken back and outlives grouping anew; what is shown follows the merge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from facerec_models.errors import ConflictError
from serving.archive.handle import Archive
from serving.archive.naming.aliases import aliases, find_alias, find_stranger
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.preview import IdentificationChange
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, Edit, Stranger


def merge_strangers(
    archive: Archive,
    project: str,
    given: str,
    into: str,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Show a stranger as another one from now on, in all videos; both go on as they are grouped. Who was shown is not hidden by it.

    Parameters
    ----------
    given, into : str
        An id or its beginning, which may be an alias's, or ``Unknown n``.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    ConflictError
        If both are one already, one of them has no tracks left, or both are in view at once; and as `change_names`.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        store = archive.store
        one, other = (find_stranger(store, project, who) for who in (given, into))
        if one.stranger_id == other.stranger_id:
            raise ConflictError(f"{given!r} and {into!r} are one stranger already, Unknown {one.number}")
        own, theirs = (ids_of(store, project, who) for who in (one, other))
        for who, ids in ((one, own), (other, theirs)):
            if not store.list_some_tracks(project, ids, 1):
                named = f" was named {who.person_id} and" if who.person_id else ""
                raise ConflictError(
                    f"Unknown {who.number}{named} has no tracks left: name the other one, as in 'facerec unknowns name'"
                )
        both = f"Unknown {one.number} and Unknown {other.number}"
        if shared := find_together(store, project, own, theirs):
            analysis_id, a, b = shared
            video = store.get_video(project, store.get_analysis(project, analysis_id).video_id).name
            raise ConflictError(
                f"{both} are in view at once, as tracks {a} and {b} of {video}: two people. If one of these tracks is not theirs, "
                "take it out first, as in 'facerec correct VIDEO TRACK --is-not'"
            )
        note = f"Unknown {one.number} is Unknown {other.number}"
        strangers = [replace(one, merged_into=other.stranger_id)]
        if other.is_hidden and not one.is_hidden:
            strangers.append(replace(other, is_hidden=False))
            note += ", who is shown again"
        edit = Edit("strangers", note, strangers=strangers)
        return _planned(store, current, edit, own, {*own, *theirs})

    return change_names(archive, project, plan, preview=preview, expected=expected)


def unmerge_stranger(
    archive: Archive, project: str, given: str, *, preview: bool = False, expected: int | None = None
) -> IdentificationChange:
    """Show a stranger, whom a user merged with another, as one of their own again.

    Parameters
    ----------
    given : str
        As of `merge_strangers`: the one who is shown as another.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    ConflictError
        If nobody merged them, or the grouping did: then the tracks are one stranger's. And as `change_names`.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        store = archive.store
        one = find_alias(store, project, given)
        if one.merged_into is None:
            others = store.list_strangers(project, merged_into=[one.stranger_id])
            raise ConflictError(
                f"Unknown {one.number} was not merged with another"
                + (
                    f", but Unknown {others[0].number} with it: unmerge that one"
                    if others
                    else ": nothing is to be taken apart"
                )
            )
        own = ids_of(store, project, one)
        if not store.list_some_tracks(project, own, 1):
            raise ConflictError(
                f"Unknown {one.number} was merged by the grouping, and has no tracks of their own: take wrong ones out, as in "
                "'facerec correct VIDEO TRACK --is-not'"
            )
        former = find_stranger(store, project, one.stranger_id)
        edit = Edit(
            "strangers",
            f"Unknown {one.number} is not Unknown {former.number}",
            strangers=[replace(one, merged_into=None)],
        )
        return _planned(store, current, edit, own, {*own, *ids_of(store, project, former)})

    return change_names(archive, project, plan, preview=preview, expected=expected)


def hide_stranger(
    archive: Archive,
    project: str,
    given: str,
    *,
    is_hidden: bool = True,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Leave a stranger out of lists from now on, or show them again. Results and exports of videos still have them.

    Parameters
    ----------
    given : str
        An id or its beginning, which may be an alias's, or ``Unknown n``.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    ConflictError
        If it is so already; and as `change_names`.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        stranger = find_stranger(archive.store, project, given)
        if stranger.is_hidden == is_hidden:
            raise ConflictError(f"Unknown {stranger.number} is {'hidden already' if is_hidden else 'not hidden'}")
        note = f"Unknown {stranger.number} is {'hidden' if is_hidden else 'shown again'}"
        edit = Edit("hide", note, strangers=[replace(stranger, is_hidden=is_hidden)])
        return PlannedEdit(edit, current.model_version, current.model, wanted=())

    return change_names(archive, project, plan, preview=preview, expected=expected)


def hide_strangers(
    archive: Archive,
    project: str,
    given: Sequence[str],
    *,
    is_hidden: bool = True,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Leave several strangers out of lists, or show them again, in one edit; those who are so already are passed over.

    Raises
    ------
    NotFoundError, ConflictError
        As of `hide_stranger`, if all are so already.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        found = {one.stranger_id: one for one in (find_stranger(archive.store, project, who) for who in given)}
        changed = [replace(one, is_hidden=is_hidden) for one in found.values() if one.is_hidden != is_hidden]
        state = "hidden" if is_hidden else "shown"
        if not changed:
            raise ConflictError(f"all of these strangers are {state} already")
        edit = Edit("hide", f"{_are(len(changed))} {state}", strangers=changed)
        return PlannedEdit(edit, current.model_version, current.model, wanted=())

    return change_names(archive, project, plan, preview=preview, expected=expected)


def hide_passers_by(
    archive: Archive,
    project: str,
    max_screen_time_s: float,
    *,
    video_id: str | None = None,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Leave all strangers out of lists who are in view for less than so many seconds, as one edit, but for those who are hidden.

    Parameters
    ----------
    max_screen_time_s : float
        Over all videos, each by its newest analysis.
    video_id : str, optional
        Only strangers who are seen in this video; their time in other videos counts all the same.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    ConflictError
        If there are none; and as `change_names`.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        store = archive.store
        brief = {
            one.owner for one in store.list_screen_times(project, AppearanceQuery()) if one.seconds < max_screen_time_s
        }
        if video_id is not None:
            brief &= {one.owner for one in store.list_screen_times(project, AppearanceQuery(video_id=video_id))}
        shown = [one for one in store.list_strangers(project) if one.stranger_id in brief and not one.is_hidden]
        limit = f"in view for less than {max_screen_time_s:g} s"
        if not shown:
            raise ConflictError(f"no stranger who is listed is {limit}")
        changed = [replace(one, is_hidden=True) for one in shown]
        edit = Edit("hide", f"{_are(len(changed))} hidden, each {limit}", strangers=changed)
        return PlannedEdit(edit, current.model_version, current.model, wanted=())

    return change_names(archive, project, plan, preview=preview, expected=expected)


def find_together(store: Store, project: str, own: Sequence[str], theirs: Sequence[str]) -> tuple[str, int, int] | None:
    """Return where two strangers, given by all their ids, are in view at once: an analysis, and a track of each; None if nowhere."""
    of: dict[str, dict[int, bool]] = defaultdict(dict)
    for is_own, ids in ((True, own), (False, theirs)):
        for row in store.list_stranger_tracks(project, stranger_ids=ids):
            of[row.analysis_id][row.track_id] = is_own
    shared = sorted(one for one, tracks in of.items() if len(set(tracks.values())) == 2)
    for analysis_id, columns in store.get_columns(project, shared).items():
        whose = [of[analysis_id].get(track_id) for track_id in columns.track_ids.tolist()]
        for a, b in columns.together.tolist():
            if {whose[a], whose[b]} == {True, False}:
                return analysis_id, int(columns.track_ids[a]), int(columns.track_ids[b])
    return None


def ids_of(store: Store, project: str, stranger: Stranger) -> list[str]:
    """Return the ids that mean a stranger, or led to them before they were merged."""
    return [stranger.stranger_id, *aliases(store, project, [stranger.stranger_id])[stranger.stranger_id]]


def _are(strangers: int) -> str:
    return "1 stranger is" if strangers == 1 else f"{strangers} strangers are"


def _planned(
    store: Store, current: CurrentNaming, edit: Edit, moved: Collection[str], both: Collection[str]
) -> PlannedEdit:
    """Return an edit with the analyses whose tracks are shown as another stranger's then, or are corrected not to be one of them."""
    tracks = store.list_stranger_tracks(current.project, stranger_ids=sorted(moved))
    shown = {row.analysis_id for row in tracks}
    corrected = {row.analysis_id for row in current.corrections if row.person_id in both}
    return PlannedEdit(edit, current.model_version, current.model, wanted=current.named.keys() & (shown | corrected))
