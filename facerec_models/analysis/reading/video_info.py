"""What a video says about itself, and how that travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

# Not every number has an end as a decimal.
_FRACTIONS = ("time_base", "frame_rate")


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says about itself.

    Parameters
    ----------
    path : Path
    container, codec : str
        FFmpeg's names.
    stream : int
        Number of the picture track among all streams of the file.
    duration_s : float or None
        What the header says, unless a clock that jumps ahead made it say so; None when it says nothing.
    fps : float
        Frames per second on average: what the header says where the timestamps of the first frames agree, else what they say.
    interval_s : float
        What is usual between two frames: the median of the first ones, or that of a steady rate.
    width, height : int
        Stored pixels of the upright picture. A stream that changes its size begins with this one.
    sample_aspect_ratio : float
        Width of a pixel over its height in the upright picture.
    rotation_deg : int
        How far the stored picture is turned clockwise to be upright: 0, 90, 180 or 270.
    start_pts_s : float
        The container's time of the first decoded frame.
    time_base : Fraction
        Seconds per unit of the frames' timestamps.
    frame_rate : Fraction or None
        Frames per second, exactly; None where the rate varies.
    start_timecode : str or None
        SMPTE timecode of the first frame, ``hh:mm:ss:ff`` or with a semicolon before the frames where it drops some; None where the
        file has none.
    """

    path: Path
    container: str
    codec: str
    stream: int
    duration_s: float | None
    fps: float
    interval_s: float
    width: int
    height: int
    sample_aspect_ratio: float
    rotation_deg: int
    start_pts_s: float
    time_base: Fraction
    frame_rate: Fraction | None = None
    start_timecode: str | None = None

    def to_facts(self) -> dict[str, Any]:
        """Return it as JSON holds it, exactly."""
        ratios = {
            name: None if (value := getattr(self, name)) is None else value.as_integer_ratio() for name in _FRACTIONS
        }
        return asdict(self) | ratios | {"path": str(self.path)}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Return what `to_facts` made JSON of."""
        values = {field.name: facts[field.name] for field in fields(cls)}
        ratios = {name: None if values[name] is None else Fraction(*values[name]) for name in _FRACTIONS}
        return cls(**values | ratios | {"path": Path(values["path"])})
