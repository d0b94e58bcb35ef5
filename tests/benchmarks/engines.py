"""How fast a video is analysed by each engine, against decoding it alone.

    python -m tests.benchmarks.engines VIDEO...

The ways take turns in one process, and a first round counts for nothing: medians of wall seconds for a second of video.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av

from facerec_models.analysis.analyze import Analysis, analyze
from facerec_models.analysis.networks import load_networks
from facerec_models.config import AnalysisConfig
from facerec_models.identification.cohort import load_cohort
from tests.benchmarks.pictures import say

_ENGINES = ("torch", "openvino")


def main() -> None:
    """Measure each video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as weights:
        ways = {engine: analyzer(engine, Path(weights)) for engine in _ENGINES}
        for video in args.videos:
            measure(video, ways, args.rounds)


def analyzer(engine: str, weights: Path) -> Callable[[Path], Analysis]:
    """Return what analyses a video with this engine and the packaged network."""
    config = AnalysisConfig.model_validate(
        {"detection": {"engine": engine, "device": "cpu"}, "embedding": {"engine": engine, "device": "cpu"}}
    )
    networks = load_networks(config, weights, "dlib-resnet-v1")
    pair = load_cohort("dlib-resnet-v1").pair
    return partial(analyze, config=config, detector=networks.detector, embedder=networks.embedder, pair=pair)


def measure(video: Path, ways: dict[str, Callable[[Path], Analysis]], rounds: int) -> None:
    """Print how long each way takes for a second of a video, and its parts."""
    found: dict[str, list[Analysis]] = {engine: [] for engine in ways}
    decoded = []
    for number in range(rounds + 1):
        for engine, way in ways.items():
            analysis = way(video)
            found[engine] += [analysis] if number else []
        begin = time.perf_counter()
        decode(video)
        decoded.append(time.perf_counter() - begin)
    info = found[_ENGINES[0]][0].info
    length_s = found[_ENGINES[0]][0].shots[-1][1]
    say(f"{video.name}: {info.width}x{info.height}, {length_s:.0f} s")
    say(f"  decoding alone          {statistics.median(decoded[1:]) / length_s:.4f} s for a second")
    for engine, analyses in found.items():
        walls, finding, describing = (
            statistics.median(getattr(one.timing, name) for one in analyses) / length_s
            for name in ("wall_s", "detect_s", "embed_s")
        )
        facts = f"finding faces {finding:.4f}, describing them {describing:.4f}, {len(analyses[0].tracks)} tracks"
        say(f"  {engine:<10}            {walls:.4f} s for a second: {facts}")


def decode(video: Path) -> None:
    """Decode every frame."""
    with av.open(video) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


if __name__ == "__main__":
    main()
