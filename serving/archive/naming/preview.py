"""What naming the archive again changes, for whom, with examples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypedDict

from facerec_models.names import identity_of
from facerec_models.types import Decision
from serving.archive.naming.figures import ScoreFigures
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, Stranger

_EXAMPLES = 3

_Rows = Mapping[str, Sequence[AppearanceRow]]
_Key = tuple[str | None, tuple[int, ...]]


class ApplyOptions(TypedDict, total=False):
    """How an edit is applied.

    Parameters
    ----------
    preview : bool
        Answer what it would change, and keep nothing of it.
    expected : int or None
        The version that a preview answered: `ConflictError` if the project is not at it any more.
    """

    preview: bool
    expected: int | None


@dataclass(frozen=True, slots=True)
class Example:
    """An appearance that changes: where it is, and who it is, before and after; None where it was not there.

    `reason` says why it is undecidable before or after, where it is.
    """

    video_id: str
    video: str
    analysis_id: str
    track_ids: tuple[int, ...]
    start_s: float
    end_s: float
    probability: float
    before: str | None
    after: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Perhaps:
    """A stranger who resembles a person who was just named: perhaps the same, and left as they are.

    Parameters
    ----------
    tracks : int
        How many of their tracks would have got the name.
    """

    person_id: str
    stranger: str
    label: str
    tracks: int


@dataclass(slots=True)
class IdentificationChange:
    """What another revision changes in the archive; each video counts by its latest analysis.

    Parameters
    ----------
    version : int
        The project's, as it was: applying can insist on it.
    note : str
        The edit's: what it is about.
    edit : int or None
        The number under which it was applied.
    added, removed : counts of tracks per person
    appearances_added, appearances_removed : counts of appearances per person
        An appearance that gets another track counts as one removed and one added.
    changed_videos : int
        In how many of the videos these are.
    examples : mapping of str to list of Example
        Some of each person's, the surest first.
    perhaps : sequence of Perhaps
        Strangers who were told apart from one who is named now, and resemble them.
    not_enrolled : sequence of str
        People whose tracks were confirmed, and of whom no face is good enough to enrol: no other track is found by them.
    new_people : sequence of str
        People whom the project did not know before.
    strangers : int
        How many strangers the edit itself changes: those that it names, merges, takes apart, hides or shows again.
    """

    revision: str
    version: int
    note: str = ""
    applied: bool = False
    edit: int | None = None
    videos: int = 0
    tracks: int = 0
    added: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    appearances_added: Counter[str] = field(default_factory=Counter)
    appearances_removed: Counter[str] = field(default_factory=Counter)
    changed_videos: int = 0
    examples: dict[str, list[Example]] = field(default_factory=dict)
    perhaps: Sequence[Perhaps] = ()
    not_enrolled: Sequence[str] = ()
    new_people: Sequence[str] = ()
    strangers: int = 0

    @property
    def people(self) -> list[str]:
        """Who gains or loses anything, by id."""
        return sorted(set().union(self.added, self.removed, self.appearances_added, self.appearances_removed))

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {
            "revision": self.revision,
            "version": self.version,
            "note": self.note,
            "applied": self.applied,
            "edit": self.edit,
            "videos": self.videos,
            "tracks": self.tracks,
            "changed_videos": self.changed_videos,
            "people": {
                person: {
                    "added": self.appearances_added[person],
                    "removed": self.appearances_removed[person],
                    "tracks_added": self.added[person],
                    "tracks_removed": self.removed[person],
                    "examples": [asdict(example) for example in self.examples.get(person, [])],
                }
                for person in self.people
            },
            "perhaps": [asdict(one) for one in self.perhaps],
            "not_enrolled": list(self.not_enrolled),
            "new_people": list(self.new_people),
            "strangers": self.strangers,
        }


class Comparison:
    """Counts what differs between appearances before and after an edit, some analyses at a time.

    Parameters
    ----------
    figures : (ScoreFigures, ScoreFigures)
        What scores mean, before and after.
    change : IdentificationChange
        What the counts are added to.
    """

    def __init__(
        self, store: Store, project: str, figures: tuple[ScoreFigures, ScoreFigures], change: IdentificationChange
    ) -> None:
        self._store = store
        self._project = project
        self._figures = figures
        self._change = change
        self._surest: dict[str, list[_Found]] = {}

    def add(self, before: _Rows, after: _Rows) -> None:
        """Compare appearances of analyses that are their videos' latest, by analysis; those that are the same may be left out."""
        found: dict[str, list[_Found]] = defaultdict(list)
        change = self._change
        for analysis_id in before.keys() | after.keys():
            old, new = before.get(analysis_id, ()), after.get(analysis_id, ())
            was, is_now = _owners(old), _owners(new)
            is_changed = False
            for track_id in was.keys() | is_now.keys():
                lost, gained = _person(was.get(track_id)), _person(is_now.get(track_id))
                if lost != gained:
                    change.removed.update([lost] if lost else [])
                    change.added.update([gained] if gained else [])
            for rows, others, counts in (
                (old, new, change.appearances_removed),
                (new, old, change.appearances_added),
            ):
                same = {_key(row) for row in others}
                for row in rows:
                    person = _person(row)
                    if person is None or _key(row) in same:
                        continue
                    is_changed = True
                    counts[person] += 1
                    owners = was if rows is new else is_now
                    beside = [owners[track_id] for track_id in row.track_ids if track_id in owners]
                    found[person].append(_Found(row, beside, is_new=rows is new))
            change.changed_videos += is_changed
        for person, more in found.items():
            self._surest[person] = sorted([*self._surest.get(person, []), *more], key=_Found.order)[:_EXAMPLES]

    def finish(self, strangers: Sequence[Stranger]) -> None:
        """Add each person's examples.

        Parameters
        ----------
        strangers : sequence of Stranger
            Those that are known already, for what they are called.
        """
        surest = dict(sorted(self._surest.items()))
        labels = _Labels.of(self._store, self._project, [one for rows in surest.values() for one in rows], strangers)
        shown_in = sorted({one.row.video_id for rows in surest.values() for one in rows})
        names = {video.video_id: video.name for video in self._store.find_videos(self._project, shown_in)}
        self._change.examples = {
            person: [_example(one, names[one.row.video_id], labels, self._figures[one.is_new]) for one in rows]
            for person, rows in surest.items()
        }


