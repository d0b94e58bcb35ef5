"""Names on clips with a ground truth: ``python -m tests.benchmarks.clips --data DIR``."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.command import Facerec, circumstances, say
from training.evaluation.counting import evaluate
from training.evaluation.report import as_text, write_report
from training.evaluation.results import read_results
from training.evaluation.truth import read_truths


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.clips", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/ and videos/")
    parser.add_argument("--out", type=Path, help="keep results/ and report/ in this new folder")
    parser.add_argument("--extra", default="", help="more options for `facerec recognize`, as one word")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary) / "out"
        results = out / "results"
        # Results of an earlier run would be counted as this one's.
        results.mkdir(parents=True, exist_ok=False)
        facerec, extra = Facerec(Path(temporary) / "home"), shlex.split(arguments.extra)
        say(circumstances(arguments.data))
        say(f"recognize options: {shlex.join(extra) or 'none'}")
        say(f"enrolled in {facerec.enrol(arguments.data / 'gallery'):.1f} s")
        measure(facerec, arguments.data / "videos", results, extra)
        evaluation = evaluate(read_truths(arguments.data / "videos"), read_results(results))
        write_report(evaluation, out / "report")
        say()
        say(as_text(evaluation))


def measure(facerec: Facerec, folder: Path, results: Path, extra: Sequence[str]) -> None:
    """Recognise each video of a folder, which has its truth beside it, one command a video, and say how long that takes."""
    videos = [path for path in sorted(folder.iterdir()) if path.suffix != ".json"]
    wall_s = footage_s = 0.0
    for video in videos:
        truth = json.loads(video.with_suffix(".json").read_bytes())
        run = facerec.expect("recognize", video, "--result", results / f"{video.stem}.json", *extra)
        wall_s += run.wall_s
        footage_s += truth["duration_s"]
        say(f"{video.name}: {truth['duration_s']:.1f} s of video in {run.wall_s:.1f} s, {run.peak_mb:.0f} MB")
    say(
        f"all: {footage_s:.1f} s of video in {wall_s:.1f} s, {footage_s / wall_s:.2f} x real time, starting up included"
    )


if __name__ == "__main__":
    main()
