"""The exact frame rate and the timecode of real files, container by container."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from facerec_models.analysis.reading.stated_time import StatedTime
from facerec_models.analysis.reading.video import Video
from facerec_models.analysis.reading.video_info import VideoInfo
from tests.unit.facerec_models.analysis.reading.written_video import LIMITS, ODD_TIMES, painted, write_video

FILM, PAL, NTSC = Fraction(24_000, 1001), Fraction(25), Fraction(30_000, 1001)
RATES = [FILM, PAL, NTSC, Fraction(50), Fraction(60_000, 1001)]
CODECS = {".mxf": "mpeg2video", ".avi": "mpeg4", ".mpg": "mpeg2video"}
# The first of a 29.97 recording that drops numbers, and what the same minute begins with where none is dropped.
DROPPED, COUNTED = "09:59:59;28", "09:59:59:24"


def write_rate(
    path: Path,
    rate: Fraction,
    *,
    codec: str | None = None,
    options: dict[str, str] | None = None,
    track_tags: dict[str, str] | None = None,
    file_tags: dict[str, str] | None = None,
    frames: int = 40,
    change: Callable[[bytes], bytes] | None = None,
) -> Path:
    """Write a video of a steady rate; `change` is what its packets become."""
    with av.open(str(path), "w") as out:
        out.metadata.update(file_tags or {})
        stream = out.add_stream(codec or CODECS.get(path.suffix, "libx264"), rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.metadata.update(track_tags or {})
        pictures = [
            av.VideoFrame.from_ndarray(painted(number), "rgb24").reformat(format="yuv420p") for number in range(frames)
        ]
        for number, picture in enumerate(pictures):
            picture.pts, picture.time_base = number, 1 / rate
        packets = [packet for picture in [*pictures, None] for packet in stream.encode(picture)]
        for packet in packets:
            if change is None:
                out.mux(packet)
                continue
            changed = av.Packet(change(bytes(packet)))
            changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
            changed.stream, changed.is_keyframe = stream, packet.is_keyframe
            out.mux(changed)
    return path


def rate_of(
    times: Iterable[int], time_base: Fraction, header: Fraction | None = None, *, is_interlaced: bool = False
) -> Fraction | None:
    """Return the rate of timestamps and of what a header says."""
    stated = StatedTime(header, 0, is_interlaced=is_interlaced, timecodes=())
    return stated.frame_rate(list(enumerate(times)), time_base)


def info_of(path: Path) -> VideoInfo:
    with Video(path, LIMITS) as video:
        return video.info


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mxf", ".ts", ".mkv", ".avi", ".mpg", ".flv"])
def test_usual_rates_are_exact_in_every_container(tmp_path: Path, ending: str, rate: Fraction) -> None:
    assert info_of(write_rate(tmp_path / f"a{ending}", rate)).frame_rate == rate


def without_times(stream: bytes) -> bytes:
    """Take the timestamps out of every second picture of an MPEG transport stream."""
    data = bytearray(stream)
    begins = [place for place in range(0, len(data), 188) if data[place + 1] & 0x40]
    pictures = [at for place in begins if (at := data.find(b"\0\0\1\xe0", place, place + 188)) >= 0]
    for at in pictures[1::2]:
        # ISO/IEC 13818-1, 2.4.3.6: the flags say that there are none, and stuffing takes their room.
        data[at + 7] &= 0x3F
        data[at + 9 : at + 9 + data[at + 8]] = b"\xff" * data[at + 8]
    return bytes(data)


@pytest.mark.parametrize("bf", ["0", "2"])
def test_pictures_without_timestamps_are_counted(tmp_path: Path, bf: str) -> None:
    path = write_rate(tmp_path / "a.ts", NTSC, options={"bf": bf})
    path.write_bytes(without_times(path.read_bytes()))
    assert info_of(path).frame_rate == NTSC


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_interlaced_video_counts_frames(tmp_path: Path, codec: str) -> None:
    path = write_rate(tmp_path / "a.ts", PAL, codec=codec, options={"flags": "+ildct+ilme"})
    assert info_of(path).frame_rate == 25


def test_fields_in_packets_of_their_own_are_not_frames() -> None:
    fields = range(0, 128 * 1800, 1800)
    assert rate_of(fields, Fraction(1, 90_000), PAL, is_interlaced=True) == 25
    assert rate_of(fields, Fraction(1, 90_000), PAL) == 50


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_whole_milliseconds_tell_the_rate_where_the_header_does_not(rate: Fraction) -> None:
    times = [round(n / rate * 1000) for n in range(120)]
    for header in (None, Fraction(600), Fraction(19_001, 317)):
        assert rate_of(times, Fraction(1, 1000), header) == rate


def test_a_few_rounded_times_leave_the_rate_to_the_header() -> None:
    times = [0, 33, 67, 100]
    for header in (NTSC, Fraction(30)):
        assert rate_of(times, Fraction(1, 1000), header) == header


@pytest.mark.parametrize(("written", "rate"), [(Fraction(2997, 100), NTSC), (Fraction(23_976, 1000), FILM), (15, 15)])
def test_a_rate_written_in_decimals_is_the_usual_one(written: Fraction, rate: Fraction) -> None:
    assert rate_of(range(100), 1 / Fraction(written), Fraction(written)) == rate


def test_a_rate_that_is_not_usual_is_exact_too(tmp_path: Path) -> None:
    assert info_of(write_rate(tmp_path / "a.mp4", Fraction(25, 2))).frame_rate == Fraction(25, 2)
    assert info_of(write_rate(tmp_path / "a.mkv", Fraction(18))).frame_rate == 18


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_a_rate_that_varies_is_none(tmp_path: Path, ending: str) -> None:
    assert info_of(write_video(tmp_path / f"a{ending}", ODD_TIMES)).frame_rate is None
    # One frame in three is missing: on average the rate is steady.
    thinned = [40 * n for n in range(120) if n % 3]
    assert info_of(write_video(tmp_path / f"b{ending}", thinned)).frame_rate is None


def test_coarse_timestamps_tell_rounding_from_missing_frames() -> None:
    # Hundredths of a second, as GIF has them, and every third of 25 frames missing.
    assert rate_of([round(n * 100 / 30) for n in range(100)], Fraction(1, 100)) == 30
    assert rate_of([n for n in range(150) if n % 3], Fraction(1, 25), Fraction(50, 3)) is None


def test_a_rate_that_changes_behind_the_first_pictures_is_none(tmp_path: Path) -> None:
    times = [*range(0, 8000, 40), *range(8000, 16_000, 80)]
    assert info_of(write_video(tmp_path / "a.mp4", times)).frame_rate is None


def test_one_picture_has_no_rate(tmp_path: Path) -> None:
    assert info_of(write_rate(tmp_path / "a.mp4", PAL, frames=1)).frame_rate is None


@pytest.mark.parametrize(
    ("rate", "timecode"), [(PAL, COUNTED), (FILM, "23:59:59:23"), (NTSC, COUNTED), (NTSC, DROPPED)]
)
def test_the_start_timecode_is_the_files_own(tmp_path: Path, rate: Fraction, timecode: str) -> None:
    in_track, in_file = {"timecode": timecode}, {"timecode": timecode}
    for name, tags in {
        "track.mov": {"track_tags": in_track},
        "file.mov": {"file_tags": in_file},
        "file.mp4": {"file_tags": in_file},
        "file.mxf": {"file_tags": in_file},
        "track.mkv": {"track_tags": in_track},
        "file.mkv": {"file_tags": in_file},
        "file.avi": {"file_tags": in_file},
    }.items():
        info = info_of(write_rate(tmp_path / name, rate, **tags))
        assert (name, info.frame_rate, info.start_timecode) == (name, rate, timecode)


def test_a_timecode_track_that_no_track_refers_to_counts(tmp_path: Path) -> None:
    path = write_rate(tmp_path / "a.mov", PAL, track_tags={"timecode": COUNTED})
    path.write_bytes(path.read_bytes().replace(b"tref", b"free"))
    with av.open(str(path)) as container:
        assert "timecode" not in container.streams.video[0].metadata
    assert info_of(path).start_timecode == COUNTED


@pytest.mark.parametrize(
    ("rate", "timecode"),
    [
        (PAL, "10:00:00:25"),  # frames are counted to 24
        (PAL, "24:00:00:00"),
        (PAL, "10:60:00:00"),
        (PAL, "10:00:00;00"),  # drops none
        (NTSC, "10:01:00;01"),  # was dropped
        (Fraction(1, 5), "10:00:00;00"),
        (PAL, "10:00:00"),
        (PAL, "ten"),
    ],
)
def test_what_is_no_timecode_of_the_rate_is_ignored(tmp_path: Path, rate: Fraction, timecode: str) -> None:
    info = info_of(write_rate(tmp_path / "a.mkv", rate, file_tags={"timecode": timecode}))
    assert (info.frame_rate, info.start_timecode) == (rate, None)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".ts", ".avi"])
def test_a_file_without_timecode_has_none(tmp_path: Path, ending: str) -> None:
    assert info_of(write_rate(tmp_path / f"a{ending}", PAL)).start_timecode is None


def test_a_timecode_of_a_rate_that_varies_is_kept_if_its_average_allows(tmp_path: Path) -> None:
    times = [40 * n + n % 7 for n in range(50)]
    info = info_of(write_video(tmp_path / "a.mkv", times, options={"crf": "30"}, file_tags={"timecode": COUNTED}))
    assert (info.frame_rate, info.start_timecode) == (None, COUNTED)


def in_group_header(hours: int, minutes: int, seconds: int, frames: int, *, drops: bool) -> Callable[[bytes], bytes]:
    """Return what writes a timecode into the headers of MPEG-2's groups of pictures."""
    code = drops << 24 | hours << 19 | minutes << 13 | 1 << 12 | seconds << 6 | frames

    def change(packet: bytes) -> bytes:
        place = packet.find(b"\0\0\1\xb8") + 4
        if place < 4:
            return packet
        rest = int.from_bytes(packet[place : place + 4], "big") & 0x7F
        return packet[:place] + (code << 7 | rest).to_bytes(4, "big") + packet[place + 4 :]

    return change


