"""Nothing is lost: ``python -m tests.benchmarks.soak [--submissions 200] [--kills 12] [--seed 0]``.

Starts the real service on a fresh home, submits good, broken, duplicate and cancelled videos, kills random replicas with SIGKILL
meanwhile, and once the whole process tree, which is then started again. In the end every job must be in a final state, every
result equal that of an undisturbed run in this process, no file be left over, and memory and handles be where they were. Exit
code 1 says that something of this does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from serving.archive.handle import Archive

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import httpx
import psutil

from facerec_models.analysis.networks import Networks, load_networks
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig
from facerec_models.errors import FacerecError
from facerec_models.files import UNFINISHED, remove_tree
from facerec_models.result import Result
from facerec_models.video_writer import VideoWriter
from serving.archive.files import Files
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.archive.naming.one_video import name_analysis, result_of
from serving.archive.videos import analyze_video, register_video
from serving.jobs.sweep import sweep
from serving.settings import Settings
from serving.sources.config import SourcesConfig
from serving.store.contract import Store
from serving.store.job_rows import JobState
from serving.store.opening import open_store
from tests.benchmarks.command import say
from tests.serving.service import RunningService, running_service
from training.pictures import find_pictures
from ui.demo_material import prepare

PROJECT = "default"
# Short segments, so that the clips have some, and short leases would hide what long ones cost: the service's own are used.
_ENVIRONMENT = {"FACEREC_SEGMENT_S": "2"}
_CLIP_S = 5.0
_TARGETS = ("VideoAnalyzer", "FaceDetector", "FaceEmbedder", "IdentityClassifier", "Api")


@dataclass(slots=True)
class Tally:
    """What was submitted, done to the service, and found wrong."""

    submitted: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--kills", type=int, default=12, help="of replicas, beside the restart")
    parser.add_argument("--minutes", type=float, default=45.0, help="give up after so long")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facerec-soak-") as folder:
        tally = soak(Path(folder), arguments.submissions, arguments.kills, arguments.minutes * 60, arguments.seed)
    for line in tally.wrong:
        say(f"WRONG: {line}")
    say("everything holds" if not tally.wrong else f"{len(tally.wrong)} things do not hold")
    sys.exit(1 if tally.wrong else 0)


def soak(folder: Path, submissions: int, kills: int, limit_s: float, seed: int, most_growth: float = 1.1) -> Tally:
    """Do it all below an empty folder.

    Parameters
    ----------
    most_growth : float
        How many times as much memory, and as many handles, the service may use late as early.
    """
    rng = random.Random(seed)
    tally = Tally()
    home = Files(folder / "home")
    with closing(open_store(home.root)) as store:
        networks = load_networks(AnalysisConfig(), home.weights, None)
        clips = make_clips(folder, home, store, networks, max(6, submissions // 8))
        say(f"{len(clips)} clips of {_CLIP_S:g} s; undisturbed results of each are being made")
        expected = {clip.name: undisturbed(home, clip, networks) for clip in clips}
        broken = make_broken(folder, clips[0])
        plan = Plan(rng, clips, broken, submissions, kills)
        say(f"{submissions} submissions, {kills} kills and a restart begin")
        started = time.monotonic()
        use = disturb(home, store, plan, tally, started + limit_s)
        say(
            f"done after {time.monotonic() - started:.0f} s: submitted {dict(tally.submitted)}, killed {dict(tally.killed)}"
        )
        check_jobs(store, tally)
        check_results(home, store, expected, tally)
        check_files(home, store, tally)
        check_use(use, most_growth, tally)
    return tally


# What is submitted


def make_clips(folder: Path, home: Files, store: Store, networks: Networks, count: int) -> list[Path]:
    """Enrol the demonstration's people and cut its reel into clips that differ."""
    material = prepare(folder / "material")
    settings = Settings(home=home.root)
    list(
        enrol(
            Archive(store, home, settings.identification),
            PROJECT,
            find_pictures(material.people),
            networks,
            settings.analysis,
        )
    )
    train(Archive(store, home, settings.identification), PROJECT)
    clips = []
    with Video(material.reel, settings.analysis.limits) as reel:
        info = reel.info
        last_s = (info.duration_s or 30.0) - _CLIP_S
        for i in range(count):
            start_s = last_s * i / (count - 1)
            clips.append(folder / f"clip-{i:02}.mp4")
            with VideoWriter(clips[-1], info.fps, info.width, info.height) as writer:
                for frame in reel.frames(start_s, start_s + _CLIP_S):
                    writer.write(frame.to_frame().image)
    return clips


