from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_models.analysis.batching import split


@settings(deadline=None)
@given(count=st.integers(0, 3000), largest=st.integers(1, 600), in_powers=st.booleans())
def test_batches_cover_everything_once_in_order(count: int, largest: int, in_powers: bool) -> None:
    items = list(range(count))
    batches = [items[part] for part in split(count, largest, in_powers=in_powers)]
    assert [item for batch in batches for item in batch] == items
    assert all(1 <= len(batch) <= largest for batch in batches)


def test_a_cpu_sees_few_sizes() -> None:
    for largest in (1, 3, 64, 100):
        sizes = {part.stop - part.start for count in range(300) for part in split(count, largest, in_powers=True)}
        assert sizes == {2**n for n in range(largest.bit_length())}


def test_an_accelerator_sees_full_batches() -> None:
    assert list(split(70, 32, in_powers=False)) == [slice(0, 32), slice(32, 64), slice(64, 70)]
    assert list(split(70, 32, in_powers=True)) == [slice(0, 32), slice(32, 64), slice(64, 68), slice(68, 70)]
    assert list(split(0, 32, in_powers=True)) == []


def test_a_batch_of_less_than_one_item_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one item, not 0"):
        list(split(3, 0, in_powers=True))
