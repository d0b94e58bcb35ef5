"""Broken and unusual files, and their errors: ``python -m tests.benchmarks.odd --data DIR``."""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from pathlib import Path

from tests.benchmarks.command import Facerec, Run, circumstances, say

_VIDEO_SUFFIXES = {".mp4", ".webm"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.odd", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/, odd/ and odd_expected.csv")
    data = parser.parse_args().data
    say(circumstances(data))
    with tempfile.TemporaryDirectory() as temporary, (data / "odd_expected.csv").open(encoding="utf-8") as table:
        facerec = Facerec(Path(temporary) / "home")
        facerec.enrol(data / "gallery")
        result = Path(temporary) / "result.json"
        for row in csv.DictReader(table):
            path = data / row["path"]
            if path.suffix in _VIDEO_SUFFIXES:
                result.unlink(missing_ok=True)
                run = facerec.run("recognize", path, "--result", result)
                answer = video_answer(result) if result.exists() else run.last_error_line
            else:
                run = facerec.run("faces", path, "--json")
                answer = picture_answer(run)
            say()
            say(f"{row['path']}   exit {run.exit_code}, {run.peak_mb:.0f} MB, {run.wall_s:.1f} s")
            say(f"    got       {answer}")
            say(f"    expected  {row['person']}: {row['expected']}")


def picture_answer(run: Run) -> str:
    """Return each face's answer, or the error."""
    if not run.output.strip():
        return run.last_error_line
    row = json.loads(run.output)
    if row["error"] is not None:
        return f"error: {row['error']}"
    return "; ".join(face["person_id"] or face["decision"] for face in row["faces"]) or "no face"


def video_answer(result: Path) -> str:
    """Return each appearance, and whether the video was read to its end."""
    document = json.loads(result.read_bytes())
    appearances = [f"{a['label']} {a['start_s']:.1f}-{a['end_s']:.1f} s" for a in document["appearances"]]
    state = "complete" if document["video"]["complete"] else "incomplete"
    return "; ".join([state, *document["video"]["warnings"], *(appearances or ["no face"])])


if __name__ == "__main__":
    main()
