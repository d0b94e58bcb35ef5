"""The deployment that names: a project's model is loaded on demand, kept beside others, and swapped with its version."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ray import serve

from facerec_models.errors import FacerecError
from facerec_models.identification.naming_model import NamingModel
from facerec_models.stills import StillResult, name_still
from facerec_models.types import FaceSet
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming.one_video import CropUrl, result_of, stored_result
from serving.deployments.batching import ItemResult, answer_of, run_batch
from serving.deployments.reporting import begin_reporting
from serving.jobs.nodes import open_shared_archive
from serving.settings import Settings
from serving.store.rows import AnalysisRow
from serving.telemetry.metrics import BATCH_ITEMS, expect_batches, measured

_Request = tuple[Sequence[str], Sequence[FaceSet | StillResult], NamingModel, float | None]


class ClassifierReplica:
    """Names the faces of stills and stored tracks. Requests carry a model as ``project/version``, by Serve's multiplexing."""

    def __init__(self, settings: Settings) -> None:
        expect_batches("identify")
        begin_reporting(settings)
        self._archive = open_shared_archive(settings)

    @serve.multiplexed(max_num_models_per_replica=8)  # type: ignore[untyped-decorator]
    async def get_model(self, model_id: str) -> NamingModel:
        """Load a project's model."""
        project, version = model_id.split("/")
        return await asyncio.to_thread(load_model, self._archive.files, project, version)

    def name_all(self, requests: Sequence[_Request]) -> list[ItemResult[list[StillResult]]]:
        """Name the faces of the pictures of several requests, each against its own model."""
        BATCH_ITEMS.labels("identify").observe(sum(len(names) for names, *_ in requests))
        with measured("identify"):
            return run_batch(requests, lambda part: [self._name(*request) for request in part])

    def _name(
        self,
        names: Sequence[str],
        found: Sequence[FaceSet | StillResult],
        model: NamingModel,
        max_false_names: float | None,
    ) -> list[StillResult]:
        return [
            name_still(name, one, model, self._archive.rules, max_false_names)
            for name, one in zip(names, found, strict=True)
        ]

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def _batched(self, requests: list[_Request]) -> list[ItemResult[list[StillResult]]]:
        return self.name_all(requests)

    async def name_stills(
        self, names: Sequence[str], found: Sequence[FaceSet | StillResult], max_false_names: float | None
    ) -> ItemResult[list[StillResult]]:
        """Name the faces of the pictures of one request against the model that it is routed by."""
        try:
            model = await self.get_model(serve.get_multiplexed_model_id())
        except FacerecError as error:
            return ItemResult(error=error)
        answer: ItemResult[list[StillResult]] = await self._batched((names, found, model, max_false_names))
        return answer.for_caller()

    async def result(
        self, project: str, video_id: str, crop_url: CropUrl, with_samples: bool = True
    ) -> ItemResult[str]:
        """Return the result of a video's newest analysis, or all of it but the samples of its tracks, as JSON."""
        return await answer_of(
            lambda: stored_result(self._archive, project, video_id, crop_url, with_samples=with_samples).to_json()
        )

    async def result_of(self, analysis: AnalysisRow, crop_url: CropUrl) -> ItemResult[str]:
        """Return the result of an analysis, as JSON."""
        return await answer_of(lambda: result_of(self._archive, analysis, crop_url).to_json())
