"""The manifest of an embedding network that a user brings as an ONNX file: what the file does not say of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from facerec_models.analysis.alignment import TEMPLATES, Template
from facerec_models.config import Config
from facerec_models.errors import SourceError, WeightsError

# Templates that many networks share. "arcface": InsightFace's for ArcFace and what followed it (Deng et al., "ArcFace", CVPR 2019).
_ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
_NAMED_TEMPLATES = {
    "arcface": Template(112, _ARCFACE),
    **dict(zip(("dlib", "facenet"), TEMPLATES, strict=True)),
}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ENDING = ".manifest.json"

Point = tuple[float, float]
Channels = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


class Manifest(Config):
    """What an ONNX file of a face-embedding network takes and returns.

    Examples
    --------
    >>> manifest = Manifest(name="my-net", file="net.onnx", sha256="0" * 64, input_size=112, template="arcface", dimension=512,
    ...                     mean=127.5, scale=127.5, licence="MIT")
    >>> manifest.aligned.size, manifest.mean
    (112, (127.5, 127.5, 127.5))
    """

    name: str = Field(description="What settings and results call it.")
    file: str = Field(description="The ONNX file, beside the manifest.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Its checksum.")
    input_size: int = Field(ge=32, le=512, description="Side of its square input in pixels.")
    template: Literal["arcface", "dlib", "facenet"] | tuple[Point, Point, Point, Point, Point] = Field(
        description="Where it wants left eye, right eye, nose, left and right corner of the mouth, as a viewer sees them, in pixels."
    )
    colour_order: Literal["rgb", "bgr"] = Field(default="rgb", description="The order of its input's channels.")
    mean: Channels = Field(
        default=(0.0, 0.0, 0.0), description="Taken off pixels of 0 to 255, in the order of colours."
    )
    scale: tuple[Positive, Positive, Positive] = Field(
        default=(1.0, 1.0, 1.0), description="What pixels are then divided by."
    )
    dimension: int = Field(ge=16, le=4096, description="Length of its embeddings.")
    tint: bool = Field(
        default=False, description="Whether gray faces get colours first, for a network that has learned few of them."
    )
    licence: str = Field(min_length=1, description="Its terms, and what is to be known of its training pictures.")

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a name has up to 63 small letters, digits, dots, hyphens and underscores")
        return name

    @field_validator("mean", "scale", mode="before")
    @classmethod
    def _for_all_channels(cls, value: object) -> object:
        return (value,) * 3 if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.aligned.size != self.input_size:
            raise ValueError(f"the template {self.template!r} is for an input_size of {self.aligned.size}")
        (left, right, nose, *corners), size = self.aligned.points, self.input_size
        is_upright = max(left[1], right[1]) < nose[1] < min(y for _, y in corners)
        is_inside = all(0 < at < size for point in self.aligned.points for at in point)
        if not (is_upright and is_inside and right[0] - left[0] > size / 10 and corners[0][0] < corners[1][0]):
            raise ValueError(
                "the template's points are pixels of the input: the eye on the left of the picture, the one on the right, the nose, "
                "and the corners of the mouth in that order"
            )
        return self

    @property
    def aligned(self) -> Template:
        """How faces are aligned for it."""
        if isinstance(self.template, str):
            return _NAMED_TEMPLATES[self.template]
        return Template(self.input_size, self.template)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest in YAML or JSON.

    Raises
    ------
    SourceError
        If the file cannot be read.
    WeightsError
        If it is no manifest; the message says what is wrong.
    """
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path} is neither YAML nor JSON: {reason}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'manifest'}: {one['msg']}" for one in error.errors())
        raise WeightsError(f"{path} is no manifest of a network: {wrong}") from error


def added_manifests(weights: Path) -> dict[str, Manifest]:
    """Return the manifests of the networks that were added to a folder of weights, by name.

    Raises
    ------
    WeightsError
        If one is damaged.
    """
    found: dict[str, Manifest] = {}
    for path in sorted(weights.glob(f"*{_ENDING}")):
        try:
            manifest = read_manifest(path)
        except WeightsError as error:
            raise WeightsError(f"{error}; remove it, and add the network again") from error
        found[manifest.name] = manifest
    return found


def manifest_file(weights: Path, name: str) -> Path:
    """Return where the manifest of an added network is."""
    return weights / f"{name}{_ENDING}"
