"""The learning of many people, in this process or in tasks."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from facerec_models.identification.classifiers import Arrays, OneAgainstRest, TrainingFaces
from facerec_models.identification.cross_validation import FOLDS, learn_in_turn
from training.progress import FIT_FROM, SAVE_FROM, Progress, stop_if_asked
from training.ray_tasks import Workers

logger = logging.getLogger(__name__)

# Starting Ray and loading scikit-learn in its workers takes as long: what is learned sooner is learned here.
_WORTH_A_RAY_S = 8.0
_BATCH_S = 2.0
_MOST_OF_A_BATCH = 64


class Learner:
    """Learns people in this process as long as starting Ray would take, and the rest in tasks."""

    def __init__(self, workers: Workers, progress: Progress, people: int) -> None:
        self._workers = workers
        self._progress = progress
        # Once with all pictures, and once for each part that is held out.
        self._total = people * (1 + FOLDS)
        self._done = 0
        self._spent_s = 0.0

    def learn(self, classifier: OneAgainstRest, faces: TrainingFaces, people: Sequence[int]) -> Sequence[Arrays]:
        """See `facerec_models.identification.cross_validation.learn_in_turn`."""
        learned: list[Arrays] = []
        while len(learned) < len(people) and (not learned or self._spent_s < _WORTH_A_RAY_S):
            stop_if_asked(self._progress)
            started = time.perf_counter()
            learned += learn_in_turn(classifier, faces, [people[len(learned)]])
            self._spent_s += time.perf_counter() - started
            self._count(1)
            if self._workers.is_at_hand:
                break
        rest = people[len(learned) :]
        if not rest:
            return learned
        each_s = self._spent_s / max(self._done, 1)
        size = max(1, min(_MOST_OF_A_BATCH, int(_BATCH_S / max(each_s, 1e-3))))
        batches = [rest[start : start + size] for start in range(0, len(rest), size)]
        logger.info("learning %d people in %d tasks", len(rest), len(batches))
        parts = self._workers.map(
            learn_batch,
            batches,
            classifier,
            faces,
            on_done=lambda number, _: self._count(len(batches[number])),
            should_stop=self._progress.should_stop,
        )
        return learned + [one for part in parts for one in part]

    def _count(self, people: int) -> None:
        self._done += people
        self._progress.report(FIT_FROM + (SAVE_FROM - FIT_FROM) * min(1.0, self._done / self._total))


def learn_batch(people: Sequence[int], classifier: OneAgainstRest, faces: TrainingFaces) -> Sequence[Arrays]:
    """Learn some people in a process of their own."""
    return learn_in_turn(classifier, faces, people)
