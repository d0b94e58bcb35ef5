"""The deployment that embeds faces, batched across requests and videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve
from ray.serve.handle import DeploymentHandle

from facerec_models.analysis.alignment import Template
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import EmbeddingConfig
from facerec_models.types import FloatArray, ImageArray
from serving.deployments.batching import ItemResult, Worker, run_batch
from serving.deployments.remote_call import call
from serving.deployments.reporting import begin_reporting, gpu_memory
from serving.settings import Settings
from serving.telemetry.metrics import BATCH_ITEMS, FACES_EMBEDDED, expect_batches, measured


@dataclass(frozen=True, slots=True)
class EmbedderFacts:
    """What users of an embedder must know of it."""

    name: str
    dimension: int
    template: Template
    terms: str
    engine: str


class EmbedderReplica:
    """An embedder behind a batching queue.

    Parameters
    ----------
    weights : Path
        Folder of downloaded weights.
    threads : int
        Of the network: replicas on one machine share its cores.
    engine : FaceEmbedder, optional
        What embeds; the network of `config` by default.
    settings : Settings, optional
        Of the service, for its log lines.
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        weights: Path,
        threads: int = 1,
        engine: FaceEmbedder | None = None,
        settings: Settings | None = None,
    ) -> None:
        expect_batches("embed")
        begin_reporting(settings, gpu_memory if config.device == "cuda" else None)
        if engine is None:
            # Here and not above: the process that wires the graph needs no network.
            from facerec_models.analysis.embedders.known import build_embedder

            engine = build_embedder(config, WeightsRegistry(weights), threads=threads)
        self._engine = engine
        self._worker = Worker()

    def embed_all(self, requests: Sequence[ImageArray]) -> list[ItemResult[FloatArray]]:
        """Embed the crops of several requests in one go."""
        count = sum(map(len, requests))
        BATCH_ITEMS.labels("embed").observe(count)
        FACES_EMBEDDED.inc(count)
        with measured("embed"):
            return run_batch(requests, self._embed)

    def _embed(self, requests: Sequence[ImageArray]) -> list[FloatArray]:
        embeddings = self._engine.embed(np.concatenate(requests))
        return np.split(embeddings, np.cumsum([len(crops) for crops in requests])[:-1])

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.005)
    async def _batched(self, requests: list[ImageArray]) -> list[ItemResult[FloatArray]]:
        return await self._worker.run(self.embed_all, requests)

    async def embed(self, crops: ImageArray) -> ItemResult[FloatArray]:
        """Embed the crops of one request."""
        answer: ItemResult[FloatArray] = await self._batched(crops)
        return answer.for_caller()

    async def facts(self) -> EmbedderFacts:
        """Say which embedder this is."""
        engine = self._engine
        return EmbedderFacts(engine.name, engine.dimension, engine.template, engine.terms, engine.engine)

    def check_health(self) -> None:
        """Raise if the embedder does not work."""
        size = self._engine.template.size
        self._engine.embed(np.zeros((1, size, size, 3), np.uint8))


class EmbedderProxy:
    """The deployment as a `FaceEmbedder`; see `serving.deployments.remote_call.call` for `patience_s`."""

    def __init__(self, handle: DeploymentHandle[Any], *, patience_s: float = 0.0) -> None:
        self._handle = handle
        self._patience_s = patience_s
        facts: EmbedderFacts = call(handle.facts, patience_s=patience_s)
        self.name = facts.name
        self.dimension = facts.dimension
        self.template = facts.template
        self.terms = facts.terms
        self.engine = facts.engine

    def embed(self, crops: ImageArray) -> FloatArray:
        """See `FaceEmbedder.embed`."""
        if len(crops) == 0:
            return np.zeros((0, self.dimension), np.float32)
        answer: ItemResult[FloatArray] = call(self._handle.embed, crops, patience_s=self._patience_s)
        return answer.unwrap()
