"""Claimed against observed false names over galleries of many sizes: ``python -m tests.benchmarks.promise --data DIR``.

Galleries of 1, 2, 5, 20 and 50 people are drawn 50 times each from ``gallery/``. Strangers are all of ``unknowns/`` and the probes of
everybody who was not drawn. Intervals are bootstraps over persons: pictures of one person go together.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_models.config import IdentificationConfig
from facerec_models.identification.classifiers import CLASSIFIERS
from facerec_models.identification.cohort import load_cohort
from facerec_models.identification.fit import fit_model
from facerec_models.identification.naming_model import Gallery, NamingModel
from tests.benchmarks.command import circumstances, say
from tests.benchmarks.pictures import Pictures, Subject

SIZES = (1, 2, 5, 20, 50)
CLAIMS = (0.01, 0.05, 0.1)
_EMBEDDER = "dlib-resnet-v1"
_BOOTSTRAPS = 500


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.promise", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/, probes/ and unknowns/")
    parser.add_argument("--classifier", choices=CLASSIFIERS, default="prototype")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gray", action="store_true", help="make every face gray before it is embedded")
    parser.add_argument("--colour", action="store_true", help="leave gray pictures out; galleries are of fewer people")
    arguments = parser.parse_args()
    say(circumstances(arguments.data))
    pictures = Pictures(gray=arguments.gray, colour=arguments.colour)
    gallery = pictures.people(arguments.data / "gallery")
    probes = pictures.people(arguments.data / "probes")
    strangers = [
        # Each stranger is a person of their own.
        [subject]
        for subjects in pictures.people(arguments.data / "unknowns").values()
        for subject in subjects
    ]
    rng = np.random.default_rng(arguments.seed)
    say(f"{arguments.classifier}, {arguments.draws} galleries of each size{', in gray' if arguments.gray else ''}")
    say("people   claimed   observed   95 % interval        of the claim   DIR")
    for size in (size for size in SIZES if size < len(gallery)):
        measure(size, gallery, probes, strangers, rng, arguments.draws, arguments.classifier)


def measure(
    size: int,
    gallery: dict[str, list[Subject]],
    probes: dict[str, list[Subject]],
    strangers: Sequence[Sequence[Subject]],
    rng: np.random.Generator,
    draws: int,
    classifier: str,
) -> None:
    """Draw galleries of one size, and say what was observed."""
    rules = IdentificationConfig()
    false_names: dict[str, list[np.ndarray]] = {}
    found = np.zeros(len(CLAIMS))
    asked = 0
    for _ in range(draws):
        drawn = set(rng.choice(sorted(gallery), size, replace=False).tolist())
        model = _fit([face for person in sorted(drawn) for face in gallery[person]], rules, classifier)
        others = [probes[person] for person in sorted(probes) if person not in drawn]
        for number, person in enumerate([*strangers, *others]):
            key = f"stranger {number}" if number < len(strangers) else person[0].person_id
            named, _ = _answers(model, person, rules)
            false_names.setdefault(key, []).append(named)
        for person_id in drawn & probes.keys():
            named, who = _answers(model, probes[person_id], rules)
            found += (named & (who == person_id)[:, None]).sum(axis=0)
            asked += len(probes[person_id])
    # For each person: false names at each claim, and pictures.
    sums = np.array([np.concatenate(rows).sum(axis=0) for rows in false_names.values()], float)
    counts = np.array([sum(map(len, rows)) for rows in false_names.values()], float)
    picks = rng.integers(len(counts), size=(_BOOTSTRAPS, len(counts)))
    resampled = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)[:, None]
    for i, claim in enumerate(CLAIMS):
        observed = sums[:, i].sum() / counts.sum()
        low, high = np.quantile(resampled[:, i], (0.025, 0.975))
        say(
            f"{size:6d}   {claim:7.2f}   {observed:8.4f}   {low:.4f} to {high:.4f}   {observed / claim:12.2f}   {found[i] / asked:.3f}"
        )


def _fit(faces: Sequence[Subject], rules: IdentificationConfig, classifier: str) -> NamingModel:
    good = [face for face in faces if face.quality >= rules.min_quality_enrolled]
    return fit_model(
        Gallery(
            _EMBEDDER,
            np.stack([face.embedding for face in good]),
            np.array([face.person_id for face in good]),
            np.array([str(face.path) for face in good]),
        ),
        load_cohort(_EMBEDDER),
        rules.prior_known,
        classifier=classifier,
    )


def _answers(
    model: NamingModel, faces: Sequence[Subject], rules: IdentificationConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pictures get a name at each claim, as (N, claims), and the nearest person of each."""
    scores = model.classifier.decision_function(np.stack([face.embedding for face in faces]))
    rates = model.stills.false_name_rate(scores.max(axis=1))
    good = np.array([face.quality >= rules.min_quality_named_stills for face in faces])
    return (rates[:, None] <= np.array(CLAIMS)) & good[:, None], model.classifier.classes_[scores.argmax(axis=1)]


if __name__ == "__main__":
    main()
