"""What strangers among a person's pictures cost: ``python -m tests.benchmarks.curation --data DIR``.

Of everybody with at least 14 pictures, ten are enrolled and the others asked about; then two of the ten are replaced by pictures of
strangers. Told are precision, recall and F1 of the names on the probes: with the clean gallery, with the spoilt one, and with that
after each way of finding outliers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facerec_models.config import IdentificationConfig
from facerec_models.identification.cohort import load_cohort
from facerec_models.identification.fit import fit_model
from facerec_models.identification.identify import identify_faces
from facerec_models.identification.naming_model import Gallery
from tests.benchmarks.command import circumstances, say
from tests.benchmarks.pictures import Pictures, Subject
from training.curate import find_outliers
from training.outlier_strategy import OutlierStrategy

_EMBEDDER = "dlib-resnet-v1"
_ENROLLED, _REPLACED, _LEAST = 10, 2, 14

Enrolled = list[tuple[str, Subject]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.curation", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/, probes/ and unknowns/")
    parser.add_argument("--draws", type=int, default=10)
    data = parser.parse_args().data
    draws = parser.parse_args().draws
    say(circumstances(data))
    pictures = Pictures()
    people = pictures.people(data / "gallery")
    for person_id, faces in pictures.people(data / "probes").items():
        people.setdefault(person_id, []).extend(faces)
    strangers = [face for faces in pictures.people(data / "unknowns").values() for face in faces]
    rich = {
        person_id: good
        for person_id, faces in people.items()
        if len(good := [face for face in faces if face.quality >= IdentificationConfig().min_quality_enrolled])
        >= _LEAST
    }
    say(f"{len(rich)} people with {_LEAST} good pictures or more, {draws} draws")
    scores: dict[str, list[tuple[int, int, int]]] = {}
    found = np.zeros(4, int)
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        clean, spoilt, probes = draw(rich, strangers, rng)
        for name, enrolled in {
            "clean": clean,
            "two of ten are strangers": spoilt,
            "after curation": curated(spoilt, OutlierStrategy.ROBUST),
            "after the predecessor's rule": curated(spoilt, OutlierStrategy.PREDECESSOR),
        }.items():
            scores.setdefault(name, []).append(count(enrolled, probes))
        kept = {id(face) for _, face in curated(spoilt, OutlierStrategy.ROBUST)}
        wrong = {id(face) for person_id, face in spoilt if face.person_id != person_id}
        every = {id(face) for _, face in spoilt}
        found += [len(wrong - kept), len(wrong & kept), len(every - wrong - kept), len((every - wrong) & kept)]
    say(f"strangers found {found[0]}, missed {found[1]}; right pictures disabled {found[2]} of {found[2] + found[3]}")
    for name, counts in scores.items():
        right, wrong_names, asked = np.sum(counts, axis=0)
        precision, recall = right / (right + wrong_names), right / asked
        f1 = 2 * precision * recall / (precision + recall)
        say(f"{name:30s} precision {precision:.4f}   recall {recall:.4f}   F1 {f1:.4f}")


def draw(
    people: dict[str, list[Subject]], strangers: Sequence[Subject], rng: np.random.Generator
) -> tuple[Enrolled, Enrolled, list[Subject]]:
    """Return a clean gallery, the same with strangers in it, and the pictures to ask about."""
    clean: Enrolled = []
    spoilt: Enrolled = []
    probes: list[Subject] = []
    for person_id, faces in sorted(people.items()):
        order = rng.permutation(len(faces))
        own = [faces[i] for i in order[:_ENROLLED]]
        others = [strangers[i] for i in rng.choice(len(strangers), _REPLACED, replace=False)]
        clean += [(person_id, face) for face in own]
        spoilt += [(person_id, face) for face in [*own[_REPLACED:], *others]]
        probes += [faces[i] for i in order[_ENROLLED:]]
    return clean, spoilt, probes


def curated(enrolled: Enrolled, strategy: OutlierStrategy) -> Enrolled:
    """Leave out what a strategy takes for another person."""
    kept: Enrolled = []
    for person in sorted({person_id for person_id, _ in enrolled}):
        own = [row for row in enrolled if row[0] == person]
        reasons = find_outliers(np.stack([face.embedding for _, face in own]), load_cohort(_EMBEDDER), strategy)
        kept += [row for row, reason in zip(own, reasons, strict=True) if reason is None]
    return kept


def count(enrolled: Enrolled, probes: Sequence[Subject]) -> tuple[int, int, int]:
    """Return how many probes were named rightly and wrongly, and how many there are."""
    rules = IdentificationConfig()
    model = fit_model(
        Gallery(
            _EMBEDDER,
            np.stack([face.embedding for _, face in enrolled]),
            np.array([person_id for person_id, _ in enrolled]),
            np.array([str(i) for i in range(len(enrolled))]),
        ),
        load_cohort(_EMBEDDER),
        rules.prior_known,
    )
    right = wrong = 0
    for face in probes:
        (match,) = identify_faces(
            face.embedding[None], np.float32([face.quality]), np.float32([face.score]), model, rules
        )
        right += match.person_id == face.person_id
        wrong += match.person_id not in {None, face.person_id}
    return right, wrong, len(probes)


if __name__ == "__main__":
    main()
