"""What of a video file browsers do not play as it is: Chromium, Firefox and Safari, all three."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Disposition

from facerec_models.analysis.apart.video_child import Pulse, next_answer, video_child, video_facts
from facerec_models.analysis.reading.decoding import Decoder, open_container
from facerec_models.analysis.reading.geometry import Orientation, usable_ratio
from facerec_models.analysis.reading.picture_tracks import choose_track
from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.confinement.child import ChildLostError
from facerec_models.confinement.pipe import Pipe
from facerec_models.errors import VideoDecodeError
from facerec_models.mp4_file import choose_sound, plays_in_mp4

_PROFILES = frozenset({"Constrained Baseline", "Baseline", "Main", "High", "Constrained High", "Progressive High"})
_WEBM_PICTURES = frozenset({"vp8", "vp9"})
_WEBM_SOUND = frozenset({"opus", "vorbis"})
_EIGHT_BIT = frozenset({"yuv420p", "yuvj420p"})
# Where a WebM file says that it is one, behind the mark of all Matroska files.
_HEAD_BYTES = 64
# Interlaced material may begin with some pictures that are not.
_LOOKED_AT = 25
# A picture that is later by so much is shown for a frame as before; muxers begin with the sound, which may be early.
_MOST_LATE_S, _MOST_LATE_FRAMES = 0.010, 0.25
# Between neighbouring pictures of a file whose clock does not jump; where it is more, all packets are read.
_LONG_STEP_S = 10.0


@dataclass(frozen=True, slots=True)
class Playability:
    """What keeps browsers from playing a file: each part is a sentence, or None where nothing does.

    Parameters
    ----------
    stream : int
        Number of the picture track among all streams of the file.
    media_type : str
        What the file is sent as.
    container, picture, sound : str or None
        Why another container is needed, why pictures must be encoded anew, why the sound must.
    """

    stream: int
    media_type: str
    container: str | None
    picture: str | None
    sound: str | None

    @property
    def plays(self) -> bool:
        """Whether the file is played as it is."""
        return self.why is None

    @property
    def why(self) -> str | None:
        """What does not play, in one line."""
        return "; ".join(filter(None, (self.container, self.picture, self.sound))) or None


def judge_playability(
    file: Path, limits: LimitsConfig, *, stream: int | None = None, name: str | None = None
) -> Playability:
    """Look at the header and the first pictures of a video, and at all packets only where its clock may jump.

    What plays also has times that agree with those of results, to a quarter of a frame.

    Parameters
    ----------
    stream : int, optional
        Number of the picture track among all streams of the file; the main one by default.
    name : str, optional
        What errors call the file; its path by default.

    Raises
    ------
    InputError
        If the file is no video that can be read, larger than `limits` allow, or its decoder crashes, hangs or needs too much.
    """
    facts = video_facts(file, limits, name, stream)
    with video_child(judge_in_child, facts, limits) as child:
        child.send("judge", facts, timeout_s=limits.decoder_silence_s)
        try:
            return Playability(**next_answer(child, limits).facts)
        except TypeError as error:
            raise ChildLostError(f"sent what cannot be true of a video: {error}") from error


def judge_in_child(pipe: Pipe) -> None:
    """Say whether browsers play a video; runs in a child."""
    facts = pipe.receive().facts
    limits = LimitsConfig.model_validate(facts["limits"])
    found = find_faults(Path(facts["path"]), limits, stream=facts["stream"], name=facts["name"], on_packet=Pulse(pipe))
    pipe.send("judged", asdict(found))


def find_faults(
    file: Path,
    limits: LimitsConfig,
    *,
    stream: int | None = None,
    name: str | None = None,
    on_packet: Callable[[], None] | None = None,
) -> Playability:
    """Do what `judge_playability` does, in this process.

    Parameters
    ----------
    on_packet : callable, optional
        As of `facerec_models.analysis.reading.video.Video`.
    """
    name = str(file) if name is None else name
    with open_container(file, name) as container:
        track, _ = choose_track(file, container, name, stream)
        kind = container.format.name
        is_mp4, is_webm = kind.startswith("mov,mp4"), kind == "matroska,webm" and _says_webm(file)
        looked = _look(container, track, limits, name)
        sound = _sound_fault(container, is_webm=is_webm)
        fault = _container_fault(container, track, looked, is_known=is_mp4 or is_webm)
        picture = _codec_fault(track, is_webm=is_webm) or _picture_fault(looked, is_mp4=is_mp4)
        if is_mp4 and picture is None and any(entry.is_discard for entry in track.index_entries):
            picture = "an edit list leaves out pictures"
        # VP8 and VP9 are not played from an MP4: another container would not help.
        if is_webm and fault is not None:
            fault, picture = None, picture or fault
        stream = track.index
        doubts_clock = fault is None and picture is None and (is_webm or _has_long_step(track))
    if doubts_clock:
        with Video(file, limits, name=name, stream=stream, on_packet=on_packet) as video:
            if video.index() is None:
                picture = "its timestamps jump, are missing or break off"
    return Playability(stream, "video/webm" if is_webm else "video/mp4", fault, picture, sound)


class _Looked(NamedTuple):
    """What the first pictures of a track tell."""

    start_s: float
    interval_s: float
    pixel_format: str
    ratio: float
    orientation: Orientation
    is_interlaced: bool


def _look(container: InputContainer, track: av.VideoStream, limits: LimitsConfig, name: str) -> _Looked:
    pictures = Decoder(container, track, limits.max_frame_pixels).pictures()
    first = next(pictures, None)
    if first is None or first.time_base is None:
        raise VideoDecodeError(f"{name!r} has no readable picture: it is damaged or cut off; copy it again")
    return _Looked(
        start_s=float((first.pts or 0) * first.time_base),
        interval_s=float(1 / (track.average_rate or track.guessed_rate or 25)),
        pixel_format=first.format.name,
        ratio=float(usable_ratio(track.sample_aspect_ratio) or 1),
        orientation=Orientation.of(first),
        is_interlaced=first.interlaced_frame
        or any(picture.interlaced_frame for picture in islice(pictures, _LOOKED_AT - 1)),
    )


def _container_fault(
    container: InputContainer, track: av.VideoStream, looked: _Looked, *, is_known: bool
) -> str | None:
    if not is_known:
        return f"browsers do not all read {container.format.name.partition(',')[0]} files"
    if container.metadata.get("major_brand", "").strip() == "qt":
        return "browsers do not all read QuickTime files"
    tracks = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if tracks[0].index != track.index:
        return f"browsers show picture track {tracks[0].index}, and not {track.index}"
    if abs(looked.start_s) > min(_MOST_LATE_S, _MOST_LATE_FRAMES * looked.interval_s):
        return f"its pictures begin at {looked.start_s:.3f} s"
    return None


def _codec_fault(track: av.VideoStream, *, is_webm: bool) -> str | None:
    codec, profile = track.codec_context.codec.canonical_name, track.codec_context.profile
    if codec not in (_WEBM_PICTURES if is_webm else ("h264",)):
        return f"browsers do not show {codec} pictures{' in WebM' if is_webm else ''}"
    if codec == "h264" and profile not in _PROFILES:
        return f"browsers do not show H.264 of profile {profile}"
    return None


def _picture_fault(looked: _Looked, *, is_mp4: bool) -> str | None:
    if looked.pixel_format not in _EIGHT_BIT:
        return f"browsers do not all show {looked.pixel_format} pictures"
    if looked.is_interlaced:
        return "its pictures are interlaced"
    if looked.ratio != 1:
        return f"its pixels are {looked.ratio:.3g} times as wide as high"
    turn = looked.orientation
    is_mirrored = turn.swaps_axes == (turn.mirrors_x == turn.mirrors_y)
    # What turns them is in the header of an MP4 for browsers, elsewhere not.
    if is_mirrored or (turn.rotation_deg and not is_mp4):
        return "its pictures are mirrored" if is_mirrored else "its pictures are turned"
    return None


def _sound_fault(container: InputContainer, *, is_webm: bool) -> str | None:
    tracks = container.streams.audio
    for track in tracks:
        known = getattr(track, "codec_context", None)
        codec = "unknown" if known is None else track.codec.canonical_name
        if not (codec in _WEBM_SOUND if is_webm else plays_in_mp4(track)):
            return f"browsers do not all play {codec} sound"
    if tracks and choose_sound(container) is not tracks[0]:
        return "its main sound track is not the first"
    return None


def _says_webm(file: Path) -> bool:
    with file.open("rb") as opened:
        return b"webm" in opened.read(_HEAD_BYTES)


def _has_long_step(track: av.VideoStream) -> bool:
    times = [entry.timestamp for entry in track.index_entries]
    return any((b - a) * (track.time_base or 0) > _LONG_STEP_S for a, b in pairwise(times))
