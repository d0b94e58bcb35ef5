"""A typed client of the service's HTTP interface: the page, the demo and the tests go through it."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from facerec_models.config import SamplingConfig
from facerec_models.errors import FacerecError, SourceError
from facerec_models.files import writing_to
from facerec_models.proxies import is_loopback
from facerec_models.result import Result
from facerec_models.stills import StillResult
from serving.api.found import StrangerPage, StrangerView
from serving.api.schemas import (
    CallerView,
    Health,
    JobView,
    PersonView,
    PictureView,
    VideoRequest,
)

# Reading waits for as long as the service may take: an annotated video is drawn while its reader waits.
_TIMEOUT = httpx.Timeout(10.0, read=7200.0, write=600.0)
_PROBE_TIMEOUT_S = 5.0
_PROBE_PERIOD_S = 0.25
_BUSY_ATTEMPTS = 5
_BUSY_WAIT_S = 5.0
_LONGEST_BUSY_WAIT_S = 30.0
_TOO_MANY_REQUESTS = 429
# Of lists, so much is asked for at once.
_PAGE = 200


class ServiceError(FacerecError):
    """The service refused a request, or a job did not succeed.

    Parameters
    ----------
    title : str
        The kind of problem, as a short title.
    detail : str
        What was wrong and what to do about it.
    status : int
        Of the HTTP response.
    """

    def __init__(self, title: str, detail: str, status: int) -> None:
        super().__init__(f"{title}: {detail}")
        self.title = title
        self.detail = detail
        self.status = status


def check_success(job: JobView) -> None:
    """Raise ServiceError if a finished job failed or was cancelled."""
    if job.state != "succeeded":
        raise ServiceError(f"{job.kind} {job.state}", job.error or f"job {job.job_id} was {job.state}", status=200)


class StoredVideo(BaseModel):
    """A video of a project."""

    video_id: str
    name: str
    sha256: str
    created_at: float


class FacerecClient:
    """One service. May be shared by threads.

    Parameters
    ----------
    token : str, optional
        The key, or the identity provider's token, that is shown to the service.

    Every method raises `SourceError` when the service does not answer and `ServiceError` when it refuses; a service that is
    busy is asked again a few times, as late as it wishes.
    """

    def __init__(self, base_url: str, token: str | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            self._http = httpx.Client(base_url=self.base_url, timeout=_TIMEOUT, trust_env=not is_loopback(base_url))
        except (ImportError, ValueError, httpx.InvalidURL) as error:  # of the proxy that the environment names
            raise SourceError(
                f"{base_url} cannot be asked ({error}): give another address, or name its host in NO_PROXY"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def with_token(self, token: str | None) -> FacerecClient:
        """Return a client that asks as another caller, over the same connections; it is not closed by itself."""
        other = copy.copy(self)
        other._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return other

    def me(self) -> CallerView:
        """Return who asks, and which role they have in which project."""
        return CallerView.model_validate_json(self._send("GET", _path("me")).content)

    def health(self) -> Health:
        """Return what the service runs on, once it is ready; `ServiceError` says what is missing before."""
        content = self._send("GET", "/readyz", timeout=_PROBE_TIMEOUT_S).content
        try:
            return Health.model_validate_json(content)
        except ValidationError as error:
            raise SourceError(f"what answers at {self.base_url} is no FaceRec service") from error

    def wait_until_ready(self, timeout_s: float) -> Health:
        """Wait for a service that is starting; raises SourceError when it takes longer than `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self.health()
            except (SourceError, ServiceError) as error:
                if time.monotonic() > deadline:
                    raise SourceError(f"{self.base_url} was not ready within {timeout_s:.0f} s: {error}") from error
                time.sleep(_PROBE_PERIOD_S)

    def projects(self) -> list[str]:
        """Return the names of all projects."""
        return [project["name"] for project in self._send("GET", "/v1/projects").json()]

    def create_project(self, project: str) -> None:
        """Create a project, or find it there."""
        self._send("PUT", _path("projects", project))

    def people(self, project: str) -> list[PersonView]:
        """Return everyone who is enrolled."""
        content = self._send("GET", _path("projects", project, "people")).content
        return TypeAdapter(list[PersonView]).validate_json(content)

    def add_pictures(self, project: str, person_id: str, files: Sequence[Path]) -> list[PictureView]:
        """Enrol pictures of a person; takes effect with the next training."""
        content = self._upload(_path("projects", project, "people", person_id, "pictures"), "files", files).content
        return TypeAdapter(list[PictureView]).validate_json(content)

    def start_crawl(
        self,
        project: str,
        person_id: str,
        source: str = "bing",
        *,
        max_num: int = 20,
        discard_multi_face: bool = False,
    ) -> str:
        """Start to collect and enrol pictures of a person; returns the id of the job."""
        wanted = {"source": source, "max_num": max_num, "discard_multi_face": discard_multi_face}
        return str(
            self._send("POST", _path("projects", project, "people", person_id, "crawl"), json=wanted).json()["job_id"]
        )

    def is_trained(self, project: str) -> bool:
        """Return whether a model of the project is promoted, so that it can name."""
        return any(model["promoted"] for model in self._send("GET", _path("projects", project, "models")).json())

    def start_training(self, project: str) -> str:
        """Start to train and promote a model of the enrolled people; returns the id of the job."""
        return str(self._send("POST", _path("projects", project, "training")).json()["job_id"])

    def videos(self, project: str) -> list[StoredVideo]:
        """Return the videos of a project, newest first."""
        content = self._send("GET", _path("projects", project, "videos")).content
        found = TypeAdapter(list[StoredVideo]).validate_json(content)
        return sorted(found, key=lambda video: video.created_at, reverse=True)

    def submit_video(
        self,
        project: str,
        file: Path,
        *,
        sampling: SamplingConfig | None = None,
        fragment: tuple[float, float] | None = None,
        max_false_names: float | None = None,
        no_cache: bool = False,
    ) -> tuple[str, str]:
        """Upload a video; returns the id of the job that recognises it, and its own."""
        request = VideoRequest(
            sampling=sampling or SamplingConfig(),
            fragment=fragment,
            max_false_names=max_false_names,
            no_cache=no_cache,
        )
        form = {"settings": request.model_dump_json()}
        accepted = self._upload(_path("projects", project, "videos"), "file", [file], form).json()
        return accepted["job_id"], accepted["video_id"]

    def jobs(self, project: str) -> list[JobView]:
        """Return the jobs of a project, oldest first."""
        content = self._send("GET", "/v1/jobs", params={"project": project}).content
        return TypeAdapter(list[JobView]).validate_json(content)

    def job(self, job_id: str) -> JobView:
        """Return how far a job is."""
        return JobView.model_validate_json(self._send("GET", _path("jobs", job_id)).content)

    def cancel(self, job_id: str) -> JobView:
        """End a queued job, ask a running one to stop, leave a finished one."""
        return JobView.model_validate_json(self._send("POST", _path("jobs", job_id, "cancel")).content)

    def follow(self, job_id: str) -> Iterator[JobView]:
        """Yield a job as it is now and whenever it changes; the last is final.

        Raises
        ------
        SourceError
            If the service stops telling before that.
        """
        is_final = False
        while not is_final:
            # The service ends the stream of a very long job with the sentinel, too: it wants to be asked again.
            for view in self._events(job_id):
                is_final = view.state not in {"queued", "running"}
                yield view

    def wait(self, job_id: str, on_progress: Callable[[float], None] | None = None) -> JobView:
        """Wait until a job has succeeded, telling `on_progress` the finished fraction.

        Raises
        ------
        ServiceError
            If the job failed or was cancelled.
        """
        for view in self.follow(job_id):
            if on_progress is not None:
                on_progress(view.progress)
        check_success(view)
        return view

    def result(self, project: str, video_id: str) -> Result:
        """Return who is in a video, when, and on what evidence."""
        path = _path("projects", project, "videos", video_id, "result")
        return Result.model_validate_json(self._send("GET", path).content)

    def correct(
        self, project: str, video_id: str, track_id: int, kind: Literal["is", "is_not"], person_id: str
    ) -> dict[str, Any]:
        """Say who a track is, or is not; returns what that changed, in tracks of each person."""
        path = _path("projects", project, "videos", video_id, "tracks", str(track_id), "corrections")
        change: dict[str, Any] = self._send("POST", path, json={"kind": kind, "person_id": person_id}).json()
        return change

    def strangers(self, project: str) -> list[StrangerView]:
        """Return who is seen but not known, the longest seen first."""
        strangers: list[StrangerView] = []
        query: dict[str, str | int] = {"limit": _PAGE}
        while True:
            content = self._send("GET", _path("projects", project, "strangers"), params=query).content
            page = StrangerPage.model_validate_json(content)
            strangers += page.items
            if page.next_cursor is None:
                return strangers
            query["cursor"] = page.next_cursor

    def stranger(self, project: str, stranger: str) -> StrangerView:
        """Return one stranger, by an id, also a former one, or the n of "Unknown n"."""
        content = self._send("GET", _path("projects", project, "strangers", stranger)).content
        return StrangerView.model_validate_json(content)

    def name_stranger(self, project: str, stranger: str, person_id: str) -> dict[str, Any]:
        """Say who a stranger is; returns what that changed, in tracks of each person."""
        path = _path("projects", project, "strangers", stranger, "name")
        change: dict[str, Any] = self._send("POST", path, json={"person_id": person_id}).json()
        return change

    def hide_stranger(self, project: str, stranger: str, *, no_longer: bool = False) -> None:
        """Leave a stranger out of lists, or show them in these again."""
        path = _path("projects", project, "strangers", stranger, "hide")
        self._send("POST", path, params={"no_longer": no_longer})

    def forget(self, project: str, person_id: str) -> dict[str, Any]:
        """Remove a person for good; returns the receipt of what was removed."""
        receipt: dict[str, Any] = self._send("DELETE", _path("projects", project, "people", person_id)).json()
        return receipt

    def faces(self, project: str, files: Sequence[Path], *, max_false_names: float | None = None) -> list[StillResult]:
        """Return who is in pictures, in their order."""
        query = {} if max_false_names is None else {"max_false_names": max_false_names}
        response = self._upload(_path("projects", project, "faces"), "files", files, query=query)
        return TypeAdapter(list[StillResult]).validate_json(response.content)

    def picture(self, path: str) -> bytes:
        """Return a small file that a document names, such as a crop."""
        return self._send("GET", path).content

    def download(self, path: str, target: Path) -> None:
        """Write a file that a document names, such as an annotated video; it is there whole or not at all."""
        response = self._send("GET", path, stream=True)
        try:
            with closing(response), writing_to(target), ExitStack() as stack:
                target.parent.mkdir(parents=True, exist_ok=True)
                folder = stack.enter_context(TemporaryDirectory(dir=target.parent))
                part = Path(folder) / target.name
                with part.open("wb") as file:
                    file.writelines(response.iter_bytes())
                part.replace(target)
        except httpx.TransportError as error:
            raise SourceError(f"{self.base_url} stopped sending {path}: {error}") from error

    def _events(self, job_id: str) -> Iterator[JobView]:
        """Yield what one stream of server-sent events tells, up to its sentinel."""
        event = ""
        try:
            with closing(self._send("GET", _path("jobs", job_id, "events"), stream=True)) as response:
                for line in response.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "event":
                        event = value
                    elif field == "data" and event == "job":
                        yield JobView.model_validate_json(value)
                    elif field == "data" and event == "end":
                        return
        except httpx.TransportError as error:
            raise SourceError(f"{self.base_url} stopped telling about job {job_id}: {error}") from error
        raise SourceError(f"{self.base_url} stopped telling about job {job_id} before its end: ask again")

    def _upload(
        self,
        path: str,
        field: str,
        files: Sequence[Path],
        form: dict[str, str] | None = None,
        query: dict[str, float] | None = None,
    ) -> httpx.Response:
        with ExitStack() as stack:
            parts = [(field, (file.name, stack.enter_context(file.open("rb")))) for file in files]
            return self._send("POST", path, files=parts, data=form, params=query)

    def _send(self, method: str, path: str, *, stream: bool = False, **content: Any) -> httpx.Response:
        """Ask, again while the service is busy; httpx reads files from their beginning each time."""
        for attempt in range(_BUSY_ATTEMPTS):
            try:
                request = self._http.build_request(method, path, headers=self._headers, **content)
                response = self._http.send(request, stream=stream)
                if not response.is_success:
                    response.read()
            except httpx.TransportError as error:
                raise SourceError(
                    f"no service answers at {self.base_url} ({error}): start it with 'facerec serve'"
                ) from error
            if response.status_code != _TOO_MANY_REQUESTS or attempt == _BUSY_ATTEMPTS - 1:
                break
            time.sleep(_busy_wait_s(response))
        if not response.is_success:
            raise _error_of(response)
        return response


def _path(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _busy_wait_s(response: httpx.Response) -> float:
    try:
        return min(float(response.headers["Retry-After"]), _LONGEST_BUSY_WAIT_S)
    except (KeyError, ValueError):
        return _BUSY_WAIT_S


def _error_of(response: httpx.Response) -> ServiceError:
    """Read a problem document; a proxy in between may have answered with something else."""
    try:
        document = json.loads(response.content)
        return ServiceError(document["title"], document["detail"], response.status_code)
    except (ValueError, KeyError, TypeError):
        detail = f"{response.request.url} answered {response.status_code} {response.text[:200]!r}"
        return ServiceError(response.reason_phrase or "Error", detail, response.status_code)
