from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.stream import Disposition

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import ConflictError, VideoOpenError
from facerec_models.files import UNFINISHED
from facerec_models.types import ImageArray
from facerec_models.video_writer import VideoWriter

LIMITS = LimitsConfig()


def gray(value: int, width: int = 64, height: int = 48) -> ImageArray:
    return np.full((height, width, 3), value, np.uint8)


def read(path: Path) -> tuple[Video, list[float], list[ImageArray]]:
    with Video(path, LIMITS) as video:
        frames = list(video.frames())
    assert (video.complete, video.warnings) == (True, ())
    return video, [frame.time_s for frame in frames], [frame.to_frame().image for frame in frames]


def write_source(path: Path, codec: str, *, start_s: float = 0.0, beep_s: float = 2.0, seconds: float = 4.0) -> Path:
    """Write black pictures and silence with a white picture and a beep at the same moment."""
    name, _, rate_text = codec.partition(" ")
    rate = int(rate_text or 48_000)
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled", "use_editlist": "1"}) as out:
        pictures = out.add_stream("libx264", rate=25, options={"bf": "0"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream(name, rate=rate)
        assert isinstance(sound, av.AudioStream)
        sound.layout = "stereo"
        for number in range(round(seconds * 25)):
            time_s = start_s + number / 25
            frame = av.VideoFrame.from_ndarray(gray(255 if abs(number / 25 - beep_s) < 0.01 else 0), "rgb24")
            frame.pts, frame.time_base = round(time_s * 25), Fraction(1, 25)
            out.mux(pictures.encode(frame.reformat(format="yuv420p")))
        times = np.arange(round(seconds * rate)) / rate
        wave = (0.5 * np.sin(2 * np.pi * 440 * times) * (abs(times - beep_s) < 0.1)).astype(np.float32)
        for start in range(0, len(wave), 960):
            piece = av.AudioFrame.from_ndarray(np.repeat(wave[None, start : start + 960], 2, 0), "fltp", "stereo")
            piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
            piece.pts = start + round(start_s * rate)
            out.mux(sound.encode(piece))
        out.mux([*pictures.encode(None), *sound.encode(None)])
    return path


def loudness(path: Path) -> npt.NDArray[np.float64]:
    """Return the loudness in steps of 10 ms of container time."""
    result = np.zeros(1000)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(np.float32)).max(0)
            first_s = frame.time
            assert first_s is not None
            for i in range(0, len(samples), 480):
                step = int((first_s + i / frame.sample_rate) * 100)
                if step < len(result):
                    result[step] = max(result[step], samples[i : i + 480].max())
    return result


def test_pictures_come_back_in_order_with_their_colours(tmp_path: Path) -> None:
    colours = [(200, 60, 30), (20, 180, 90), (40, 50, 220), (250, 250, 250), (5, 5, 5)]
    path = tmp_path / "out.mp4"
    with VideoWriter(path, Fraction(30000, 1001), 64, 48) as writer:
        for colour in colours:
            writer.write(np.full((48, 64, 3), colour, np.uint8))
        assert not path.exists()
    video, times, images = read(path)
    assert times == pytest.approx([n * 1001 / 30000 for n in range(5)], abs=1e-4)
    assert np.abs(np.array([image[24, 32].astype(int) for image in images]) - colours).max() <= 5
    assert video.info.codec == "h264"
    assert video.info.fps == pytest.approx(29.97, abs=0.01)
    assert list(tmp_path.iterdir()) == [path]


def test_browsers_can_play_it_while_it_loads(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 25, 64, 48) as writer:
        writer.write(gray(100))
    content = path.read_bytes()
    assert content[4:8] == b"ftyp"
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p"


def test_given_times_are_kept_and_the_first_is_zero(tmp_path: Path) -> None:
    times_s = [65.0, 65.04, 65.5, 65.533, 68.25]
    with VideoWriter(tmp_path / "out.mp4", 25.0, 64, 48) as writer:
        for number, time_s in enumerate(times_s):
            writer.write(gray(50 * number), time_s)
    video, times, images = read(tmp_path / "out.mp4")
    assert times == pytest.approx([time_s - 65.0 for time_s in times_s], abs=1e-4)
    assert [round(float(image.mean()) / 50) for image in images] == [0, 1, 2, 3, 4]
    assert video.info.start_pts_s == 0.0


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48), (1, 1)])
def test_odd_sizes_are_padded_with_the_last_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    image = np.linspace(20, 235, width, dtype=np.uint8)[None, :, None].repeat(height, 0).repeat(3, 2)
    with VideoWriter(tmp_path / "out.mp4", 25, width, height) as writer:
        writer.write(image)
    video, _, images = read(tmp_path / "out.mp4")
    assert (video.info.width, video.info.height) == (width + width % 2, height + height % 2)
    assert np.abs(images[0][:height, :width].astype(int) - image).mean() < 4
    assert abs(int(images[0][0, -1, 0]) - int(image[0, -1, 0])) < 12


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")
    source = write_source(tmp_path / "source.mp4", "aac")

    def fail() -> None:
        with VideoWriter(path, 25, 64, 48, audio_from=Video(source, LIMITS)) as writer:
            for _ in range(100):  # enough for the encoder to write some
                writer.write(gray(1))
            assert len(list(tmp_path.iterdir())) == 3
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    with pytest.raises(ValueError, match="no picture was written"), VideoWriter(path, 25, 64, 48):
        pass
    gone = Video(write_source(tmp_path / "gone.mp4", "aac"), LIMITS)
    gone.path.unlink()
    with pytest.raises(VideoOpenError), VideoWriter(path, 25, 64, 48, audio_from=gone):
        pass
    assert path.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [path, source]


