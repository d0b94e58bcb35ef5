"""The deployment that finds faces, batched across requests and videos."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from ray import serve
from ray.serve.handle import DeploymentHandle

from facerec_models.analysis.detection import FaceDetector
from facerec_models.config import DetectionConfig
from facerec_models.types import Detections, ImageArray
from serving.deployments.batching import ItemResult, Worker, run_batch
from serving.deployments.remote_call import call
from serving.deployments.reporting import begin_reporting, gpu_memory
from serving.settings import Settings
from serving.telemetry.metrics import BATCH_ITEMS, FRAMES_SEARCHED, expect_batches, measured


class DetectorReplica:
    """A detector behind a batching queue.

    Parameters
    ----------
    threads : int
        Of the network: replicas on one machine share its cores.
    engine : FaceDetector, optional
        What detects; MTCNN of `config` by default.
    settings : Settings, optional
        Of the service, for its log lines.
    """

    def __init__(
        self,
        config: DetectionConfig,
        threads: int = 1,
        engine: FaceDetector | None = None,
        settings: Settings | None = None,
    ) -> None:
        expect_batches("detect")
        begin_reporting(settings, gpu_memory if config.device == "cuda" else None)
        if engine is None:
            # Here and not above: the process that wires the graph needs no network.
            from facerec_models.analysis.mtcnn import MtcnnDetector

            engine = MtcnnDetector(config, threads=threads)
        self._engine = engine
        self._worker = Worker()

    def detect_all(self, requests: Sequence[Sequence[ImageArray]]) -> list[ItemResult[list[Detections]]]:
        """Find the faces of the pictures of several requests in one go."""
        count = sum(map(len, requests))
        BATCH_ITEMS.labels("detect").observe(count)
        FRAMES_SEARCHED.inc(count)
        with measured("detect"):
            return run_batch(requests, self._detect)

    def _detect(self, requests: Sequence[Sequence[ImageArray]]) -> list[list[Detections]]:
        found = self._engine.detect([image for images in requests for image in images])
        bounds = accumulate((len(images) for images in requests), initial=0)
        return [found[start:end] for start, end in pairwise(bounds)]

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.005)
    async def _batched(self, requests: list[Sequence[ImageArray]]) -> list[ItemResult[list[Detections]]]:
        return await self._worker.run(self.detect_all, requests)

    async def detect(self, images: Sequence[ImageArray]) -> ItemResult[list[Detections]]:
        """Find the faces of the pictures of one request."""
        answer: ItemResult[list[Detections]] = await self._batched(images)
        return answer.for_caller()

    async def engine(self) -> str:
        """Say what computes the detector."""
        return self._engine.engine

    def check_health(self) -> None:
        """Raise if the detector does not work."""
        self._engine.detect([np.zeros((64, 64, 3), np.uint8)])


class DetectorProxy:
    """The deployment as a `FaceDetector`; see `serving.deployments.remote_call.call` for `patience_s`."""

    def __init__(self, handle: DeploymentHandle[Any], *, patience_s: float = 0.0) -> None:
        self._handle = handle
        self._patience_s = patience_s
        self.engine: str = call(handle.engine, patience_s=patience_s)

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        """See `FaceDetector.detect`."""
        if not images:
            return []
        answer: ItemResult[list[Detections]] = call(self._handle.detect, list(images), patience_s=self._patience_s)
        return answer.unwrap()
