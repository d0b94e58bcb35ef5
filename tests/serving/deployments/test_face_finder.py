"""Pictures of several requests go through the networks together, and each gets its own answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.networks import Networks
from facerec_models.config import DetectionConfig
from facerec_models.errors import InputError
from facerec_models.types import Detections, FaceSet, FloatArray, ImageArray
from serving.deployments import face_finder
from serving.deployments.face_finder import FaceFinder
from tests.waiting import WAIT_S, wait_until

_BAD = 13


class Held:
    """A detector that finds one face in each picture, whose score is its grey, and may be held."""

    engine = "held"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Semaphore(0)

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        greys = [int(image[0, 0, 0]) for image in images]
        self.batches.append(greys)
        assert self.go.acquire(timeout=WAIT_S)
        if _BAD in greys:
            raise InputError("bad")
        box, points = np.float32([[8, 8, 24, 24]]), np.full((1, 5, 2), 16, np.float32)
        return [
            Detections(box, np.float32([grey / 255]), points + np.arange(10, dtype=np.float32).reshape(5, 2))
            for grey in greys
        ]


class OneAtATime:
    """An embedder that several threads may ask, as a deployment may be."""

    def __init__(self, embedder: FaceEmbedder) -> None:
        self._lock = threading.Lock()
        self._embed = embedder.embed
        self.name, self.dimension, self.template = embedder.name, embedder.dimension, embedder.template
        self.terms, self.engine = embedder.terms, embedder.engine

    def embed(self, crops: ImageArray) -> FloatArray:
        with self._lock:
            return self._embed(crops)


def picture(grey: int, side: int = 32) -> ImageArray:
    return np.full((side, side, 3), grey, np.uint8)


class Clients:
    """Requests of threads, sent one after the other."""

    def __init__(self, finder: FaceFinder, held: Held, threads: ThreadPoolExecutor) -> None:
        self._finder = finder
        self._held = held
        self._threads = threads
        self._sent = 0

    def send(self, *images: ImageArray) -> Future[list[FaceSet]]:
        self._sent += len(images)
        answer = self._threads.submit(self._finder.find, images)
        wait_until(lambda: self._finder.waiting + sum(map(len, self._held.batches)) >= self._sent)
        # The first is a batch of its own.
        wait_until(lambda: self._held.batches)
        return answer


@contextmanager
def clients_of(embedder: FaceEmbedder) -> Iterator[tuple[Held, Clients]]:
    held = Held()
    with ThreadPoolExecutor(64) as threads:
        yield held, Clients(FaceFinder(Networks(held, OneAtATime(embedder)), DetectionConfig()), held, threads)


def greys_of(answer: Future[list[FaceSet]]) -> list[int]:
    return [round(float(one.detections.scores[0]) * 255) for one in answer.result(WAIT_S)]


def test_what_waits_goes_together(embedder: FaceEmbedder) -> None:
    with clients_of(embedder) as (held, clients):
        answers = [clients.send(picture(1)), clients.send(picture(2)), clients.send(picture(3), picture(4))]
        held.go.release(2)
        assert [greys_of(answer) for answer in answers] == [[1], [2], [3, 4]]
    assert held.batches == [[1], [2, 3, 4]]


def test_a_full_batch_waits_for_no_other(embedder: FaceEmbedder) -> None:
    with clients_of(embedder) as (held, clients):
        answers = [clients.send(picture(grey)) for grey in range(20, 37)]
        wait_until(lambda: len(held.batches) == 2)
        answers.append(clients.send(picture(90)))
        held.go.release(3)
        assert [greys_of(answer) for answer in answers] == [[grey] for grey in (*range(20, 37), 90)]
    assert held.batches == [[20], list(range(21, 37)), [90]]


def test_a_batch_is_full_by_its_pixels_too(embedder: FaceEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_finder, "_MOST_PIXELS", 2 * 32 * 32)
    with clients_of(embedder) as (held, clients):
        answers = [clients.send(picture(1)), clients.send(picture(2, side=64))]
        wait_until(lambda: len(held.batches) == 2)
        answers += [clients.send(picture(grey)) for grey in (3, 4, 5)]
        wait_until(lambda: len(held.batches) == 3)
        held.go.release(4)
        assert [greys_of(answer) for answer in answers] == [[1], [2], [3], [4], [5]]
    assert held.batches == [[1], [2], [3, 4], [5]]


def test_a_picture_that_fails_fails_alone(embedder: FaceEmbedder) -> None:
    with clients_of(embedder) as (held, clients):
        answers = [clients.send(picture(grey)) for grey in (1, 2, _BAD, 4)]
        held.go.release(9)
        assert [greys_of(answers[i]) for i in (0, 1, 3)] == [[1], [2], [4]]
        with pytest.raises(InputError, match="bad"):
            answers[2].result(WAIT_S)
