"""Read a still picture as upright RGB, by its content and within limits; write an aligned face."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from facerec_models.config import LimitsConfig
from facerec_models.errors import ImageError, LimitExceededError
from facerec_models.types import ImageArray

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_CROP_JPEG_QUALITY = 95
_KINDS = "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF"
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
)


def read_image(source: Path | bytes, limits: LimitsConfig, *, name: str | None = None) -> ImageArray:
    """Read a picture: the first one, of a file with several.

    EXIF orientation is applied. Transparent parts become white, as on a page. 16-bit gray is scaled to 8 bits over its
    full range.

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
    """
    label = repr(name if name is not None else str(source) if isinstance(source, Path) else "picture")
    file: Path | io.BytesIO = source if isinstance(source, Path) else io.BytesIO(source)
    try:
        # Pillow warns of large pictures; the limit below is the one that counts.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(file, formats=FORMATS)
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
    with opened:
        pixels = opened.width * opened.height
        if pixels > limits.max_image_pixels:
            raise LimitExceededError(
                f"{label} has {opened.width}x{opened.height} = {pixels} pixels, more than limits.max_image_pixels = "
                f"{limits.max_image_pixels}; reduce the picture or raise the limit"
            )
        if opened.mode in ("I", "F"):
            raise ImageError(f"{label} has 32 bits a channel, whose range is not known; save it with 8 or 16 bits")
        try:
            opened.load()
            return _to_rgb(ImageOps.exif_transpose(opened))
        except _DAMAGED as error:
            raise ImageError(f"{label} is damaged or cut off ({error}); copy it again") from error


def _to_rgb(image: Image.Image) -> ImageArray:
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32)
        gray = ((wide + 128) // 257).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=2)
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
    return np.array(image.convert("RGB"))


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
