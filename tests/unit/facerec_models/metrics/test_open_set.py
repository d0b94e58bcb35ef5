from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.metrics import FaceAnswer, fpir_limit, still_score, subject


def _face(nearest: str, rate: float, *, limit: float = 0.01, area_px: float = 100) -> FaceAnswer:
    return FaceAnswer(area_px, nearest if rate <= limit else None, nearest, rate)


UNDECIDABLE = FaceAnswer(100, None, None, math.inf)


def _json(decision: str, person_id: str | None) -> dict[str, object]:
    return {
        "box_xyxy": [10.0, 20.0, 40.0, 60.0],
        "score": 0.9,
        "quality": 0.8,
        "decision": decision,
        "person_id": person_id,
        "identity": None,
        "probability": 0.5,
        "false_name_rate": 0.02,
        "candidates": [
            {"person_id": "Ada", "similarity": 0.7, "probability": 0.6},
            {"person_id": "Bob", "similarity": 0.2, "probability": 0.1},
        ],
    }


@pytest.mark.parametrize(
    ("decision", "person_id", "expected"),
    [
        ("named", "Ada", FaceAnswer(1200, "Ada", "Ada", 0.02)),
        ("unknown", None, FaceAnswer(1200, None, "Ada", 0.02)),
        ("undecidable", None, FaceAnswer(1200, None, "Ada", math.inf)),
    ],
)
def test_an_undecidable_answer_has_an_infinite_rate(decision: str, person_id: str | None, expected: FaceAnswer) -> None:
    assert FaceAnswer.from_json(_json(decision, person_id)) == expected


def test_the_largest_face_is_the_subject() -> None:
    small, large = _face("Ada", 0.001, area_px=50), _face("Bob", 0.5, area_px=200)
    assert subject([small, large]) is large
    assert subject([]) is None


def test_pictures_are_counted_by_their_subjects() -> None:
    probes = [
        ("Ada", [_face("Ada", 0.001)]),  # named right
        ("Ada", [_face("Ada", 0.03)]),  # nearest, but unknown at the limit of the run
        ("Ada", [_face("Ada", 0.04)]),  # nearest, no better than the stranger that must stay out
        ("Ada", [_face("Bob", 0.005)]),  # named wrong
        ("Ada", [_face("Bob", 0.5, area_px=200), _face("Ada", 0.001)]),  # right name, on a bystander
        ("Bob", [FaceAnswer(100, None, "Bob", math.inf)]),  # nearest, but undecidable
        ("Bob", []),
        ("Bob", [_face("Bob", 0.01)]),  # named right, just so
    ]
    strangers = [
        [_face("Ada", 0.004), _face("Bob", 0.003)],  # two names, one picture
        [UNDECIDABLE, _face("Ada", 0.04)],
        [_face("Ada", 0.3)],
        [UNDECIDABLE],
        [],
    ]
    score = still_score(probes, strangers, max_fpir=0.2, limits=(0.01, 0.05, 0.5))
    assert (score.probes, score.strangers, score.without_face) == (8, 5, 1)
    assert (score.nearest_right, score.rank1) == (5 / 8, 4 / 8)
    assert score.named_right == 2 / 8
    assert score.named_wrong == 1 / 8
    assert score.fpir == 1 / 5
    assert (score.dir, score.dir_fpir, score.dir_limit) == (3 / 8, 1 / 5, 0.04)
    assert [(c.claimed, c.observed) for c in score.observed] == [(0.01, 1 / 5), (0.05, 2 / 5), (0.5, 3 / 5)]


def test_dir_without_a_stranger_that_is_accepted_needs_no_limit() -> None:
    score = still_score([("Ada", [_face("Ada", 1.0)]), ("Ada", [UNDECIDABLE])], [[UNDECIDABLE], []], max_fpir=0)
    assert (score.dir, score.dir_fpir, score.dir_limit) == (1 / 2, 0, math.inf)


@pytest.mark.parametrize("strangers", [[], [[UNDECIDABLE]]])
def test_no_rate_without_pictures(strangers: list[list[FaceAnswer]]) -> None:
    with pytest.raises(ValueError, match=r"need probes and strangers, not 0 and"):
        still_score([], strangers)


@pytest.mark.parametrize(
    ("rates", "max_fpir", "limit"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.0, 0.1),
        ([0.4, 0.3, 0.2, 0.1], 0.25, 0.2),
        ([0.1, 0.2, 0.2, 0.4], 0.5, 0.2),  # the tie stays out: three would be too many
        ([0.1, math.inf, math.inf, math.inf], 0.25, math.inf),
        ([0.1, 0.2], 1.0, math.inf),
        ([n / 100 for n in range(100)], 0.29, 0.29),  # 0.29 * 100 < 29 in floating point
    ],
)
def test_the_limit_lets_in_the_largest_fraction_that_is_allowed(
    rates: list[float], max_fpir: float, limit: float
) -> None:
    assert fpir_limit(rates, max_fpir) == limit


@given(
    rates=st.lists(st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.5, 1.0, math.inf]), min_size=1, max_size=40),
    max_fpir=st.floats(0, 1),
)
def test_fpir_stays_within_what_was_asked(rates: list[float], max_fpir: float) -> None:
    limit = fpir_limit(rates, max_fpir)
    assert sum(rate < limit for rate in rates) / len(rates) <= max_fpir + 1e-9
