"""The page that analyses a video, or opens one that was analysed, and shows who is in it."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from facerec_models.errors import FacerecError, SourceError
from facerec_models.result import Result
from facerec_models.types import ImageArray
from serving.api.schemas import CallerView, JobView
from serving.exports.labels import clock
from serving.exports.timeline import draw_timeline
from serving.store.access_rows import EVERY_PROJECT, Role
from ui.client import FacerecClient, ServiceError, StoredVideo, check_success
from ui.pages import panels
from ui.sign_in import SHOWN_BY

Updates = dict[Any, Any]

_DEFAULT_PROJECT = "default"
_VIDEO_TYPES = [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".gif"]
_MOST_FACES = 60
_FIRST_LIMIT = 5
_MESSAGE_S = 20
_STATES = {"queued": "Waiting for its turn", "running": "Searching for faces"}
# Rows and faces are plain HTML: their clicks and keys become the component's own event.
_SELECT = """
const select = (event) => {
  const chosen = event.target.closest('[data-appearance]');
  if (!chosen) return;
  const {appearance} = chosen.dataset;
  document.querySelectorAll('[data-appearance]').forEach((other) => {
    other.setAttribute('aria-current', other.dataset.appearance === appearance);
  });
  trigger('select', {index: Number(appearance)});
};
element.addEventListener('click', select);
element.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); select(event); }
});
"""
_html = partial(gr.HTML, padding=False, apply_default_css=False)


class AnalysePage:
    """Layout and behaviour; lives inside a `gr.Blocks`. What belongs to one visitor is in `gr.State`."""

    def __init__(self, client: FacerecClient, blocks: gr.Blocks) -> None:
        self._service = client
        self._result = gr.State(None)
        self._job_id = gr.State(None)
        _html(panels.HEADER)
        with gr.Row(elem_classes="fr-columns"):
            with gr.Column(scale=0, min_width=320, elem_classes="fr-controls"):
                self._build_controls()
            with gr.Column(scale=1, min_width=320):
                self._empty = _html(panels.EMPTY)
                with gr.Column(visible=False) as self._found:
                    self._build_result()
        self._wire(blocks)

    def _build_controls(self) -> None:
        self._notice = _html(visible=False)
        self._project = gr.Dropdown([], label="Project", elem_id="project")
        with gr.Tabs():
            with gr.Tab("New video"):
                self._file = gr.File(label="Video", file_types=_VIDEO_TYPES, height=150, elem_id="file")
                self._limit = gr.Slider(
                    1,
                    50,
                    _FIRST_LIMIT,
                    step=1,
                    label="False names allowed",
                    info="At most so many of 1,000 strangers may get a name.",
                )
                self._start = gr.Button("Analyse", variant="primary", elem_id="analyse")
            with gr.Tab("Analysed before"):
                self._stored = gr.Dropdown([], label="Video", info="Newest first", elem_id="stored")
        self._progress = _html(visible=False, elem_id="progress")
        self._cancel = gr.Button("Cancel", visible=False, elem_id="cancel")

    def _build_result(self) -> None:
        self._summary = _html()
        with gr.Row():
            with gr.Column(scale=5, min_width=340):
                self._video = gr.Video(show_label=False, interactive=False, buttons=["download"], elem_id="video")
            with gr.Column(scale=4, min_width=340):
                self._table = _html(js_on_load=_SELECT, elem_id="appearances")
        self._timeline = gr.Image(
            show_label=False,
            alt_text="Who is in view when",
            format="png",
            buttons=["download", "fullscreen"],
            interactive=False,
            elem_id="timeline",
        )
        with gr.Row():
            with gr.Column(scale=5, min_width=340):
                self._evidence = _html(elem_id="evidence")
            with gr.Column(scale=4, min_width=340):
                self._faces = _html(js_on_load=_SELECT, elem_id="faces")

    def _wire(self, blocks: gr.Blocks) -> None:
        controls = [self._notice, self._start, self._progress, self._cancel, self._job_id]
        results = [
            *[self._empty, self._found, self._summary, self._video, self._table, self._timeline],
            *[self._evidence, self._faces, self._result, self._stored],
        ]
        blocks.load(self._choose_first_project, outputs=[self._project, *controls, self._stored])
        self._project.input(self._choose_project, self._project, [self._notice, self._start, self._stored])
        new, old = [self._project, self._file, self._limit], [self._project, self._stored]
        self._start.click(self._analyse, new, [*controls, *results], show_progress="hidden")
        self._stored.input(self._open, old, [*controls, *results], show_progress="hidden")
        self._cancel.click(self._stop, self._job_id, self._progress, show_progress="hidden")
        for part in (self._table, self._faces):
            part.select(self._select, self._result, [self._evidence, self._video], show_progress="hidden")

    def _client_of(self, request: gr.Request) -> FacerecClient:
        """Return the client that asks as who visits, by what the guard in front has found."""
        asked = request.request
        if asked is None:
            raise gr.Error("This page must be loaded again.", duration=_MESSAGE_S, print_exception=False)
        return self._service.with_token(getattr(asked.state, SHOWN_BY))

    def _choose_first_project(self, request: gr.Request) -> Updates:
        client = self._client_of(request)
        try:
            client.health()
            projects = client.projects() or [_DEFAULT_PROJECT]
        except FacerecError as error:
            text = f"No service answers at {self._service.base_url}. Start it, then load this page again:"
            told = (
                panels.notice(error.detail) if isinstance(error, ServiceError) else panels.notice(text, "facerec serve")
            )
            return {self._notice: gr.HTML(told, visible=True), self._start: gr.Button(interactive=False)}
        first = _DEFAULT_PROJECT if _DEFAULT_PROJECT in projects else projects[0]
        return {self._project: gr.Dropdown(projects, value=first), **self._choose_project(first, request)}

    def _choose_project(self, project: str, request: gr.Request) -> Updates:
        client = self._client_of(request)
        try:
            taken = sum(person.taken > 0 for person in client.people(project))
            hint = (
                panels.notice("Nobody is enrolled yet. Enrol people, then train:", "facerec people import DIR")
                if not taken
                else panels.notice(f"{taken} people are enrolled, but not trained yet:", "facerec train")
                if not client.is_trained(project)
                else ""
            )
            if Role.CURATE not in _roles(client.me(), project):
                hint = panels.notice(
                    "Your key opens this project for reading alone: you can open what was analysed before."
                )
            stored = client.videos(project)
        except ServiceError as error:
            hint, stored = panels.notice(error.detail), []
        except SourceError as error:
            raise _told(error) from error
        return {
            self._notice: gr.HTML(hint, visible=bool(hint)),
            self._start: gr.Button(interactive=not hint),
            self._stored: gr.Dropdown(_choices(stored), value=None),
        }

    def _analyse(self, project: str, file: str | None, per_thousand: int, request: gr.Request) -> Iterator[Updates]:
        if not file:
            raise gr.Error("Upload a video first.", duration=_MESSAGE_S, print_exception=False)
        yield from self._finished(self._submit(self._client_of(request), project, Path(file), per_thousand / 1000))

    def _open(self, project: str, video_id: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._finished(self._reopen(self._client_of(request), project, video_id))

    def _finished(self, steps: Iterator[Updates]) -> Iterator[Updates]:
        """Do the steps, leave the controls ready for the next, and say what went wrong."""
        idle = {
            self._progress: gr.HTML(visible=False),
            self._cancel: gr.Button(visible=False),
            self._start: gr.Button(interactive=True),
            self._job_id: None,
        }
        try:
            yield from steps
        except FacerecError as error:
            yield idle
            raise _told(error) from error
        yield idle

    def _submit(self, client: FacerecClient, project: str, file: Path, limit: float) -> Iterator[Updates]:
        yield self._working(f"Sending {file.name}")
        job_id, video_id = client.submit_video(project, file, max_false_names=limit)
        if (yield from self._follow(client, job_id)):
            yield from self._show(client, project, video_id)

    def _reopen(self, client: FacerecClient, project: str, video_id: str) -> Iterator[Updates]:
        yield self._working("Opening")
        active = [job for job in client.jobs(project) if job.video_id == video_id and job.state in _STATES]
        # A page that is loaded again shows the work that goes on.
        for job in active[-1:]:
            if not (yield from self._follow(client, job.job_id)):
                return
        yield from self._show(client, project, video_id)

    def _working(self, text: str, job: JobView | None = None) -> Updates:
        return {
            self._start: gr.Button(interactive=False),
            self._progress: gr.HTML(panels.progress(text, job.progress if job else None), visible=True),
            self._cancel: gr.Button(visible=job is not None),
            self._job_id: job.job_id if job else None,
        }

    def _follow(self, client: FacerecClient, job_id: str) -> Generator[Updates, None, bool]:
        """Show a job until its end; return whether it came there uncancelled."""
        for job in client.follow(job_id):
            if job.state in _STATES:
                yield self._working(_STATES[job.state], job)
        if job.state == "cancelled":
            gr.Info("Cancelled.")
            return False
        check_success(job)
        return True

    def _stop(self, job_id: str | None, request: gr.Request) -> str:
        if job_id is not None:
            try:
                self._client_of(request).cancel(job_id)
            except FacerecError as error:
                raise _told(error) from error
        return panels.progress("Stopping", None)

    def _show(self, client: FacerecClient, project: str, video_id: str) -> Iterator[Updates]:
        result = client.result(project, video_id)
        stored = client.videos(project)
        name = {video.video_id: video.name for video in stored}.get(video_id, video_id)
        cast = _cast(result)
        first = cast[0] if cast else None
        shown = {i: result.appearances[i].evidence.crops for i in cast}
        faces = {i: client.picture(crops[0].url) for i, crops in shown.items() if crops}
        thumbnails = {result.appearances[i].label: _decode(face) for i, face in faces.items()}
        yield {
            **self._working("Drawing names into the video"),
            self._empty: gr.HTML(visible=False),
            self._found: gr.Column(visible=True),
            self._summary: panels.summary(name, result),
            self._video: None,
            self._table: panels.appearance_table(result, first),
            self._timeline: draw_timeline(result, thumbnails=thumbnails),
            self._faces: gr.HTML(panels.face_gallery(result, faces, first), visible=bool(faces)),
            self._evidence: "" if first is None else self._explain(client, result, first),
            self._result: result,
            self._stored: gr.Dropdown(_choices(stored), value=video_id),
        }
        with TemporaryDirectory() as folder:
            drawn = Path(folder) / f"{Path(name).stem}-annotated.mp4"
            client.download(f"/v1/projects/{project}/videos/{video_id}/annotated.mp4", drawn)
            yield {self._video: gr.Video(str(drawn), playback_position=0)}

    def _select(self, result: Result, event: gr.EventData, request: gr.Request) -> Updates:
        """Explain an appearance and take the video there."""
        try:
            explained = self._explain(self._client_of(request), result, event.index)
        except FacerecError as error:
            raise _told(error) from error
        start_s = result.appearances[event.index].start_s
        return {self._evidence: explained, self._video: gr.Video(playback_position=start_s)}

    def _explain(self, client: FacerecClient, result: Result, appearance: int) -> str:
        view = result.appearances[appearance]
        seen = [panels.ShownPicture(client.picture(crop.url), clock(crop.time_s, 1)) for crop in view.evidence.crops]
        enrolled = [
            panels.ShownPicture(
                client.picture(f"/v1/projects/{result.project}/faces/{near.face_id}.jpg"),
                f"similarity {near.similarity:.3f}",
            )
            for near in view.evidence.nearest[: len(seen)]
        ]
        return panels.evidence(result, view, seen, enrolled)


def _roles(caller: CallerView, project: str) -> set[Role]:
    """Return the roles that a caller has in a project, with those that they include."""
    held = [role for name, role in caller.grants.items() if name in (project, EVERY_PROJECT)]
    return {role for role in Role if any(one.includes(role) for one in held)}


def _cast(result: Result) -> list[int]:
    """Return the surest appearance of everybody who can be told apart, enrolled people first."""
    best: dict[str, int] = {}
    for i, view in enumerate(result.appearances):
        if panels.is_decided(view):
            kept = best.setdefault(view.label, i)
            if view.probability > result.appearances[kept].probability:
                best[view.label] = i
    return sorted(best.values(), key=lambda i: (result.appearances[i].person_id is None, i))[:_MOST_FACES]


def _decode(data: bytes) -> ImageArray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _choices(stored: list[StoredVideo]) -> list[tuple[str, str]]:
    """Return the videos for a list; the time tells those of one name apart."""
    return [
        (f"{video.name}  ·  {datetime.fromtimestamp(video.created_at):%d %b %H:%M}", video.video_id) for video in stored
    ]


def _told(error: FacerecError) -> gr.Error:
    """Return an error as a message for the visitor."""
    detail = error.detail if isinstance(error, ServiceError) else str(error)
    return gr.Error(escape(detail), duration=_MESSAGE_S, print_exception=False)
