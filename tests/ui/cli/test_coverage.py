"""Parts of real footage that are analysed one after the other, by the command: what is then known of it, and who was asked for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from tests.ui.command import ask, run

# Of the six friends, those who are enrolled; the others are strangers.
PEOPLE = ("Joey_Tribbiani", "Monica_Geller", "Chandler_Bing", "Phoebe_Buffay")


@pytest.fixture(scope="module")
def trained(eval_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that knows three of the people in the footage."""
    root = tmp_path_factory.mktemp("friends")
    for person in PEOPLE:
        shutil.copytree(eval_data / "gallery" / person, root / "people" / person)
    run(root / "home", "people", "import", root / "people")
    run(root / "home", "train")
    return root / "home"


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def film(eval_data: Path) -> Path:
    return eval_data / "videos" / "friends_six_15s.mp4"


def recognize(home: Path, film: Path, *options: object) -> Any:
    return ask(home, "recognize", film, *options)


def answer(home: Path, film: Path) -> Any:
    """Return what the archive says about a video."""
    return json.loads(run(home, "export", film).stdout)


def labels(result: Any) -> set[str]:
    return {one["label"] for one in result["appearances"] if one["label"] != "Undecidable"}


def samples(result: Any) -> list[float]:
    return sorted(sample["time_s"] for track in result["tracks"] for sample in track["samples"])


def test_fragments_side_by_side_are_searched_exported_and_counted_together(
    home: Path, film: Path, tmp_path: Path
) -> None:
    alone = run(home, "recognize", film, "--fragment", "0,3")
    assert "facerec correct" not in alone.error
    first = recognize(home, film, "--fragment", "0,3")
    assert "Joey Tribbiani" in labels(first)
    second = recognize(home, film, "--fragment", "8,12")
    assert "Phoebe Buffay" in labels(second)
    assert (first["sampling"]["fragments"], second["sampling"]["fragments"]) == ([[0, 3]], [[8, 12]])
    whole = answer(home, film)
    assert whole["sampling"]["fragment"] == [0, 12]
    assert whole["sampling"]["fragments"] == [[0, 3], [8, 12]]
    assert labels(whole) == labels(first) | labels(second)
    assert samples(whole) == samples(first) + samples(second)
    assert whole["coverage"]["face_s"] == pytest.approx(first["coverage"]["face_s"] + second["coverage"]["face_s"])
    for person in PEOPLE:
        found = ask(home, "search", "person", person)
        times = [(one["start_s"], one["end_s"]) for one in found["items"]]
        expected = [(a["start_s"], a["end_s"]) for a in whole["appearances"] if a["person_id"] == person]
        assert times == expected
    strangers = {one["stranger"] for one in ask(home, "unknowns", "list")}
    assert strangers == {a["stranger"] for a in whole["appearances"] if a["stranger"]}
    assert {a["stranger"] for a in first["appearances"] if a["stranger"]} <= strangers
    listed = run(home, "videos", "list").stdout
    assert "0 to 3 s, 8 to 12 s" in listed
    assert ask(home, "videos", "list")[0]["fragments"] == [[0, 3], [8, 12]]
    shown = run(home, "videos", "show", film).stdout
    assert "0 to 3 s, 8 to 12 s, joined of a-" in shown
    run(home, "export", film, "--format", "annotated", "--out", tmp_path / "drawn.mp4")
    with Video(tmp_path / "drawn.mp4", LimitsConfig()) as drawn:
        assert sum(1 for _ in drawn.frames()) / drawn.info.fps == pytest.approx(7.0, abs=0.1)
    table = run(home, "recognize", film, "--fragment", "8,12")
    assert "only those from 8 to 12 s were analysed" in table.stdout
    assert "of 4.0 s" in table.stdout
    assert "'facerec correct' takes the track numbers of 'facerec export'" in table.error
    assert answer(home, film)["tracks"] == whole["tracks"]


def test_of_fragments_that_overlap_the_newer_counts_within_its_range(home: Path, film: Path) -> None:
    older = recognize(home, film, "--fragment", "0,4")
    newer = recognize(home, film, "--fragment", "3,6", "--sample-fps", "8")
    whole = answer(home, film)
    assert whole["sampling"]["fragments"] == [[0, 6]]
    assert [at for at in samples(whole) if at >= 3] == samples(newer)
    assert [at for at in samples(whole) if at < 3] == [at for at in samples(older) if at < 3]
    assert not [one for one in whole["tracks"] if (one["reason"] or "").startswith("the same")]


def test_a_fragment_of_a_film_that_was_analysed_leaves_its_answer(home: Path, film: Path) -> None:
    recognize(home, film, "--fragment", "8,12")
    whole = recognize(home, film)
    part = recognize(home, film, "--fragment", "0,3", "--sample-fps", "5")
    assert part["sampling"]["fragments"] == [[0, 3]]
    assert whole["sampling"]["fragments"] is None
    assert answer(home, film)["tracks"] == whole["tracks"]
    assert ask(home, "videos", "list")[0]["fragments"] is None


def test_what_was_corrected_in_a_fragment_holds_when_another_comes(home: Path, film: Path) -> None:
    first = recognize(home, film, "--fragment", "0,3")
    stranger = next(one for one in first["appearances"] if one["stranger"])
    ask(home, "unknowns", "name", stranger["label"], "Rachel Green")
    run(home, "people", "disable", *(face["face_id"] for face in ask(home, "people", "show", "Rachel_Green")))
    recognize(home, film, "--fragment", "8,12")
    assert "Rachel Green" in labels(answer(home, film))


def test_a_batch_says_whether_who_is_asked_for_was_found(home: Path, film: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "many.csv", tmp_path / "out"
    table.write_text(
        f"media,start,end,person\n{film},0,3,Joey Tribbiani\n\n{film},0,3,Chandler_Bing\n{film},8,12,Phoebe Buffay\n"
        f"{film},8,12,Gunther\nnone.mp4,,,Monica Geller\n"
    )
    run_ = run(home, "batch", table, "--out-dir", out, "--json", code=1)
    lines = [json.loads(line) for line in run_.stdout.splitlines()]
    assert [(one["line"], one["found"]) for one in lines] == [(2, True), (4, False), (5, True), (6, False), (7, None)]
    assert f"{table}, line 6: Gunther is not enrolled" in run_.error
    assert f"{table}, line 7: there is no file 'none.mp4'" in run_.error
    assert lines[4]["error"].startswith(f"{table}, line 7: ")
    first, second = (json.loads(Path(lines[i]["result"]).read_text()) for i in (0, 2))
    joey, chandler = first["asked_for"]
    assert (joey["person_id"], joey["identity"], joey["found"]) == ("Joey_Tribbiani", "Joey Tribbiani", True)
    assert joey["intervals"] == [
        [a["start_s"], a["end_s"]] for a in first["appearances"] if a["person_id"] == "Joey_Tribbiani"
    ]
    assert (chandler["enrolled"], chandler["found"], chandler["intervals"]) == (True, False, [])
    assert [(one["person_id"], one["enrolled"], one["found"]) for one in second["asked_for"]] == [
        ("Phoebe_Buffay", True, True), ("Gunther", False, False),
    ]  # fmt: skip
    assert answer(home, film)["sampling"]["fragments"] == [[0, 3], [8, 12]]
    assert answer(home, film)["asked_for"] == []
    table.write_text(f"media,start,end,person\n{film},0,3,Unknown 2\n")
    assert f"{table}, line 2: person name 'Unknown 2'" in run(home, "batch", table, "--out-dir", out, code=1).error
