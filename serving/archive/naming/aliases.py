"""Whom a stranger's id means: by number, by the beginning of an id, and through all merges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from facerec_models.errors import NotFoundError
from facerec_models.names import number_of
from facerec_models.types import STRANGER_PREFIX
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
    found = next(iter(store.list_strangers(project, [given])), None)
    number = number_of(given.lower().removeprefix("unknown").strip())
    if found is None and number is not None:
        found = store.find_stranger_number(project, number)
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
    then = {row.stranger_id: row for row in changed}
    known: dict[str, Stranger] = {}
    wanted = set(identifiers)
    while wanted:
        stored = store.list_strangers(project, sorted(wanted - then.keys())) if wanted - then.keys() else []
        found = {row.stranger_id: row for row in stored} | {one: then[one] for one in wanted & then.keys()}
        known |= found
        wanted = {row.merged_into for row in found.values() if row.merged_into is not None} - known.keys()
    return {one: follow_merges(one, known) for one in identifiers if one in known}


def follow_merges(identifier: str, strangers: Mapping[str, Stranger]) -> Stranger:
    """Return the stranger whom an id means by now: merges are followed."""
    stranger = strangers[identifier]
    while stranger.merged_into is not None:
        stranger = strangers[stranger.merged_into]
    return stranger


def moved_meanings(
    store: Store, project: str, named: Sequence[NamedTracks], changed: Sequence[Stranger] = ()
) -> tuple[dict[str, str], dict[str, str]]:
    """Return for the ids of all strangers in these rows whom they mean: as it is stored, and with what is `changed`."""
    ids = {one for row in named for one in row.names if one.startswith(STRANGER_PREFIX)}

    def meanings(changed: Sequence[Stranger]) -> dict[str, str]:
        return {one: known.stranger_id for one, known in follow_all(store, project, ids, changed).items()}

    before = meanings(())
    is_merged = any(row.merged_into is not None or before.get(row.stranger_id) != row.stranger_id for row in changed)
    return before, meanings(changed) if is_merged else before


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
