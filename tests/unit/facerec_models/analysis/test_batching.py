from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_models.analysis.batching import split

CPU, ACCELERATOR = torch.device("cpu"), torch.device("cuda")


@settings(deadline=None)
@given(count=st.integers(0, 3000), largest=st.integers(1, 600), device=st.sampled_from([CPU, ACCELERATOR]))
def test_batches_cover_everything_once_in_order(count: int, largest: int, device: torch.device) -> None:
    items = list(range(count))
    batches = [items[part] for part in split(count, largest, device)]
    assert [item for batch in batches for item in batch] == items
    assert all(1 <= len(batch) <= largest for batch in batches)


def test_a_cpu_sees_few_sizes() -> None:
    for largest in (1, 3, 64, 100):
        sizes = {part.stop - part.start for count in range(300) for part in split(count, largest, CPU)}
        assert sizes == {2**n for n in range(largest.bit_length())}


def test_an_accelerator_sees_full_batches() -> None:
    assert list(split(70, 32, ACCELERATOR)) == [slice(0, 32), slice(32, 64), slice(64, 70)]
    assert list(split(70, 32, CPU)) == [slice(0, 32), slice(32, 64), slice(64, 68), slice(68, 70)]
    assert list(split(0, 32, CPU)) == []


def test_a_batch_of_less_than_one_item_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one item, not 0"):
        list(split(3, 0, CPU))
