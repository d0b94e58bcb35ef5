from __future__ import annotations

import math

import pytest

from facerec_models.metrics import RecordCount, ShownName, TrueInterval, best_f1, count_records, sweep

TRUTH = {
    "Ada": [TrueInterval(0, 10), TrueInterval(20, 30)],
    "Bob": [TrueInterval(20, 30), TrueInterval(0, 10, "small")],
}
PARTS = [(0.0, 10.0), (20.0, 30.0), (40.0, 50.0)]


def count(*shown: tuple[str, float, float, float]) -> RecordCount:
    return count_records(TRUTH, PARTS, [ShownName(*name) for name in shown])


def test_a_record_is_found_where_its_person_is_shown() -> None:
    counted = count(("Ada", 9, 12, 0.8), ("Bob", 22, 23, 0.9), ("Bob", 25, 26, 0.7))
    assert counted.found == (("Ada", 0.8), ("Ada", -math.inf), ("Bob", 0.9))
    assert counted.false == ()
    rates = counted.at(0)
    assert (rates.records, rates.found, rates.precision, rates.recall) == (3, 2, 1, pytest.approx(2 / 3))
    assert rates.f1 == pytest.approx(0.8)


def test_a_face_that_is_not_clear_is_no_record_and_no_false_answer() -> None:
    assert count(("Bob", 2, 3, 0.9)).false == ()
    assert count(("Bob", 2, 3, 0.9)).at(0).records == 3


def test_a_name_without_a_record_is_false_once_a_part() -> None:
    counted = count(
        ("Eve", 1, 2, 0.6), ("Eve", 3, 4, 0.7), ("Eve", 41, 42, 0.5), ("Ada", 45, 46, 0.9), ("Eve", 12, 18, 1)
    )
    assert sorted(counted.false) == [("Ada", 0.9), ("Eve", 0.5), ("Eve", 0.7)]
    assert counted.of("Eve").at(0).false == 2
    assert counted.of("Eve").at(0).f1 is None
    assert counted.people == ["Ada", "Bob", "Eve"]


def test_a_name_that_reaches_half_a_second_too_far_is_not_false() -> None:
    parts = [(0.0, 10.0), (10.0, 12.0)]
    assert count_records({"Ada": [TrueInterval(0, 10)]}, parts, [ShownName("Ada", 8, 10.4, 1)]).false == ()
    assert count_records({"Ada": [TrueInterval(0, 9)]}, parts, [ShownName("Ada", 8, 10.4, 1)]).false == (("Ada", 1),)


def test_ignored_time_is_not_false() -> None:
    shown = [ShownName("Eve", 41, 42, 1)]
    assert count_records(TRUTH, PARTS, shown, [(40, 43)]).false == ()
    assert len(count_records(TRUTH, PARTS, shown, [(41.5, 43)]).false) == 1


def test_the_curve_has_the_rates_at_every_confidence() -> None:
    counted = count(
        ("Ada", 1, 2, 0.9), ("Eve", 1, 2, 0.8), ("Ada", 21, 22, 0.7), ("Bob", 21, 22, 0.7), ("Eve", 41, 42, 0.2)
    )
    curve = [(p.threshold, p.found, p.false) for p in sweep(counted)]
    assert curve == [(0.9, 1, 0), (0.8, 1, 1), (0.7, 3, 1), (0.2, 3, 2)]
    best = best_f1(sweep(counted))
    assert best is not None
    assert (best.threshold, best.precision, best.recall) == (0.7, 0.75, 1)


def test_without_records_or_answers_nothing_is_defined() -> None:
    assert sweep(RecordCount()) == []
    assert best_f1([]) is None
    empty = RecordCount().at(0)
    assert (empty.precision, empty.recall, empty.f1) == (None, None, None)
    assert count().at(0.5).f1 == 0


def test_pooling_is_concatenation() -> None:
    a, b = count(("Ada", 1, 2, 0.9)), count(("Eve", 1, 2, 0.8))
    assert (a + b).at(0).records == 6
    assert (a + b).at(0).false == 1
