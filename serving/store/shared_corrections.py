"""Corrections of tracks, and who the unknown ones are: the same for every database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from facerec_models.types import DoubleArray
from serving.store.lookups import require_project
from serving.store.naming_rows import Correction, CorrectionKind, Stranger, StrangerSums, StrangerTrack
from serving.store.transaction import Database, Filter, Transaction

# Strangers whose sums are one row: a new video is compared with all strangers, and changes the sums of a few.
_BLOCK = 32


class SharedCorrections:
    """The part of a `Store` that is about corrections and strangers."""

    _shared: Database

    def list_corrections(
        self, project: str, *, person_id: str | None = None, analysis_ids: Sequence[str] | None = None
    ) -> list[Correction]:
        """Return corrections, oldest first: all, those about a person, or those of some analyses."""
        where = {"project": project} if person_id is None else {"project": project, "person_id": person_id}
        with self._shared.reading() as tx:
            require_project(tx, project)
            return corrections_of(tx, where, analysis_ids)

    def list_strangers(
        self, project: str, stranger_ids: Sequence[str] | None = None, *, merged_into: Sequence[str] | None = None
    ) -> list[Stranger]:
        """Return strangers, merged and named ones included, by number: all, these, or those that were merged into these."""
        wanted = [("stranger_id", stranger_ids), ("merged_into", merged_into)]
        among = next(((name, list(ids)) for name, ids in wanted if ids is not None), None)
        with self._shared.reading() as tx:
            require_project(tx, project)
            found = tx.select(Stranger, {"project": project}, ("number",), among=among)
        return sorted(found, key=lambda row: row.number)

    def find_stranger_number(self, project: str, number: int | None = None) -> Stranger | None:
        """Return the stranger of a number, or the last one; None if there is none."""
        where = {"project": project} if number is None else {"project": project, "number": number}
        with self._shared.reading() as tx:
            require_project(tx, project)
            return next(iter(tx.select(Stranger, where, ("-number",), limit=1)), None)

    def list_stranger_tracks(
        self,
        project: str,
        *,
        stranger_ids: Sequence[str] | None = None,
        analysis_ids: Sequence[str] | None = None,
    ) -> list[StrangerTrack]:
        """Return which stranger each unknown track shows, by analysis and track: all, those of some strangers, or of some analyses."""
        wanted = [("stranger_id", stranger_ids), ("analysis_id", analysis_ids)]
        among = next(((name, list(ids)) for name, ids in wanted if ids is not None), None)
        with self._shared.reading() as tx:
            require_project(tx, project)
            found = tx.select(StrangerTrack, {"project": project}, ("analysis_id", "track_id"), among=among)
        return sorted(found, key=lambda row: (row.analysis_id, row.track_id))

    def list_some_tracks(self, project: str, stranger_ids: Sequence[str], limit: int) -> list[StrangerTrack]:
        """Return at most `limit` tracks of each of these strangers, the first ones by analysis and track."""
        order = ("analysis_id", "track_id")
        with self._shared.reading() as tx:
            require_project(tx, project)
            return [
                track
                for one in stranger_ids
                for track in tx.select(StrangerTrack, {"project": project, "stranger_id": one}, order, limit=limit)
            ]

    def list_stranger_sums(self, project: str) -> list[StrangerSums]:
        """Return the sums of the mean embeddings of all strangers' tracks, by block; those without tracks are left out."""
        with self._shared.reading() as tx:
            require_project(tx, project)
            return tx.select(StrangerSums, {"project": project}, ("block",))


def corrections_of(tx: Transaction, where: Filter, analysis_ids: Sequence[str] | None) -> list[Correction]:
    """Return corrections, oldest first, of all analyses or of these."""
    among = None if analysis_ids is None else ("analysis_id", list(analysis_ids))
    found = tx.select(Correction, where, ("created_at", "correction_id"), among=among)
    return sorted(found, key=lambda row: (row.created_at, row.correction_id))


