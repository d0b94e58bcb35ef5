from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from facerec_models.errors import InputError
from training.evaluation.counting import Evaluation
from training.evaluation.counting import evaluate as count
from training.evaluation.report import as_text, write_report
from training.evaluation.results import read_results
from training.evaluation.truth import read_truths


def evaluate(truth: Path, results: Path) -> Evaluation:
    return count(read_truths(truth), read_results(results))


def _truth(**people: Sequence[tuple[float, float, str]]) -> dict[str, Any]:
    return {
        "video": "clip.mp4",
        "duration_s": 60.0,
        "fps": 25.0,
        "people": [
            {"name": name, "intervals": [{"start": a, "end": b, "visibility": v} for a, b, v in intervals]}
            for name, intervals in people.items()
        ],
        "no_gallery_person_expected": not people,
        "ignore_intervals": [],
    }


def _result(*appearances: tuple[str | None, float, float], complete: bool = True) -> dict[str, Any]:
    """A result document with one track an appearance."""
    return {
        "schema": "facerec.result/1",
        "video": {"id": "v1", "uri": "clip.mp4", "duration_s": 60.0, "complete": complete, "warnings": []},
        "project": "default",
        "appearances": [
            {"person_id": person, "stranger": None, "label": person or "Undecidable", "start_s": a, "end_s": b}
            for person, a, b in appearances
        ],
        "tracks": [
            {"track_id": n, "person_id": person, "decision": "named" if person else "undecidable"}
            for n, (person, _, _) in enumerate(appearances, 1)
        ],
    }


