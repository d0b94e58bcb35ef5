"""Read a still picture as upright RGB, by its content and within limits; write an aligned face."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from facerec_models.config import LimitsConfig
from facerec_models.errors import ImageError, LimitExceededError
from facerec_models.types import ImageArray

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
_MOST_BYTES = 2**30
_CROP_JPEG_QUALITY = 95
_TIFF_PHOTOMETRIC = 262
_KINDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC and JPEG 2000"
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"),
    *(".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx"),
}
# The first 12 bytes of a HEIF file are a box of this type and the file's brand; Pillow reads those of AVIF itself.
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
# What files of the other kinds begin with, and the types of the boxes that those of AVIF, HEIC and JPEG 2000 do.
_HEADS = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II", b"MM", b"\xff\x4f\xff\x51")
_HEAD_BOXES = (b"ftyp", b"jP  ")
# Formats whose colours may have 16 bits a channel.
_DEEP = {"PNG", "TIFF", "JPEG2000"}
# A picture whose brightest place is below this part of the range is almost black: 12 or 14 bits kept in 16, or these made 8.
_DARK_16, _DARK_8 = 2**14, 2**5
# Fewer steps between black and white show nothing, however they are stretched.
_FEWEST_STEPS = 8
# What Pillow raises on damaged files: the first four were seen by flipping bytes, the others are in its plugins.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    RuntimeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    struct.error,
    cv2.error,
)


def read_image(source: Path | bytes, limits: LimitsConfig, *, name: str | None = None) -> ImageArray:
    """Read a picture: the first one, of a file with several.

    EXIF orientation is applied. Transparent parts become white, as on a page. 16 bits a channel are scaled to 8 over their full
    range. A picture that would be almost black, as 12 bits kept in 16 are, is scaled over the range that it uses.

    Parameters
    ----------
    source : Path or bytes
        A file, or the content of one; its name does not matter.
    limits : LimitsConfig
        Bounds on the size, checked in the header before anything is decoded.
    name : str, optional
        What to call the picture in messages; the path by default.

    Returns
    -------
    (H, W, 3) uint8
        RGB, upright.

    Raises
    ------
    ImageError
        If the picture is missing, of another kind, damaged or cut off.
    LimitExceededError
        If it is larger than ``limits.max_image_pixels``.

    Examples
    --------
    >>> from facerec_models.config import LimitsConfig
    >>> gray = np.full((2, 3, 3), 128, np.uint8)
    >>> read_image(encode_crop(gray), LimitsConfig()).shape
    (2, 3, 3)
    >>> read_image(b"no picture", LimitsConfig(), name="scan.tif")
    Traceback (most recent call last):
    facerec_models.errors.ImageError: 'scan.tif' is no picture of an allowed kind ...
    """
    label = repr(name if name is not None else str(source) if isinstance(source, Path) else "picture")
    with _open(source, label) as opened:
        pixels = opened.width * opened.height
        if pixels > limits.max_image_pixels:
            raise LimitExceededError(
                f"{label} has {opened.width}x{opened.height} = {pixels} pixels, more than limits.max_image_pixels = "
                f"{limits.max_image_pixels}; reduce the picture or raise the limit"
            )
        if opened.mode in ("I", "F"):
            raise ImageError(f"{label} has 32 bits a channel, whose range is not known; save it with 8 or 16 bits")
        # Pillow forgets both when it decodes.
        is_negative = opened.format == "TIFF" and opened.mode.startswith("I;16") and _photometric(opened) == 0
        try:
            opened.load()
            upright = ImageOps.exif_transpose(_to_8_bits(opened, source, is_negative=is_negative))
        except _DAMAGED as error:
            why = " ".join(str(error).split())
            raise ImageError(f"{label} is damaged or cut off ({why}); copy it again") from error
        if upright.mode == "RGBA":
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright).convert("RGB")
        return np.array(upright)


def may_be_picture(path: Path) -> bool:
    """Whether a file is called like a picture of an allowed kind, or has the first bytes of one."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head.startswith(_HEADS) or head[4:8] in _HEAD_BOXES


def picture_format(source: Path | bytes) -> str:
    """Return the kind of a picture that `read_image` reads, as Pillow calls it: ``JPEG``, ``HEIF``.

    Examples
    --------
    >>> picture_format(encode_crop(np.zeros((8, 8, 3), np.uint8)))
    'JPEG'
    """
    with _open(source, repr("picture")) as opened:
        return str(opened.format)


def picture_content(path: Path, *, name: str | None = None) -> bytes:
    """Return the content of a file that is to be a picture.

    Raises
    ------
    ImageError
        If there is no such file, or it may not be read.
    LimitExceededError
        If no picture is so large.
    """
    label = repr(name if name is not None else str(path))
    with _explaining(label):
        if path.stat().st_size > _MOST_BYTES:
            raise LimitExceededError(f"{label} has more than {_MOST_BYTES / 2**30:g} GiB; reduce the picture")
        return path.read_bytes()


def _open(source: Path | bytes, label: str) -> Image.Image:
    """Open a picture of an allowed kind; nothing is decoded."""
    # Pillow warns of large pictures; the limit is the one that counts.
    with _explaining(label), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        if _is_heif(source):
            return _open_heif(source, label)
        return Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=FORMATS)


