from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import InputError
from facerec_models.types import ImageArray
from facerec_models.video_writer import VideoWriter
from serving.exports.annotated import Annotator, write_annotated
from serving.exports.colours import INK, Colour, label_colour, label_colours
from serving.exports.drawing import put_text
from serving.exports.labels import clock, one_in, percent, strangers_as_near, timecode
from tests.results import Box, Seen, make_result
from tests.unit.facerec_models.test_video_writer import loudness, write_source

LIMITS = LimitsConfig()
WIDTH, HEIGHT = 640, 360
BACKGROUND = 128
LEFT_BOX: Box = (100, 120, 180, 220)
RIGHT_BOX: Box = (300, 120, 380, 220)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (timecode(359999.9996), "100:00:00.000"),
        (clock(59.4), "0:59"),
        (clock(59.5), "1:00"),
        (clock(3599.96, 1), "1:00:00.0"),
        (clock(83.44, 1), "1:23.4"),
        (percent(0.974), "97 %"),
        (percent(0.9999), "> 99 %"),
        (percent(1.0), "100 %"),
        (percent(0.001), "< 1 %"),
        (percent(0.0), "0 %"),
        (one_in(1.0), "1 in 1"),
        (one_in(0.28), "1 in 4"),
        (one_in(0.0005), "1 in 2,000"),
        (one_in(1 / 12_345), "1 in 12,000"),
        (one_in(1e-6), "1 in 1,000,000"),
        (one_in(1e-9), "< 1 in 1,000,000"),
        (strangers_as_near(1 / 140), "1 stranger in 140"),
        (strangers_as_near(1 / 300), "1 stranger in 300"),
        (strangers_as_near(1e-9), "fewer than 1 stranger in 300"),
    ],
)
def test_times_and_chances_are_written_for_people(text: str, expected: str) -> None:
    assert text == expected


PEOPLE = [f"Person {chr(65 + i)}" for i in range(9)]


def palette() -> list[Colour]:
    return list(label_colours(make_result(*(Seen(name, 0, 1) for name in PEOPLE))).values())


def test_the_labels_of_a_result_have_different_colours() -> None:
    assert len({label_colour(name) for name in PEOPLE}) < len(PEOPLE)
    assert len(set(palette())) == len(PEOPLE)


def test_strangers_and_order_do_not_change_the_colours_of_people() -> None:
    people = [Seen(name, 0, 1) for name in PEOPLE[:5]]
    strangers = [Seen(f"Unknown {i}", 0, 1) for i in range(1, 12)]
    colours = label_colours(make_result(*people))
    assert colours.items() <= label_colours(make_result(*strangers, *reversed(people))).items()


def test_a_lone_label_keeps_its_own_colour() -> None:
    for label in [*PEOPLE, "Unknown 3", "Undecidable"]:
        assert label_colours(make_result(Seen(label, 0, 1)))[label] == label_colour(label)
    red, green, blue = label_colour("Undecidable")
    assert red == green == blue


def linear(colour: Colour) -> np.ndarray:
    share = np.array(colour) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def test_text_is_legible_on_every_label() -> None:
    def luminance(colour: Colour) -> float:
        return float(linear(colour) @ [0.2126, 0.7152, 0.0722])

    for colour in palette():
        assert (luminance(colour) + 0.05) / (luminance(INK) + 0.05) >= 4.5


# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
EYES = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("eye", EYES)
def test_colours_differ_for_colour_blind_viewers(eye: str) -> None:
    color = pytest.importorskip("skimage.color")
    seen = np.clip([np.array(EYES[eye]) @ linear(c) for c in [*palette(), label_colour("Undecidable")]], 0, 1)
    encoded = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    assert min(color.deltaE_ciede2000(a, b) for a, b in combinations(color.rgb2lab(encoded), 2)) >= 8


def drawn(*seen: Seen, time_s: float, size: tuple[int, int] = (WIDTH, HEIGHT), period_s: float = 1.0) -> ImageArray:
    image = np.full((size[1], size[0], 3), BACKGROUND, np.uint8)
    Annotator(make_result(*seen, size=size, period_s=period_s)).draw(image, time_s)
    return image


def is_colour(image: ImageArray, colour: Colour) -> np.ndarray:
    return (image == colour).all(-1)


def frame_edges(image: ImageArray, colour: Colour, y: int = 170) -> list[float]:
    """Middle columns of a frame's two upright lines, at a height that no label reaches."""
    line = (np.abs(image[y].astype(int) - colour) <= 12).all(-1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(int)))
    return [float(start + end - 1) / 2 for start, end in edges.reshape(-1, 2)]


def moving(*, gap_s: float, label: str = "Ann Li") -> Seen:
    return Seen(label, 0.5, 1.5 + gap_s, [(1.0, LEFT_BOX), (1.0 + gap_s, RIGHT_BOX)])


