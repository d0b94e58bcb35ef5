from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.metrics import Interval, NamedTime, StrangerTime, TrueInterval, named_time, named_times, pool


def _clear(*intervals: Interval) -> list[TrueInterval]:
    return [TrueInterval(start, end) for start, end in intervals]


def test_a_small_example_is_counted_by_hand() -> None:
    time = named_time([TrueInterval(10, 14, "clear"), TrueInterval(14, 16, "small")], [(11, 18)])
    assert astuple(time) == pytest.approx((4, 3, 5.5, 0, 1.5))
    assert time.recall == pytest.approx(0.75)
    assert time.precision == pytest.approx(5.5 / 7)
    assert time.f1 == pytest.approx(2 * 0.75 * (5.5 / 7) / (0.75 + 5.5 / 7))


@pytest.mark.parametrize(
    ("truth", "shown", "ignored", "expected"),
    [
        pytest.param(_clear((0, 10)), [(2, 6), (4, 8)], [], (10, 6, 6, 0, 0), id="overlapping appearances count once"),
        pytest.param(_clear((0, 10)), [(2, 6), (2, 6)], [], (10, 4, 4, 0, 0), id="equal appearances count once"),
        pytest.param(_clear((0, 10)), [(2, 5), (5, 8)], [], (10, 6, 6, 0, 0), id="touching appearances"),
        pytest.param([], [(1, 4)], [], (0, 0, 0, 0, 3), id="a person who is never there"),
        pytest.param([], [(1, 4)], [(2, 9)], (0, 0, 0, 2, 1), id="ignored where uncertain"),
        pytest.param([], [(1, 9)], [(2, 4), (3, 5), (8, 12)], (0, 0, 0, 4, 4), id="overlapping ignore intervals"),
        pytest.param(_clear((0, 4)), [(0, 8)], [(3, 6)], (4, 4, 4.5, 1.5, 2), id="right comes before ignored"),
        pytest.param(_clear((5, 9)), [], [], (4, 0, 0, 0, 0), id="never named"),
        pytest.param([TrueInterval(5, 9, "hidden")], [(5, 9)], [], (0, 0, 4, 0, 0), id="hidden is right, not clear"),
        pytest.param(_clear((5, 5)), [(5, 6)], [], (0, 0, 0, 0, 1), id="an empty interval is nobody"),
        pytest.param([TrueInterval(5, 9, "partial")], [], [], (0, 0, 0, 0, 0), id="partial may be missed"),
    ],
)
def test_each_second_is_counted_once_as_found_right_ignored_or_wrong(
    truth: list[TrueInterval], shown: list[Interval], ignored: list[Interval], expected: tuple[float, ...]
) -> None:
    assert astuple(named_time(truth, shown, ignored)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("truth", "shown", "found"),
    [
        pytest.param(_clear((10, 14)), [(10.4, 13.6)], 4, id="both ends within tolerance"),
        pytest.param(_clear((10, 14)), [(10.5, 13.5)], 4, id="just within"),
        # From 10.3 on: the name is at most 0.5 s away from there, and the tolerance of the end reaches to 10.5.
        pytest.param(_clear((10, 14)), [(10.8, 14)], 3.4, id="partly within"),
        pytest.param(_clear((10, 14)), [(11, 14)], 3, id="too late"),
        pytest.param(_clear((10, 14)), [(10, 11.8), (12, 14)], 3.8, id="no tolerance inside"),
        pytest.param(_clear((10, 14)), [(9, 9.8)], 0.3, id="shown before only"),
        pytest.param(_clear((10, 12), (12, 14)), [(10, 11.8), (12.2, 14)], 3.6, id="touching truth has no ends inside"),
        pytest.param(_clear((10, 12), (11, 14)), [(10, 14)], 4, id="overlapping truth counts once"),
        pytest.param(_clear((10, 12), (13, 15)), [(10, 11.8), (13.2, 15)], 4, id="apart it has"),
        pytest.param(_clear((10, 10.4)), [(10.6, 12)], 0.3, id="shorter than the tolerance"),
        pytest.param(
            [TrueInterval(10, 12), TrueInterval(12, 14, "small")], [(12.2, 14)], 0.3, id="clear ends where small starts"
        ),
    ],
)
def test_recall_tolerates_half_a_second_at_clear_ends(
    truth: list[TrueInterval], shown: list[Interval], found: float
) -> None:
    assert named_time(truth, shown).found_s == pytest.approx(found)


