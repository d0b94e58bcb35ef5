"""A network of one's own, from its file to names: ``facerec weights add``, ``facerec cohort fetch``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.command import ask, run
from tests.unit.facerec_models.analysis.test_onnx_file import MINE, Small, describe, export

COHORT = ("cohort", "fetch", "lfw", "--embedder", "onnx", "--people", "240", "--folder")


def test_a_network_is_added_measured_and_used(tmp_path: Path, eval_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_ANALYSIS__EMBEDDING__EMBEDDER", "onnx")
    home = tmp_path / "home"
    assert "facerec weights add" in run(home, "people", "import", eval_data / "gallery", code=1).error
    manifest = describe(export(Small(), tmp_path / "net.onnx", (2, 3, 112, 112)))
    assert "Next: facerec cohort fetch lfw --embedder my-net" in run(home, "weights", "add", manifest).stdout
    assert ask(home, "weights", "add", manifest)["name"] == MINE
    assert ask(home, "weights", "list")[-1] == {
        "name": MINE, "status": "present", "path": str(home / "weights" / f"{MINE}.onnx"), "terms": "MIT",
    }  # fmt: skip
    people = tmp_path / "people"
    people.mkdir()
    for who in sorted((eval_data / "gallery").iterdir())[:2]:
        (people / who.name).symlink_to(who)
    assert f"facerec cohort fetch lfw --embedder {MINE}" in run(home, "people", "import", people, code=1).error

    found = ask(home, *COHORT, eval_data / "lfw_verify")
    assert (found["embedder"], found["source"].partition(":")[0]) == (MINE, "Labeled Faces in the Wild")
    assert found["strangers"] > 200
    run(home, "people", "import", people)
    assert ask(home, "cohort", "show") == found
    run(home, "train")
    assert ask(home, "models", "list")[0]["embedder"] == MINE
    # What is made of other pictures counts from the next version on.
    version = ask(home, "identify", "--preview")["version"]
    run(home, *COHORT, eval_data / "lfw_verify")
    assert ask(home, "identify", "--preview")["version"] == version + 1
    # Another network of that name has no cohort: what the former one's strangers score says nothing of it.
    for path in (home / "weights").glob(f"{MINE}.*"):
        if "cohort" not in path.name:
            path.unlink()
    run(home, "weights", "add", describe(tmp_path / "net.onnx", colour_order="bgr"))
    assert f"facerec cohort fetch lfw --embedder {MINE}" in run(home, "train", code=1).error
    assert "engine" in next(
        line for line in run(home, "doctor").stdout.splitlines() if f"embedder {MINE}: openvino" in line
    )