@pytest.mark.parametrize("name", ["a.ts", "a.mpg", "a.mkv"])
@pytest.mark.parametrize(
    ("rate", "timecode"), [(PAL, (9, 59, 59, 24)), (NTSC, (9, 59, 59, 29)), (NTSC, (0, 10, 0, 0)), (PAL, (0, 0, 0, 0))]
)
def test_mpeg2_keeps_timecode_in_its_groups_of_pictures(
    tmp_path: Path, name: str, rate: Fraction, timecode: tuple[int, int, int, int]
) -> None:
    hours, minutes, seconds, frames = timecode
    for drops in {False, rate == NTSC}:
        change = in_group_header(hours, minutes, seconds, frames, drops=drops)
        expected = f"{hours:02}:{minutes:02}:{seconds:02}{';' if drops else ':'}{frames:02}"
        info = info_of(write_rate(tmp_path / name, rate, codec="mpeg2video", change=change))
        assert info.start_timecode == expected


def test_the_containers_timecode_is_believed_before_the_codecs(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    change = in_group_header(1, 2, 3, 4, drops=False)
    write_rate(path, PAL, codec="mpeg2video", change=change, file_tags={"timecode": COUNTED})
    assert info_of(path).start_timecode == COUNTED
    write_rate(path, PAL, codec="mpeg2video", change=change, file_tags={"timecode": "none"})
    assert info_of(path).start_timecode == "01:02:03:04"


def with_message(hours: int, minutes: int, seconds: int, frames: int, *, drops: bool) -> Callable[[bytes], bytes]:
    """Return what begins each packet of H.265 with a time code message (ITU-T H.265, D.2.27)."""
    fields = [(1, 2), (1, 1), (0, 1), (4 if drops else 0, 5), (1, 1), (0, 1), (drops, 1), (frames, 9)]
    fields += [(seconds, 6), (minutes, 6), (hours, 5), (0, 5), (0b10000, 5)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert b"\0\0" not in payload
    return lambda packet: b"\0\0\0\1\x4e\x01\x88" + bytes([len(payload)]) + payload + b"\x80" + packet


@pytest.mark.parametrize(
    ("rate", "timecode"),
    [
        (PAL, "21:43:57:24"),
        (NTSC, "21:43:57;29"),
        (Fraction(50), "21:43:57:49"),
        (Fraction(50), "21:43:57:48"),
        (Fraction(60_000, 1001), "21:43:57;59"),
    ],
)
def test_h265_keeps_timecode_beside_its_pictures(tmp_path: Path, rate: Fraction, timecode: str) -> None:
    hours, minutes, seconds, frames = (int(timecode[place : place + 2]) for place in (0, 3, 6, 9))
    change = with_message(hours, minutes, seconds, frames, drops=";" in timecode)
    options = {"x265-params": "log-level=none:bframes=0", "preset": "ultrafast"}
    path = write_rate(tmp_path / "a.ts", rate, codec="libx265", options=options, change=change)
    assert info_of(path).start_timecode == timecode