def test_long_names_are_possible(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / f"{'é' * 125}.mp4", 25, 64, 48) as writer:
        writer.write(gray(1))
    assert [len(path.name) for path in tmp_path.iterdir()] == [129]


def test_a_video_removed_while_it_is_written_does_not_appear(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.mp4", "aac")

    def write() -> None:
        with VideoWriter(tmp_path / "out.mp4", 25, 64, 48, audio_from=Video(source, LIMITS)) as writer:
            for _ in range(100):
                writer.write(gray(1))
            (hidden,) = tmp_path.glob(".out.mp4.*")
            assert hidden.name.endswith(UNFINISHED)
            hidden.unlink()

    with pytest.raises(ConflictError, match=r"'out\.mp4' was removed"):
        write()
    assert list(tmp_path.iterdir()) == [source]


def test_wrong_pictures_and_times_are_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", 25, 64, 48) as writer:
        writer.write(gray(1), 1.0)
        with pytest.raises(ValueError, match="must be 48x64x3 uint8"):
            writer.write(gray(1, 48, 64))
        with pytest.raises(ValueError, match="not after the one before"):
            writer.write(gray(1), 1.0)


@pytest.mark.parametrize(
    ("name", "codec", "start_s"),
    [
        ("source.mp4", "aac", 0.0),
        ("source.mp4", "libmp3lame", 0.0),
        ("source.mkv", "aac", 3.0),
        ("source.mkv", "libopus", 0.0),
        ("source.mkv", "libopus", 3.0),
        ("source.mov", "pcm_s16le", 0.0),
        ("source.mov", "pcm_s16le 22050", 0.0),
    ],
)
@pytest.mark.parametrize("fragment", [(0.0, None), (1.0, 3.0)])
def test_sound_stays_with_its_pictures(
    tmp_path: Path, name: str, codec: str, start_s: float, fragment: tuple[float, float | None]
) -> None:
    source = Video(write_source(tmp_path / name, codec, start_s=start_s), LIMITS)
    path = tmp_path / "out.mp4"
    with VideoWriter(path, source.info.fps, 64, 48, audio_from=source) as writer:
        for frame in source.frames(*fragment):
            writer.write(frame.to_frame().image, frame.time_s)
    video, times, images = read(path)
    flash_s = times[int(np.argmax([image.mean() for image in images]))]
    assert flash_s == pytest.approx(2.0 - fragment[0], abs=0.01)
    loud = np.flatnonzero(loudness(path) > 0.25) / 100
    assert loud.mean() == pytest.approx(flash_s, abs=0.04)
    assert np.ptp(loud) == pytest.approx(0.2, abs=0.06)
    with av.open(str(path)) as container:
        (sound,) = container.streams.audio
        assert sound.codec.canonical_name == ("mp3" if codec == "libmp3lame" else "aac")
        ticks = sum(packet.duration or 0 for packet in container.demux(sound))
        assert float(ticks * (sound.time_base or 0)) == pytest.approx(video.info.duration_s, abs=0.03)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
@pytest.mark.parametrize(("beep_s", "shown_s"), [(0.6, 0.6), (1.8, None), (3.0, 1.4)])
def test_what_is_left_out_is_neither_seen_nor_heard(
    tmp_path: Path, codec: str, beep_s: float, shown_s: float | None
) -> None:
    source = Video(write_source(tmp_path / "source.mov", codec, beep_s=beep_s), LIMITS)
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 25, 64, 48, audio_from=source) as writer:
        for frame in source.frames(0.0, 1.0):
            writer.write(frame.to_frame().image, frame.time_s)
        writer.leave_out(1.0, 2.6)
        for frame in source.frames(2.6, 4.0):
            writer.write(frame.to_frame().image, frame.time_s)
    video, times, images = read(path)
    assert video.info.duration_s == pytest.approx(2.4, abs=0.05)
    assert np.diff(times) == pytest.approx(0.04, abs=0.001)
    flashes_s = [time_s for time_s, image in zip(times, images, strict=True) if image.mean() > 128]
    loud = np.flatnonzero(loudness(path) > 0.25) / 100
    if shown_s is None:
        assert (flashes_s, loud.size) == ([], 0)
    else:
        assert flashes_s == pytest.approx([shown_s], abs=0.01)
        assert loud.mean() == pytest.approx(shown_s, abs=0.04)


