"""Make times that ascend from 0 of the timestamps that a file has.

Timestamps are missing, fall back where two recordings were joined, and jump ahead where a transmitter's or a camera's clock was
set. A gap in them may as well be real: a slide that is shown for minutes, a screen on which nothing happens. It is real if sound
runs on through it, if it is not far longer than what is usual between frames of this video, or if the frame before it claims to
last so long.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

# Timestamps that fall back further than this begin a joined recording; less is one disordered frame.
CLOCK_RESET_S = 1.0
# FFmpeg's own programs close longer gaps than this in containers whose clocks may jump (``-dts_delta_threshold``).
_JUMP_S = 10.0
# A jump is that many times what is usual between frames: slow material has long gaps all the time.
_JUMP_INTERVALS = 20
# No frame is shown for longer in silence, whatever it claims, unless most are shown about as long.
_LONGEST_PAUSE_S = 3600.0
# A break in the sound that is shorter is none.
_SOUND_BREAK_S = 1.0
_RECENT_STEPS = 25
# Containers of broadcasts and joined recordings: their clocks may jump anywhere (FFmpeg's AVFMT_TS_DISCONT).
_JUMPING = frozenset({"mpegts", "mpeg", "ogg"})
# Their timestamps have 33 bits at 90 kHz: FFmpeg takes one that falls back for one that began anew, a day ahead.
_WRAPPING, _WRAP_S = frozenset({"mpegts", "mpeg"}), 2**33 / 90_000

CLOCK_MEMORY = _RECENT_STEPS + 1
"""How many frames before it decide what a clock says of the next one, beside its time."""


@dataclass(slots=True)
class Sound:
    """When a file has sound, in container time; add packets as they come."""

    stretches: list[list[float]] = field(default_factory=list)

    def add(self, start_s: float, end_s: float) -> None:
        """Take a packet's time."""
        if self.stretches and -_SOUND_BREAK_S <= start_s - self.stretches[-1][1] <= _SOUND_BREAK_S:
            self.stretches[-1][1] = max(self.stretches[-1][1], end_s)
        else:
            self.stretches.append([start_s, end_s])

    @property
    def end_s(self) -> float:
        """When the last sound ends; 0 where there is none."""
        return max((end_s for _, end_s in self.stretches), default=0.0)

    def runs_through(self, start_s: float, end_s: float) -> bool:
        """Whether there is sound during more than half of a stretch."""
        heard_s = sum(max(0.0, min(end_s, b) - max(start_s, a)) for a, b in self.stretches)
        return heard_s > (end_s - start_s) / 2


@dataclass(frozen=True, slots=True)
class Jump:
    """Where timestamps jumped.

    Parameters
    ----------
    at_s : float
        Time of the frame after it.
    by_s : float
        How far timestamps went there; negative where they fell back.
    closed_s : float
        By how much times after it are less than timestamps say, beside what was closed before.
    """

    at_s: float
    by_s: float
    closed_s: float

    def __str__(self) -> str:
        direction = "ahead" if self.by_s > 0 else "back"
        return f"by {abs(self.by_s):.2f} s {direction} at {self.at_s:.2f} s"


class Clock:
    """Strictly ascending timestamps from 0, whatever the decoder gives.

    Parameters
    ----------
    interval_s : float
        What is usual between two frames of the video.
    time_base : Fraction
        Seconds per unit of timestamps and durations.
    container : str
        FFmpeg's name of the container's format.
    sound : Sound, optional
        When there is sound, so far as is known when a frame comes.

    Attributes
    ----------
    repaired : int
        How many timestamps were missing or out of order so far.
    jumps : list of Jump
        Where the clock was set.
    """

    def __init__(
        self, interval_s: float, time_base: Fraction, *, container: str = "", sound: Sound | None = None
    ) -> None:
        self._time_base = time_base
        self._interval_s = interval_s
        self._may_jump = container in _JUMPING
        self._wraps = container in _WRAPPING
        self._sound = sound or Sound()
        self._recent: deque[int] = deque(maxlen=_RECENT_STEPS)
        self._origin = 0
        self._shift = 0
        self._last: int | None = None
        self._own = 0
        self.repaired = 0
        self.jumps: list[Jump] = []

    def tick(self, pts: int | None, duration: int | None = None, *, begins_anew: bool = False) -> int:
        """Return the time of the next picture, counted from the first one's.

        Parameters
        ----------
        duration : int, optional
            How long the picture claims to be shown.
        begins_anew : bool
            Whether another recording begins with it, so that a timestamp that falls back by however little is no disorder.
        """
        if self._last is None:
            self._origin = pts or 0
            self._shift = -self._origin
            now = 0
        elif pts is None:
            self.repaired += 1
            now = self._last + self._usual
        else:
            now = self._follow(self._last, pts, begins_anew)
        self._last = now
        self._own = duration or 0
        return now

    def _follow(self, last: int, pts: int, begins_anew: bool) -> int:
        now = pts + self._shift
        step_s = float((now - last) * self._time_base)
        if step_s < -CLOCK_RESET_S or (begins_anew and now <= last) or self._is_jump(last, now, step_s):
            now = last + self._usual
            closed = pts + self._shift - now
            by_s = step_s - _WRAP_S if self._wraps and step_s > _WRAP_S / 2 else step_s
            self.jumps.append(Jump(float(now * self._time_base), by_s, float(closed * self._time_base)))
            self._shift -= closed
        elif now <= last:
            self.repaired += 1
            now = last + 1
        else:
            self._recent.append(now - last)
        return now

    def _is_jump(self, last: int, now: int, step_s: float) -> bool:
        if step_s <= _JUMP_S or step_s <= _JUMP_INTERVALS * max(self._interval_s, self.usual_s):
            return False
        start_s, end_s = (float((time - self._shift) * self._time_base) for time in (last, now))
        if self._sound.runs_through(start_s, end_s):
            return False
        if step_s > _LONGEST_PAUSE_S:
            return True
        claims_it = self._own * self._time_base > step_s / 2
        return not claims_it and (self._may_jump or bool(self._sound.stretches))

    @property
    def _usual(self) -> int:
        """Median of the last steps, in units."""
        if not self._recent:
            return max(1, round(self._interval_s / self._time_base))
        return sorted(self._recent)[len(self._recent) // 2]

    @property
    def usual_s(self) -> float:
        """What was usual between the last frames."""
        return float(self._usual * self._time_base)

    @property
    def shown(self) -> int:
        """How long the last picture is shown, in units: as it claims, unless others are shown far longer."""
        return self._own if 2 * self._own >= self._usual else self._usual

    @property
    def end_s(self) -> float:
        """When the last picture ends, in seconds since the first one began."""
        return float(((self._last or 0) + self.shown) * self._time_base)

    @property
    def closed_s(self) -> float:
        """What was closed where the clock jumped ahead, in all."""
        return sum(jump.closed_s for jump in self.jumps if jump.by_s > 0)