def make_broken(folder: Path, clip: Path) -> list[Path]:
    """A text, an empty file, and a header without pictures."""
    data = clip.read_bytes()
    contents = {"text.mp4": b"no video " * 100, "empty.mp4": b"", "header.mp4": data[:2000]}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def undisturbed(trained: Files, clip: Path, networks: Networks) -> Result:
    """Return the result of a clip with the same people, made in this process and in one go."""
    settings = Settings(home=trained.root)
    with closing(open_store(trained.root)) as store:
        video = register_video(store, PROJECT, clip, settings.analysis)
        analysis = analyze_video(Archive(store, trained), video, settings.analysis, networks)
        version = store.get_model(PROJECT).version
        limit = settings.identification.max_false_names_tracks
        result = name_analysis(Archive(store, trained, settings.identification), analysis, version, limit)
        store.delete_video(PROJECT, video.video_id)
        remove_tree(trained.analysis(PROJECT, analysis.analysis_id))
        return result


class Plan:
    """What happens when, drawn once: the submissions in their order, and before which of them a process is killed."""

    def __init__(self, rng: random.Random, clips: list[Path], broken: list[Path], submissions: int, kills: int) -> None:
        kinds = rng.choices(["good", "again", "cancelled", "broken"], [5, 3, 1, 1], k=submissions)
        self.rng = rng
        self.steps = [(kind, rng.choice(broken if kind == "broken" else clips)) for kind in kinds]
        self.kills = set(rng.sample(range(1, submissions), min(kills, submissions - 1)))
        self.restart = submissions // 2


# What is done to the service


def disturb(home: Files, store: Store, plan: Plan, tally: Tally, deadline: float) -> list[tuple[int, int]]:
    """Submit everything while replicas die; return memory and handles of the idle service, early and late."""
    use = []
    with running(home) as service:
        for kind, file in plan.steps[: plan.restart]:
            step(service, store, plan, tally, kind, file, deadline)
        say("the whole process tree is killed, and started again")
        kill_tree(service)
    with running(home) as service:
        early = plan.restart + (len(plan.steps) - plan.restart) // 4
        for number, (kind, file) in enumerate(plan.steps[plan.restart :], plan.restart):
            step(service, store, plan, tally, kind, file, deadline)
            if number == early:
                wait_until_idle(store, deadline)
                use.append(measure(service))
        wait_until_idle(store, deadline)
        use.append(measure(service))
    return use


@contextmanager
def running(home: Files) -> Iterator[RunningService]:
    with running_service(home.root, _ENVIRONMENT) as service:
        yield service


def step(
    service: RunningService, store: Store, plan: Plan, tally: Tally, kind: str, file: Path, deadline: float
) -> None:
    """Submit one file, after killing a process if the plan says so."""
    if sum(tally.submitted.values()) in plan.kills:
        kill_replica(service, plan.rng, tally)
    tally.submitted[kind] += 1
    job_id = submit(service, file, tally, again=kind == "again", deadline=deadline)
    if job_id is None:
        if kind != "broken":
            tally.wrong.append(f"{file.name} was refused")
        return
    if kind == "broken":
        tally.wrong.append(f"{file.name} was taken")
    tally.jobs.setdefault(job_id, file.name)
    if kind == "cancelled":
        ask(lambda http: http.post(f"/v1/jobs/{job_id}/cancel"), service, deadline)
    # A queue that is neither empty nor endless: kills meet work.
    while len(store.list_jobs(states=[JobState.QUEUED])) > 4 and time.monotonic() < deadline:
        time.sleep(0.2)