@pytest.mark.parametrize(
    ("truth", "right", "wrong"),
    [
        pytest.param([TrueInterval(2, 4), TrueInterval(4, 6, "hidden")], 5, 3, id="touching"),
        pytest.param([TrueInterval(2, 3), TrueInterval(3.8, 6, "small")], 5, 3, id="gap that the tolerance fills"),
        pytest.param([TrueInterval(2, 3), TrueInterval(5, 6)], 4, 4, id="gap wider than the tolerance"),
    ],
)
def test_precision_tolerates_half_a_second_at_both_ends(truth: list[TrueInterval], right: float, wrong: float) -> None:
    time = named_time(truth, [(0, 8)])
    assert (time.right_s, time.wrong_s) == pytest.approx((right, wrong))


def test_people_are_counted_separately_and_a_false_name_too() -> None:
    truth = {"Ada": _clear((0, 10)), "Bob": _clear((5, 10))}
    shown: dict[str, list[Interval]] = {"Ada": [(0, 10)], "Cleo": [(6, 7)]}
    times = named_times(truth, shown)
    assert list(times) == ["Ada", "Bob", "Cleo"]
    assert astuple(times["Ada"]) == (10, 10, 10, 0, 0)
    assert astuple(times["Bob"]) == (5, 0, 0, 0, 0)
    assert astuple(times["Cleo"]) == (0, 0, 0, 0, 1)
    total = pool(times.values())
    assert total.recall == pytest.approx(10 / 15)
    assert total.precision == pytest.approx(10 / 11)


def test_swapped_names_are_wrong_for_both() -> None:
    total = pool(
        named_times({"Ada": _clear((0, 4)), "Bob": _clear((10, 14))}, {"Ada": [(10, 14)], "Bob": [(0, 4)]}).values()
    )
    assert astuple(total) == pytest.approx((8, 0, 0, 0, 8))
    assert total.f1 == 0


def test_ignored_seconds_change_no_ratio() -> None:
    assert NamedTime(clear_s=4, found_s=3, right_s=3, ignored_s=5, wrong_s=1).precision == 0.75


def test_ratios_without_seconds_are_none() -> None:
    nothing = NamedTime()
    assert (nothing.recall, nothing.precision, nothing.f1) == (None, None, None)
    never_named = NamedTime(clear_s=3)
    assert (never_named.recall, never_named.precision, never_named.f1) == (0, None, 0)
    assert StrangerTime().names_per_hour is None


def test_false_names_are_counted_per_hour() -> None:
    total = StrangerTime(60, 1, 2.5) + StrangerTime(120, 2, 4)
    assert (total.duration_s, total.named_tracks, total.named_s) == (180, 3, 6.5)
    assert total.names_per_hour == pytest.approx(60)


def test_an_interval_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ends at 3 before it starts at 5"):
        TrueInterval(5, 3)


# Multiples of 1/8 make every sum exact, so that a grid of that step is a reference and not an approximation.
_STEP = 0.125
_EIGHTHS = st.integers(0, 160).map(lambda n: n * _STEP)
_SPAN = st.tuples(_EIGHTHS, _EIGHTHS).map(lambda pair: (min(pair), max(pair)))
_SPANS = st.lists(_SPAN, max_size=5)


@given(clear=_SPANS, small=_SPANS, shown=_SPANS, ignored=_SPANS)
def test_seconds_agree_with_counting_cells(
    clear: list[Interval], small: list[Interval], shown: list[Interval], ignored: list[Interval]
) -> None:
    """Count cells of an eighth of a second by the words of the definition, without interval arithmetic."""
    reach = 4  # cells in the tolerance

    def cells(intervals: list[Interval]) -> set[int]:
        return {n for start, end in intervals for n in range(int(start / _STEP), int(end / _STEP))}

    def near(there: set[int]) -> set[int]:
        return {n + d for n in there for d in range(-reach, reach + 1)}

    is_clear, is_shown = cells(clear), cells(shown)
    at_end = {n for n in is_clear if any(n + d not in is_clear for d in range(-reach, reach + 1))}
    found = is_clear & (is_shown | (at_end & near(is_shown)))
    right = is_shown & near(is_clear | cells(small))
    elsewhere = is_shown - right
    expected = (is_clear, found, right, elsewhere & cells(ignored), elsewhere - cells(ignored))

    truth = [TrueInterval(a, b) for a, b in clear] + [TrueInterval(a, b, "small") for a, b in small]
    time = named_time(truth, shown, ignored)
    assert astuple(time) == pytest.approx(tuple(len(part) * _STEP for part in expected))
    assert time.named_s == pytest.approx(len(is_shown) * _STEP)
