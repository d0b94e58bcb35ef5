"""What a store would have after a correction is what it has."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.archive.naming.correction_rows import with_corrections
from serving.store.naming_rows import Correction, CorrectionKind
from serving.store.opening import open_store
from tests.contract.store_cases import correct

CASES = st.tuples(st.sampled_from(CorrectionKind), st.sampled_from(["Ann", "Bob", "Zoë"]), st.integers(1, 2))


def correction(kind: CorrectionKind, person: str, track: int, at: int) -> Correction:
    vector = np.random.default_rng(at).standard_normal(4).astype(np.float32)
    return Correction(f"c-{kind}-{person}-{track}", "p", kind, person, "a", track, "dlib", vector, float(at))


def facts(rows: list[Correction]) -> list[tuple[object, ...]]:
    return [(row.correction_id, row.kind, row.created_at, row.embedding.tobytes()) for row in rows]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(CASES, max_size=3), max_size=4))
def test_corrections_are_merged_as_a_store_does(batches: list[list[tuple[CorrectionKind, str, int]]]) -> None:
    with TemporaryDirectory() as folder, closing(open_store(Path(folder))) as store:
        store.create_project("p")
        expected: list[Correction] = []
        at = 0
        for batch in batches:
            rows = [correction(*case, at + i) for i, case in enumerate(batch)]
            at += len(rows)
            expected = with_corrections(expected, rows)
            correct(store, *rows)
            assert facts(store.list_corrections("p")) == facts(expected)
