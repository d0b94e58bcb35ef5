"""A hard day: ``python -m tests.benchmarks.service.chaos [--kinds KIND ...] [--clips 8] [--seed 0]``.

For each kind of disturbance a fresh home, and the real service, are given clips while what they stand on is disturbed again and again:

- ``full-disk``: no byte is free, for seconds; ``slow-disk``: what is written waits most of the time.
- ``store-locked``: another process writes to the SQLite store for as long.
- ``store-away``: the server of the rows is killed, and comes back later.
- ``clock``: the time of day jumps by hours and days, forth and back.
- ``network-cut``: two machines, and nothing goes through between them.

In the end every job must have succeeded, every result equal that of an undisturbed run in this process, and no file be left over.
While it is disturbed the service may be busy (429), full (507) or not there (503), but must not fail (500), except where its own
processes die. Exit code 1 says that something of this does not hold. Most kinds need root.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import httpx
import psutil
import yaml
from pydantic import SecretStr

from facerec_models.analysis.networks import Networks, load_networks
from facerec_models.config import AnalysisConfig
from facerec_models.errors import FacerecError
from facerec_models.result import Result
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.local import find_config
from serving.settings import Settings
from serving.store.contract import Store
from serving.store.job_rows import JobState
from serving.store.opening import open_store
from tests.benchmarks.command import say
from tests.benchmarks.service.disturbances import HEAD, OTHER, Clock, Database, Disk, Machines, lock
from tests.benchmarks.soak import (
    PROJECT,
    Tally,
    check_files,
    check_jobs,
    check_results,
    make_clips,
    undisturbed,
)
from tests.serving.service import free_port, running_service
from training.pictures import find_pictures
from training.ray_environment import INGRESS_HOOK, INGRESS_VARIABLE

_ENVIRONMENT = {"FACEREC_SEGMENT_S": "2"}
_DISK_MIB = 512
_START_TIMEOUT_S, _LIMIT_S = 240.0, 900.0


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A service, its home and store, and how to disturb it for some seconds."""

    url: str
    home: Files
    store: Store
    disturb: Callable[[float], None]
    may_fail: bool = False


@dataclass(slots=True)
class Day:
    """What all rounds share: people, clips, and what an undisturbed run finds in them."""

    folder: Path
    networks: Networks
    clips: list[Path]
    expected: dict[str, Result]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.service.chaos", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=sorted(_KINDS), default=sorted(_KINDS))
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="facerec-chaos-") as folder:
        day = _begin(Path(folder), given.clips)
        for kind in given.kinds:
            tally = chaos(day, kind, random.Random(given.seed))
            for line in tally.wrong:
                say(f"WRONG: {kind}: {line}")
            wrong += len(tally.wrong)
    say("everything is as undisturbed" if not wrong else f"{wrong} things do not hold")
    sys.exit(1 if wrong else 0)


def _begin(folder: Path, count: int) -> Day:
    home = Files(folder / "calm")
    with closing(open_store(home.root)) as store:
        networks = load_networks(AnalysisConfig(), home.weights, None)
        clips = make_clips(folder, home, store, networks, max(2, count))
    say(f"{len(clips)} clips; undisturbed results of each are being made")
    return Day(folder, networks, clips, {clip.name: undisturbed(home, clip, networks) for clip in clips})


def chaos(day: Day, kind: str, rng: random.Random) -> Tally:
    """Give the clips to a service that is disturbed in one way."""
    tally, statuses = Tally(), Counter[int]()
    deadline = time.monotonic() + _LIMIT_S
    with (
        tempfile.TemporaryDirectory(prefix=f"{kind}-", dir=day.folder) as folder,
        _KINDS[kind](day, Path(folder)) as it,
    ):
        say(f"{kind}: {len(day.clips)} clips begin")
        begun = time.monotonic()
        over = threading.Event()
        trouble = threading.Thread(target=_trouble, args=(kind, it, random.Random(rng.random()), over, tally))
        trouble.start()
        for clip in day.clips:
            job_id = _submit(it, clip, statuses, deadline)
            if job_id is None:
                tally.wrong.append(f"{clip.name} was not taken in time")
            else:
                tally.jobs[job_id] = clip.name
            # What is sent has to meet the disturbance, too.
            time.sleep(rng.uniform(1, 4))
        _wait_until_idle(it.store, deadline)
        over.set()
        trouble.join()
        _wait_until_idle(it.store, deadline)
        say(
            f"{kind}: done after {time.monotonic() - begun:.0f} s, disturbed {tally.killed[kind]} times; "
            f"answers {dict(statuses)}"
        )
        if statuses[500] and not it.may_fail:
            tally.wrong.append(f"{statuses[500]} requests were answered with 500")
        check_jobs(it.store, tally)
        check_results(it.home, it.store, day.expected, tally)
        check_files(it.home, it.store, tally)
    return tally


