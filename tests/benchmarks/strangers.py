"""Strangers on clips whose people are known: ``python -m tests.benchmarks.strangers --data DIR``.

The clips are named twice. First everybody is enrolled: a track's name, where the truth confirms it, says who the track is. Then
nobody who appears is enrolled, only the rest of the gallery: the same tracks are strangers, and each should be one stranger.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
from pathlib import Path

from facerec_models.metrics import ClusterScore
from tests.benchmarks.command import Facerec, circumstances, say
from training.evaluation.counting import Evaluation, evaluate
from training.evaluation.evidence import TrackEvidence
from training.evaluation.figures import clusters_of, project_clusters_of, ratio
from training.evaluation.results import read_results
from training.evaluation.truth import Truth, read_truths

_KNOWN, _STRANGERS = "known", "strangers"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.strangers", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/ and videos/")
    parser.add_argument("--out", type=Path, help="keep the results of both runs in this new folder")
    parser.add_argument("--extra", default="", help="more options for `facerec recognize`, as one word")
    arguments = parser.parse_args()
    truths = {stem: truth for stem, truth in read_truths(arguments.data / "videos").items() if truth.people}
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary) / "out"
        out.mkdir(parents=True, exist_ok=False)
        say(circumstances(arguments.data))
        facerec = Facerec(Path(temporary) / "home")
        seen = {person for truth in truths.values() for person in truth.intervals()}
        others = Path(temporary) / "others"
        for person in sorted((arguments.data / "gallery").iterdir()):
            if person.is_dir() and person.name not in seen:
                shutil.copytree(person, others / person.name)
        for project, gallery in ((_KNOWN, arguments.data / "gallery"), (_STRANGERS, others)):
            extra = shlex.split(arguments.extra)
            recognize(facerec, project, gallery, arguments.data / "videos", truths, out / project, extra)
        evaluation = evaluate(truths, read_results(out / _STRANGERS), read_results(out / _KNOWN))
        say()
        say(as_text(evaluation))


def recognize(
    facerec: Facerec,
    project: str,
    gallery: Path,
    videos: Path,
    truths: dict[str, Truth],
    results: Path,
    extra: list[str],
) -> None:
    """Enrol a gallery in a project of its own, and recognize every clip there."""
    facerec.expect("people", "import", gallery, "--project", project, "--json", codes=(0, 1))
    facerec.expect("train", "--project", project, "--json")
    people = sum(path.is_dir() for path in gallery.iterdir())
    files = [path for stem in truths for path in sorted(videos.glob(f"{stem}.*")) if path.suffix != ".json"]
    run = facerec.expect("recognize", *files, "--project", project, "--out-dir", results, "--json", *extra)
    say(f"{project}: {people} people, {len(files)} clips in {run.wall_s:.1f} s")


def as_text(evaluation: Evaluation) -> str:
    """Return the figures of each clip and of all as a table."""
    head = f"{'':<28}tracks  people  strangers  precision  recall     F1  purity  undecidable  named wrongly"
    lines = [head]
    lines += [_line(video.name, clusters_of(video.evidence), video.evidence) for video in evaluation.videos]
    evidence = evaluation.evidence
    lines.append(_line("all, each clip by itself", clusters_of(evidence), evidence))
    lines.append(_line("all, over the project", project_clusters_of(evidence), evidence))
    return "\n".join(lines)


def _line(name: str, score: ClusterScore, evidence: TrackEvidence) -> str:
    return (
        f"{name:<28}{score.items:6d}  {score.people:6d}  {score.clusters:9d}  {ratio(score.precision):>9}  "
        f"{ratio(score.recall):>6}  {ratio(score.f1):>5}  {ratio(score.purity):>6}  {evidence.undecidable:11d}  "
        f"{evidence.misnamed:13d}"
    )


if __name__ == "__main__":
    main()
