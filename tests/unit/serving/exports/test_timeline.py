from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerec_models.errors import InputError
from facerec_models.result import Result
from facerec_models.types import ImageArray
from serving.exports.colours import Colour, label_colour, label_colours
from serving.exports.timeline import draw_timeline, write_timeline
from tests.results import Seen, make_result

TRACK = (244, 244, 245)


def bars(image: ImageArray, colour: Colour) -> list[tuple[int, int]]:
    """First and last column of each run of a lane's colour."""
    columns = (image == colour).all(-1).sum(0) > 3
    edges = np.flatnonzero(np.diff(np.concatenate([[False], columns, [False]]).astype(int)))
    return [(int(start), int(end) - 1) for start, end in edges.reshape(-1, 2)]


def order(result: Result, image: ImageArray) -> list[str]:
    """Labels from top to bottom."""
    rows = {
        label: float(np.flatnonzero((image == colour).all(-1).sum(1) > 20).mean())
        for label, colour in label_colours(result).items()
    }
    return sorted(rows, key=lambda label: rows[label])


def test_people_come_before_strangers_each_by_screen_time() -> None:
    result = make_result(
        Seen("Undecidable", 0, 10),
        Seen("Unknown 1", 0, 3),
        Seen("Unknown 2", 0, 9),
        Seen("Ann Li", 0, 1),
        Seen("Bo Ek", 0, 1),
        Seen("Bo Ek", 4, 5),
        duration_s=10,
    )
    assert order(result, draw_timeline(result)) == ["Bo Ek", "Ann Li", "Unknown 2", "Unknown 1", "Undecidable"]


def test_bars_lie_at_their_times() -> None:
    result = make_result(
        Seen("Ann Li", 0, 10), Seen("Bo Ek", 2.5, 5), Seen("Bo Ek", 7.5, 8), Seen("Cy Ng", 0, 0.001), duration_s=10
    )
    image, colours = draw_timeline(result), label_colours(result)
    ((left, right),) = bars(image, colours["Ann Li"])
    width = right - left
    first, second = bars(image, colours["Bo Ek"])
    assert first == pytest.approx((left + 0.25 * width, left + 0.5 * width), abs=2)
    assert second == pytest.approx((left + 0.75 * width, left + 0.8 * width), abs=2)
    assert len(bars(image, colours["Cy Ng"])) == 1


def test_lanes_reach_over_what_was_analysed() -> None:
    result = make_result(Seen("Ann Li", 2, 3), Seen("Bo Ek", 8, 9), duration_s=10)
    whole = bars(draw_timeline(result), TRACK)  # the lines of the axis divide them
    left, width = whole[0][0], whole[-1][1] - whole[0][0]
    parts = {"fragment": (1.0, 99.0), "fragments": [(1.0, 4.0), (7.0, 99.0)]}
    result = result.model_copy(update={"sampling": result.sampling.model_copy(update=parts)})
    found = [
        ((start - left) / width * 10, (end - left) / width * 10) for start, end in bars(draw_timeline(result), TRACK)
    ]
    first, second = ([bar for bar in found if (bar[0] < 5) is is_first] for is_first in (True, False))
    assert (first[0][0], first[-1][1]) == pytest.approx((1, 4), abs=0.05)
    assert (second[0][0], second[-1][1]) == pytest.approx((7, 10), abs=0.05)


def test_overlapping_appearances_count_once() -> None:
    apart = make_result(Seen("Undecidable", 0, 2), Seen("Undecidable", 1, 3), Seen("Undecidable", 2.5, 2.6))
    joined = make_result(Seen("Undecidable", 0, 3))
    np.testing.assert_array_equal(draw_timeline(apart), draw_timeline(joined))


def test_cuts_are_marked_above_the_lanes() -> None:
    face = Seen("Ann Li", 0, 10)
    plain = draw_timeline(make_result(face, duration_s=10))
    cut = draw_timeline(make_result(face, duration_s=10, shots=[(0, 7.5), (7.5, 10)]))
    rows, columns = np.nonzero((plain != cut).any(-1))
    ((left, right),) = bars(plain, label_colour("Ann Li"))
    assert np.unique(columns).tolist() == [round(left + 0.75 * (right + 1 - left))]
    assert rows.max() < np.flatnonzero((plain == label_colour("Ann Li")).all(-1).any(1)).min()


def test_a_result_without_people_says_so() -> None:
    image = draw_timeline(make_result())
    assert image.shape[1:] == (1600, 3)
    assert image.dtype == np.uint8
    assert (image[40:120, 600:1000] < 160).any()


@pytest.mark.parametrize("width_px", [480, 1600])
def test_forty_lanes_fit_into_the_picture(width_px: int) -> None:
    names = [f"Maria Alexandrovna von Habsburg-Lothringen {i}" for i in range(40)]
    result = make_result(*(Seen(name, i * 100, i * 100 + 150) for i, name in enumerate(names)), duration_s=4100)
    image = draw_timeline(result, width_px=width_px)
    one = draw_timeline(make_result(Seen(names[0], 0, 150), duration_s=4100), width_px=width_px)
    assert image.shape[1] == width_px
    assert image.shape[0] > 8 * one.shape[0]
    # Nothing reaches into the margins, and a long label leaves most of the width to the bars.
    assert (image[:, : width_px // 80] == 255).all()
    assert (image[:, -width_px // 80 :] == 255).all()
    first_bar = min(start for colour in label_colours(result).values() for start, _ in bars(image, colour))
    assert np.flatnonzero((image < 80).all(-1).any(0)).max() < first_bar < width_px / 4


def test_faces_are_drawn_beside_their_lanes() -> None:
    result = make_result(Seen("Ann Li", 0, 2), Seen("Bo Ek", 0, 1))
    face = np.full((150, 150, 3), (10, 200, 30), np.uint8)
    image = draw_timeline(result, thumbnails={"Bo Ek": face, "Nobody": face})
    rows, columns = np.nonzero((image == (10, 200, 30)).all(-1))
    colour = label_colours(result)["Bo Ek"]
    lane = np.flatnonzero((image == colour).all(-1).sum(1) > 20)
    assert rows.mean() == pytest.approx(lane.mean(), abs=2)
    assert 30 < np.ptp(rows) == np.ptp(columns) < 60
    assert columns.max() < bars(image, colour)[0][0]


def test_a_result_that_outlasts_its_header_stays_in_the_picture() -> None:
    result = make_result(Seen("Ann Li", 0, 8), duration_s=4, shots=[(0, 8)])
    ((_, end),) = bars(draw_timeline(result), label_colour("Ann Li"))
    assert end < 1560


@pytest.mark.parametrize(("name", "kind"), [("t.png", "PNG"), ("t.JPG", "JPEG"), ("t.jpeg", "JPEG"), ("t", "PNG")])
def test_a_picture_is_of_the_kind_that_its_name_ends_in(tmp_path: Path, name: str, kind: str) -> None:
    result = make_result(Seen("Ann Li", 0, 8), duration_s=10)
    write_timeline(result, tmp_path / name)
    with Image.open(tmp_path / name) as written:
        assert (written.format, written.size) == (kind, draw_timeline(result).shape[1::-1])


def test_a_picture_that_is_too_tall_for_its_kind_is_refused(tmp_path: Path) -> None:
    result = make_result(*(Seen(f"Person {i}", 0, 1) for i in range(1600)))
    with pytest.raises(InputError, match="too tall for a JPEG"):
        write_timeline(result, tmp_path / "t.jpg")
    write_timeline(result, tmp_path / "t.png")
    assert [file.name for file in tmp_path.iterdir()] == ["t.png"]
