from __future__ import annotations

import io
import logging
import resource
import struct
import sys
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image

from facerec_models.config import LimitsConfig
from facerec_models.errors import ImageError, LimitExceededError
from facerec_models.images import read_image
from facerec_models.types import ImageArray

LIMITS = LimitsConfig()
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "HEIC")


def _encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _heic(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=90, **options)
    return file.getvalue()


def _content(image: Image.Image, kind: str) -> bytes:
    return _heic(image) if kind == "HEIC" else _encode(image, kind)


def _tiff(pixels: npt.NDArray[np.uint16], photometric: int) -> bytes:
    """Write what Pillow does not: 16-bit gray whose 0 may be white."""
    height, width = pixels.shape
    data = pixels.astype("<u2").tobytes()
    entries = {256: width, 257: height, 258: 16, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + directory + bytes(4)


def _deep(kind: str, pixels: npt.NDArray[np.uint16]) -> bytes:
    """Write 16 bits a channel, which Pillow cannot."""
    done, data = cv2.imencode(
        f".{kind}", pixels[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] * (kind == "jp2")
    )
    assert done
    return bytes(data)


def _corners() -> Image.Image:
    """Four flat quarters, so that every turn and every colour can be told."""
    array = np.zeros((64, 96, 3), np.uint8)
    array[:32, :48], array[:32, 48:] = (250, 20, 20), (20, 220, 20)
    array[32:, :48], array[32:, 48:] = (20, 20, 230), (240, 240, 240)
    return Image.fromarray(array)


@pytest.mark.parametrize(
    ("kind", "mode", "tolerance"),
    [
        ("PNG", "RGB", 0),
        ("BMP", "RGB", 0),
        ("TIFF", "RGB", 0),
        ("PNG", "RGBA", 0),
        ("PNG", "P", 40),
        ("GIF", "P", 40),
        ("JPEG", "RGB", 4),
        ("WEBP", "RGB", 6),
        ("AVIF", "RGB", 8),
        ("JPEG2000", "RGB", 0),
        ("JPEG", "CMYK", 4),
        ("TIFF", "CMYK", 0),
    ],
)
def test_every_format_and_mode_keeps_its_colours(kind: str, mode: str, tolerance: int) -> None:
    content = _encode(_corners().convert(mode), kind)
    image = read_image(content, LIMITS)
    assert image.dtype == np.uint8
    for y, x in ((16, 24), (16, 72), (48, 24), (48, 72)):
        assert np.abs(image[y, x].astype(int) - np.asarray(_corners())[y, x]).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    # How a camera stores a scene under each orientation: the inverse of what the reader has to do.
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = _corners().transpose(turn[orientation]) if orientation > 1 else _corners()
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(read_image(_encode(stored, exif=exif), LIMITS), np.asarray(_corners()))


def test_sixteen_bit_gray_is_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        image = read_image(_encode(Image.fromarray(ramp), kind), LIMITS)
        assert np.array_equal(image[..., 0].ravel(), np.arange(256))
        assert (image[..., 0] == image[..., 2]).all()


@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_and_bitmap_become_three_equal_channels(mode: str) -> None:
    image = read_image(_encode(_corners().convert("L").point(lambda v: 255 * (v > 128)).convert(mode)), LIMITS)
    assert image.shape == (64, 96, 3)
    assert image[48, 72].tolist() == [255, 255, 255]
    assert image[48, 24].tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(mode: str) -> None:
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.paste((100, 100, 100, 255), (0, 0, 4, 8))
    image = read_image(_encode(picture.convert(mode)), LIMITS)
    assert image[4, 1].tolist() == [100, 100, 100]
    assert image[4, 6].tolist() == [255, 255, 255]


def test_transparent_palette_becomes_white() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0, 200, 10, 10])
    picture.paste(1, (0, 0, 4, 8))
    image = read_image(_encode(picture, transparency=0), LIMITS)
    assert image[4, 1].tolist() == [200, 10, 10]
    assert image[4, 6].tolist() == [255, 255, 255]


