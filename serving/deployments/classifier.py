"""The deployment that names: a project's model is loaded on demand, kept beside others, and swapped with its version."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ray import serve

from facerec_models.identification.naming_model import NamingModel
from facerec_models.stills import StillResult, name_still
from facerec_models.types import FaceSet
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming.one_video import result_of, stored_result
from serving.archive.search.strangers import Sighting
from serving.deployments.outcomes import Outcome, run_batch
from serving.jobs.nodes import open_places
from serving.settings import Settings
from serving.store.naming_rows import AppearanceRow
from serving.store.rows import AnalysisRow

_Request = tuple[str, FaceSet | StillResult, NamingModel, float | None]


def crop_address(analysis: AnalysisRow | AppearanceRow | Sighting, track_id: int, k: int) -> str:
    """Return the path under which the service gives out a kept crop."""
    return f"/v1/projects/{analysis.project}/videos/{analysis.video_id}/crops/{analysis.analysis_id}/{track_id}/{k}.jpg"


class ClassifierReplica:
    """Names the faces of stills and stored tracks. Requests carry a model as ``project/version``, by Serve's multiplexing."""

    def __init__(self, settings: Settings) -> None:
        self._home, self._store = open_places(settings)
        self._rules = settings.identification

    @serve.multiplexed(max_num_models_per_replica=8)  # type: ignore[untyped-decorator]
    async def get_model(self, model_id: str) -> NamingModel:
        """Load a project's model."""
        project, version = model_id.split("/")
        return await asyncio.to_thread(load_model, self._home, project, version)

    def name_all(self, requests: Sequence[_Request]) -> list[Outcome[StillResult]]:
        """Name the faces of several pictures, each against its own model."""
        return run_batch(
            requests,
            lambda part: [name_still(name, found, model, self._rules, limit) for name, found, model, limit in part],
        )

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def _batched(self, requests: list[_Request]) -> list[Outcome[StillResult]]:
        return self.name_all(requests)

    async def name_still(self, name: str, found: FaceSet | StillResult, max_false_names: float | None) -> StillResult:
        """Name the faces of one picture against the model that the request is routed by."""
        model = await self.get_model(serve.get_multiplexed_model_id())
        outcome: Outcome[StillResult] = await self._batched((name, found, model, max_false_names))
        return outcome.unwrap()

    async def result(self, project: str, video_id: str) -> str:
        """Return the result of a video's newest analysis, as JSON."""
        found = await asyncio.to_thread(
            stored_result, self._store, self._home, project, video_id, self._rules, crop_address
        )
        return found.to_json()

    async def result_of(self, analysis: AnalysisRow) -> str:
        """Return the result of an analysis, as JSON."""
        found = await asyncio.to_thread(result_of, self._store, self._home, analysis, self._rules, crop_address)
        return found.to_json()
