from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.builders import sample_picture
from tests.picture_site import PictureSite
from tests.ui.command import Ended, run
from tests.waiting import WAIT_S


@pytest.fixture
def site(site: PictureSite, monkeypatch: pytest.MonkeyPatch) -> PictureSite:
    """A site with three good pictures, one of several faces, one copy and one that is broken, fetched in their order."""
    monkeypatch.setenv("FACEREC_CRAWL__DELAY_S", "0.02")
    monkeypatch.setenv("FACEREC_CRAWL__THREADS", "1")
    face = sample_picture("astronaut.png")[0:300, 80:380]
    for name, image in {
        "front": face,
        "copy": face,
        "mirror": face[:, ::-1],
        "dark": (face[20:280, 10:290] * 0.6).astype(np.uint8),
        "pair": np.hstack([face, face]),
    }.items():
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG")
        site.put(f"/{name}.png", file.getvalue(), kind="image/png")
    site.put("/broken.png", b"\x89PNG no more", kind="image/png")
    names = ["front", "copy", "mirror", "dark", "pair", "broken"]
    site.put("/Eileen_Collins/", "".join(f'<img src="/{name}.png">' for name in names))
    return site


def crawl(home: Path, *arguments: object, code: int = 0) -> Ended:
    return run(home, "people", "crawl", *arguments, code=code)


def test_people_are_crawled_and_enrolled_and_a_second_run_completes(site: PictureSite, tmp_path: Path) -> None:
    source = f"site:{site.url}/{{name}}/"
    result = crawl(tmp_path, "Eileen Collins", "--source", source, "--max-num", 2, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 2
    assert set(lines[0]) == {"path", "person_id", "face_id", "status", "reason", "source"}
    assert {line["status"] for line in lines} == {"taken"}
    assert all(line["source"].startswith(site.url) for line in lines)
    site.asked.clear()
    result = crawl(tmp_path, "Eileen Collins", "--source", source, "--discard-multi-face", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    status = {line["source"].rpartition("/")[2]: (line["status"], line["reason"]) for line in lines}
    assert len(status) == 4
    assert status["pair.png"][0] == "refused"
    assert "2 faces" in status["pair.png"][1]
    assert not {"/front.png", "/mirror.png"} & set(site.paths())
    assert "of 20 pictures of 'Eileen Collins'" in result.stderr


def test_a_person_without_pictures_is_one_error_and_the_others_are_enrolled(site: PictureSite, tmp_path: Path) -> None:
    names = "Nobody At All;Eileen Collins"
    ended = crawl(tmp_path, names, "--max-num", 2, "--source", f"site:{site.url}/{{name}}/", code=1)
    errors = [line for line in ended.stderr.splitlines() if line.startswith("facerec: ")]
    assert len(errors) == 1
    assert "'Nobody At All'" in errors[0]
    assert "404" in errors[0]
    assert "Traceback" not in ended.stderr
    assert "Eileen Collins: 2 pictures fetched, 2 there: 2 taken" in ended.stdout


def test_an_interrupted_crawl_keeps_fetched_pictures(site: PictureSite, tmp_path: Path) -> None:
    ended, errors = threading.Event(), tmp_path / "errors"
    command = [sys.executable, "-m", "ui.cli", "people", "crawl", "Eileen Collins", "--home", str(tmp_path / "home")]
    command += ["--source", f"site:{site.url}/{{name}}/"]

    def interrupt(path: str) -> None:
        if path == "/mirror.png":  # the second that is kept
            process.send_signal(signal.SIGINT)
        elif path in ("/dark.png", "/pair.png"):
            ended.wait(WAIT_S)

    site.on_request = interrupt
    with errors.open("w") as file, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file) as process:
        try:
            assert process.wait(WAIT_S) == 130, errors.read_text()
        finally:
            ended.set()
    assert "Traceback" not in errors.read_text()
    folder = tmp_path / "home" / "projects" / "default" / "pictures" / "Eileen_Collins"
    kept = {path.name for path in folder.glob("*.png")}
    assert 1 <= len(kept) <= 2
    listed = json.loads((folder / "manifest.json").read_text())["pictures"]
    assert {picture["file"] for picture in listed} == kept


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["Ada", "--source", "yahoo"], "yahoo"),
        ([" ; "], "names nobody"),
        (["Ada;Grace", "--source", "urls:list.txt"], "same pictures"),
        (["Ada", "--max-num", "0"], "max-num"),
        (["Ada", "--project", "a/b"], "a/b"),
    ],
)
def test_usage_errors_end_with_2(tmp_path: Path, arguments: list[str], part: str) -> None:
    assert part in crawl(tmp_path, *arguments, code=2).error


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "none.txt" in crawl(tmp_path, "Ada", "--source", f"urls:{tmp_path}/none.txt", code=1).error
