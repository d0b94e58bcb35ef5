"""Stills that are read apart: as they are read here, and what of a lost reader."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_models.config import LimitsConfig
from facerec_models.confinement.pictures import is_picture_apart, picture_format_apart, read_image_apart
from facerec_models.errors import ImageError, LimitExceededError
from facerec_models.images import encode_crop, read_image
from tests.processes import confined_children, descriptors, nursery_pid, shared_memory
from tests.waiting import wait_until

LIMITS = LimitsConfig()
PICTURE = encode_crop(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))


def read_or_refuse(path: Path, reader: object) -> object:
    try:
        return reader(path, LIMITS)  # type: ignore[operator]
    except (ImageError, LimitExceededError) as error:
        return type(error), str(error)


def test_odd_files_are_read_and_refused_as_here(eval_data: Path) -> None:
    files = [path for path in sorted((eval_data / "odd").iterdir()) if path.suffix not in (".mp4", ".webm")]
    assert len(files) > 15
    for path in [*files, eval_data / "missing.jpg", eval_data]:
        here, apart = read_or_refuse(path, read_image), read_or_refuse(path, read_image_apart)
        if isinstance(here, np.ndarray):
            assert isinstance(apart, np.ndarray), apart
            np.testing.assert_array_equal(here, apart)
        else:
            assert here == apart
    assert picture_format_apart(eval_data / "odd" / "jpeg_named_png.png", LIMITS) == "JPEG"


def test_pictures_are_known_by_their_names_or_content(tmp_path: Path) -> None:
    unnamed, text, named = tmp_path / "portrait", tmp_path / "notes", tmp_path / "b.jpg"
    unnamed.write_bytes(PICTURE)
    text.write_text("II. notes on pictures")
    named.write_text("no picture")
    assert [is_picture_apart(path) for path in (unnamed, text, named, tmp_path / "none")] == [True, False, True, False]


@pytest.fixture
def stopped_reader() -> Iterator[int]:
    """A reader that does not answer any more: the only one that waits."""
    for pid in confined_children():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not confined_children())
    read_image_apart(PICTURE, LIMITS)
    (pid,) = confined_children()
    os.kill(pid, signal.SIGSTOP)
    yield pid
    assert pid not in confined_children()


def test_a_hang_is_that_pictures_failure(stopped_reader: int) -> None:
    with pytest.raises(ImageError, match=r"'a\.jpg' cannot be decoded: its decoder gave no sign of life for 0\.5 s"):
        read_image_apart(PICTURE, LimitsConfig(picture_timeout_s=0.5), name="a.jpg")
    assert read_image_apart(PICTURE, LIMITS).shape == (120, 160, 3)


def test_a_reader_that_was_lost_while_it_waited_is_nobodys_failure() -> None:
    for number in (signal.SIGSEGV, signal.SIGKILL):
        read_image_apart(PICTURE, LIMITS)
        for pid in confined_children():
            os.kill(pid, number)
        assert read_image_apart(PICTURE, LIMITS).shape == (120, 160, 3)


def test_a_picture_is_read_although_all_that_reads_was_lost() -> None:
    read_image_apart(PICTURE, LIMITS)
    os.kill(nursery_pid(), signal.SIGKILL)
    assert read_image_apart(PICTURE, LIMITS).shape == (120, 160, 3)


def test_memory_is_bounded(tmp_path: Path) -> None:
    done, data = cv2.imencode(".png", np.zeros((6000, 6000, 3), np.uint8))
    assert done
    small = LimitsConfig(decoder_memory_bytes=2**27)
    with pytest.raises(ImageError, match=r"needs more memory than the 0\.125 GiB that it may use; reduce it or raise"):
        read_image_apart(data.tobytes(), small, name="huge.png")
    assert read_image_apart(PICTURE, small).shape == (120, 160, 3)
    assert read_image_apart(data.tobytes(), LIMITS).shape == (6000, 6000, 3)


def test_nothing_is_left_of_two_hundred_pictures() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: read_image_apart(PICTURE, LIMITS), range(20)))
        before, shared = descriptors(), shared_memory()
        for number in range(10):
            read = list(pool.map(lambda _: read_image_apart(PICTURE, LIMITS), range(20)))
            assert {image.shape for image in read} == {(120, 160, 3)}
            os.kill(confined_children()[0], signal.SIGSEGV if number % 2 else signal.SIGKILL)
    assert read_image_apart(PICTURE, LIMITS).shape == (120, 160, 3)
    # Readers wait for the next picture, four at most, each with a socket.
    assert len(confined_children()) <= 4
    assert descriptors() <= before + 2
    assert shared_memory() == shared