def submit(service: RunningService, file: Path, tally: Tally, *, again: bool, deadline: float) -> str | None:
    """Submit a file and return its job, or None if it is refused; a service that does not answer is asked again."""
    settings = '{"no_cache": true}' if again and len(tally.jobs) % 2 else "{}"

    def post(http: httpx.Client) -> httpx.Response:
        with file.open("rb") as content:
            path = f"/v1/projects/{PROJECT}/videos"
            return http.post(path, files={"file": (file.name, content)}, data={"settings": settings})

    answer = ask(post, service, deadline)
    return str(answer.json()["job_id"]) if answer.status_code == 202 else None


def ask(request: Callable[[httpx.Client], httpx.Response], service: RunningService, deadline: float) -> httpx.Response:
    """Send a request again and again until the service answers it and is not busy."""
    while True:
        try:
            with httpx.Client(base_url=service.url, timeout=60.0, trust_env=False) as http:
                answer = request(http)
            if answer.status_code not in (429, 500, 502, 503, 504):
                return answer
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise FacerecError("the service has not answered in time")
        time.sleep(0.5)


def replicas(service: RunningService) -> dict[str, list[psutil.Process]]:
    """Return the processes of each deployment."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.Process(service.process.pid).children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        for name in _TARGETS:
            if f"ServeReplica:facerec:{name}" in title:
                found.setdefault(name, []).append(process)
    return found


def kill_replica(service: RunningService, rng: random.Random, tally: Tally) -> None:
    """Kill a random replica with SIGKILL."""
    there = replicas(service)
    if not there:
        return
    name = rng.choice(sorted(there))
    rng.choice(there[name]).send_signal(signal.SIGKILL)
    tally.killed[name] += 1


def kill_tree(service: RunningService) -> None:
    """Kill the service and everything that it started."""
    family = [*psutil.Process(service.process.pid).children(recursive=True), psutil.Process(service.process.pid)]
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=30)


def wait_until_idle(store: Store, deadline: float) -> None:
    """Wait until no job is left to do."""
    while store.list_jobs(states=[JobState.QUEUED, JobState.RUNNING]):
        if time.monotonic() > deadline:
            return
        time.sleep(0.5)


def measure(service: RunningService) -> tuple[int, int]:
    """Return memory (PSS, in MiB) and open handles of the service's whole process tree, when it has become quiet."""
    deadline = time.monotonic() + 60
    while len(replicas(service)) < len(_TARGETS) and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(5)
    memory = handles = 0
    for process in [psutil.Process(service.process.pid), *psutil.Process(service.process.pid).children(recursive=True)]:
        try:
            memory += process.memory_full_info().pss
            handles += process.num_fds()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return memory // 2**20, handles


# What must hold in the end


def check_jobs(store: Store, tally: Tally) -> None:
    """Every job has ended, and none badly that was not cancelled."""
    jobs = {job.job_id: job for job in store.list_jobs(PROJECT)}
    states = Counter(job.state.value for job in jobs.values())
    say(f"{len(jobs)} jobs: {dict(states)}; attempts {dict(Counter(job.attempt for job in jobs.values()))}")
    for job_id, name in tally.jobs.items():
        job = jobs.get(job_id)
        if job is None:
            tally.wrong.append(f"job {job_id} of {name} is lost")
        elif job.state not in (JobState.SUCCEEDED, JobState.CANCELLED):
            tally.wrong.append(f"job {job_id} of {name} is {job.state}: {job.error}")


