"""The page that analyses a video, or opens one that was analysed, and shows who is in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from facerec_models.errors import FacerecError, SourceError
from facerec_models.result import Result
from facerec_models.types import ImageArray
from serving.api.schemas import JobView
from serving.exports.wording import clock
from ui.client import FacerecClient, ServiceError, StoredVideo, check_success
from ui.pages import panels
from ui.views import draw_timeline

Updates = dict[Any, Any]

_DEFAULT_PROJECT = "default"
_VIDEO_TYPES = [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".gif"]
_MOST_FACES = 60
_FIRST_LIMIT = 5
_STATES = {"queued": "Waiting for its turn", "running": "Looking for faces"}
# Rows are plain HTML: their clicks and keys become the table's own event.
_SELECT_ROWS = """
const select = (event) => {
  const row = event.target.closest('tr[data-appearance]');
  if (!row) return;
  element.querySelectorAll('tr.fr-selected').forEach((other) => other.classList.remove('fr-selected'));
  row.classList.add('fr-selected');
  trigger('select', {index: Number(row.dataset.appearance)});
};
element.addEventListener('click', select);
element.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); select(event); }
});
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a visitor looks at."""

    result: Result
    faces: tuple[int, ...]
    """Which appearances the pictures of the gallery are of."""


class AnalysePage:
    """Layout and behaviour; lives inside a `gr.Blocks`. What belongs to one visitor is in `gr.State`."""

    def __init__(self, client: FacerecClient, blocks: gr.Blocks) -> None:
        self._client = client
        self._shown = gr.State(None)
        self._job_id = gr.State(None)
        gr.HTML(panels.HEADER, padding=False)
        with gr.Row(elem_classes="fr-columns"):
            with gr.Column(scale=0, min_width=320, elem_classes="fr-controls"):
                self._build_controls()
            with gr.Column(scale=1, min_width=320):
                self._empty = gr.HTML(panels.EMPTY, padding=False)
                with gr.Column(visible=False) as self._found:
                    self._build_result()
        self._wire(blocks)

    def _build_controls(self) -> None:
        self._notice = gr.HTML(visible=False, padding=False)
        self._project = gr.Dropdown([], label="Project", elem_id="project")
        with gr.Tabs():
            with gr.Tab("New video"):
                self._file = gr.File(label="Video", file_types=_VIDEO_TYPES, height=150, elem_id="file")
                self._limit = gr.Slider(
                    1,
                    50,
                    _FIRST_LIMIT,
                    step=1,
                    label="False names in 1,000 strangers",
                    info="At most so many people who are not enrolled may get a name.",
                )
                self._start = gr.Button("Analyse", variant="primary", elem_id="analyse")
            with gr.Tab("Analysed before"):
                self._stored = gr.Dropdown([], label="Video", info="Newest first", elem_id="stored")
        self._progress = gr.HTML(visible=False, padding=False, elem_id="progress")
        self._cancel = gr.Button("Cancel", visible=False, elem_id="cancel")

    def _build_result(self) -> None:
        self._summary = gr.HTML(padding=False)
        with gr.Row():
            with gr.Column(scale=4, min_width=340):
                self._video = gr.Video(
                    label="Annotated video", interactive=False, buttons=["download"], elem_id="video"
                )
            with gr.Column(scale=3, min_width=340):
                self._table = gr.HTML(padding=False, js_on_load=_SELECT_ROWS, elem_id="appearances")
        self._timeline = gr.Image(
            label="Timeline", format="png", buttons=["download", "fullscreen"], interactive=False, elem_id="timeline"
        )
        with gr.Row():
            with gr.Column(scale=4, min_width=340):
                self._evidence = gr.HTML(padding=False, elem_id="evidence")
            with gr.Column(scale=3, min_width=340):
                self._gallery = gr.Gallery(
                    label="Faces", columns=4, height="auto", allow_preview=False, buttons=[], elem_id="faces"
                )

    def _wire(self, blocks: gr.Blocks) -> None:
        controls = [self._notice, self._start, self._progress, self._cancel, self._job_id]
        results = [
            *[self._empty, self._found, self._summary, self._video, self._table, self._timeline],
            *[self._evidence, self._gallery, self._shown, self._stored],
        ]
        selected = [self._evidence, self._video]
        blocks.load(self._choose_first_project, outputs=[self._project, *controls, self._stored])
        self._project.input(self._choose_project, self._project, [self._notice, self._start, self._stored])
        analyse = [self._project, self._file, self._limit]
        self._start.click(self._analyse, analyse, [*controls, *results], show_progress="hidden")
        self._stored.input(self._open, [self._project, self._stored], [*controls, *results], show_progress="hidden")
        self._cancel.click(self._stop, self._job_id, self._progress, show_progress="hidden")
        self._table.select(self._select_row, self._shown, selected, show_progress="hidden")
        self._gallery.select(self._select_face, self._shown, selected, show_progress="hidden")

    def _choose_first_project(self) -> Updates:
        try:
            self._client.health()
            projects = self._client.projects() or [_DEFAULT_PROJECT]
        except FacerecError:
            text = f"No service answers at {self._client.base_url}. Start it, then load this page again:"
            return {
                self._notice: gr.HTML(panels.notice(text, "facerec serve"), visible=True),
                self._start: gr.Button(interactive=False),
            }
        first = _DEFAULT_PROJECT if _DEFAULT_PROJECT in projects else projects[0]
        return {self._project: gr.Dropdown(projects, value=first), **self._choose_project(first)}

    def _choose_project(self, project: str) -> Updates:
        try:
            taken = sum(person.taken > 0 for person in self._client.people(project))
            hint = (
                panels.notice("Nobody is enrolled yet. Enrol people, then train:", "facerec people import DIR")
                if not taken
                else panels.notice(f"{taken} people are enrolled, but not trained yet:", "facerec train")
                if not self._client.is_trained(project)
                else ""
            )
            stored = self._client.videos(project)
        except ServiceError as error:
            hint, stored = panels.notice(error.detail), []
        except SourceError as error:
            raise _told(error) from error
        return {
            self._notice: gr.HTML(hint, visible=bool(hint)),
            self._start: gr.Button(interactive=not hint),
            self._stored: gr.Dropdown(_choices(stored), value=None),
        }

    def _analyse(self, project: str, file: str | None, per_thousand: int) -> Iterator[Updates]:
        if not file:
            raise gr.Error("Upload a video first.", title="No video", duration=6, print_exception=False)
        yield from self._finished(self._submit(project, Path(file), per_thousand / 1000))

    def _open(self, project: str, video_id: str) -> Iterator[Updates]:
        yield from self._finished(self._reopen(project, video_id))

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

    def _submit(self, project: str, file: Path, limit: float) -> Iterator[Updates]:
        yield self._working(f"Sending {file.name}")
        job_id, video_id = self._client.submit_video(project, file, max_false_names=limit)
        yield from self._follow(job_id)
        yield from self._show(project, video_id)

    def _reopen(self, project: str, video_id: str) -> Iterator[Updates]:
        yield self._working("Opening")
        active = [job.job_id for job in self._client.jobs(project) if job.video_id == video_id and job.state in _STATES]
        # Somebody who loaded the page again comes back to the work that goes on.
        for job_id in active[-1:]:
            yield from self._follow(job_id)
        yield from self._show(project, video_id)

    def _working(self, text: str, job: JobView | None = None) -> Updates:
        return {
            self._start: gr.Button(interactive=False),
            self._progress: gr.HTML(panels.progress(text, job and job.progress), visible=True),
            self._cancel: gr.Button(visible=job is not None),
            self._job_id: job and job.job_id,
        }

    def _follow(self, job_id: str) -> Iterator[Updates]:
        for job in self._client.follow(job_id):
            if job.state in _STATES:
                yield self._working(_STATES[job.state], job)
        check_success(job)

    def _stop(self, job_id: str | None) -> Updates:
        if job_id is None:
            return {}
        try:
            self._client.cancel(job_id)
        except FacerecError as error:
            raise _told(error) from error
        return {self._progress: panels.progress("Stopping", None)}

    def _show(self, project: str, video_id: str) -> Iterator[Updates]:
        result = self._client.result(project, video_id)
        stored = self._client.videos(project)
        name = next(video.name for video in stored if video.video_id == video_id)
        decided = [i for i, view in enumerate(result.appearances) if panels.is_decided(view)]
        shown = Shown(result, tuple(decided[:_MOST_FACES]))
        named = [i for i in decided if result.appearances[i].person_id]
        first = next(iter(named or decided), None)
        faces = {i: self._picture(result.appearances[i].evidence.crops[0].url) for i in shown.faces}
        best: dict[str, ImageArray] = {}
        for i, face in faces.items():
            best.setdefault(result.appearances[i].label, face)
        yield {
            **self._working("Drawing names into the video"),
            self._empty: gr.HTML(visible=False),
            self._found: gr.Column(visible=True),
            self._summary: panels.summary(name, result),
            self._video: None,
            self._table: panels.appearance_table(result),
            self._timeline: draw_timeline(result, thumbnails=best),
            self._gallery: gr.Gallery(
                [
                    (face, f"{result.appearances[i].label}  {clock(result.appearances[i].evidence.crops[0].time_s, 1)}")
                    for i, face in faces.items()
                ],
                visible=bool(faces),
            ),
            self._evidence: "" if first is None else self._explain(result, first),
            self._shown: shown,
            self._stored: gr.Dropdown(_choices(stored), value=video_id),
        }
        with TemporaryDirectory() as folder:
            drawn = Path(folder) / f"{Path(name).stem}-annotated.mp4"
            self._client.download(f"/v1/projects/{project}/videos/{video_id}/annotated.mp4", drawn)
            yield {self._video: gr.Video(str(drawn), playback_position=0)}

    def _select_row(self, shown: Shown, event: gr.EventData) -> Updates:
        return self._select(shown, event.index)

    def _select_face(self, shown: Shown, event: gr.SelectData) -> Updates:
        return self._select(shown, shown.faces[event.index])

    def _select(self, shown: Shown, appearance: int) -> Updates:
        """Explain an appearance and take the video there."""
        try:
            explained = self._explain(shown.result, appearance)
        except FacerecError as error:
            raise _told(error) from error
        start_s = shown.result.appearances[appearance].start_s
        return {self._evidence: explained, self._video: gr.Video(playback_position=start_s)}

    def _explain(self, result: Result, appearance: int) -> str:
        view = result.appearances[appearance]
        seen = [panels.Picture(self._client.picture(crop.url), clock(crop.time_s, 1)) for crop in view.evidence.crops]
        enrolled = [
            panels.Picture(
                self._client.picture(f"/v1/projects/{result.project}/faces/{near.face_id}.jpg"),
                f"similarity {near.similarity:.3f}",
            )
            for near in view.evidence.nearest[: len(seen)]
        ]
        return panels.evidence(result, view, seen, enrolled)

    def _picture(self, url: str) -> ImageArray:
        with Image.open(io.BytesIO(self._client.picture(url))) as image:
            return np.asarray(image.convert("RGB"))


def _choices(stored: list[StoredVideo]) -> list[tuple[str, str]]:
    """Return the videos for a list; the time tells those of one name apart."""
    return [
        (f"{video.name}  ·  {datetime.fromtimestamp(video.created_at):%Y-%m-%d %H:%M}", video.video_id)
        for video in stored
    ]


def _told(error: FacerecError) -> gr.Error:
    """Return an error as a message for the visitor."""
    if isinstance(error, SourceError):
        return gr.Error(str(error), title="The service does not answer", duration=20, print_exception=False)
    detail = error.detail if isinstance(error, ServiceError) else str(error)
    return gr.Error(detail, title="That did not work", duration=20, print_exception=False)
