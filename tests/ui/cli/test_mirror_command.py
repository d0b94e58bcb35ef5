"""A mirror in a picture and in a video, from enrolment to confirmation, by the command and with the real networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec_models.images import encode_crop
from facerec_models.types import ImageArray
from facerec_models.video_writer import VideoWriter
from tests.builders import sample_picture
from tests.ui.command import ask, run

FACE = np.ascontiguousarray(sample_picture("astronaut.png")[:300, 80:380])
WHY = "Eileen Collins, who is named beside it in the same frame"


def mirror() -> ImageArray:
    return np.ascontiguousarray(np.hstack([FACE, np.fliplr(FACE)]))


def write(path: Path) -> Path:
    with VideoWriter(path, 25, 600, 300) as writer:
        for shift in np.linspace(0, 12, 50).round().astype(int).tolist():
            writer.write(np.roll(mirror(), shift, axis=0))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    people = tmp_path / "people" / "Eileen_Collins"
    people.mkdir(parents=True)
    (people / "portrait.jpg").write_bytes(encode_crop(sample_picture("astronaut.png")))
    run(tmp_path / "home", "people", "import", people.parent)
    run(tmp_path / "home", "train")
    return tmp_path / "home"


def recognized(home: Path, video: Path) -> dict[int, dict[str, Any]]:
    return {track["track_id"]: track for track in ask(home, "recognize", video)["tracks"]}


def test_a_mirror_image_is_undecidable_until_it_is_confirmed(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror.png").write_bytes(encode_crop(mirror()))
    faces = json.loads(run(home, "faces", tmp_path / "mirror.png").stdout)["faces"]
    named, image = sorted(faces, key=lambda face: face["decision"])
    assert (named["identity"], named["reason"]) == ("Eileen Collins", None)
    assert image["decision"] == "undecidable"
    assert WHY in image["reason"]

    video = write(tmp_path / "mirror.mp4")
    tracks = recognized(home, video)
    assert sorted(track["decision"] for track in tracks.values()) == ["named", "undecidable"]
    table = run(home, "recognize", video).stdout
    assert "Undecidable" in table
    assert WHY in table
    csv = run(home, "export", video, "--format", "csv").stdout.splitlines()
    assert ",reason,why," in csv[0]
    assert [WHY in line for line in csv[1:]].count(True) == 1

    for track_id in tracks:
        run(home, "correct", video, track_id, "--is", "Eileen Collins")
    for again in ((), ("identify",), ("train", "--promote", "yes")):
        if again:
            run(home, *again)
        confirmed = recognized(home, video).values()
        assert [(track["identity"], track["reason"]) for track in confirmed] == [("Eileen Collins", None)] * 2
