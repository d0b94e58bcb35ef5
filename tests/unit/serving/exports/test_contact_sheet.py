"""The contact sheet: a card for each appearance, with its face."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from facerec_models.result import CropView, Evidence, Result
from facerec_models.types import ImageArray
from serving.exports.colours import label_colours
from serving.exports.contact_sheet import to_contact_sheet
from tests.results import CONTEXT, Seen, make_result

RED = (210, 20, 30)


def jpeg(colour: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (150, 150), colour).save(data, "JPEG", quality=95)
    return data.getvalue()


def with_crops(result: Result) -> Result:
    views = [
        view.model_copy(
            update={
                "evidence": Evidence(
                    crops=[CropView(time_s=view.start_s, url=f"face:{view.track_ids[0]}")],
                    nearest=[],
                    runner_up=None,
                    margin=None,
                )
            }
        )
        for view in result.appearances
    ]
    return result.model_copy(update={"appearances": views})


def sheet(result: Result, faces: dict[str, bytes]) -> ImageArray:
    (data,) = to_contact_sheet([with_crops(result)], replace(CONTEXT, read_crop=faces.get))
    return np.asarray(Image.open(io.BytesIO(data)))


def area_of(picture: ImageArray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=2) < 12).sum())


def test_every_appearance_of_a_person_shows_its_face() -> None:
    result = make_result(Seen("Ann Lee", 0, 1), Seen("Ann Lee", 2, 3), Seen("Undecidable", 1, 2))
    two = sheet(result, {f"face:{i}": jpeg(RED) for i in (1, 2, 3)})
    assert 2 * 11_500 < area_of(two, RED) <= 2 * 112 * 112
    assert area_of(two, label_colours(result)["Ann Lee"]) > 300
    assert area_of(sheet(result, {"face:1": jpeg(RED)}), RED) <= 112 * 112


def test_a_picture_stays_small_whoever_is_found() -> None:
    everybody = [Seen(f"Ann {i // 40}", i, i + 1 + i % 7) for i in range(4000)]
    assert sheet(make_result(*everybody, duration_s=5000), {}).shape[0] < 20_000


def test_a_video_without_people_says_so() -> None:
    picture = sheet(make_result(), {})
    assert picture.shape[1] == 1600
    assert (picture < 128).any()