@pytest.mark.parametrize(
    ("time_s", "left"),
    [(0.4, None), (0.5, 100), (0.9, 100), (1.0, 100), (1.25, 150), (1.5, 200), (2.0, 300), (2.4, 300), (2.5, None)],
)
def test_a_box_glides_between_near_samples_and_stays_beyond_its_ends(time_s: float, left: int | None) -> None:
    image = drawn(moving(gap_s=1.0), time_s=time_s)
    assert frame_edges(image, label_colour("Ann Li")) == ([] if left is None else [left, left + 79])


@pytest.mark.parametrize(("time_s", "left"), [(1.5, 100), (1.6, None), (3.4, None), (3.5, 300), (4.0, 300)])
def test_a_box_does_not_glide_over_a_gap(time_s: float, left: int | None) -> None:
    image = drawn(moving(gap_s=3.0), time_s=time_s)
    assert frame_edges(image, label_colour("Ann Li")) == ([] if left is None else [left, left + 79])


@pytest.mark.parametrize(
    ("time_s", "left"), [(1.05, 110), (1.3, 160), (1.5, 200), (1.65, None), (2.35, None), (2.4, 300)]
)
def test_no_box_is_drawn_over_frames_that_were_sampled_and_do_not_show_the_face(
    time_s: float, left: int | None
) -> None:
    places = {1.0: 100, 1.2: 140, 1.4: 180, 1.5: 200, 2.4: 300}
    samples = [(at_s, (float(x), LEFT_BOX[1], x + 80.0, LEFT_BOX[3])) for at_s, x in places.items()]
    track = Seen("Ann Li", 1.0, 2.5, samples)
    image = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    Annotator(make_result(track, densified=True)).draw(image, time_s)
    assert frame_edges(image, label_colour("Ann Li")) == ([] if left is None else [left, left + 79])


def test_a_face_that_is_always_in_view_is_framed_on_every_frame_where_the_rate_varies() -> None:
    jitter = np.random.default_rng(0).uniform(0.03, 0.27, 60).cumsum().tolist()
    track = Seen("Ann Li", jitter[0], jitter[-1] + 0.04, [(at_s, LEFT_BOX) for at_s in jitter])
    annotator, framed = Annotator(make_result(track, duration_s=20.0, densified=True)), []
    for time_s in np.arange(jitter[0], jitter[-1], 1 / 30).tolist():
        image = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
        annotator.draw(image, time_s)
        framed.append(is_colour(image, label_colour("Ann Li")).any())
    assert all(framed)


def test_a_box_is_not_shown_outside_its_shot() -> None:
    face = Seen("Ann Li", 0.8, 1.2, [(1.0, LEFT_BOX)])
    counts = [is_colour(drawn(face, time_s=t), label_colour("Ann Li")).sum() for t in (0.79, 0.8, 1.19, 1.2)]
    assert [bool(count) for count in counts] == [False, True, True, False]


def test_faces_come_and_go_in_the_order_of_time() -> None:
    result = make_result(
        Seen("Ann Li", 2.0, 3.0, [(2.5, RIGHT_BOX)]),
        Seen("Bo Ek", 0.0, 1.0, [(0.5, LEFT_BOX)]),
        Seen("Cy Ng", 0.5, 2.5, [(1.0, LEFT_BOX), (2.0, LEFT_BOX)]),
    )
    annotator, colours = Annotator(result), label_colours(result)
    shown = []
    for time_s in (0.0, 1.2, 2.2, 2.7):
        image = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
        annotator.draw(image, time_s)
        shown.append("".join(name[0] for name, colour in sorted(colours.items()) if is_colour(image, colour).any()))
    assert shown == ["B", "C", "AC", "A"]


def test_an_undecidable_face_gets_a_thin_gray_frame_and_no_label() -> None:
    image = drawn(Seen("Undecidable", 0.5, 1.5, [(1.0, LEFT_BOX)]), time_s=1.0)
    changed = (image != BACKGROUND).any(-1)
    assert frame_edges(image, label_colour("Undecidable")) == [100, 179]
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (99, 119, 180, 220)


def test_a_track_of_no_appearance_is_not_drawn() -> None:
    result = make_result(Seen("Ann Li", 0.5, 1.5, [(1.0, LEFT_BOX)]))
    image = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    Annotator(result.model_copy(update={"appearances": []})).draw(image, 1.0)
    assert (image == BACKGROUND).all()


def face_at(box: Box, label: str = "Ann Li") -> Seen:
    return Seen(label, 0.5, 1.5, [(1.0, box)])