@contextmanager
def _explaining(label: str) -> Iterator[None]:
    """Raise errors of ours for what goes wrong when a picture is opened."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise LimitExceededError(f"{label} has more pixels than Pillow opens ({error}); reduce it") from error
    except FileNotFoundError as error:
        raise ImageError(f"there is no file {label}; check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{label} is a directory; name a picture") from error
    except PermissionError as error:
        raise ImageError(f"{label} may not be read; check its permissions") from error
    except _DAMAGED as error:
        raise ImageError(f"{label} is no picture of an allowed kind ({_KINDS}); convert it or copy it again") from error


def _is_heif(source: Path | bytes) -> bool:
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(64)
    else:
        head = source[:64]
    # Of a general brand, those that it is compatible with tell: AVIF is Pillow's.
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and b"avif" not in head[16:]


def _open_heif(source: Path | bytes, label: str) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageError(
            f"{label} is a HEIC picture, which the package pillow-heif reads: install it (pip install pillow-heif) or "
            f"convert the picture to JPEG"
        ) from error
    return HeifImageFile(  # type: ignore[no-untyped-call]
        str(source) if isinstance(source, Path) else io.BytesIO(source)
    )


def _photometric(opened: Image.Image) -> int | None:
    value = opened.getexif().get(_TIFF_PHOTOMETRIC)
    return int(value) if value is not None else None


def _to_8_bits(opened: Image.Image, source: Path | bytes, *, is_negative: bool) -> Image.Image:
    """Return a picture that was decoded in mode ``RGB``, or ``RGBA`` where it is transparent; its orientation is kept."""
    if opened.mode.startswith("I;16"):
        wide = np.asarray(opened).astype(np.uint16)
        return _with_orientation(Image.fromarray(_narrow(65535 - wide if is_negative else wide)).convert("RGB"), opened)
    image = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    pixels = np.asarray(image)
    may_be_deep = opened.format in _DEEP
    colours = np.ascontiguousarray(pixels[..., :3])
    top = int((cv2.medianBlur(colours, 3) if may_be_deep else colours).max())
    # Pillow keeps the upper 8 bits of colours: 12 bits in 16 have lost all but 4. In JPEG 2000 it rounds white up to black.
    if may_be_deep and (top < _DARK_16 >> 8 or opened.format == "JPEG2000"):
        deep = _decode_deep(opened, source)
        if deep is not None:
            return _with_orientation(Image.fromarray(_narrow(deep)), opened)
    if not _FEWEST_STEPS <= top < _DARK_8:
        return image
    bright = pixels.copy()
    bright[..., :3] = np.minimum(colours.astype(np.uint16) * 255 // top, 255)
    return _with_orientation(Image.fromarray(bright), opened)


def _with_orientation(image: Image.Image, opened: Image.Image) -> Image.Image:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = opened.getexif().get(ExifTags.Base.Orientation, 1)
    image.info["exif"] = exif.tobytes()
    return image


def _decode_deep(opened: Image.Image, source: Path | bytes) -> npt.NDArray[np.uint16] | None:
    """Decode RGB or RGBA of 16 bits a channel, turned as Pillow's is; None where there are no more than 8."""
    data = source.read_bytes() if isinstance(source, Path) else source
    if opened.format == "JPEG2000" and _jpeg2000_bits(data) <= 8:
        return None
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.shape[:2] != (opened.height, opened.width):
        return None
    order = {2: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB}.get(
        decoded.ndim if decoded.ndim == 2 else decoded.shape[2], cv2.COLOR_BGRA2RGBA
    )
    return np.asarray(cv2.cvtColor(decoded, order), np.uint16)


def _jpeg2000_bits(data: bytes) -> int:
    """Return the bits of the first component, by the marker SIZ: ISO/IEC 15444-1, A.5.1."""
    ssiz = data.find(b"\xff\x4f\xff\x51") + 42
    return (data[ssiz] & 0x7F) + 1


def _narrow(wide: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Scale 16 bits to 8: over the full range, or over the range in use where that is a small part of it."""
    colours = wide if wide.ndim == 2 else wide[..., :3]
    # Without single bright pixels, which a sensor's faults are.
    quiet = cv2.medianBlur(np.ascontiguousarray(colours), 3)
    bottom, top = int(quiet.min()), int(quiet.max())
    narrow = ((wide.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if _FEWEST_STEPS <= top - bottom < _DARK_16:
        scaled = (np.clip(colours, bottom, top).astype(np.uint32) - bottom) * 255 // (top - bottom)
        if wide.ndim == 2:
            return scaled.astype(np.uint8)
        narrow[..., :3] = scaled
    return narrow


def encode_crop(crop: ImageArray) -> bytes:
    """Write an aligned face as a JPEG file.

    Parameters
    ----------
    crop : (S, S, 3) uint8
        RGB.
    """
    done, data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _CROP_JPEG_QUALITY])
    if not done:
        raise ValueError(f"crop of shape {crop.shape} could not be written as JPEG")
    return bytes(data)
