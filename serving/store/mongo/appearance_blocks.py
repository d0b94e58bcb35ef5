"""Appearances in MongoDB: those that begin with neighbouring tracks of an analysis are one document, a *block*.

With a document for each, naming a large archive anew would write for longer than a transaction may last, and ranking strangers
would read them one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec_models.types import Decision
from serving.store.naming_rows import AppearanceRow

# Project, analysis and number of a block.
BlockKey = tuple[str, str, int]

# Tracks of a block: a change of one appearance writes all of its block.
_TRACKS = 32
_DECISIONS = tuple(Decision)
# What an appearance has but for texts and tracks; `owner` is a place in the document's `owners` or -1, `tracks` how many there are.
_ROW = np.dtype(
    [
        *((name, "<i8") for name in ("first_track", "first_shot", "last_shot")),
        *((name, "<f8") for name in ("start_s", "end_s", "score")),
        *((name, "<i4") for name in ("owner", "tracks")),
        *((name, "<i1") for name in ("decision", "is_confirmed")),
    ]
)


def block_of(row: AppearanceRow) -> BlockKey:
    """Return the key of the block that an appearance belongs to."""
    return row.project, row.analysis_id, row.first_track // _TRACKS


def pack_block(rows: Sequence[AppearanceRow]) -> dict[str, Any]:
    """Return the document of all appearances of a block."""
    first = rows[0]
    owners = sorted({row.owner for row in rows if row.owner is not None})
    places: dict[str | None, int] = {None: -1, **{owner: place for place, owner in enumerate(owners)}}
    columns = [
        (
            *(row.first_track, row.first_shot, row.last_shot, row.start_s, row.end_s, row.score),
            *(places[row.owner], len(row.track_ids), _DECISIONS.index(row.decision), row.is_confirmed),
        )
        for row in rows
    ]
    return {
        **dict(zip(("project", "analysis_id", "block"), block_of(first), strict=True)),
        "video_id": first.video_id,
        "count": len(rows),
        "owners": owners,
        "rows": np.array(columns, _ROW).tobytes(),
        "track_ids": np.array([one for row in rows for one in row.track_ids], "<i8").tobytes(),
        "reasons": [row.reason for row in rows],
    }


class AppearanceBlocks:
    """The appearances of some blocks as arrays.

    Parameters
    ----------
    documents : iterable of dict
        Those of `pack_block`, in any order; only `rows_at` needs ``track_ids`` and ``reasons``.

    Attributes
    ----------
    rows : (N,) structured array
    places : (N,) int
        In which document each is.
    owners : list of str
        All that there are, each once.
    owner : (N,) int
        A place in `owners`, or -1.
    """

    def __init__(self, documents: Iterable[dict[str, Any]]) -> None:
        self.documents = list(documents)
        self.rows = np.frombuffer(b"".join(one["rows"] for one in self.documents), _ROW)
        self.places = np.repeat(np.arange(len(self.documents)), np.array(self._all("count"), np.intp))
        numbers: dict[str, int] = {}
        found = [numbers.setdefault(one, len(numbers)) for one in chain.from_iterable(self._all("owners"))]
        self.owners = list(numbers)
        # The last one stands for nobody, which is also what -1 picks where a document has no owners.
        starts = np.array([0, *accumulate(map(len, self._all("owners")))], np.intp)[self.places]
        own = self.rows["owner"]
        self.owner = np.array([*found, -1], np.intp)[np.where(own < 0, -1, starts + own)]

    def rows_at(self, chosen: npt.NDArray[np.bool_]) -> Iterator[AppearanceRow]:
        """Yield the rows where a mask is true."""
        ends = np.cumsum(self.rows["tracks"])[chosen].tolist()
        tracks = np.frombuffer(b"".join(self._all("track_ids")), "<i8")
        reasons = list(chain.from_iterable(self._all("reasons")))
        for at, end, values in zip(np.flatnonzero(chosen).tolist(), ends, self.rows[chosen].tolist(), strict=True):
            first_track, first_shot, last_shot, start_s, end_s, score, _, count, decision, is_confirmed = values
            document, owner = self.documents[self.places[at]], int(self.owner[at])
            yield AppearanceRow(
                document["project"],
                document["analysis_id"],
                first_track,
                document["video_id"],
                _DECISIONS[decision],
                self.owners[owner] if owner >= 0 else None,
                first_shot,
                last_shot,
                start_s,
                end_s,
                score,
                bool(is_confirmed),
                tuple(tracks[end - count : end].tolist()),
                reasons[at],
            )

    def all_rows(self) -> Iterator[AppearanceRow]:
        """Yield all rows."""
        return self.rows_at(np.ones(len(self.rows), np.bool_))

    def are_sure(self, least_score: float) -> npt.NDArray[np.bool_]:
        """Return which are sure enough, see `AppearanceQuery`."""
        is_named = self.rows["decision"] == _DECISIONS.index(Decision.NAMED)
        return np.where(is_named, (self.rows["is_confirmed"] > 0) | (self.rows["score"] >= least_score), True)

    def are_of(self, owners: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which are of one of these owners."""
        wanted = set(owners)
        return np.array([*(owner in wanted for owner in self.owners), False])[self.owner]

    def _all(self, name: str) -> list[Any]:
        return [one[name] for one in self.documents]