def move_stranger_tracks(
    tx: Transaction, project: str, freed: Sequence[StrangerTrack], shown: Sequence[StrangerTrack]
) -> None:
    """Let tracks show no stranger any more, and others show one; the sums are brought up to date."""
    # What leaves a sum is what was put to it, whatever the track has by now.
    stored = tx.take(freed)
    tx.insert(shown, StrangerTrack)
    # What leaves first: where the project's embedder changes, vectors of one length take the place of those of another.
    _add_to_sums(tx, project, [*((-1, track) for track in stored), *((1, track) for track in shown)])


def _add_to_sums(tx: Transaction, project: str, moves: Sequence[tuple[int, StrangerTrack]]) -> None:
    where, ids = {"project": project}, sorted({track.stranger_id for _, track in moves})
    numbers = tx.find("strangers", where, among=("stranger_id", ids), columns=("stranger_id", "number"))
    block_of = {row["stranger_id"]: row["number"] // _BLOCK for row in numbers}
    blocks: dict[int, dict[str, tuple[int, DoubleArray]]] = {block: {} for block in block_of.values()}
    for known in tx.select(StrangerSums, where, among=("block", sorted(blocks))):
        counted = zip(known.counts.tolist(), known.sums, strict=True)
        blocks[known.block] = dict(zip(known.stranger_ids, counted, strict=True))
    for sign, track in moves:
        sums, vector = blocks[block_of[track.stranger_id]], track.embedding.astype(np.float64)
        count, total = sums.get(track.stranger_id, (0, np.zeros(len(vector))))
        sums[track.stranger_id] = count + sign, total + sign * vector
        if count + sign == 0:
            del sums[track.stranger_id]
    tx.delete("stranger_sums", where, ("block", [block for block, sums in blocks.items() if not sums]))
    tx.put((_packed(project, block, sums) for block, sums in blocks.items() if sums), StrangerSums)


def _packed(project: str, block: int, sums: Mapping[str, tuple[int, DoubleArray]]) -> StrangerSums:
    counts, totals = zip(*sums.values(), strict=True)
    return StrangerSums(project, block, tuple(sums), np.array(counts, np.int32), np.concatenate(totals))


def free_analyses(tx: Transaction, project: str, analysis_ids: Sequence[str]) -> None:
    """Let all tracks of analyses show no stranger any more."""
    move_stranger_tracks(
        tx, project, tx.select(StrangerTrack, {"project": project}, among=("analysis_id", list(analysis_ids))), []
    )


def put_corrections(tx: Transaction, project: str, corrections: Sequence[Correction]) -> None:
    """Add corrections; those that they replace are deleted."""
    columns = ("correction_id", "analysis_id", "track_id", "person_id", "kind")
    among = ("analysis_id", sorted({row.analysis_id for row in corrections}))
    of_tracks: dict[tuple[str, int], dict[str, tuple[str, str]]] = defaultdict(dict)
    for one in tx.find("corrections", {"project": project}, among=among, columns=columns):
        of_tracks[one["analysis_id"], one["track_id"]][one["correction_id"]] = (one["person_id"], one["kind"])
    new: dict[str, Correction] = {}
    replaced: set[str] = set()
    for row in corrections:
        if row.project != project:
            raise ValueError(f"correction {row.correction_id} is of project {row.project!r}, not {project!r}")
        others = of_tracks[row.analysis_id, row.track_id]
        # A track is one person: a new "is" replaces the old one; "is X" and "is not X" replace each other.
        for other, (person_id, kind) in list(others.items()):
            if row.kind == kind == CorrectionKind.IS or (row.person_id == person_id and row.kind != kind):
                del others[other]
                new.pop(other, None)
                replaced.add(other)
        others[row.correction_id] = (row.person_id, row.kind)
        new[row.correction_id] = row
    tx.delete("corrections", {"project": project}, ("correction_id", sorted(replaced)))
    tx.put(new.values(), Correction)