def _trouble(kind: str, it: Disturbed, rng: random.Random, over: threading.Event, tally: Tally) -> None:
    """Disturb, and let be, until all is done."""
    try:
        while not over.wait(rng.uniform(2, 6)):
            it.disturb(rng.uniform(4, 12))
            tally.killed[kind] += 1
    except Exception as error:
        tally.wrong.append(f"the disturbance itself failed: {error}")
        raise


def _submit(it: Disturbed, clip: Path, statuses: Counter[int], deadline: float) -> str | None:
    """Send a clip until it is taken; None if that takes too long."""
    while time.monotonic() < deadline:
        try:
            with httpx.Client(base_url=it.url, timeout=60, trust_env=False) as http, clip.open("rb") as content:
                answer = http.post(f"/v1/projects/{PROJECT}/videos", files={"file": (clip.name, content)})
            statuses[answer.status_code] += 1
            if answer.status_code == 202:
                return str(answer.json()["job_id"])
            if answer.status_code not in (429, 500, 503, 507):
                raise FacerecError(f"{clip.name} was answered with {answer.status_code}: {answer.text[:500]}")
            if answer.status_code == 500:
                say(f"500: {answer.text[:500]}")
        except httpx.HTTPError:
            statuses[0] += 1
        time.sleep(1)
    return None


def _wait_until_idle(store: Store, deadline: float) -> None:
    """Wait until no job is left to do."""
    while time.monotonic() < deadline:
        try:
            if not store.list_jobs(states=[JobState.QUEUED, JobState.RUNNING]):
                return
        except FacerecError:  # the store is away
            pass
        time.sleep(0.5)


def _train(store: Store, home: Files, day: Day) -> None:
    settings = Settings(home=home.root)
    archive = Archive(store, home, settings.identification)
    people = find_pictures(day.folder / "material" / "people")
    list(enrol(archive, PROJECT, people, day.networks, settings.analysis))
    train(archive, PROJECT)


@contextmanager
def _local(
    day: Day, root: Path, disturb: Callable[[float], None], environment: dict[str, str], uri: str | None = None
) -> Iterator[Disturbed]:
    """Run the service on one machine."""
    home = Files(root)
    with closing(open_store(root, None if uri is None else SecretStr(uri))) as store:
        _train(store, home, day)
        named = {} if uri is None else {"FACEREC_STORE": uri}
        with running_service(root, {**_ENVIRONMENT, **environment, **named}) as service:
            yield Disturbed(service.url, home, store, disturb)


@contextmanager
def _on_disk(day: Day, folder: Path, disturb: Callable[[Disk, float], None]) -> Iterator[Disturbed]:
    """Run the service on a small disk of its own."""
    room = {"FACEREC_KEEPING__MIN_FREE_BYTES": str(32 * 2**20)}
    with (
        Disk.mounted(folder / "disk.img", _DISK_MIB) as disk,
        _local(day, disk.folder / "home", partial(disturb, disk), room) as it,
    ):
        yield it


@contextmanager
def _store_locked(day: Day, folder: Path) -> Iterator[Disturbed]:
    root = folder / "home"
    with _local(day, root, lambda seconds: lock(root / "facerec.sqlite3", 4 * seconds), {}) as it:
        yield it


@contextmanager
def _store_away(day: Day, folder: Path) -> Iterator[Disturbed]:
    with (
        Database(folder / "database").running() as database,
        _local(day, folder / "home", database.leave, {}, database.uri) as it,
    ):
        yield it


