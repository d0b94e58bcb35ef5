"""Whom a stranger's id means: by number, by the beginning of an id, and through all merges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import replace

from facerec_models.errors import NotFoundError
from facerec_models.names import STRANGER_PREFIX, number_of
from serving.archive.ids import IdKind, full_id
from serving.store.contract import Store
from serving.store.naming_rows import NamedTracks, Stranger


def find_stranger(store: Store, project: str, given: str) -> Stranger:
    """Return the stranger of an id or its beginning, which may be an alias's, or of "Unknown n"; merges are followed.

    Raises
    ------
    InputError
        If several ids begin so.
    NotFoundError
        If there is none.
    """
    found = find_alias(store, project, given)
    return found if found.merged_into is None else follow_all(store, project, [found.merged_into])[found.merged_into]


def find_alias(store: Store, project: str, given: str) -> Stranger:
    """Return the stranger of an id or its beginning, or of "Unknown n", whoever they turned out to be.

    Raises
    ------
    InputError
        If several ids begin so.
    NotFoundError
        If there is none.
    """
    number = number_of(given.lower().removeprefix("unknown").strip())
    found = None if number is None else store.find_stranger_number(project, number)
    if found is None:
        found = next(iter(store.list_strangers(project, [given])), None)
    if found is None:
        whole = full_id(store, IdKind.STRANGER, given, project)
        found = next(iter(store.list_strangers(project, [whole])), None)
    if found is None:
        raise NotFoundError(f"project {project!r} has no stranger {given!r}: 'facerec unknowns list' names all")
    return found


def follow_all(
    store: Store, project: str, identifiers: Collection[str], changed: Sequence[Stranger] = ()
) -> dict[str, Stranger]:
    """Return the strangers whom ids mean by now, merges followed; those that are no stranger's are left out.

    Parameters
    ----------
    changed : sequence of Stranger
        What is not stored yet, in place of what is; of two of one id the last one counts.
    """
    known = with_merges(store, project, identifiers, changed)
    return {one: follow_merges(one, known) for one in identifiers if one in known}


def with_merges(
    store: Store, project: str, identifiers: Collection[str], changed: Sequence[Stranger] = ()
) -> dict[str, Stranger]:
    """Return strangers, and all whom they were merged into, one after the other, by id.

    Parameters
    ----------
    changed
        As of `follow_all`.
    """
    then = {row.stranger_id: row for row in changed}
    known: dict[str, Stranger] = {}
    wanted = set(identifiers)
    while wanted:
        stored = store.list_strangers(project, sorted(wanted - then.keys())) if wanted - then.keys() else []
        found = {row.stranger_id: row for row in stored} | {one: then[one] for one in wanted & then.keys()}
        known |= found
        wanted = {row.merged_into for row in found.values() if row.merged_into is not None} - known.keys()
    return known


def follow_merges(identifier: str, strangers: Mapping[str, Stranger]) -> Stranger:
    """Return the stranger whom an id means by now: merges are followed."""
    stranger = strangers[identifier]
    while stranger.merged_into is not None:
        stranger = strangers[stranger.merged_into]
    return stranger


def strangers_in(store: Store, project: str, named: Iterable[NamedTracks]) -> dict[str, Stranger]:
    """Return the strangers in these rows, as of `with_merges`."""
    ids = {one for row in named for one in row.names if one.startswith(STRANGER_PREFIX)}
    return with_merges(store, project, ids)


def moved_meanings(
    store: Store, project: str, known: Mapping[str, Stranger], changed: Sequence[Stranger]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return for each stranger's id the one that it means: as it is stored, and with what is changed.

    Parameters
    ----------
    known : mapping of str to Stranger
        As of `with_merges`.
    """
    ids = {*known, *(row.stranger_id for row in changed)}
    then = with_merges(store, project, ids, [*known.values(), *changed]) if changed else known
    before, after = ({one: follow_merges(one, rows).stranger_id for one in rows} for rows in (known, then))
    return before, after


def aliases(
    store: Store, project: str, identifiers: Sequence[str], changed: Sequence[Stranger] = ()
) -> dict[str, tuple[str, ...]]:
    """Return for each of these strangers the ids of those who turned out to be this one, by number.

    Parameters
    ----------
    changed
        As of `follow_all`.
    """
    then = {row.stranger_id: row for row in changed}
    means = {identifier: identifier for identifier in identifiers}
    found: dict[str, list[Stranger]] = {identifier: [] for identifier in identifiers}
    wanted = list(identifiers)
    while wanted:
        stored = {row.stranger_id: row for row in store.list_strangers(project, merged_into=wanted)}
        merged = [row for row in (stored | then).values() if row.merged_into in wanted and row.stranger_id not in means]
        for row in merged:
            means[row.stranger_id] = means[str(row.merged_into)]
            found[means[row.stranger_id]].append(row)
        wanted = [row.stranger_id for row in merged]
    return {
        one: tuple(row.stranger_id for row in sorted(rows, key=lambda row: row.number)) for one, rows in found.items()
    }


def merge_groups(strangers: dict[str, Stranger], gone: Mapping[str, str], left: Set[str]) -> None:
    """Merge those who are gone into others; of those who are left, whom a user made one stays one, and no merge leads in a circle.

    Parameters
    ----------
    strangers : dict of str to Stranger
        All of a project; altered in place.
    gone : mapping of str to str
        Into whom each of them is merged.
    left : set of str
        Who has tracks then.
    """
    for one in sorted(left & strangers.keys()):
        path = _leads_to(one, strangers)
        if not gone.keys().isdisjoint(path):
            into = next((other for other in path if other in left), path[-1])
            strangers[one] = replace(strangers[one], merged_into=into)
    for one, into in sorted(gone.items()):
        if one in _leads_to(into, strangers):
            strangers[into] = replace(strangers[into], merged_into=None)
        strangers[one] = replace(strangers[one], merged_into=into)


def hide_as_before(
    strangers: dict[str, Stranger], before: Mapping[str, Stranger], former: Mapping[str, Collection[str]]
) -> None:
    """Hide those all of whose tracks showed hidden ones: nobody who was shown is hidden by the grouping.

    Parameters
    ----------
    strangers : dict of str to Stranger
        All of a project; altered in place.
    former : mapping of str to collection of str
        Whom the tracks of each showed before.
    """
    were_hidden: dict[str, set[bool]] = defaultdict(set)
    for one, others in former.items():
        shown_as = follow_merges(one, strangers).stranger_id
        were_hidden[shown_as] |= {follow_merges(other, before).is_hidden for other in others}
    for one, hidden in were_hidden.items():
        if hidden:
            strangers[one] = replace(strangers[one], is_hidden=all(hidden))


def _leads_to(identifier: str, strangers: Mapping[str, Stranger]) -> list[str]:
    """Return all into whom a stranger was merged, one after the other."""
    found: list[str] = []
    while (into := strangers[identifier].merged_into) is not None:
        found.append(into)
        identifier = into
    return found
