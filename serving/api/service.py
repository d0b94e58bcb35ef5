"""What the routes work with, and how they ask for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from ray.serve.handle import DeploymentHandle

from facerec_models.analysis.networks import Networks
from facerec_models.errors import GalleryMismatchError
from serving.api.ingress.draining import Door
from serving.api.schemas import Accepted
from serving.archive.access.callers import Caller
from serving.archive.handle import Archive
from serving.archive.naming.preview import ApplyOptions
from serving.archive.room import require_room
from serving.archive.search.strangers import Rankings
from serving.archive.search.track_index import TrackIndexes
from serving.deployments.detector import DetectorProxy
from serving.deployments.embedder import EmbedderProxy
from serving.deployments.face_finder import FaceFinder
from serving.deployments.reporting import begin_reporting
from serving.jobs.runner import submit
from serving.settings import Settings
from serving.telemetry.publishing import Publisher
from serving.telemetry.redaction import Redaction


@dataclass(frozen=True)
class Service:
    """Store, files and the handles of the graph."""

    settings: Settings
    archive: Archive
    detector: DeploymentHandle[Any]
    embedder: DeploymentHandle[Any]
    classifier: DeploymentHandle[Any]
    analyzer: DeploymentHandle[Any]
    publisher: Publisher = field(default_factory=lambda: begin_reporting(None))
    door: Door = field(default_factory=Door)

    @cached_property
    def redaction(self) -> Redaction:
        """What takes places of this machine and secrets out of texts that are answered."""
        return Redaction.of(self.settings)

    @cached_property
    def networks(self) -> Networks:
        """The batched deployments as networks; ask in a thread, not in the event loop."""
        return Networks(DetectorProxy(self.detector), EmbedderProxy(self.embedder))

    @cached_property
    def face_finder(self) -> FaceFinder:
        """What finds the faces of pictures that are sent; ask in a thread, not in the event loop."""
        return FaceFinder(self.networks, self.settings.analysis.detection)

    def require_embedder(self, project: str) -> None:
        """Raise `GalleryMismatchError` if the project is of another network than the one that runs; ask in a thread."""
        embedder, running = self.archive.store.get_project(project).embedder, self.networks.embedder.name
        if embedder not in (None, running):
            raise GalleryMismatchError(
                f"project {project!r} has embeddings of {embedder}, the service runs {running}: start one with "
                f"FACEREC_ANALYSIS__EMBEDDING__EMBEDDER set"
            )

    def submit(self, project: str, kind: str, spec: dict[str, Any]) -> Accepted:
        """Queue a job that is about no single video."""
        require_room(self.settings)
        job = submit(self.archive.store, project, kind, spec, max_queued=self.settings.max_queued_jobs)
        self.analyzer.wake.remote()
        return Accepted(job_id=job.job_id, video_id=None)

    @cached_property
    def indexes(self) -> TrackIndexes:
        """The tracks of the projects that are searched by face; a project's are read when it is first asked for."""
        return TrackIndexes(self.archive.store)

    @cached_property
    def rankings(self) -> Rankings:
        """The rankings of strangers that were asked for last."""
        return Rankings()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


ServiceDep = Annotated[Service, Depends(_service)]
CallerDep = Annotated[Caller, Depends(_caller)]
ExpectedVersion = Annotated[
    int | None,
    Query(alias="expect", description="The `version` of a preview: refused with 409 if the project has changed since."),
]


def _apply_options(preview: bool = False, expected: ExpectedVersion = None) -> ApplyOptions:
    return ApplyOptions(preview=preview, expected=expected)


HowToApply = Annotated[ApplyOptions, Depends(_apply_options)]
AfterNumber = Annotated[int, Query(ge=0, le=2**53, description="Those that come after this number; 0: from the first.")]
NewestFirst = Annotated[bool, Query(description="The last one first; what comes after one is then what was before it.")]
# Lists are whole unless a part is asked for.
PartOfList = Annotated[int | None, Query(ge=1, le=1000, description="At most so many; all unless given.")]
ProjectName = Annotated[str, Path(description="Name of a project.", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
