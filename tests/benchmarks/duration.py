"""How analysis grows with a video's length and with its faces: ``python -m tests.benchmarks.duration VIDEO --data DIR``.

Copies of VIDEO are joined to some lengths, whole copies each. Faces of ``DIR/gallery``, all of one size, move together over a canvas
of 1280x720; only how many there are differs. Each video is analysed in this process, with the networks loaded and warm, several times
where that takes little: the shortest time counts. Wall seconds grow with whatever else the machine does; the processor's hardly.

The exponent is that of the power of length, or of faces, which fits best: 1 where twice as much takes twice as long. What an empty
canvas takes is subtracted for faces.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path

# Before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facerec_models.analysis.analyze import Analysis
from facerec_models.types import ImageArray
from facerec_models.video_writer import VideoWriter
from tests.benchmarks.bench import ours, processor
from tests.benchmarks.command import circumstances, say
from tests.benchmarks.memory import join

# Several rounds as long as they take no longer than this together.
_ROUNDS, _ENOUGH_S = 3, 45.0
_WIDTH, _HEIGHT, _FPS = 1280, 720, 25
# Rows and columns of faces, the side of what shows one, the height of the face in it, and how far all move: around a circle, once in
# as many seconds. Far enough for no face to overlap itself a second later.
_ROWS, _COLUMNS, _TILE_PX, _FACE_PX = 8, 13, 80, 60
_RADIUS_PX, _TURN_S = 38, 4.0
_GRAY = 127
_SURE = 0.99


@dataclass(frozen=True, slots=True)
class Measured:
    """How long the analysis of a video took.

    Parameters
    ----------
    in_view : int, optional
        How many faces the canvas shows.
    wall_s, processor_s : float
        Of the fastest round.
    detect_s, embed_s : float
        Of it, to find and to describe faces.
    faces : int
        Embedded.
    """

    length_s: float
    in_view: int | None
    wall_s: float
    processor_s: float
    detect_s: float
    embed_s: float
    faces: int
    tracks: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.duration", description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder whose gallery/ has a folder of pictures a person"
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[9, 27, 90, 300, 900])
    parser.add_argument("--faces", type=int, nargs="+", default=[1, 3, 10, 30, 100], help="in view at once")
    parser.add_argument("--canvas-seconds", type=float, default=8.0, help="length of the videos of faces")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--plot", type=Path, help="where to write a picture of the figures")
    arguments = parser.parse_args()
    say(circumstances(arguments.data))
    say(processor())
    way = partial(ours("cpu", Path("none"), {}), take_crops=lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        lengths = measure_lengths(way, arguments.video, arguments.seconds, Path(folder))
        faces = measure_faces(way, arguments.data / "gallery", arguments.faces, arguments.canvas_seconds, Path(folder))
    if arguments.json is not None:
        figures = {"lengths": list(map(asdict, lengths)), "faces": list(map(asdict, faces))}
        arguments.json.write_text(json.dumps({"processor": processor()} | figures, indent=1) + "\n")
    if arguments.plot is not None:
        plot(lengths, faces, arguments.plot)


def measure_lengths(way: partial[Analysis], video: Path, lengths_s: Sequence[float], folder: Path) -> list[Measured]:
    """Measure joined copies of a video, the shortest first."""
    way(video)
    rows = []
    say()
    say(f"{'length s':>9}{'wall s':>9}{'processor s':>13}{'wall for a second':>19}{'faces':>8}{'tracks':>8}")
    for length_s in sorted(lengths_s):
        joined = folder / f"{length_s:g}.mp4"
        join(video, joined, length_s)
        rows.append(row := measure(way, joined))
        say(
            f"{row.length_s:9.1f}{row.wall_s:9.2f}{row.processor_s:13.2f}{row.wall_s / row.length_s:19.4f}"
            f"{row.faces:8}{row.tracks:8}"
        )
        joined.unlink()
    x = [row.length_s for row in rows]
    say_exponents("length", x, {"wall": [row.wall_s for row in rows], "processor": [row.processor_s for row in rows]})
    return rows


def measure_faces(
    way: partial[Analysis], gallery: Path, counts: Sequence[int], length_s: float, folder: Path
) -> list[Measured]:
    """Measure canvases with some faces, the fewest first, after an empty one."""
    tiles = list(islice(tiles_of(gallery, way), max(counts)))
    rows = []
    say()
    heads = f"{'finding s':>11}{'describing s':>14}{'faces':>8}{'ms a face':>11}{'tracks':>8}"
    say(f"{'in view':>9}{'wall s':>9}{'processor s':>13}{heads}")
    for count in (0, *sorted(counts)):
        path = folder / f"{count}-faces.mp4"
        write_canvas(path, tiles[:count], length_s)
        if not rows:
            way(path)
        rows.append(row := measure(way, path, count))
        a_face = f"{(row.wall_s - rows[0].wall_s) / row.faces * 1e3:.2f}" if row.faces else ""
        say(
            f"{count:9}{row.wall_s:9.2f}{row.processor_s:13.2f}{row.detect_s:11.2f}{row.embed_s:14.2f}{row.faces:8}{a_face:>11}"
            f"{row.tracks:8}"
        )
    empty, *others = rows
    beyond = {
        "wall": [row.wall_s - empty.wall_s for row in others],
        "processor": [row.processor_s - empty.processor_s for row in others],
    }
    say_exponents("embedded faces", [row.faces for row in others], beyond)
    return rows


def measure(way: partial[Analysis], video: Path, in_view: int | None = None) -> Measured:
    """Analyse a video until it has taken long enough, and keep the fastest round."""
    rounds: list[Measured] = []
    while not rounds or (len(rounds) < _ROUNDS and (len(rounds) + 1) * rounds[-1].wall_s < _ENOUGH_S):
        wall_s, processor_s = time.perf_counter(), time.process_time()
        found = way(video)
        wall_s, processor_s = time.perf_counter() - wall_s, time.process_time() - processor_s
        length_s = found.shots[-1][1] - found.shots[0][0]
        timing = found.timing
        rounds.append(
            Measured(
                length_s, in_view, wall_s, processor_s, timing.detect_s, timing.embed_s, timing.faces_embedded, len(found.tracks)
            )
        )  # fmt: skip
    return min(rounds, key=lambda row: row.wall_s)


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the exponent of the power of `x` that fits `y` best: the slope of a line through the logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def say_exponents(what: str, x: Sequence[float], times: Mapping[str, Sequence[float]]) -> None:
    """Print the exponents of several times over all of `x`, and over each two neighbours."""
    for name, y in times.items():
        steps = ", ".join(f"{exponent(x[i : i + 2], y[i : i + 2]):.2f}" for i in range(len(x) - 1))
        say(f"  exponent of {name} time over {what}: {exponent(x, y):.3f}; from each to the next {steps}")


def tiles_of(gallery: Path, way: partial[Analysis]) -> Iterator[ImageArray]:
    """Yield faces as squares, one of each person before a second one of anybody."""
    people = [sorted(person.iterdir()) for person in sorted(gallery.iterdir()) if person.is_dir()]
    for path in chain.from_iterable(zip_longest(*people)):
        picture = cv2.imread(str(path)) if path is not None else None
        if picture is None:
            continue
        image = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        (found,) = way.keywords["detector"].detect([image])
        scale = _FACE_PX / float(found.boxes[0, 3] - found.boxes[0, 1]) if len(found) == 1 else 1.0
        # Small pictures would be blurred.
        if scale < 1 and found.scores[0] > _SURE:
            middle = (found.boxes[0, :2] + found.boxes[0, 2:]) / 2 * scale
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            shift = np.column_stack([np.eye(2), _TILE_PX / 2 - middle])
            tile = cv2.warpAffine(small, shift, (_TILE_PX, _TILE_PX), borderValue=(_GRAY,) * 3)
            yield np.asarray(tile, np.uint8)


def write_canvas(path: Path, tiles: Sequence[ImageArray], length_s: float) -> None:
    """Write a video in which faces, spread evenly, move around a circle together."""
    room = np.array([_HEIGHT, _WIDTH]) - 2 * _RADIUS_PX
    cells = np.linspace(0, _ROWS * _COLUMNS - 1, max(len(tiles), 2)).round().astype(int)[: len(tiles)]
    rows, columns = np.divmod(cells, _COLUMNS)
    corners = np.stack([rows, columns], axis=1) * (room // (_ROWS, _COLUMNS)) + _RADIUS_PX
    with VideoWriter(path, _FPS, _WIDTH, _HEIGHT) as writer:
        for number in range(round(length_s * _FPS)):
            angle = 2 * math.pi * number / _FPS / _TURN_S
            moved = np.round([_RADIUS_PX * math.sin(angle), _RADIUS_PX * math.cos(angle)]).astype(int)
            canvas = np.full((_HEIGHT, _WIDTH, 3), _GRAY, np.uint8)
            for tile, (top, left) in zip(tiles, corners + moved, strict=True):
                canvas[top : top + _TILE_PX, left : left + _TILE_PX] = tile
            writer.write(canvas)


def plot(lengths: Sequence[Measured], faces: Sequence[Measured], path: Path) -> None:
    """Draw the processor's times over length and over faces, all axes logarithmic, beside what grows in proportion."""
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, [row.length_s for row in lengths], {"analysis": [row.processor_s for row in lengths]})
    left.set(title="Length", xlabel="seconds of video", ylabel="processor seconds")
    empty, *others = faces
    times = {
        "beyond an empty canvas": [row.processor_s - empty.processor_s for row in others],
        "analysis": [row.processor_s for row in others],
    }
    _panel(right, [row.in_view or 0 for row in others], times)
    right.set(title=f"Faces, {empty.length_s:.0f} s of 1280x720", xlabel="faces in view", ylabel="processor seconds")
    figure.savefig(path, dpi=110)


def _panel(panel: Axes, x: Sequence[float], times: Mapping[str, Sequence[float]]) -> None:
    for name, y in times.items():
        panel.loglog(x, y, marker="o", label=name)
    first = next(iter(times.values()))
    # Through the middle of the first line, so that neither end hides a bend.
    middle = len(x) // 2
    panel.loglog(x, [first[middle] * one / x[middle] for one in x], "--", color="gray", label="in proportion")
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small", frameon=False)


if __name__ == "__main__":
    main()