def check_results(home: Files, store: Store, expected: dict[str, Result], tally: Tally) -> None:
    """Every video that was analysed has the result of the undisturbed run."""
    rules = Settings(home=home.root).identification
    equal = 0
    for video in store.list_videos(PROJECT):
        try:
            analysis = store.latest_analysis(PROJECT, video.video_id)
        except FacerecError:  # all of its jobs were cancelled
            continue
        if not store.list_named(PROJECT, [analysis.analysis_id]):
            continue
        result = result_of(Archive(store, home, rules), analysis, lambda *_: "")
        difference = differs(result, expected[video.name])
        equal += difference is None
        if difference is not None:
            tally.wrong.append(f"{video.name}: {difference}")
    say(f"{equal} results equal those of the undisturbed run")
    done = {name for job_id, name in tally.jobs.items() if store.get_job(job_id).state is JobState.SUCCEEDED}
    if equal < len(done):
        tally.wrong.append(f"{len(done)} videos have succeeded, but only {equal} results are right")


def differs(one: Result, other: Result) -> str | None:
    """Say in what two results differ: tracks and decisions, boxes by more than a pixel, probabilities by more than .005."""
    if len(one.tracks) != len(other.tracks):
        return f"{len(one.tracks)} tracks, not {len(other.tracks)}"
    for a, b in zip(one.tracks, other.tracks, strict=True):
        if (a.track_id, a.shot, a.decision, a.person_id) != (b.track_id, b.shot, b.decision, b.person_id):
            return f"track {a.track_id} is {a.decision} {a.person_id}, not {b.decision} {b.person_id}"
        if abs((a.probability or 0.0) - (b.probability or 0.0)) > 0.005:
            return f"track {a.track_id} has probability {a.probability}, not {b.probability}"
        if [sample.frame_index for sample in a.samples] != [sample.frame_index for sample in b.samples]:
            return f"track {a.track_id} has other samples"
        for mine, theirs in zip(a.samples, b.samples, strict=True):
            if max(abs(x - y) for x, y in zip(mine.box_xyxy, theirs.box_xyxy, strict=True)) > 1:
                return f"track {a.track_id} has another box at {mine.time_s:.2f} s"
    names = [[(a.label, a.start_s, a.end_s) for a in result.appearances if a.person_id] for result in (one, other)]
    return None if names[0] == names[1] else f"appearances {names[0]}, not {names[1]}"


def check_files(home: Files, store: Store, tally: Tally) -> None:
    """After a sweep, which a service does by itself, no file is there that no row speaks of."""
    removed = sweep(Archive(store, home), SourcesConfig(), age_s=0.0)
    say(f"{removed} files and folders of killed processes were swept up")
    known = {Path(video.file) for video in store.list_videos(PROJECT)}
    analyses = {row.analysis_id for row in store.list_analyses(PROJECT)}
    left = [path for path in home.uploads.iterdir() if path not in known]
    left += [path for path in home.analysis(PROJECT, "").iterdir() if path.name not in analyses]
    left += list(home.root.rglob(f"*{UNFINISHED}"))
    left += [path for path in home.job_parts(PROJECT, "").glob("*") if path.is_dir()]
    tally.wrong += [f"{os.path.relpath(path, home.root)} is left over" for path in left]
    for row in store.list_analyses(PROJECT):
        crops = sum(len(track.embedded) for track in store.get_tracks(PROJECT, [row.analysis_id])[row.analysis_id])
        there = len(list(home.analysis(PROJECT, row.analysis_id).glob("*.jpg"))) if crops else 0
        if crops != there:
            tally.wrong.append(f"analysis {row.analysis_id} has {there} crops, not {crops}")


def check_use(use: list[tuple[int, int]], most_growth: float, tally: Tally) -> None:
    """Memory and handles have not grown by more than is allowed."""
    (memory, handles), (memory_late, handles_late) = use
    say(f"memory {memory} MiB early, {memory_late} MiB late; handles {handles} early, {handles_late} late")
    if memory_late > most_growth * memory:
        tally.wrong.append(f"memory has grown from {memory} to {memory_late} MiB")
    if handles_late > most_growth * handles:
        tally.wrong.append(f"handles have grown from {handles} to {handles_late}")


if __name__ == "__main__":
    main()
