"""Memory when idle, and over the length of a video: ``python -m tests.benchmarks.memory VIDEO --home HOME``.

Tells the summed proportional set size (PSS) of the service's whole process tree, without the page, before it has done anything. Then
joins copies of VIDEO to one of 3 and one of 30 minutes, sends both through the service, and compares the peaks of that sum. HOME has
a trained project ``default``. Nothing else that maps the same libraries should begin or end meanwhile: their pages count by how many
processes share them.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import av
import httpx
import psutil

from serving.local import run_service
from tests.benchmarks.command import say

_PORT = 8760
# After the start, until nothing begins any more.
_IDLE_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs=2, default=(3.0, 30.0))
    arguments = parser.parse_args()
    watches = []
    with tempfile.TemporaryDirectory() as folder, run_service(arguments.home, host="127.0.0.1", port=_PORT) as url:
        time.sleep(_IDLE_S)
        say(f"idle: {sum(pss_of_tree().values()) / 2**20:.0f} MiB")
        analyse(url, arguments.video)
        for minutes in arguments.minutes:
            long = Path(folder) / f"{minutes:g}.mp4"
            join(arguments.video, long, minutes * 60)
            watch = PeakPss()
            with watch:
                seconds = analyse(url, long)
            watches.append(watch)
            say(f"{minutes:g} minutes: analysed in {seconds:.0f} s, peak {watch.peak / 2**20:.0f} MiB")
    short, long_ = watches
    say("largest of each process, in MiB, which need not be at the same moment:")
    for name, pss in sorted(long_.parts.items(), key=lambda part: -part[1]):
        say(f"  {short.parts.get(name, 0) / 2**20:6.0f} {pss / 2**20:6.0f}  {name}")
    say(f"ratio {long_.peak / short.peak:.3f}")


def join(video: Path, target: Path, length_s: float) -> None:
    """Copy the packets of a video again and again until it is long enough."""
    with av.open(target, "w") as output:
        copied, end = None, 0
        while copied is None or float(end * copied.time_base) < length_s:
            with av.open(video) as source:
                stream = source.streams.video[0]
                copied = copied or output.add_stream_from_template(stream)
                start, last = end, end
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + start, packet.dts + start, copied
                    last = max(last, packet.pts + (packet.duration or 1))
                    output.mux(packet)
                end = last


def analyse(url: str, video: Path) -> float:
    """Send a video through the service; return the seconds that took."""
    start = time.perf_counter()
    with video.open("rb") as file, httpx.Client(base_url=url, timeout=300) as client:
        answer = client.post(
            "/v1/projects/default/videos", files={"file": (video.name, file)}, data={"settings": '{"no_cache": true}'}
        )
        job_id = answer.raise_for_status().json()["job_id"]
        while (job := client.get(f"/v1/jobs/{job_id}").json())["state"] in {"queued", "running"}:
            time.sleep(0.5)
    if job["state"] != "succeeded":
        raise RuntimeError(f"{video}: {job['error']}")
    return time.perf_counter() - start


def pss_of_tree() -> dict[str, int]:
    """Return the PSS of this process and everything below it, in bytes, by process or kind of processes."""
    parts: dict[str, int] = {}
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            # A replica's title begins "ray::ServeReplica:facerec:FaceDetector", and goes on with what it does just now.
            name = " ".join(process.cmdline()).split(".", 1)[0][:60]
            parts[name] = parts.get(name, 0) + process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return parts


class PeakPss(threading.Thread):
    """Watches the summed PSS of this process and everything below it.

    Attributes
    ----------
    peak : int
        Largest sum so far, in bytes.
    parts : dict of str to int
        Largest PSS so far of each process, or kind of processes, in bytes.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self.peak = 0
        self.parts: dict[str, int] = {}

    def run(self) -> None:
        while not self._over.wait(1.0):
            parts = pss_of_tree()
            self.peak = max(self.peak, sum(parts.values()))
            for name, pss in parts.items():
                self.parts[name] = max(self.parts.get(name, 0), pss)

    def __enter__(self) -> PeakPss:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


if __name__ == "__main__":
    main()
