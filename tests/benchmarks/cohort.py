"""Make the cohort that is shipped for the packaged network: ``python -m tests.benchmarks.cohort --data DIR --out FILE``.

Strangers are the people of ``lfw_verify/``, as `training.footage` shows them. These pictures are gray: half of the stills and most
tracks get the blurred colours of some face of ``gallery/``, for strangers in colour are nearer to people enrolled in colour. What the
right person's similarity is comes from ``gallery/``, each picture against the mean of that person's others; what two pictures tell of
each other from its pairs and those of ``lfw_verify/pairs.csv``. Nothing here looks at ``probes/``, ``unknowns/`` or ``videos/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from facerec_models.analysis.networks import load_networks
from facerec_models.identification.cohort import Cohort, save_cohort
from tests.benchmarks.command import circumstances, say
from tests.benchmarks.lfw_pairs import read_pairs
from training.footage import as_tracks, face_colours
from training.make_cohort import all_pairs, by_person, embed_stills, find_portraits, genuine_scale, pair_scale


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cohort", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/ and lfw_verify/")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    arguments = parser.parse_args()
    data: Path = arguments.data
    say(circumstances(data))
    networks = load_networks(embedder="dlib")
    embedder = networks.embedder
    people = [(path.parent.name, path) for path in sorted((data / "gallery").rglob("*")) if path.is_file()]
    gallery = find_portraits(people, networks, largest_px=np.inf)
    people = [(path.stem.rpartition("_")[0], path) for path in sorted((data / "lfw_verify" / "images").iterdir())]
    others = find_portraits(people, networks, largest_px=np.inf)
    strangers = list(by_person(others).values())
    colours = face_colours([one.crop(embedder) for one in gallery])
    vectors = {str(one.path.relative_to(data)): one.embedding for one in others}
    pairs = [pair for pair in read_pairs(data / "lfw_verify" / "pairs.csv") if {pair.a, pair.b} <= vectors.keys()]
    own, same = all_pairs(gallery)
    cohort = Cohort(
        embedder.name,
        embed_stills(strangers, embedder, colours),
        as_tracks(strangers, embedder, colours),
        pair_scale(
            np.append(own, [vectors[pair.a] @ vectors[pair.b] for pair in pairs]),
            np.append(same, [pair.same for pair in pairs]),
        ),
        genuine_scale(gallery, np.stack([one.embedding for one in gallery])),
        genuine_scale(gallery, as_tracks([[one] for one in gallery], embedder, None)),
        f"Labeled Faces in the Wild, view 2, folds 1 to 5: {len(strangers)} people, as videos show them",
    )
    save_cohort(cohort, arguments.out)
    say(f"{cohort.source}; {cohort.pair}, of stills {cohort.genuine_stills}, of tracks {cohort.genuine_tracks}")


if __name__ == "__main__":
    main()