def tag_of(label: str, size: tuple[int, int] = (WIDTH, HEIGHT)) -> ImageArray:
    """The label's picture, cut from a drawing where it has room: it lies between a gap and its frame."""
    x, y = 4, size[1] // 2
    image = drawn(face_at((x, y, x + 8, y + 8), label), time_s=1.0, size=size)
    rows, columns = np.nonzero(is_colour(image, label_colour(label))[: y - 3])
    return image[rows.min() + 3 : rows.max() - 2, columns.min() + 3 : columns.max() - 2]


def contains(image: ImageArray, part: ImageArray) -> bool:
    return float(cv2.matchTemplate(image, part, cv2.TM_CCOEFF_NORMED).max()) > 0.99


@pytest.mark.parametrize(
    "box", [(0, 0, 60, 60), (580, 0, 640, 60), (0, 300, 60, 360), (580, 300, 640, 360), (0, 0, 640, 360)]
)
def test_a_label_never_leaves_the_picture(box: Box) -> None:
    near = slice(max(0, round(box[1]) - 40), round(box[3]) + 40)
    assert contains(drawn(face_at(box), time_s=1.0)[near], tag_of("Ann Li"))


def test_labels_of_neighbours_do_not_hide_each_other() -> None:
    faces = [face_at((100, 150, 130, 190), "Ann Li"), face_at((134, 152, 164, 192), "Cy Ng")]
    image = drawn(*faces, time_s=1.0)
    assert all(contains(image, tag_of(face.label)) for face in faces)


def test_a_label_is_the_name_alone() -> None:
    def of(face: Seen) -> ImageArray:
        return drawn(face, time_s=1.0)

    for label in ("Ann Li", "Unknown 2"):
        likely, surer = (Seen(label, 0.5, 1.5, [(1.0, LEFT_BOX)], chance) for chance in (0.81, 0.93))
        np.testing.assert_array_equal(of(likely), of(surer))
    assert (of(face_at(LEFT_BOX)) != of(face_at(LEFT_BOX, "Ann Lu"))).any()


def test_a_long_name_is_shortened() -> None:
    long = Seen("Maria Alexandrovna von Habsburg-Lothringen the Third", 0.5, 1.5, [(1.0, (10, 40, 60, 100))])
    blank = np.full((120, 160, 3), BACKGROUND, np.uint8)
    _, columns = np.nonzero((drawn(long, time_s=1.0, size=(160, 120))[:36] != blank[:36]).any(-1))
    assert 130 < np.ptp(columns) < 160


def test_letters_of_other_alphabets_are_drawn() -> None:
    def picture(letter: str) -> bytes:
        image = np.zeros((40, 60, 3), np.uint8)
        put_text(image, letter, 5, 20, 24, (255, 255, 255))
        return image.tobytes()

    letters = "éůžŁğЖω习近平م"
    assert len({picture(letter) for letter in [*letters, "\U0010fffd", " "]}) == len(letters) + 2


def test_labels_and_lines_grow_with_the_picture() -> None:
    def ink(scale: int) -> int:
        box: Box = (100 * scale, 120 * scale, 180 * scale, 220 * scale)
        image = drawn(face_at(box), time_s=1.0, size=(WIDTH * scale, HEIGHT * scale))
        return int(is_colour(image, label_colour("Ann Li")).sum())

    assert ink(2) > 2.5 * ink(1)


