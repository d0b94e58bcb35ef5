"""The faces of pictures of many requests, found together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from facerec_models.analysis.faces import find_faces
from facerec_models.analysis.networks import Networks
from facerec_models.config import DetectionConfig
from facerec_models.types import FaceSet, ImageArray
from serving.deployments.batching import run_batch

# With these a batch is full. Two pictures of the largest allowed size may be more than the second.
_MOST_PICTURES, _MOST_PIXELS = 16, 40_000_000
# Full ones: enough for the replicas of detector and embedder that one ingress feeds.
_BATCHES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Request:
    images: Sequence[ImageArray]
    answer: Future[list[FaceSet]] = field(default_factory=Future)

    @property
    def pixels(self) -> int:
        return sum(image.shape[0] * image.shape[1] for image in self.images)


class FaceFinder:
    """Sends the pictures of several requests to the networks as one call: a call costs both sides more than a small picture does.

    No clock makes a batch: what comes while one is under way waits, and goes as the next, or at once if it is full. So the more is
    asked, the fuller they are, and who asks alone waits for nothing.
    """

    def __init__(self, networks: Networks, config: DetectionConfig) -> None:
        self._networks = networks
        self._config = config
        self._waiting: deque[_Request] = deque()
        self._under_way = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_BATCHES_AT_ONCE, thread_name_prefix="faces")

    @property
    def waiting(self) -> int:
        """How many pictures wait for their batch."""
        with self._lock:
            return sum(len(request.images) for request in self._waiting)

    def find(self, images: Sequence[ImageArray]) -> list[FaceSet]:
        """Do as `facerec_models.analysis.faces.find_faces` does; ask from many threads."""
        request = _Request(images)
        with self._lock:
            self._waiting.append(request)
        self._threads.submit(self._answer_all)
        return request.answer.result()

    def _answer_all(self) -> None:
        while requests := self._take():
            try:
                results = run_batch(requests, self._find)
            finally:
                with self._lock:
                    self._under_way -= 1
            for request, result in zip(requests, results, strict=True):
                if result.error is None:
                    request.answer.set_result(result.unwrap())
                else:
                    request.answer.set_exception(result.error)

    def _take(self) -> list[_Request]:
        """Take the next batch; nothing if none waits, or if one that is not full has to wait for what is under way."""
        with self._lock:
            count, is_full = self._next_batch()
            if self._under_way and not is_full:
                return []
            self._under_way += count > 0
            return [self._waiting.popleft() for _ in range(count)]

    def _next_batch(self) -> tuple[int, bool]:
        """Return how many requests make the next batch, and whether it is full."""
        pictures = pixels = 0
        for count, request in enumerate(self._waiting):
            pictures += len(request.images)
            pixels += request.pixels
            if pictures > _MOST_PICTURES or pixels > _MOST_PIXELS:
                return max(1, count), True
        return len(self._waiting), pictures == _MOST_PICTURES

    def _find(self, requests: Sequence[_Request]) -> list[list[FaceSet]]:
        images = [image for request in requests for image in request.images]
        found = iter(find_faces(images, self._networks.detector, self._networks.embedder, self._config))
        return [[next(found) for _ in request.images] for request in requests]
