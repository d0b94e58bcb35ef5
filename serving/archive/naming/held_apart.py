"""Strangers whom the grouping has told apart stay so where one of them gets a name."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import numpy as np

from facerec_models.identification.clustering import stranger_similarity
from facerec_models.identification.cohort import load_cohort
from serving.archive.handle import Archive
from serving.archive.naming.aliases import follow_all
from serving.archive.naming.correction_rows import correction_id
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, WorkedOut
from serving.archive.naming.named import owners_of, strangers_of
from serving.archive.naming.preview import Perhaps
from serving.archive.naming.refit import plan_refit
from serving.archive.naming.strangers import denied_strangers
from serving.store.naming_rows import Correction, CorrectionKind


def hold_apart(archive: Archive, current: CurrentNaming, planned: PlannedEdit, worked: WorkedOut) -> PlannedEdit | None:
    """Leave the tracks of other strangers as they are where a stranger is named: the grouping has told them apart.

    Only what is as like all confirmed tracks as those of one stranger are to each other is taken, unless a correction has told
    the two strangers apart.
    """
    named = {(row.analysis_id, row.track_id): row for row in planned.edit.corrections if row.kind is CorrectionKind.IS}
    people = {row.person_id for row in named.values()}
    taken = [
        (then.analysis_id, row, stranger_id, str(owners[row]))
        for then in worked.names.named
        for owners in [owners_of(then)]
        for row, stranger_id in _strangers_before(worked, then.analysis_id).items()
        if owners[row] in people
    ]
    columns = archive.store.get_columns(current.project, sorted({analysis_id for analysis_id, *_ in taken}))
    swept = [
        (
            (analysis_id, int(columns[analysis_id].track_ids[row])),
            columns[analysis_id].vectors[row],
            stranger_id,
            person_id,
        )
        for analysis_id, row, stranger_id, person_id in taken
    ]
    known = follow_all(archive.store, current.project, {stranger_id for _, _, stranger_id, _ in swept})
    # A group that a user merged with theirs is theirs.
    own = {known[stranger_id].stranger_id for key, _, stranger_id, _ in swept if key in named}
    swept = [one for one in swept if known[one[2]].stranger_id not in own]
    if not own or not swept:
        return None
    denied = denied_strangers(archive.store, current.project, archive.store.list_corrections(current.project))
    told_apart = {stranger_id for key in named for stranger_id in denied.get(key, ())}
    told_apart |= {known[who].stranger_id for key, _, who, _ in swept if not own.isdisjoint(denied.get(key, ()))}
    least = stranger_similarity(load_cohort(str(current.embedder)).pair)
    latest = set(archive.store.latest_analyses(current.project).values())
    apart: list[Correction] = []
    perhaps: Counter[tuple[str, str]] = Counter()
    for key, vector, group, person_id in swept:
        stranger_id = known[group].stranger_id
        confirmed = np.stack([one.embedding for one in named.values() if one.person_id == person_id])
        is_alike = float((confirmed @ vector).min()) >= least
        if key in named or (is_alike and stranger_id not in told_apart):
            continue
        if key[0] in latest and stranger_id not in told_apart:
            perhaps[person_id, stranger_id] += 1
        apart.append(
            Correction(
                correction_id=correction_id(current.project, CorrectionKind.APART, person_id, *key),
                project=current.project,
                kind=CorrectionKind.APART,
                person_id=person_id,
                analysis_id=key[0],
                track_id=key[1],
                embedder=str(current.embedder),
                embedding=vector,
                created_at=time.time(),
            )
        )
    if not apart:
        return None
    numbers = {one.stranger_id: one.number for one in known.values()}
    refined = plan_refit(archive, current, replace(planned.edit, corrections=[*planned.edit.corrections, *apart]))
    return replace(
        refined,
        perhaps=[
            Perhaps(person_id, stranger_id, f"Unknown {numbers[stranger_id]}", tracks)
            for (person_id, stranger_id), tracks in sorted(perhaps.items())
        ],
    )


def _strangers_before(worked: WorkedOut, analysis_id: str) -> dict[int, str]:
    before = worked.before.get(analysis_id)
    return {} if before is None else strangers_of(before)
