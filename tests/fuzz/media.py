"""Damaged pictures and videos, sent to a real service: ``python -m tests.fuzz.media``.

No process may end, no answer be a 5xx, no job stay unfinished, and nothing be left: files, handles, memory.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

from facerec_models.video_writer import VideoWriter
from tests.fuzz.command import own_service, parse
from tests.fuzz.mutation import mutate
from tests.serving.service import RunningService
from ui.client import FacerecClient
from ui.demo_material import prepare

_MOST_BYTES = 600_000
_PATIENCE_S = 900.0
_MOST_MORE_MIB = 150
_SPARE_HANDLES = 40


@dataclass(frozen=True)
class Kept:
    """What a service holds on to, in all its processes."""

    pids: frozenset[int]
    handles: int
    memory_mib: int
    files: int

    @classmethod
    def of(cls, service: RunningService, scratch: Path) -> Kept:
        processes = [
            service.process.pid,
            *(one.pid for one in psutil.Process(service.process.pid).children(recursive=True)),
        ]
        replicas, handles, memory = set(), 0, 0
        for pid in processes:
            with contextlib.suppress(psutil.NoSuchProcess, OSError):
                process = psutil.Process(pid)
                if "ServeReplica" in process.name() or "ServeReplica" in "".join(process.cmdline()):
                    replicas.add(pid)
                    handles += process.num_fds()
                    memory += process.memory_info().rss >> 20
        places = (service.home / "uploads", service.home / "projects", scratch)
        files = sum(1 for place in places for path in place.rglob("*") if path.is_file() and "ray" not in path.parts)
        return cls(frozenset(replicas), handles, memory, files)


def seeds(folder: Path) -> tuple[list[bytes], list[bytes]]:
    """Return small pictures and videos of several kinds: generated ones, and real ones where there are some."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8).astype(np.uint8))
    pictures = []
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        sink = io.BytesIO()
        picture.save(sink, kind)
        pictures.append(sink.getvalue())
    clip = folder / "seed.mp4"
    with VideoWriter(clip, 10, 64, 48) as writer:
        for number in range(12):
            writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    videos = [clip.read_bytes()]
    if data := os.environ.get("FACEREC_EVAL_DATA"):
        small = [path for path in sorted(Path(data).rglob("*")) if path.is_file() and path.stat().st_size < _MOST_BYTES]
        videos += [path.read_bytes() for path in small if path.suffix in {".mp4", ".webm", ".mkv"}]
        pictures += [path.read_bytes() for path in small if path.suffix in {".jpg", ".png"}][:20]
    return pictures, videos


def fuzz(client: httpx.Client, project: str, seed: int, examples: int, folder: Path) -> Counter[str]:
    """Send so many damaged files, half of them pictures; return how many answers had which status, and how jobs ended."""
    chance = random.Random(seed)
    pictures, videos = seeds(folder)
    found: Counter[str] = Counter()
    jobs = set()
    for number in range(examples):
        is_picture = number % 2 == 0
        content = mutate(chance.choice(pictures if is_picture else videos), chance)
        path, field = ("faces", "files") if is_picture else ("videos", "file")
        name = chance.choice(["a.mp4", "a.webm", "a.jpg", "a", "..", "a\u202e.mp4"])
        for _ in range(60):
            answer = client.post(f"/v1/projects/{project}/{path}", files={field: (name, content)})
            if answer.status_code != 429:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        found[f"{path} {answer.status_code}"] += 1
        assert answer.status_code < 500, (seed, number, answer.status_code, answer.text)
        if answer.status_code == 202:
            jobs.add(answer.json()["job_id"])
    deadline = time.monotonic() + _PATIENCE_S
    while jobs and time.monotonic() < deadline:
        job_id = next(iter(jobs))
        job = client.get(f"/v1/jobs/{job_id}").json()
        if job["state"] in {"queued", "running"}:
            time.sleep(0.2)
        else:
            jobs.discard(job_id)
            found[f"job {job['state']}"] += 1
            # Its processes died, or an error was not foreseen.
            assert "attempts" not in (job["error"] or ""), (seed, job)
            assert "times, at last" not in (job["error"] or ""), (seed, job)
    assert not jobs, f"{len(jobs)} jobs do not end"
    return found


def main() -> None:
    """Fuzz a service of its own."""
    args = parse(__doc__, 1000)
    with tempfile.TemporaryDirectory(prefix="facerec-media-") as place:
        scratch = Path(place, "tmp")
        scratch.mkdir()
        material = prepare(Path(place, "material"))
        with own_service(TMPDIR=str(scratch)) as service, FacerecClient(service.url) as client:
            client.create_project("p")
            for folder in sorted(material.people.iterdir()):
                client.add_pictures("p", folder.name, sorted(folder.iterdir()))
            client.wait(client.start_training("p"))
            with httpx.Client(base_url=service.url, timeout=120) as sender:
                # What is loaded once, and what threads keep for the next file, is no leak: the second half must need no more.
                found = fuzz(sender, "p", args.seed, args.examples // 2, Path(place))
                before = Kept.of(service, scratch)
                found += fuzz(sender, "p", args.seed + 1, args.examples - args.examples // 2, Path(place))
                for video in sender.get("/v1/projects/p/videos").json():
                    sender.delete(f"/v1/projects/p/videos/{video['video_id']}").raise_for_status()
                after = Kept.of(service, scratch)
                sender.get("/healthz").raise_for_status()
    print(dict(found))
    print(f"before {before}")
    print(f"after  {after}")
    assert before.pids == after.pids, "a replica has ended"
    assert after.handles <= before.handles + _SPARE_HANDLES
    assert after.memory_mib <= before.memory_mib + _MOST_MORE_MIB
    assert after.files <= before.files


if __name__ == "__main__":
    main()
