from __future__ import annotations

from tests.results import Seen, make_result
from ui.views import APPEARANCE_COLUMNS, appearance_rows


def test_rows_show_label_times_and_what_the_decision_rests_on() -> None:
    result = make_result(
        Seen("Barack Obama", 3.44, 83.0, probability=0.974, false_name_rate=0.0005),
        Seen("Unknown 2", 3600.0, 3725.25, probability=0.9999, false_name_rate=0.28),
        Seen("Undecidable", 0.0, 1.0),
    )
    assert appearance_rows(result) == [
        ["Barack Obama", "0:03.4", "1:23.0", "fewer than 1 stranger in 300 would come this near to an enrolled person"],
        ["Unknown 2", "1:00:00.0", "1:02:05.2", "nobody enrolled"],
        ["Undecidable", "0:00.0", "0:01.0", "too small"],
    ]
    assert all(len(row) == len(APPEARANCE_COLUMNS) for row in appearance_rows(result))
    assert appearance_rows(make_result()) == []
