"""``facerec demo``: sample people and a sample video through the real service, with the truth beside the result."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from rich.table import Table

from facerec_models.errors import SourceError
from facerec_models.files import write_atomically, writing_to
from facerec_models.names import identity_of
from facerec_models.result import Result
from facerec_models.types import ImageArray
from serving.archive.access.keys import are_asked_for, create_key
from serving.archive.handle import open_archive
from serving.exports.timeline import write_timeline
from training.evaluation.counting import VideoScore, score_video
from training.evaluation.results import MeasuredResult
from training.evaluation.truth import Truth
from ui.cli.common import messages, output, print_json, progress_bar, read_settings
from ui.cli.tables import print_table
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial, prepare
from ui.views import APPEARANCE_COLUMNS, appearance_rows

_PROJECT = "demo"
_START_TIMEOUT_S = 180.0
_HOUR_S = 3600.0
_STOP_TIMEOUT_S = 60.0


def run_demo(directory: Path, home: Path | None, *, as_json: bool) -> None:
    """Prepare the material, start the service and the page, recognize the reel, show and write what was found.

    Raises
    ------
    SourceError
        If a package with sample material is missing, or the service does not start.
    """
    messages.print("1/5  preparing sample pictures and a sample video")
    material = prepare(directory / "material")
    home = (home or directory / "home").resolve()
    messages.print("2/5  starting Ray Serve with the recognition graph")
    with _service(home) as (client, page_url):
        _enrol(client, material)
        video_id = _recognize(client, material)
        result = client.result(_PROJECT, video_id)
        watched_at = f"{page_url}/video?project={_PROJECT}&video={video_id}"
        messages.print("5/5  drawing")
        client.download(f"/v1/projects/{_PROJECT}/videos/{video_id}/annotated.mp4", directory / "annotated.mp4")
        thumbnails = _thumbnails(client, result, directory / "faces")
        write_atomically(directory / "result.json", result.to_json(indent=1).encode(), is_private=False)
        write_timeline(result, directory / "timeline.png", thumbnails=thumbnails)
        score = score_video(
            "reel",
            Truth.model_validate_json(material.truth.read_bytes()),
            MeasuredResult.model_validate_json(result.to_json()),
        )
        if as_json:
            print_json({"result": json.loads(result.to_json()), "page": watched_at, "score": score.total.to_dict()})
        else:
            _show(result, score, directory)
        if sys.stdin.isatty() and not as_json:
            output.print(f"\nThe video is open at {watched_at} - press Ctrl-C to end.")
            _wait_for_interrupt()
    if not as_json:
        output.print(f"\nOpen the page again:  facerec serve --home {home}   then {watched_at}")


@contextmanager
def _service(home: Path) -> Iterator[tuple[FacerecClient, str]]:
    """Run ``facerec serve`` as a process of its own."""
    port, ui_port = _free_port(8000), _free_port(7860)
    command = [sys.executable, "-m", "ui.cli", "serve", "--json", "--home", str(home)]
    log = home / "service.log"
    with writing_to(log):
        home.mkdir(parents=True, exist_ok=True)
        file = log.open("wb")
    with file:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--ui-port", str(ui_port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            # Ctrl-C is this process's to handle: it stops the service itself.
            start_new_session=True,
        )
    # One that hangs says nothing, too.
    hanging = threading.Timer(_START_TIMEOUT_S, process.kill)
    hanging.start()
    try:
        if process.stdout is None:
            raise ValueError("the service was started without a pipe")
        line = process.stdout.readline()
        hanging.cancel()
        if not line:
            status = process.wait(_STOP_TIMEOUT_S)
            raise SourceError(f"the service did not start (exit status {status}): {log} says why")
        addresses = json.loads(line)
        with _own_key(home) as key, FacerecClient(addresses["service"], key) as client:
            yield client, addresses["page"]
    finally:
        hanging.cancel()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def _own_key(home: Path) -> Iterator[str | None]:
    """Make a key for the demonstration, for an hour, where the home's service asks for one."""
    settings = read_settings(home)
    with open_archive(settings) as archive:
        if not (settings.access.keys or settings.access.oidc or are_asked_for(archive.store)):
            yield None
            return
        row, key = create_key(archive.store, "facerec demo", {"*": "admin"}, expires_at=time.time() + _HOUR_S)
        try:
            yield key
        finally:
            archive.store.revoke_key(row.key_id)


def _free_port(wanted: int) -> int:
    """Return `wanted` if nothing listens there, and any free port otherwise."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SourceError("no free port on 127.0.0.1")


def _enrol(client: FacerecClient, material: DemoMaterial) -> None:
    folders = sorted(path for path in material.people.iterdir() if path.is_dir())
    messages.print(f"3/5  enrolling {', '.join(identity_of(folder.name) for folder in folders)}, and training")
    client.create_project(_PROJECT)
    for folder in folders:
        client.add_pictures(_PROJECT, folder.name, sorted(folder.iterdir()))
    client.wait(client.start_training(_PROJECT))


def _recognize(client: FacerecClient, material: DemoMaterial) -> str:
    messages.print(f"4/5  who is in {material.reel}?")
    job_id, video_id = client.submit_video(_PROJECT, material.reel)
    with progress_bar() as progress:
        task = progress.add_task("recognising", total=1.0)
        client.wait(job_id, on_progress=lambda fraction: progress.update(task, completed=fraction))
    return video_id


def _thumbnails(client: FacerecClient, result: Result, folder: Path) -> dict[str, ImageArray]:
    """Fetch the best crop of each label."""
    best: dict[str, ImageArray] = {}
    for appearance in result.appearances:
        if appearance.label not in best and appearance.evidence.crops:
            target = folder / f"{appearance.label.replace(' ', '_')}.jpg"
            client.download(appearance.evidence.crops[0].url, target)
            best[appearance.label] = np.asarray(Image.open(target).convert("RGB"), np.uint8)
    return best


def _show(result: Result, score: VideoScore, directory: Path) -> None:
    table = Table(*APPEARANCE_COLUMNS, title="Who appears when", title_justify="left")
    for row, appearance in zip(appearance_rows(result), result.appearances, strict=True):
        if appearance.person_id or appearance.stranger:
            table.add_row(*row)
    output.print()
    print_table(table)
    truth = Table(
        "person",
        "truly clear",
        "found",
        "rightly named",
        "wrongly named",
        title="Against the truth",
        title_justify="left",
    )
    for person_id, spent in score.people.items():
        seconds = (spent.clear_s, spent.found_s, spent.right_s, spent.wrong_s)
        truth.add_row(identity_of(person_id), *(f"{value:.1f} s" for value in seconds))
    print_table(truth)
    total = score.total
    if total.recall is not None and total.precision is not None:
        output.print(
            f"recall {total.recall:.0%}, precision {total.precision:.0%} of the seconds in which a known face is clear"
        )
    output.print(f"\nwritten to {directory}/:  annotated.mp4 (open it in a browser)  timeline.png  result.json  faces/")


def _wait_for_interrupt() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        return
