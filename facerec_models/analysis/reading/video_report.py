"""Gather on the way through a video what its reader must be told of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from facerec_models.analysis.reading.clock import CLOCK_RESET_S, Jump
from facerec_models.analysis.reading.decoding import Decoder
from facerec_models.analysis.reading.geometry import Geometry

# A line names so many places.
_MOST_NAMED = 4


@dataclass(slots=True)
class VideoReport:
    """What was wrong with the part of a video that was read.

    Attributes
    ----------
    last_s : float
        Time of the last frame.
    damaged_packets : int
    jumps : list of Jump
        Where the clock was set.
    repaired : int
        Timestamps that were missing or out of order.
    changes : list of (time_s, Geometry, note)
        Where frames of another size or shape begin, and what about it is ignored.
    cut_off : (end_s, header_s) or None
        Where a video ends that should be longer.
    """

    last_s: float = 0.0
    damaged_packets: int = 0
    jumps: list[Jump] = field(default_factory=list)
    repaired: int = 0
    changes: list[tuple[float, Geometry, str | None]] = field(default_factory=list)
    cut_off: tuple[float, float] | None = None
    _damaged_after_s: float = 0.0

    def note_damage(self, decoder: Decoder) -> None:
        """Remember after which frame the first packets were lost; to be called before `last_s` moves on."""
        if decoder.damaged_packets and not self.damaged_packets:
            self._damaged_after_s = self.last_s
        self.damaged_packets = decoder.damaged_packets

    def warnings(self, first: Geometry) -> tuple[str, ...]:
        """Return a line for each kind of fault; `first` is the geometry that the video began with."""
        lines = []
        if self.damaged_packets:
            lines.append(
                f"damaged after {self._damaged_after_s:.2f} s: {self.damaged_packets} packets could not be decoded"
            )
        if self.cut_off is not None:
            lines.append(f"cut off: ends at {self.cut_off[0]:.2f} s, but its header says {self.cut_off[1]:.2f} s")
        jumps = [jump for jump in self.jumps if abs(jump.by_s) > CLOCK_RESET_S]
        if jumps:
            lines.append(f"timestamps jump {_list(jumps)}; times go on there without a gap")
        if self.repaired:
            lines.append(f"{self.repaired} frames had no usable timestamp; their times follow from the frames before")
        if self.changes:
            changes = [f"{geometry} from {time_s:.2f} s on" for time_s, geometry, _ in self.changes]
            lines.append(
                f"the picture changes from {first} to {_list(changes)}; each frame is analysed as it is, and its boxes are "
                "in its own pixels"
            )
        lines.extend(note for note in dict.fromkeys(note for *_, note in self.changes) if note is not None)
        return tuple(lines)


def _list(places: list[Jump] | list[str]) -> str:
    more = len(places) - _MOST_NAMED
    return ", ".join(map(str, places[:_MOST_NAMED])) + (f" and {more} times more" if more > 0 else "")