@contextmanager
def _clock(day: Day, folder: Path) -> Iterator[Disturbed]:
    clock, jumps = Clock(folder / "offset"), random.Random(1)
    by = (-86400.0, -7200.0, -30.0, 30.0, 3600.0, 86400.0)
    with _local(day, folder / "home", lambda s: clock.jump(jumps.choice(by), s), clock.environment) as it:
        yield it


@contextmanager
def _network_cut(day: Day, folder: Path) -> Iterator[Disturbed]:
    """Two machines with a Ray node each; the second joins again, as a service manager would have it, when its Ray has ended."""
    name = f"fc{secrets.token_hex(3)}"
    rays = Path(tempfile.gettempdir()) / name
    with Machines.linked(name) as machines, Database(folder / "database", HEAD).running() as database:
        home = Files(folder / "home")
        with closing(open_store(home.root, SecretStr(database.uri))) as store:
            _train(store, home, day)
            token = folder / "token"
            token.write_text(secrets.token_hex(32))
            token.chmod(0o600)
            environment = {
                **{key: value for key, value in os.environ.items() if not key.startswith(("FACEREC_", "RAY_"))},
                **_ENVIRONMENT,
                "FACEREC_HOME": str(home.root),
                "FACEREC_STORE": database.uri,
                "FACEREC_SHARED_HOME": "true",
                "RAY_ADDRESS": f"{HEAD}:6379",
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN_PATH": str(token),
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
                INGRESS_VARIABLE: INGRESS_HOOK,
            }
            small = ["--num-cpus", "2", "--object-store-memory", str(100 * 2**20), "--block"]
            head = ["ray", "start", "--head", "--node-ip-address", HEAD, "--port", "6379", "--temp-dir", str(rays)]
            other = machines.at_other(["ray", "start", "--address", f"{HEAD}:6379", "--node-ip-address", OTHER, *small])
            with (folder / "cluster.log").open("w") as log:
                start = _Starter(environment, log)
                try:
                    start([*head, "--include-dashboard", "false", *small])
                    time.sleep(15)
                    joined = [start(other)]
                    url = _serve(start, folder)

                    def cut(seconds: float) -> None:
                        machines.cut(4 * seconds)
                        time.sleep(30)
                        if joined[-1].poll() is not None:
                            joined.append(start(other))

                    yield Disturbed(url, home, store, cut, may_fail=True)
                finally:
                    start.end()


class _Starter:
    """Starts commands of a cluster, and ends them with all that they started."""

    def __init__(self, environment: dict[str, str], log: object) -> None:
        self._environment = environment
        self._log = log
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(self, command: list[str]) -> subprocess.Popen[bytes]:
        tool = Path(sys.executable).parent
        command = [str(tool / part) if part in ("ray", "serve") else part for part in command]
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[3],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,  # type: ignore[call-overload]
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End the last that was started first."""
        for process in reversed(self._started):
            if process.poll() is not None:
                continue
            family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
            process.send_signal(signal.SIGTERM)
            _, left = psutil.wait_procs(family, timeout=30)
            for one in left:
                one.kill()


def _serve(start: _Starter, folder: Path) -> str:
    document = yaml.safe_load(find_config().read_text())
    port = document["http_options"]["port"] = free_port()
    for deployment in document["applications"][0]["deployments"]:
        if deployment["name"] == "VideoAnalyzer":
            deployment.update(num_replicas=2, max_replicas_per_node=1)
            deployment.pop("autoscaling_config", None)
    config = folder / "serve_config.yaml"
    config.write_text(yaml.safe_dump(document))
    process = start(["serve", "run", str(config)])
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=10, trust_env=False).status_code == 200:
                return url
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise FacerecError(f"the service of two machines did not start: {(folder / 'cluster.log').read_text()[-3000:]}")


_KINDS = {
    "full-disk": partial(_on_disk, disturb=Disk.fill),
    "slow-disk": partial(_on_disk, disturb=Disk.slow),
    "store-locked": _store_locked,
    "store-away": _store_away,
    "clock": _clock,
    "network-cut": _network_cut,
}


if __name__ == "__main__":
    main()