class Folders:
    """A folder of truths and one of results."""

    def __init__(self, root: Path) -> None:
        self.truth, self.results = root / "truth", root / "results"
        self.truth.mkdir()
        self.results.mkdir()

    def add(self, stem: str, truth: dict[str, Any] | None, result: dict[str, Any] | None) -> None:
        for folder, document in ((self.truth, truth), (self.results, result)):
            if document is not None:
                (folder / f"{stem}.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


@pytest.fixture
def three_clips(folders: Folders) -> Folders:
    """The worked example, a clip that shows two people, and one of strangers."""
    folders.add("example", _truth(Ada=[(10, 14, "clear"), (14, 16, "small")]), _result(("Ada", 11, 18), (None, 10, 11)))
    folders.add(
        "pair",
        _truth(Ada=[(0, 10, "clear")], Bob=[(0, 6, "clear")]),
        _result(("Ada", 0, 6), ("Ada", 4, 10), ("Bob", 20, 22), complete=False),
    )
    folders.add("crowd", _truth(), _result(("Bob", 5, 8), ("Bob", 30, 31), (None, 0, 50)))
    return folders


def test_pooled(three_clips: Folders) -> None:
    pooled = evaluate(three_clips.truth, three_clips.results).pooled
    assert pooled.recall == pytest.approx((3 + 10) / (4 + 16))
    assert (pooled.right_s, pooled.wrong_s) == pytest.approx((5.5 + 10, 1.5 + 2 + 4))


def test_per_video(three_clips: Folders) -> None:
    crowd, example, pair = evaluate(three_clips.truth, three_clips.results).videos
    assert (crowd.name, example.name, pair.name) == ("crowd", "example", "pair")
    assert (example.total.recall, example.total.precision) == pytest.approx((0.75, 5.5 / 7))
    assert (crowd.total.recall, crowd.total.precision) == (None, 0)
    assert (pair.people["Ada"].recall, pair.people["Bob"].recall) == (1, 0)
    assert (crowd.is_complete, pair.is_complete) == (True, False)


def test_strangers_are_counted_on_their_videos_only(three_clips: Folders) -> None:
    evaluation = evaluate(three_clips.truth, three_clips.results)
    assert {video.name: video.strangers is not None for video in evaluation.videos} == {
        "crowd": True,
        "example": False,
        "pair": False,
    }
    strangers = evaluation.strangers
    assert (strangers.duration_s, strangers.named_tracks, strangers.named_s) == (60, 2, 4)
    assert strangers.names_per_hour == pytest.approx(120)


def test_per_person(three_clips: Folders) -> None:
    people = evaluate(three_clips.truth, three_clips.results).people
    assert list(people) == ["Ada", "Bob"]
    assert people["Ada"].recall == pytest.approx(13 / 14)
    assert people["Bob"].recall == 0
    assert people["Bob"].wrong_s == pytest.approx(6)


def test_ignored_time_is_not_wrong(folders: Folders) -> None:
    folders.add("clip", _truth(Ada=[(0, 2, "clear")]) | {"ignore_intervals": [[10, 20]]}, _result(("Ada", 15, 22)))
    total = evaluate(folders.truth, folders.results).pooled
    assert (total.ignored_s, total.wrong_s) == (5, 2)


def test_names_match_in_either_unicode_form(folders: Folders) -> None:
    folders.add("clip", _truth(**{"Zoe\u0308": [(0, 4, "clear")]}), _result(("Zo\u00eb", 0, 4)))
    assert evaluate(folders.truth, folders.results).pooled.recall == 1


def test_result_without_truth_is_named_and_not_counted(folders: Folders) -> None:
    folders.add("clip", _truth(Ada=[(0, 4, "clear")]), _result(("Ada", 0, 4)))
    folders.add("other", None, _result(("Ada", 0, 60)))
    evaluation = evaluate(folders.truth, folders.results)
    assert evaluation.without_truth == ("other",)
    assert evaluation.pooled.wrong_s == 0
    assert "no truth: other" in as_text(evaluation)


def test_missing_result_is_an_error(folders: Folders) -> None:
    folders.add("clip", _truth(), _result())
    folders.add("hard", _truth(), None)
    with pytest.raises(InputError, match=r"no result for hard: run `facerec recognize`"):
        evaluate(folders.truth, folders.results)


def test_no_truth_is_an_error(folders: Folders) -> None:
    folders.add("clip", None, _result())
    with pytest.raises(InputError, match=r"holds no truth"):
        evaluate(folders.truth, folders.results)


@pytest.mark.parametrize(
    ("truth", "result", "message"),
    [
        (_truth(Ada=[(4, 2, "clear")]), _result(), r"clip\.json is no truth .*end 2\.0 lies before start 4\.0"),
        (_truth(Ada=[(2, 4, "seen")]), _result(), r"no truth .*people\.0\.intervals\.0\.visibility"),
        (_truth() | {"duration_s": 0}, _result(), r"no truth .*duration_s"),
        (_truth() | {"ignore_intervals": [[5, 1]]}, _result(), r"no truth .*ignore_intervals\.0"),
        (_truth(), _result() | {"schema": "facerec.result/2"}, r"no result .*schema"),
        (_truth(), {"Ada": [[0, 4]]}, r"no result .*schema: Field required"),
    ],
)
def test_unusable_document_is_named(
    folders: Folders, truth: dict[str, Any], result: dict[str, Any], message: str
) -> None:
    folders.add("clip", truth, result)
    with pytest.raises(InputError, match=message):
        evaluate(folders.truth, folders.results)


def test_text_that_is_no_json_is_named(folders: Folders) -> None:
    folders.add("clip", _truth(), None)
    (folders.results / "clip.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"clip\.json is no result of a video: the file: Invalid JSON"):
        evaluate(folders.truth, folders.results)


def test_report(three_clips: Folders, tmp_path: Path) -> None:
    evaluation = evaluate(three_clips.truth, three_clips.results)
    write_report(evaluation, tmp_path / "new" / "report", page=False)
    document = json.loads((tmp_path / "new" / "report" / "report.json").read_text(encoding="utf-8"))
    assert document["schema"] == "facerec.evaluation/1"
    assert document["pooled"]["recall"] == pytest.approx(0.65)
    assert document["videos"]["example"]["people"]["Ada"]["precision"] == pytest.approx(5.5 / 7)
    assert document["videos"]["crowd"]["total"]["recall"] is None
    assert document["strangers"] == {"duration_s": 60, "named_tracks": 2, "named_s": 4, "names_per_hour": 120}
    assert (tmp_path / "new" / "report" / "report.txt").read_text(encoding="utf-8") == as_text(evaluation)


def test_table(three_clips: Folders) -> None:
    text = as_text(evaluate(three_clips.truth, three_clips.results))
    rows = {line.split("  ")[0]: line.split()[-8:] for line in text.splitlines() if line}
    assert rows["example"] == ["0.750", "0.786", "0.767", "4.0", "3.0", "5.5", "0.0", "1.5"]
    assert rows["crowd"] == ["-", "0.000", "-", "0.0", "0.0", "0.0", "0.0", "4.0"]
    assert "pair (incomplete)" in rows
    assert "nobody enrolled, 60 s: 2 named tracks, 4.0 named s, 120.0 false names an hour" in text
    header, first = text.splitlines()[:2]
    assert len(header) == len(first)


def test_real_truth_against_itself(eval_data: Path, folders: Folders) -> None:
    """A result that shows everybody exactly when the annotator saw them is perfect; one second late it is not."""
    truths = {path.stem: json.loads(path.read_bytes()) for path in (eval_data / "videos").glob("*.json")}
    for late_s, is_perfect in ((0.0, True), (1.0, False)):
        for stem, truth in truths.items():
            shown = [
                (person["name"], span["start"] + late_s, span["end"] + late_s)
                for person in truth["people"]
                for span in person["intervals"]
            ]
            folders.add(stem, truth, _result(*shown))
        pooled = evaluate(folders.truth, folders.results).pooled
        assert pooled.clear_s == pytest.approx(sum(p["seconds_clear"] for t in truths.values() for p in t["people"]))
        assert (pooled.recall == pytest.approx(1)) is is_perfect
        assert (pooled.precision == pytest.approx(1)) is is_perfect


def test_needs_no_heavy_library() -> None:
    heavy = {"ray", "torch", "gradio", "cv2", "matplotlib"}
    script = f"import sys, training.evaluation.report; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
