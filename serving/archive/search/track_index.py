"""All track vectors of a project in memory, for exact search by face."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt

from facerec_models.types import FloatArray
from serving.store.contract import Store
from serving.store.rows import AnalysisColumns

_BLOCK = 1 << 16
# Analyses that are read from the store at once.
_READ = 256
_NOBODY = -2.0


@dataclass(frozen=True, slots=True)
class TrackHit:
    """A track and the cosine of its mean embedding to a face."""

    analysis_id: str
    track_id: int
    similarity: float


@dataclass(slots=True, eq=False)
class _VectorBlock:
    """Rows of vectors; `owners` is the number of each row's analysis, -1 where the row is free."""

    vectors: FloatArray
    owners: npt.NDArray[np.int32]
    track_ids: npt.NDArray[np.int64]
    used: int = 0

    @classmethod
    def empty(cls, dimension: int) -> _VectorBlock:
        return cls(np.zeros((_BLOCK, dimension), np.float32), np.full(_BLOCK, -1, np.int32), np.zeros(_BLOCK, np.int64))


@dataclass(slots=True, eq=False)
class _Rows:
    """Everything that the index holds; replaced as a whole when it is read anew.

    `others` are the analyses of another embedder: of them it has no vectors, but the store counts them too.
    """

    blocks: list[_VectorBlock] = field(default_factory=list)
    analyses: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    embedder: str | None = None
    state: tuple[int, int] = (0, 0)
    since: int = 0
    rows: int = 0
    dead: int = 0


class TrackIndex:
    """The vectors of one project, compared one by one; `refresh` reads what is new in the store. May be shared by threads.

    Of a project with two sets of vectors only those of its present embedder are read.

    A million tracks of 128 numbers take 549 MB.
    """

    def __init__(self, store: Store, project: str) -> None:
        self.project = project
        self._store = store
        self._lock = Lock()
        self._rows = _Rows()

    def __len__(self) -> int:
        return self._rows.rows - self._rows.dead

    @property
    def memory_bytes(self) -> int:
        """How much memory the vectors take."""
        blocks = self._rows.blocks
        return sum(b.vectors.nbytes + b.owners.nbytes + b.track_ids.nbytes for b in blocks)

    def refresh(self) -> None:
        """Take over what was added to the store, replaced and deleted, by whatever process."""
        with self._lock:
            embedder = self._store.get_project(self.project).embedder
            if embedder != self._rows.embedder:
                self._rows = _Rows(embedder=embedder)
            state = self._store.columns_state(self.project)
            if state == self._rows.state:
                return
            self._read_new(self._rows)
            # All that the store has is here now: one more is one that was deleted.
            if len(self._rows.numbers) + len(self._rows.others) != state[0]:
                self._remove_deleted(self._rows)
            if self._rows.dead > self._rows.rows // 2:
                fresh = _Rows(embedder=embedder)
                self._read_new(fresh)
                self._rows = fresh
            self._rows.state = state

    def search(self, face: FloatArray, analyses: Collection[str], limit: int) -> list[TrackHit]:
        """Return the tracks of some analyses that are most like a face, the most alike first.

        Parameters
        ----------
        face : (D,) float32
            Of unit length.
        """
        rows = self._rows
        # Another thread may be adding: what counts is counted before the analyses that it belongs to.
        blocks = [(block, block.used) for block in rows.blocks]
        # The last one is that of free rows, -1.
        wanted = np.array([name in analyses for name in tuple(rows.analyses)] + [False])
        found: list[tuple[float, int, int]] = []
        for block, used in blocks:
            owners = block.owners[:used]
            similarity = np.where(wanted[owners], block.vectors[:used] @ face, _NOBODY)
            best = np.arange(used) if used <= limit else np.argpartition(similarity, -limit)[-limit:]
            best = best[similarity[best] > _NOBODY]
            found += zip(similarity[best].tolist(), owners[best].tolist(), block.track_ids[best].tolist(), strict=True)
        found.sort(key=lambda one: (-one[0], rows.analyses[one[1]], one[2]))
        return [TrackHit(rows.analyses[owner], track_id, value) for value, owner, track_id in found[:limit]]

    def _read_new(self, rows: _Rows) -> None:
        while part := self._store.list_columns(self.project, since=rows.since, limit=_READ):
            for one in part:
                self._drop(rows, one.analysis_id)
                if rows.embedder in (None, one.embedder):
                    self._add(rows, one)
                else:
                    rows.others.add(one.analysis_id)
            rows.since = part[-1].position

    def _remove_deleted(self, rows: _Rows) -> None:
        stored = self._store.columns_positions(self.project)
        for analysis_id in (rows.numbers.keys() | rows.others) - stored.keys():
            self._drop(rows, analysis_id)

    def _add(self, rows: _Rows, found: AnalysisColumns) -> None:
        number = len(rows.analyses)
        rows.analyses.append(found.analysis_id)
        rows.numbers[found.analysis_id] = number
        seen = found.columns.is_embedded
        vectors, track_ids = np.nan_to_num(found.columns.vectors[seen]), found.columns.track_ids[seen]
        start = 0
        while start < len(vectors):
            if not rows.blocks or rows.blocks[-1].used == _BLOCK:
                rows.blocks.append(_VectorBlock.empty(vectors.shape[1]))
            block = rows.blocks[-1]
            count = min(_BLOCK - block.used, len(vectors) - start)
            place = slice(block.used, block.used + count)
            block.vectors[place] = vectors[start : start + count]
            block.track_ids[place] = track_ids[start : start + count]
            block.owners[place] = number
            block.used += count
            start += count
        rows.rows += len(vectors)

    def _drop(self, rows: _Rows, analysis_id: str) -> None:
        """Forget an analysis: its vectors are overwritten."""
        rows.others.discard(analysis_id)
        number = rows.numbers.pop(analysis_id, None)
        if number is None:
            return
        for block in rows.blocks:
            mine = np.flatnonzero(block.owners == number)
            block.vectors[mine] = 0
            block.owners[mine] = -1
            rows.dead += len(mine)


class TrackIndexes:
    """The indexes of the projects that were searched last."""

    def __init__(self, store: Store, keep: int = 4) -> None:
        self._store = store
        self._keep = keep
        self._lock = Lock()
        self._indexes: OrderedDict[str, TrackIndex] = OrderedDict()

    def of(self, project: str) -> TrackIndex:
        """Return a project's index, which may be empty before it is refreshed."""
        with self._lock:
            if project not in self._indexes:
                self._indexes[project] = TrackIndex(self._store, project)
            self._indexes.move_to_end(project)
            while len(self._indexes) > self._keep:
                self._indexes.popitem(last=False)
            return self._indexes[project]
