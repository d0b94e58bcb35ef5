"""Names on clips that are made to look otherwise: ``python -m tests.benchmarks.altered --data DIR``.

A few seconds more or less of a few clips are luck. Each clip is therefore mirrored, reduced, turned, coded again and begun later, which
changes nothing that a person sees: all of these are counted together. The newsreel is another kind of footage: few lines, gray, grainy
and soft.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph

from facerec_models.metrics.person_time import NamedTime
from tests.benchmarks.clips import measure
from tests.benchmarks.command import Facerec, circumstances, say
from training.evaluation.counting import evaluate
from training.evaluation.results import read_results
from training.evaluation.truth import read_truths


@dataclass(frozen=True, slots=True)
class Look:
    """How clips are changed.

    Parameters
    ----------
    filters : tuple of (str, str)
        FFmpeg's filters, each with its options.
    crf : int
        How coarsely H.264 codes the result: more is worse.
    options : tuple of str
        Of ``facerec recognize``.
    """

    filters: tuple[tuple[str, str], ...] = ()
    crf: int = 18
    options: tuple[str, ...] = ()


ALIKE = {
    "as they are": Look(),
    "begun .2 s later": Look(options=("--fragment", "0.2,100000")),
    "begun .44 s later": Look(options=("--fragment", "0.44,100000")),
    "mirrored": Look((("hflip", ""),)),
    "reduced to .85": Look((("scale", "trunc(iw*0.85/2)*2:trunc(ih*0.85/2)*2"),)),
    "coded coarsely": Look(crf=31),
    "turned by four degrees": Look((("rotate", "4*PI/180:fillcolor=gray"),)),
}
NEWSREEL = Look(
    (("scale", "-2:384"), ("format", "gray"), ("noise", "alls=16:allf=t"), ("unsharp", "3:3:-0.6")),
    crf=27,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.altered", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/ and videos/")
    data: Path = parser.parse_args().data
    say(circumstances(data))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        facerec = Facerec(folder / "home")
        say(f"enrolled in {facerec.enrol(data / 'gallery'):.1f} s")
        clips = sorted((data / "videos").glob("*.mp4"))
        total = NamedTime()
        for name, look in ALIKE.items():
            total += count(name, look, clips, facerec, folder)
        say(as_line("all of these", total))
        count("newsreel", NEWSREEL, clips, facerec, folder)


def count(name: str, look: Look, clips: Sequence[Path], facerec: Facerec, folder: Path) -> NamedTime:
    """Make clips look so, recognise them, and say what is named rightly."""
    made, results = folder / name / "videos", folder / name / "results"
    made.mkdir(parents=True)
    results.mkdir()
    for clip in clips:
        shutil.copy(clip.with_suffix(".json"), made)
        alter(clip, made / clip.name, look)
    measure(facerec, made, results, look.options)
    evaluation = evaluate(read_truths(made), read_results(results))
    say(as_line(name, evaluation.pooled))
    shutil.rmtree(made)
    return evaluation.pooled


def as_line(name: str, total: NamedTime) -> str:
    """Return precision and recall as a line for people to read."""
    right, named = total.right_s, total.named_s - total.ignored_s
    return f"== {name}: precision {right / named:.4f}, recall {total.found_s / total.clear_s:.4f}, {total.wrong_s:.1f} s wrong"


def alter(source: Path, target: Path, look: Look) -> None:
    """Write a video's pictures as they look, without sound; one without any change is copied."""
    if look == Look(options=look.options):
        shutil.copy(source, target)
        return
    with av.open(source) as clip, av.open(target, "w") as out:
        stream = clip.streams.video[0]
        graph = Graph()
        last = graph.add_buffer(template=stream)
        for name, options in (*look.filters, ("format", "yuv420p"), ("buffersink", "")):
            following = graph.add(name, options)
            last.link_to(following)
            last = following
        graph.configure()
        coder = None
        for frame in (*clip.decode(stream), None):
            graph.push(frame)
            while (picture := _pulled(graph)) is not None:
                if coder is None:
                    rate = Fraction(stream.average_rate or 25)
                    coder = out.add_stream("libx264", rate=rate, options={"crf": str(look.crf), "preset": "veryfast"})
                    coder.width, coder.height, coder.pix_fmt = picture.width, picture.height, "yuv420p"
                    coder.time_base = picture.time_base
                out.mux(coder.encode(picture))
        if coder is not None:
            out.mux(coder.encode(None))


def _pulled(graph: Graph) -> av.VideoFrame | None:
    """Return the next picture that has come through; None until there is one."""
    try:
        picture = graph.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
    return picture if isinstance(picture, av.VideoFrame) else None


if __name__ == "__main__":
    main()
