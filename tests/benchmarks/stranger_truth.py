"""Whether strangers of an archive are who they truly are: ``python -m tests.benchmarks.stranger_truth --tracks 10000 100000``.

The archive is that of `tests.benchmarks.growth`, whose people are known, for they were drawn. Its videos come one by one, and each is
named as it comes; then all strangers are grouped anew. Both times every track that truly shows a stranger is compared with all others:
B-cubed precision falls where strangers are mixed, recall where one is split. One that was named, or left undecidable, is alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from facerec_models.identification.clustering import stranger_similarity
from facerec_models.identification.cohort import load_cohort
from facerec_models.metrics import cluster_score
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.named import owners_of
from serving.archive.naming.one_video import assign_current
from serving.store.naming_rows import NamedTracks
from serving.store.opening import open_store
from tests.benchmarks.command import circumstances
from tests.benchmarks.growth import fill, people_in_video, put_video, rename_all, timed
from tests.benchmarks.pictures import say
from tests.benchmarks.scale import people_like_the_cohort
from tests.builders import EMBEDDER

_IN_VIDEO = 100


def main() -> None:
    """Measure archives of several sizes, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--strangers", type=int, default=5000)
    parser.add_argument(
        "--apart", type=float, nargs="+", default=[0.0], help="how far tracks are from their person's mean"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    say(circumstances())
    sizes = []
    for tracks, apart in product(args.tracks, args.apart):
        with tempfile.TemporaryDirectory() as folder:
            sizes.append(measure(Path(folder), tracks, args.people, args.strangers, apart))
        if args.json:
            args.json.write_text(json.dumps({"sizes": sizes}, indent=1))


def measure(root: Path, tracks: int, people: int, strangers: int, apart: float) -> dict[str, Any]:
    """Fill an archive video by video, and compare its strangers with the truth, as they come and grouped anew."""
    rng = np.random.default_rng(0)
    means, others = people_like_the_cohort(people, rng), people_like_the_cohort(strangers, rng)
    similarity = others @ others.T
    np.fill_diagonal(similarity, -1)
    least = stranger_similarity(load_cohort(EMBEDDER).pair)
    alike = float((similarity.max(axis=1) >= least).mean())
    say(f"{tracks} tracks, {people} people, {strangers} strangers; tracks are {apart} from their person's mean")
    say(
        f"  tracks of one stranger are {least:.4f} similar at least; to {alike:.3f} of strangers' means another one's is"
    )
    with closing(open_store(root)) as store:
        archive = Archive(store, Files.at(root, None))
        fill(archive, 0, means, others, rng)
        rename_all(archive)
        truth: dict[str, list[str]] = {}

        def add_videos() -> None:
            for number in range(tracks // _IN_VIDEO):
                unknown, who = people_in_video(people, strangers, deepcopy(rng))
                row = put_video(store, number, means, others, rng, apart=apart)
                truth[row.analysis_id] = [
                    f"S{one}" if is_unknown else f"P{one}" for is_unknown, one in zip(unknown, who, strict=True)
                ]
                assign_current(archive, row)

        timed("videos come one by one", add_videos, 1)
        figures = {"tracks": tracks, "apart": apart, "one_by_one": compare(archive, truth)}
        timed("all strangers are grouped anew", lambda: identify_archive(archive, "p"), 1)
        figures["anew"] = compare(archive, truth)
    return figures


def compare(archive: Archive, truth: dict[str, list[str]]) -> dict[str, float | int | None]:
    """Compare the strangers of all tracks that truly show one with the truth, and say how many others are among them."""
    items = [item for row in archive.store.list_named("p") for item in _items(row, truth[row.analysis_id])]
    score = cluster_score([(cluster, who) for cluster, who in items if who.startswith("S")])
    shown = {cluster for cluster, who in items if who.startswith("S")}
    counts = {
        "named": sum(who.startswith("S") and cluster.startswith("P") for cluster, who in items),
        "undecidable": sum(who.startswith("S") and cluster.startswith("none") for cluster, who in items),
        "known_among_strangers": sum(who.startswith("P") and cluster.startswith("stranger-") for cluster, who in items),
        "known_beside_strangers": sum(
            who.startswith("P") and cluster.startswith("stranger-") and cluster in shown for cluster, who in items
        ),
    }
    figures = {**score.to_dict(), **counts}
    say(
        f"    B-cubed precision {score.precision:.4f}, recall {score.recall:.4f}, F {score.f1:.4f}, purity {score.purity:.4f}: "
        f"{score.items} tracks, {score.people} strangers in {score.clusters} groups"
    )
    say(f"    {', '.join(f'{name} {value}' for name, value in counts.items())}")
    return figures


def _items(named: NamedTracks, truth: list[str]) -> Iterator[tuple[str, str]]:
    for i, (owner, who) in enumerate(zip(owners_of(named), truth, strict=True)):
        yield owner or f"none-{named.analysis_id}-{i}", who


if __name__ == "__main__":
    main()
