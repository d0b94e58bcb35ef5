"""Names on stills, known people and strangers: ``python -m tests.benchmarks.stills --data DIR``."""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import unicodedata
from pathlib import Path

from facerec_models.identification.classifiers import CLASSIFIERS, DEFAULT_CLASSIFIER
from facerec_models.metrics import FaceAnswer, StillScore, still_score
from tests.benchmarks.command import Facerec, circumstances, say


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stills", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/, probes/ and unknowns/")
    parser.add_argument("--classifier", choices=CLASSIFIERS, default=DEFAULT_CLASSIFIER)
    arguments = parser.parse_args()
    data = arguments.data
    with tempfile.TemporaryDirectory() as temporary:
        say(circumstances(data))
        facerec = Facerec(Path(temporary) / "home")
        say(f"enrolled in {facerec.enrol(data / 'gallery', arguments.classifier):.1f} s, {arguments.classifier}")
        probes = answers(facerec, data / "probes")
        strangers = answers(facerec, data / "unknowns")
    people = [(unicodedata.normalize("NFC", path.parent.name), faces) for path, faces in probes.items()]
    say()
    say(as_text(still_score(people, list(strangers.values()))))
    for path, faces in strangers.items():
        for face in faces:
            if face.named is not None:
                say(f"named: {path.relative_to(data)} as {face.named}, false-name rate {face.false_name_rate:.4f}")


def answers(facerec: Facerec, folder: Path) -> dict[Path, list[FaceAnswer]]:
    """Ask who is in every picture below a folder; a picture that cannot be read has no face."""
    pictures = sorted(path for path in folder.rglob("*") if path.is_file())
    run = facerec.expect("faces", *pictures, "--json", codes=(0, 1))
    say(f"{folder.name}: {len(pictures)} pictures in {run.wall_s:.1f} s, {run.peak_mb:.0f} MB")
    rows = {Path(row["path"]): row for row in map(json.loads, run.output.splitlines())}
    unanswered = [path for path in pictures if path not in rows]
    if unanswered:
        raise SystemExit(f"`facerec faces` gave no line for {len(unanswered)} pictures, the first is {unanswered[0]}")
    return {path: [FaceAnswer.from_json(face) for face in rows[path]["faces"]] for path in pictures}


def as_text(score: StillScore) -> str:
    """Return the figures as lines for people to read."""
    limit = "no limit needed" if math.isinf(score.dir_limit) else f"false-name rate below {score.dir_limit:.4f}"
    lines = [
        f"probe pictures            {score.probes}, {score.without_face} without a face",
        f"strangers' pictures       {score.strangers}",
        f"rank-1                    {score.rank1:.3f}   (undecidable is a miss; nearest, whatever decided: {score.nearest_right:.3f})",
        f"DIR at FPIR {score.dir_fpir:.4f}        {score.dir:.3f}   ({limit})",
        f"named right, at default   {score.named_right:.3f}",
        f"named wrong, at default   {score.named_wrong:.3f}",
        f"FPIR at default           {score.fpir:.4f}",
        "",
        "claimed   observed   pictures   95 % interval",
    ]
    for claim in score.observed:
        low, high = claim.interval
        verdict = "" if claim.is_kept else "   more than claimed"
        lines.append(
            f"{claim.claimed:7.3f}   {claim.observed:8.4f}   {claim.false_names:8d}   {low:.4f} to {high:.4f}{verdict}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