def test_an_animation_gives_its_first_picture() -> None:
    first, second = Image.new("RGB", (8, 8), (200, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 200))
    for kind in ("GIF", "WEBP"):
        content = _encode(first, kind, save_all=True, append_images=[second])
        assert read_image(content, LIMITS)[4, 4, 0] > 150


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "PCX", "EPS"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(ImageError, match=r"'upload\.png' is no picture of an allowed kind"):
        read_image(_encode(_corners(), kind), LIMITS, name="upload.png")


def _ramp(top: int) -> npt.NDArray[np.uint16]:
    return np.linspace(0, top, 64 * 64).astype(np.uint16).reshape(64, 64)


@pytest.mark.parametrize("top", [1023, 4095, 16383])
def test_gray_that_uses_a_small_part_of_16_bits_is_scaled_over_it(top: int) -> None:
    expected = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    for kind in ("PNG", "TIFF"):
        image = read_image(_encode(Image.fromarray(_ramp(top)), kind), LIMITS)
        assert np.abs(image[..., 0] - expected).max() <= 2
    # A sensor's single bright pixel does not make it black again, nor does another level of black.
    faulty = _ramp(top) + np.uint16(20_000)
    faulty[30, 30] = 65535
    image = read_image(_encode(Image.fromarray(faulty)), LIMITS)
    assert np.abs(image[..., 1] - expected)[np.arange(64) != 30].max() <= 4


