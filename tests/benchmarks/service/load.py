"""Many clients at once: ``python -m tests.benchmarks.service.load --home HOME --pictures DIR [--clients 16] [--seconds 60]``.

Each client sends JPEGs of 640x360 pixels to ``/v1/projects/default/faces``, one after the other, and comes again when it is told to
(429 with Retry-After). Meanwhile ``/healthz`` is asked twice a second. Before and after, the same pictures go through the chain in this
process, one after the other on the same cores, decoded there, too. HOME has a trained project ``default``. Exit code 1 says that an
answer was another one than 200 or 429 with Retry-After.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import httpx
import numpy as np
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from facerec_models.analysis.networks import load_networks
from facerec_models.stills import find_stills, name_still
from serving.archive.files import Files
from serving.archive.handle import open_archive
from serving.archive.learning.loaded_models import load_model, promoted_version
from serving.local import run_service
from serving.settings import Settings
from tests.benchmarks.command import say
from training.pictures import find_pictures

_PORT = 8751
_PROJECT = "default"
_SIZE = (640, 360)
_PICTURES = 64


@dataclass
class Seen:
    """What the clients were answered."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, answer: httpx.Response, took_s: float) -> None:
        """Count an answer."""
        busy = answer.status_code == 429 and "retry-after" in answer.headers
        with self.lock:
            self.statuses["busy" if busy else str(answer.status_code)] += 1
            if answer.status_code == 200:
                self.seconds.append(took_s)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.service.load", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    pictures = _as_sent(given.pictures)
    # Not while the service's networks take memory and cores.
    alone = [_alone(given.home, pictures)]
    seen, health = Seen(), list[float]()
    with run_service(given.home, host="127.0.0.1", port=_PORT) as service:
        url = service.url
        httpx.post(f"{url}/v1/projects/{_PROJECT}/faces", files={"files": pictures[0]}, timeout=120).raise_for_status()
        before = _batches(url)
        stop = threading.Event()
        threads = [
            threading.Thread(target=_send, args=(url, pictures[i:] + pictures[:i], stop, seen))
            for i in range(given.clients)
        ]
        threads.append(threading.Thread(target=_ask_health, args=(url, stop, health)))
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        time.sleep(given.seconds)
        stop.set()
        for thread in threads:
            thread.join()
        lasted_s = time.perf_counter() - begin
        time.sleep(5)  # counts are published now and then
        after = _batches(url)
    alone.append(_alone(given.home, pictures))
    rate, reference = len(seen.seconds) / lasted_s, statistics.mean(alone)
    say(f"answers: {dict(seen.statuses)}")
    say(f"pictures a second: {rate:.2f} through the service, {reference:.2f} in process: {rate / reference:.2f}")
    p50, p99 = np.percentile(seen.seconds, [50, 99])
    say(f"seconds an answer takes: median {p50:.2f}, p99 {p99:.2f}")
    for stage in sorted(after):
        batches, items = (now - then for now, then in zip(after[stage], before.get(stage, (0.0, 0.0)), strict=True))
        say(
            f"batches of {stage}: {items / batches if batches else 0:.2f} pictures or faces each, {batches:.0f} batches"
        )
    say(f"/healthz: median {statistics.median(health):.3f} s, slowest {max(health):.3f} s of {len(health)}")
    if set(seen.statuses) - {"200", "busy"}:
        sys.exit(1)


def _as_sent(folder: Path) -> list[bytes]:
    """Return pictures as JPEGs of one size, whatever they were, with black beside them."""
    found = []
    for picture in find_pictures(folder)[:: max(1, len(find_pictures(folder)) // _PICTURES)][:_PICTURES]:
        with Image.open(picture.file) as image:
            image = image.convert("RGB")
            image.thumbnail(_SIZE)
            canvas = Image.new("RGB", _SIZE)
            canvas.paste(image, ((_SIZE[0] - image.width) // 2, (_SIZE[1] - image.height) // 2))
        data = io.BytesIO()
        canvas.save(data, "JPEG", quality=90)
        found.append(data.getvalue())
    return found


def _alone(home: Path, pictures: Sequence[bytes]) -> float:
    """Return how many pictures a second are named in this process."""
    settings = Settings(home=home)
    networks = load_networks(settings.analysis, Files(home).weights, None)
    with open_archive(settings) as archive:
        version = promoted_version(archive.store, _PROJECT)
        assert version is not None, "the home has no trained project 'default'"
        model = load_model(archive.files, _PROJECT, version)
        find_stills([("first", pictures[0])], networks, settings.analysis)
        begin = time.perf_counter()
        for i, data in enumerate(pictures):
            (found,) = find_stills([(str(i), data)], networks, settings.analysis)
            name_still(str(i), found, model, archive.rules, None)
        return len(pictures) / (time.perf_counter() - begin)


def _send(url: str, pictures: Sequence[bytes], stop: threading.Event, seen: Seen) -> None:
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        i = 0
        while not stop.is_set():
            begin = time.perf_counter()
            answer = client.post(
                f"/v1/projects/{_PROJECT}/faces", files={"files": ("picture.jpg", pictures[i % len(pictures)])}
            )
            seen.add(answer, time.perf_counter() - begin)
            if answer.status_code == 429:
                stop.wait(float(answer.headers.get("retry-after", 1)))
            else:
                i += 1


def _ask_health(url: str, stop: threading.Event, times: list[float]) -> None:
    while not stop.wait(0.5):
        begin = time.perf_counter()
        httpx.get(f"{url}/healthz", timeout=30, trust_env=False).raise_for_status()
        times.append(time.perf_counter() - begin)


def _batches(url: str) -> dict[str, tuple[float, float]]:
    """Return batches and what was in them so far, by stage."""
    found: dict[str, tuple[float, float]] = {}
    text = httpx.get(f"{url}/metrics", timeout=30, trust_env=False).raise_for_status().text
    for family in text_string_to_metric_families(text):
        if family.name == "facerec_batch_items":
            for sample in family.samples:
                stage = sample.labels["stage"]
                batches, items = found.get(stage, (0.0, 0.0))
                if sample.name.endswith("_count"):
                    found[stage] = batches + sample.value, items
                elif sample.name.endswith("_sum"):
                    found[stage] = batches, items + sample.value
    return found


if __name__ == "__main__":
    main()