TIMES_S = [0.0, 0.1, 0.2, 0.35, 0.4, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.3]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures at uneven times, each a little brighter than the one before."""
    path = tmp_path_factory.mktemp("source") / "source.mp4"
    with VideoWriter(path, 10, WIDTH, HEIGHT) as writer:
        for number, time_s in enumerate(TIMES_S):
            writer.write(np.full((HEIGHT, WIDTH, 3), 60 + 10 * number, np.uint8), time_s)
    return path


def read(path: Path) -> tuple[list[float], list[ImageArray]]:
    with Video(path, LIMITS) as video:
        frames = list(video.frames())
    assert video.complete
    return [frame.time_s for frame in frames], [frame.to_frame().image for frame in frames]


def test_the_annotated_video_is_the_original_with_the_faces_at_their_times(source: Path, tmp_path: Path) -> None:
    result = make_result(Seen("Ann Li", 0.2, 0.6, [(0.2, LEFT_BOX), (0.4, RIGHT_BOX)]), duration_s=1.4, period_s=0.4)
    done: list[float] = []
    write_annotated(result, source, tmp_path / "out.mp4", LIMITS, done.append)
    times, images = read(tmp_path / "out.mp4")
    assert times == pytest.approx(TIMES_S, abs=1e-3)
    assert [round((float(image[-20:].mean()) - 60) / 10) for image in images] == list(range(len(TIMES_S)))
    spans = {}
    for time_s, image, original in zip(TIMES_S, images, read(source)[1], strict=True):
        columns = np.flatnonzero((np.abs(image[150:190].astype(int) - original[150:190]) > 25).any((0, 2)))
        if columns.size:
            spans[time_s] = columns.min(), columns.max()
    assert list(spans) == [0.2, 0.35, 0.4, 0.55]
    for time_s, left in [(0.2, 100), (0.35, 250), (0.4, 300), (0.55, 300)]:
        assert spans[time_s] == pytest.approx((left, left + 79), abs=3)
    tag = images[2][102:112, 101:104].reshape(-1, 3).mean(0)
    assert np.abs(tag - label_colour("Ann Li")).max() < 30
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert list(tmp_path.iterdir()) == [tmp_path / "out.mp4"]


def test_only_the_parts_that_were_analysed_are_drawn(source: Path, tmp_path: Path) -> None:
    result = make_result(Seen("Ann Li", 0.9, 1.3, [(0.9, LEFT_BOX)]), duration_s=1.4, period_s=0.4)
    parts = {"fragment": (0.1, 5.0), "fragments": [(0.1, 0.35), (0.8, 0.9), (1.0, 5.0)]}
    result = result.model_copy(update={"sampling": result.sampling.model_copy(update=parts)})
    write_annotated(result, source, tmp_path / "out.mp4", LIMITS)
    times, images = read(tmp_path / "out.mp4")
    assert times == pytest.approx([0.0, 0.1, 0.25, 0.35, 0.55, 0.65], abs=1e-3)
    assert [round((float(image[-20:].mean()) - 60) / 10) for image in images] == [1, 2, 8, 10, 11, 12]


def write_shaped(path: Path, *parts: tuple[int, int], ratio: Fraction | None = None) -> Path:
    """Write half a second of gray for each size, one file after the other."""
    content = b""
    for i, (width, height) in enumerate(parts):
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=10, options={"bf": "0"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            if ratio is not None:
                stream.codec_context.sample_aspect_ratio = ratio
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 40, np.uint8), "rgb24")
                frame.pts, frame.time_base = 5 * i + number, Fraction(1, 10)
                out.mux(stream.encode(frame.reformat(format="yuv420p")))
            out.mux(stream.encode(None))
        content += path.read_bytes()
    path.write_bytes(content)
    return path


def test_the_annotated_video_has_square_pixels_and_its_boxes_are_where_the_faces_are(tmp_path: Path) -> None:
    source = write_shaped(tmp_path / "source.mp4", (320, 360), ratio=Fraction(2))
    face = Seen("Undecidable", 0.0, 0.5, [(0.0, (100, 100, 150, 200)), (0.4, (100, 100, 150, 200))])
    result = make_result(face, duration_s=0.5, size=(320, 360), sample_aspect_ratio=2.0)
    write_annotated(result, source, tmp_path / "out.mp4", LIMITS)
    with Video(tmp_path / "out.mp4", LIMITS) as video:
        assert (video.info.width, video.info.height, video.info.sample_aspect_ratio) == (640, 360, 1)
        image = next(iter(video.frames())).to_frame().image.astype(int)
    ys, xs = np.nonzero(np.abs(image - image[5, 5]).max(-1) > 25)
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == pytest.approx((200, 100, 300, 200), abs=3)


def test_frames_of_another_size_are_fitted_between_bars_with_their_boxes(tmp_path: Path) -> None:
    source = write_shaped(tmp_path / "source.ts", (180, 320), (640, 320))
    face = Seen("Undecidable", 0.5, 1.0, [(0.5, (320, 100, 480, 260)), (0.9, (320, 100, 480, 260))])
    write_annotated(make_result(face, duration_s=1.0, size=(180, 320)), source, tmp_path / "out.mp4", LIMITS)
    times, images = read(tmp_path / "out.mp4")
    assert len(times) == 10
    assert {image.shape for image in images} == {(320, 180, 3)}
    assert images[2].min() > 25
    later = images[7].astype(int)
    # 640x320 is 180x90 here, in the middle.
    assert later[:113].max() < 12
    assert later[208:].max() < 12
    inside = later[117:203]
    ys, xs = np.nonzero(np.abs(inside - inside[3, 3]).max(-1) > 25)
    assert (xs.min(), 117 + ys.min(), xs.max(), 117 + ys.max()) == pytest.approx((90, 143, 135, 188), abs=3)


def test_the_sound_is_kept(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.mp4", "aac", beep_s=1.0, seconds=2.0)
    write_annotated(make_result(duration_s=2.0, size=(64, 48), fps=25), source, tmp_path / "out.mp4", LIMITS)
    sound = loudness(tmp_path / "out.mp4")
    assert sound[95:105].min() > 0.2
    assert sound[120:180].max() < 0.05


def test_another_video_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"640x360 .* 1280x720.*analysed"):
        write_annotated(make_result(size=(1280, 720)), source, tmp_path / "out.mp4", LIMITS)
    assert list(tmp_path.iterdir()) == []
