from __future__ import annotations

import re
from html import unescape

import pytest

from facerec_models.result import CandidateView
from tests.results import Seen, make_result
from ui.pages import panels


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", html))


def test_rows_are_selectable_and_undecidable_ones_folded_away() -> None:
    html = panels.appearance_table(
        make_result(Seen("Ann Li", 0, 3), Seen("Undecidable", 1, 2), Seen("Unknown 1", 3, 4)), 2
    )
    rows = re.findall(r"<tr (.*?)>", html)
    assert [row.split('data-appearance="')[1][0] for row in rows] == ["0", "1", "2"]
    assert ['aria-current="true"' in row for row in rows] == [False, False, True]
    assert ["fr-undecidable" in row for row in rows] == [False, True, False]
    assert "show 1 that cannot be decided" in html


def test_a_mirror_image_is_not_folded_away_and_shows_its_reason() -> None:
    reason = "looks like Ann <Li>, who is named beside it in the same frame: a mirror"
    result = make_result(Seen("Ann Li", 0, 3), Seen("Undecidable", 1, 2, reason=reason))
    html = panels.appearance_table(result, None)
    assert ["fr-undecidable" in row for row in re.findall(r"<tr (.*?)>", html)] == [False, False]
    assert "cannot be decided" not in html
    assert reason in text_of(html)
    assert "L" + reason[1:] + "." in text_of(panels.evidence(result, result.appearances[1], [], []))


def test_the_runner_up_may_be_more_similar() -> None:
    result = make_result(Seen("Ann Li", 0, 3))
    for margin, text in ((0.05, "0.050 less similar"), (-0.05, "0.050 more similar")):
        other = CandidateView(person_id="Bob_Ray", similarity=0.9, probability=0.1)
        shown = result.appearances[0].evidence.model_copy(update={"runner_up": other, "margin": margin})
        page = text_of(panels.evidence(result, result.appearances[0].model_copy(update={"evidence": shown}), [], []))
        assert "Bob Ray (similarity 0.900)" in page
        assert text in re.sub(r"\s+", " ", page)


def test_a_table_without_undecidable_rows_has_nothing_to_unfold() -> None:
    assert "cannot be decided" not in panels.appearance_table(make_result(Seen("Ann Li", 0, 3)), None)
    assert "Nobody appears" in panels.appearance_table(make_result(), None)


def test_names_are_text_not_markup() -> None:
    result = make_result(Seen('<script>"x"</script>', 0, 3))
    view = result.appearances[0]
    picture = panels.ShownPicture(b"", "<b>")
    pages = [
        panels.appearance_table(result, 0),
        panels.face_gallery(result, {0: b""}, 0),
        panels.evidence(result, view, [picture], [picture]),
        panels.summary("<script>", result),
        panels.progress("<script>", 0.5),
        panels.notice("<script>", "<script>"),
    ]
    for html in pages:
        assert "<script>" not in html
        assert "<b><" not in html
        assert "script" in html


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (
            Seen("Ann Li", 0, 3, false_name_rate=1 / 2000),
            "Ann Li; fewer than 1 stranger in 300 would come this near to an enrolled person.",
        ),
        (Seen("Unknown 1", 0, 3, false_name_rate=0.28), "Nobody enrolled."),
        (Seen("Undecidable", 0, 3, reason="too small or blurred"), "Too small or blurred."),
    ],
)
def test_evidence_explains_the_decision(seen: Seen, says: str) -> None:
    result = make_result(seen)
    assert says in text_of(panels.evidence(result, result.appearances[0], [], []))


def test_an_unknown_face_is_explained_in_words_with_the_nearest_person() -> None:
    result = make_result(Seen("Unknown 1", 0, 3, probability=0.76, false_name_rate=0.28))
    other = CandidateView(person_id="Bob_Ray", similarity=0.412, probability=0.24)
    shown = result.appearances[0].evidence.model_copy(update={"runner_up": other, "margin": 0.1})
    page = text_of(panels.evidence(result, result.appearances[0].model_copy(update={"evidence": shown}), [], []))
    assert "Nobody enrolled; nearest is Bob Ray, not near enough." in page
    assert "%" not in page
    assert "runner-up" not in page


def test_enrolled_faces_are_shown_beside_those_in_the_video() -> None:
    result = make_result(Seen("Ann Li", 0, 3))
    seen, enrolled = panels.ShownPicture(b"one", "0:01.0"), panels.ShownPicture(b"two", "similarity 0.900")
    both = panels.evidence(result, result.appearances[0], [seen], [enrolled])
    assert both.index("b25l") < both.index("Nearest enrolled") < both.index("dHdv")
    assert "0:01.0" in text_of(both)
    assert "similarity 0.900" in text_of(both)
    assert "Nearest enrolled" not in panels.evidence(result, result.appearances[0], [seen], [])


def test_the_summary_counts_people_once_and_warns() -> None:
    result = make_result(Seen("Ann Li", 0, 3), Seen("Ann Li", 5, 6), Seen("Unknown 1", 5, 6))
    text = text_of(panels.summary("clip.mp4", result))
    assert "clip.mp4" in text
    assert "1 person named" in text
    assert "1 unknown" in text
    assert "fr-warning" not in panels.summary("clip.mp4", result)
    cut = result.model_copy(
        update={
            "video": result.video.model_copy(update={"complete": False, "warnings": ["frame 7 is broken"]}),
            "model": result.model.model_copy(update={"extrapolated": True}),
        }
    )
    text = text_of(panels.summary("clip.mp4", cut))
    for warning in ("not be read to its end", "frame 7 is broken", "extrapolated"):
        assert warning in text


def test_progress_without_a_figure_claims_none() -> None:
    assert "aria-valuenow" not in panels.progress("Opening", None)
    assert 'aria-valuenow="43"' in panels.progress("Looking", 0.43)