@pytest.mark.parametrize("second_start_s", [3603.0, 0.6])
def test_sound_follows_a_clock_that_jumps(tmp_path: Path, second_start_s: float) -> None:
    parts = [
        write_source(tmp_path / f"{start_s}.ts", "aac", start_s=start_s, beep_s=1.0, seconds=2.0)
        for start_s in (1.0, second_start_s)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = Video(path, LIMITS)
    with VideoWriter(tmp_path / "out.mp4", 25, 64, 48, audio_from=source) as writer:
        for frame in source.frames():
            writer.write(frame.to_frame().image, frame.time_s)
    video, times, images = read(tmp_path / "out.mp4")
    assert video.info.duration_s == pytest.approx(4.0, abs=0.1)
    flashes_s = [time_s for time_s, image in zip(times, images, strict=True) if image.mean() > 128]
    assert flashes_s == pytest.approx([1.0, 3.0], abs=0.05)
    loud = np.flatnonzero(loudness(tmp_path / "out.mp4") > 0.25) / 100
    assert [loud[loud < 2].mean(), loud[loud > 2].mean()] == pytest.approx([1.0, 3.0], abs=0.08)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_and_pictures_lie_side_by_side(tmp_path: Path, codec: str) -> None:
    source = write_source(tmp_path / "source.mov", codec, seconds=40.0)
    with VideoWriter(tmp_path / "out.mp4", 25, 64, 48, audio_from=Video(source, LIMITS)) as writer:
        for _ in range(40 * 25):
            writer.write(gray(100))
    with av.open(str(tmp_path / "out.mp4")) as container:
        places = sorted((p.pos or 0, float((p.pts or 0) * (p.time_base or 0))) for p in container.demux() if p.size)
    assert max(abs(b - a) for (_, a), (_, b) in pairwise(places)) < 3.0


def test_damaged_sound_is_left_out_and_all_else_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_source(tmp_path / "source.mkv", "ac3", beep_s=3.0)
    content = source.read_bytes()
    with av.open(str(source)) as container:
        for packet in list(container.demux(audio=0))[30:50]:
            if packet.size:
                content = content.replace(bytes(packet), b"\xff" * packet.size)
    source.write_bytes(content)
    with VideoWriter(tmp_path / "out.mp4", 25, 64, 48, audio_from=Video(source, LIMITS)) as writer:
        for _ in range(100):
            writer.write(gray(100))
    assert len(read(tmp_path / "out.mp4")[1]) == 100
    assert (np.flatnonzero(loudness(tmp_path / "out.mp4") > 0.25) / 100).mean() == pytest.approx(3.0, abs=0.04)
    assert caplog.text.count("the sound is damaged") == 1


def test_of_several_sounds_the_default_one_is_kept(tmp_path: Path) -> None:
    sources = [write_source(tmp_path / f"{beep_s}.mkv", "aac", beep_s=beep_s) for beep_s in (1.0, 3.0)]
    both = tmp_path / "both.mkv"
    with ExitStack() as stack:
        out = stack.enter_context(av.open(str(both), "w"))
        containers = [stack.enter_context(av.open(str(source))) for source in sources]
        first, second = (container.streams.audio[0] for container in containers)
        tracks = [containers[0].streams.video[0], first, second]
        copies = [out.add_stream_from_template(track) for track in tracks]
        copies[1].disposition, copies[2].disposition = Disposition(0), Disposition.default
        for container, track, copy in zip((containers[0], containers[0], containers[1]), tracks, copies, strict=True):
            container.seek(0)
            for packet in container.demux(track):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    with VideoWriter(tmp_path / "out.mp4", 25, 64, 48, audio_from=Video(both, LIMITS)) as writer:
        for _ in range(100):
            writer.write(gray(1))
    loud = np.flatnonzero(loudness(tmp_path / "out.mp4") > 0.25) / 100
    assert loud.mean() == pytest.approx(3.0, abs=0.04)


def test_a_source_without_sound_gives_none(tmp_path: Path) -> None:
    source = tmp_path / "silent.mp4"
    with VideoWriter(source, 25, 64, 48) as writer:
        writer.write(gray(1))
    with VideoWriter(tmp_path / "out.mp4", 25, 64, 48, audio_from=Video(source, LIMITS)) as writer:
        writer.write(gray(1))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


def test_a_real_video_keeps_its_sound(tmp_path: Path, eval_data: Path) -> None:
    source = Video(eval_data / "videos" / "hamilton_9s.mp4", LIMITS)
    with VideoWriter(
        tmp_path / "out.mp4", source.info.fps, source.info.width, source.info.height, audio_from=source
    ) as writer:
        for frame in source.frames():
            writer.write(frame.to_frame().image, frame.time_s)
    video, times, _ = read(tmp_path / "out.mp4")
    assert times == pytest.approx([frame.time_s for frame in source.frames()], abs=1e-4)
    shift = round((source.info.start_pts_s - video.info.start_pts_s) * 100)
    before, after = loudness(source.path)[shift : shift + 850], loudness(tmp_path / "out.mp4")[:850]
    best = max(range(-20, 21), key=lambda lag: float(np.corrcoef(before[20:-20], np.roll(after, lag)[20:-20])[0, 1]))
    assert abs(best) <= 3