@pytest.mark.parametrize("kind", ["png", "tiff", "jp2"])
@pytest.mark.parametrize("top", [4095, 16383, 65535])
def test_colours_of_16_bits_keep_their_steps_whatever_part_of_the_range_they_use(kind: str, top: int) -> None:
    ramp = _ramp(top)
    image = read_image(_deep(kind, np.stack([ramp, ramp[::-1], ramp // 2], axis=-1)), LIMITS)
    expected = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    assert np.abs(image[..., 0] - expected).max() <= 4
    assert np.abs(image[..., 1] - expected[::-1]).max() <= 4
    assert np.abs(image[..., 2] - expected / 2).max() <= 4


def test_deep_colours_are_turned_like_others() -> None:
    ramp = _ramp(4095)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = bytearray(_deep("png", np.stack([ramp] * 3, axis=-1)))
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    content[33:33] = chunk  # after the header
    expected = np.rot90(np.linspace(0, 255, 64 * 64).reshape(64, 64), -1)
    assert np.abs(read_image(bytes(content), LIMITS)[..., 0] - expected).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_an_8_bit_picture_that_is_almost_black_is_scaled_over_its_range(mode: str) -> None:
    gray = (_ramp(4095) >> 8).astype(np.uint8)
    picture = Image.fromarray(gray).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(np.where(np.arange(64) < 8, 0, 255).astype(np.uint8)[None].repeat(64, 0)))
    image = read_image(_encode(picture), LIMITS)
    assert np.abs(image[:, 8:, 0].astype(int) - gray[:, 8:].astype(int) * 17).max() <= 1
    if mode == "RGBA":
        assert (image[:, :8] == 255).all()


def test_dark_and_black_pictures_stay_as_they_are() -> None:
    for top in (5, 40, 255):
        gray = (np.arange(64 * 64).reshape(64, 64) * top // (64 * 64 - 1)).astype(np.uint8)
        assert np.array_equal(read_image(_encode(Image.fromarray(gray)), LIMITS)[..., 0], gray)


@pytest.mark.parametrize("top", [4095, 65535])
def test_a_negative_is_shown_as_the_picture_it_is_of(top: int) -> None:
    positive, negative = (read_image(_tiff(_ramp(top), photometric), LIMITS) for photometric in (1, 0))
    assert np.abs(positive.astype(int) - np.linspace(0, 255, 64 * 64).reshape(64, 64, 1)).max() <= 2
    assert np.abs(255 - negative.astype(int) - positive).max() <= 1


def test_heic_keeps_its_colours_and_is_turned_once(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = _corners().transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "IMG_0.HEIC").write_bytes(_heic(stored, exif=exif.tobytes()))
    for image in (read_image(_heic(_corners()), LIMITS), read_image(tmp_path / "IMG_0.HEIC", LIMITS)):
        assert image.shape == (64, 96, 3)
        for y, x in ((16, 24), (16, 72), (48, 24), (48, 72)):
            assert np.abs(image[y, x].astype(int) - np.asarray(_corners())[y, x]).max() <= 8


def test_heic_is_refused_with_the_package_to_install_where_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    content = _heic(_corners())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"'a\.heic' is a HEIC picture.*pip install pillow-heif"):
        read_image(content, LIMITS, name="a.heic")


def test_a_large_heic_is_refused_by_its_header() -> None:
    with pytest.raises(LimitExceededError, match="96x64 = 6144 pixels"):
        read_image(_heic(_corners()), LimitsConfig(max_image_pixels=6143))


def test_32_bit_pictures_are_refused() -> None:
    for array in (np.ones((4, 4), np.float32), np.full((4, 4), 70_000, np.int32)):
        with pytest.raises(ImageError, match="32 bits a channel"):
            read_image(_encode(Image.fromarray(array), "TIFF"), LIMITS)


def test_the_limit_is_inclusive_and_named() -> None:
    content = _encode(_corners())
    read_image(content, LimitsConfig(max_image_pixels=64 * 96))
    with pytest.raises(LimitExceededError, match=r"96x64 = 6144 pixels.*max_image_pixels = 6143"):
        read_image(content, LimitsConfig(max_image_pixels=64 * 96 - 1))


def test_a_cut_off_picture_is_an_error_of_one_line() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    for kind in KINDS:
        content = _content(Image.fromarray(noise), kind)
        with pytest.raises(ImageError) as caught:
            read_image(content[: len(content) // 2], LIMITS, name="half")
        assert "'half'" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_picture_or_an_input_error(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "PIL")  # Pillow logs errors in TIFF headers
    content = _content(_corners(), kind)
    rng = np.random.default_rng(1)
    for _ in range(150):
        damaged = np.frombuffer(content, np.uint8).copy()
        where = rng.integers(0, min(len(damaged), 400), 3)
        damaged[where] = rng.integers(0, 256, 3)
        try:
            image: ImageArray = read_image(damaged.tobytes(), LIMITS)
        except (ImageError, LimitExceededError):
            continue
        assert image.ndim == 3


def test_paths_that_are_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"there is no file '.*nothing\.jpg'"):
        read_image(tmp_path / "nothing.jpg", LIMITS)
    with pytest.raises(ImageError, match="is a directory"):
        read_image(tmp_path, LIMITS)


def test_odd_files_are_read_or_refused_as_expected(eval_data: Path) -> None:
    odd = eval_data / "odd"
    for name in ("empty.jpg", "text_as.jpg", "truncated_half.jpg"):
        with pytest.raises(ImageError, match=name):
            read_image(odd / name, LIMITS)
    upright = read_image(odd / "webp.webp", LIMITS)
    for name in ("jpeg_named_png.png", "grey.jpg", "palette.png", "rgba_alpha.png", "grey16.png", "cmyk.jpg"):
        image = read_image(odd / name, LIMITS)
        assert image.shape == upright.shape, name
        assert np.corrcoef(image.mean(2).ravel(), upright.mean(2).ravel())[0, 1] > 0.9, name
    for name in ("exif_orient_3.jpg", "exif_orient_6.jpg"):
        image = read_image(odd / name, LIMITS)
        assert np.corrcoef(image.mean(2).ravel(), upright.mean(2).ravel())[0, 1] > 0.9, name
    assert read_image(odd / "one_pixel.png", LIMITS).shape == (1, 1, 3)
    (other_script,) = odd.glob("*ünïcode*")
    read_image(other_script, LIMITS)


def test_a_huge_picture_is_refused_before_it_is_decoded(eval_data: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LimitExceededError, match="14000x11000"):
            read_image(eval_data / "odd" / "huge_14000x11000_blank.png", LIMITS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB; decoded it is 150 MB or more
