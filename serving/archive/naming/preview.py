"""What naming the archive again changes, for whom, with examples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from facerec_models.result import identity_of
from facerec_models.types import Decision
from serving.archive.naming.strangers import follow_merges
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, Stranger

_EXAMPLES = 3

_Rows = Mapping[str, Sequence[AppearanceRow]]
_Key = tuple[str | None, tuple[int, ...]]


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


@dataclass(slots=True)
class IdentificationChange:
    """What another revision changes in the archive; each video counts by its latest analysis.

    Parameters
    ----------
    state : str
        Stands for the archive as it was, and for what is to be applied: an application can insist on it.
    application : int or None
        The number under which it was applied.
    added, removed : counts of tracks per person
    appearances_added, appearances_removed : counts of appearances per person
        An appearance that gets another track counts as one removed and one added.
    examples : mapping of str to list of Example
        Some of each person's, the surest first.
    """

    revision: str
    state: str
    applied: bool = False
    application: int | None = None
    videos: int = 0
    tracks: int = 0
    added: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    appearances_added: Counter[str] = field(default_factory=Counter)
    appearances_removed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)

    @property
    def people(self) -> list[str]:
        """Who gains or loses anything, by id."""
        return sorted(set().union(self.added, self.removed, self.appearances_added, self.appearances_removed))

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {
            "revision": self.revision,
            "state": self.state,
            "applied": self.applied,
            "application": self.application,
            "videos": self.videos,
            "tracks": self.tracks,
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
        }


def compare(
    store: Store, project: str, before: _Rows, after: _Rows, strangers: Sequence[Stranger], change: IdentificationChange
) -> None:
    """Count what differs between two sets of appearances, by analysis, and add it to `change`.

    Parameters
    ----------
    strangers : sequence of Stranger
        All of the project, for what they are called; of equal ids the last one counts.
    """
    names = {video.video_id: video.name for video in store.list_videos(project)}
    labels = _Labels({stranger.stranger_id: stranger for stranger in strangers})
    found: dict[str, list[Example]] = defaultdict(list)
    for video_id, analysis_id in store.latest_analyses(project).items():
        old, new = before.get(analysis_id, ()), after.get(analysis_id, ())
        was, is_now = _owners(old), _owners(new)
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
                counts[person] += 1
                owners = was if rows is new else is_now
                of_tracks = [owners[track_id] for track_id in row.track_ids if track_id in owners]
                beside = ", ".join(dict.fromkeys(map(labels.of, of_tracks))) or None
                reason = "; ".join(dict.fromkeys(one.reason for one in of_tracks if one.reason)) or None
                mine = labels.of(row)
                found[person].append(
                    Example(
                        video_id,
                        names[video_id],
                        analysis_id,
                        row.track_ids,
                        row.start_s,
                        row.end_s,
                        row.probability,
                        before=beside if rows is new else mine,
                        after=mine if rows is new else beside,
                        reason=reason,
                    )
                )
    change.examples = {
        person: sorted(examples, key=lambda one: (-one.probability, one.video_id, one.start_s))[:_EXAMPLES]
        for person, examples in sorted(found.items())
    }


@dataclass(frozen=True, slots=True)
class _Labels:
    """What appearances are called."""

    strangers: Mapping[str, Stranger]

    def of(self, row: AppearanceRow) -> str:
        if row.decision is Decision.NAMED:
            return identity_of(row.owner) or ""
        if row.owner is None:
            return "Undecidable"
        return f"Unknown {follow_merges(row.owner, self.strangers).number}"


def _key(row: AppearanceRow) -> _Key:
    return row.owner, row.track_ids


def _person(row: AppearanceRow | None) -> str | None:
    return row.owner if row is not None and row.decision is Decision.NAMED else None


def _owners(rows: Sequence[AppearanceRow]) -> dict[int, AppearanceRow]:
    return {track_id: row for row in rows for track_id in row.track_ids}