class _Found(NamedTuple):
    """An appearance that changes, with those that its tracks are in on the other side."""

    row: AppearanceRow
    beside: list[AppearanceRow]
    is_new: bool

    def order(self) -> tuple[bool, float, str, float]:
        """Return where it stands: the surest first."""
        return (not self.row.is_confirmed, -self.row.score, self.row.video_id, self.row.start_s)


def _example(one: _Found, video: str, labels: _Labels, figures: ScoreFigures) -> Example:
    row = one.row
    mine = labels.of_row(row)
    beside = ", ".join(dict.fromkeys(map(labels.of_row, one.beside))) or None
    return Example(
        row.video_id,
        video,
        row.analysis_id,
        row.track_ids,
        row.start_s,
        row.end_s,
        figures.of([row])[0].probability,
        before=beside if one.is_new else mine,
        after=mine if one.is_new else beside,
        reason="; ".join(dict.fromkeys(other.reason for other in one.beside if other.reason)) or None,
    )


@dataclass(frozen=True, slots=True)
class _Labels:
    """What appearances are called."""

    numbers: Mapping[str, int]

    @classmethod
    def of(cls, store: Store, project: str, found: Sequence[_Found], known: Sequence[Stranger]) -> _Labels:
        rows = [row for one in found for row in (one.row, *one.beside)]
        owners = {row.owner for row in rows if row.owner is not None and row.decision is not Decision.NAMED}
        numbers = {one.stranger_id: one.number for one in known}
        if others := sorted(owners - numbers.keys()):
            numbers |= {one.stranger_id: one.number for one in store.list_strangers(project, others)}
        return cls(numbers)

    def of_row(self, row: AppearanceRow) -> str:
        if row.decision is Decision.NAMED:
            return identity_of(row.owner) or ""
        return "Undecidable" if row.owner is None else f"Unknown {self.numbers[row.owner]}"


def _key(row: AppearanceRow) -> _Key:
    return row.owner, row.track_ids


def _person(row: AppearanceRow | None) -> str | None:
    return row.owner if row is not None and row.decision is Decision.NAMED else None


def _owners(rows: Sequence[AppearanceRow]) -> dict[int, AppearanceRow]:
    return {track_id: row for row in rows for track_id in row.track_ids}
