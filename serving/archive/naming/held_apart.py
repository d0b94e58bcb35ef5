"""Strangers whom the grouping has told apart stay so where one of them gets a name."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import numpy as np

from facerec_models.identification.clustering import stranger_similarity
from facerec_models.types import Decision
from serving.archive.handle import Archive
from serving.archive.naming.aliases import follow_merges
from serving.archive.naming.correction_rows import correction_id
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, WorkedOut
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
    now = {
        (row.analysis_id, track_id): row.owner
        for row in worked.names.appearances
        if row.decision is Decision.NAMED and row.owner in people
        for track_id in row.track_ids
    }
    known = worked.known
    swept = [
        (key, row.embedding, follow_merges(row.stranger_id, known).stranger_id, str(now[key]))
        for row in worked.names.freed
        if (key := (row.analysis_id, row.track_id)) in now
    ]
    # A group that a user merged with theirs is theirs.
    own = {stranger_id for key, _, stranger_id, _ in swept if key in named}
    swept = [one for one in swept if one[2] not in own]
    if not own or not swept:
        return None
    denied = denied_strangers(archive.store, current.project, current.corrections)
    told_apart = {stranger_id for key in named for stranger_id in denied.get(key, ())}
    told_apart |= {who for key, _, who, _ in swept if not own.isdisjoint(denied.get(key, ()))}
    pair = archive.pair_scale(str(current.embedder)) if current.model is None else current.model.pair
    least = stranger_similarity(pair)
    latest = set(current.latest.values())
    apart: list[Correction] = []
    perhaps: Counter[tuple[str, str]] = Counter()
    for key, vector, stranger_id, person_id in swept:
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
