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
from serving.telemetry.metrics import BATCH_REQUESTS, expect_batches, measured

_Request = tuple[str, FaceSet | StillResult, NamingModel, float | None]


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

    def name_all(self, requests: Sequence[_Request]) -> list[ItemResult[StillResult]]:
        """Name the faces of several pictures, each against its own model."""
        BATCH_REQUESTS.labels("identify").observe(len(requests))
        with measured("identify"):
            return run_batch(
                requests,
                lambda part: [
                    name_still(name, found, model, self._archive.rules, limit) for name, found, model, limit in part
                ],
            )

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def _batched(self, requests: list[_Request]) -> list[ItemResult[StillResult]]:
        return self.name_all(requests)

    async def name_still(
        self, name: str, found: FaceSet | StillResult, max_false_names: float | None
    ) -> ItemResult[StillResult]:
        """Name the faces of one picture against the model that the request is routed by."""
        try:
            model = await self.get_model(serve.get_multiplexed_model_id())
        except FacerecError as error:
            return ItemResult(error=error)
        answer: ItemResult[StillResult] = await self._batched((name, found, model, max_false_names))
        return answer.for_caller()

    async def result(self, project: str, video_id: str, crop_url: CropUrl) -> ItemResult[str]:
        """Return the result of a video's newest analysis, as JSON."""
        return await answer_of(lambda: stored_result(self._archive, project, video_id, crop_url).to_json())

    async def result_of(self, analysis: AnalysisRow, crop_url: CropUrl) -> ItemResult[str]:
        """Return the result of an analysis, as JSON."""
        return await answer_of(lambda: result_of(self._archive, analysis, crop_url).to_json())
