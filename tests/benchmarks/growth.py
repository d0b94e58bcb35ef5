"""What answers and changes cost as an archive grows: the cost of the change, not of what is stored.

    python -m tests.benchmarks.growth --tracks 10000 100000 1000000 --json growth.json --plot growth.png

One project of synthetic tracks in videos of 100: people as different from each other as the shipped strangers are, two in five tracks
of people whom nobody enrolled, who are seen as often as a long tail has it. Wall time in seconds; memory is the peak of the process
that measures a size.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from facerec_models.analysis.analyze import Analysis
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.config import TrainingConfig
from facerec_models.files import write_atomically
from facerec_models.types import FloatArray, Track
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current, stored_result
from serving.archive.naming.undo import undo_edit
from serving.archive.naming.whole_archive import NamingWork
from serving.archive.search.people_and_faces import search_face, search_people
from serving.archive.search.strangers import rank_strangers
from serving.archive.search.track_index import TrackIndex
from serving.archive.videos import summarize
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, CorrectionKind
from serving.store.opening import open_address, open_store
from serving.store.rows import AnalysisRow, VideoRow
from tests.benchmarks.pictures import say
from tests.benchmarks.scale import faces_of, people_like_the_cohort
from tests.builders import EMBEDDER, make_track
from tests.contract.store_cases import make_face

_IN_VIDEO = 100
_FACES = 5
_UNKNOWN_SHARE = 0.4
_REPEATS = 3
_PANELS = {
    "Answers": {
        "result_s": "result of one video",
        "by_person_s": "search by person",
        "by_face_s": "search by face",
        "strangers_page_s": "strangers by screen time",
    },
    "Changes": {
        "one_more_video_s": "one more video of 100 tracks",
        "is_apply_s": "a track is a person",
        "is_not_apply_s": "a track is not a person",
        "name_apply_s": "a stranger of up to 1,000 tracks is named",
        "rename_all_s": "everything is named by a new model",
        "regroup_s": "all strangers are grouped anew",
    },
}


def main() -> None:
    """Measure archives of several sizes, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tracks", type=int, nargs="+", default=[10_000, 100_000], help="stored tracks of each archive"
    )
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--strangers", type=int, default=5000)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--plot", type=Path, help="where to write a picture of the figures")
    parser.add_argument("--store", help="mongodb://HOST:27017/NAME, an empty database; by default an SQLite file")
    parser.add_argument(
        "--home", type=Path, help="where the archives are made, and stay; by default a temporary folder"
    )
    args = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        for tracks in args.tracks:
            root = (args.home or Path(folder)) / str(tracks)
            receiver, sender = spawn.Pipe(duplex=False)
            process = spawn.Process(
                target=_measure_apart, args=(sender, root, tracks, args.people, args.strangers, args.store)
            )
            process.start()
            sender.close()
            sizes.append(receiver.recv())
            process.join()
            if args.json:
                args.json.write_text(json.dumps({"sizes": sizes}, indent=1))
    if args.plot:
        plot(sizes, args.plot)


def plot(sizes: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw how long each thing takes over the size of the archive, both axes logarithmic: what is level does not depend on it."""
    figure = Figure(figsize=(8.5, 5.2), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    tracks = [size["tracks"] for size in sizes]
    for panel, (title, lines) in zip(axes, _PANELS.items(), strict=True):
        for name, label in lines.items():
            panel.loglog(tracks, [size[name] for size in sizes], marker="o", label=label)
        panel.set(title=title, xlabel="stored tracks", ylabel="seconds")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    figure.savefig(path, dpi=110)


def _measure_apart(sender: Any, root: Path, tracks: int, people: int, strangers: int, store: str | None) -> None:
    sender.send(measure(root, tracks, people, strangers, store))
    sender.close()


def measure(root: Path, tracks: int, people: int, strangers: int, address: str | None) -> dict[str, float]:
    """Fill an archive, and measure it."""
    rng = np.random.default_rng(0)
    means, others = people_like_the_cohort(people, rng), people_like_the_cohort(strangers, rng)
    root.mkdir(parents=True, exist_ok=True)
    with closing(open_store(root) if address is None else open_address(address, create=True)) as store:
        archive = Archive(store, Files.at(root, None))
        say(f"{tracks} tracks of {tracks // _IN_VIDEO} videos, {people} people, {strangers} strangers")
        figures: dict[str, float] = {"tracks": tracks}
        figures["fill_s"] = timed("filled", lambda: fill(archive, tracks, means, others, rng), 1)
        figures["name_all_s"] = timed("all named for the first time", lambda: rename_all(archive), 1)
        enrol(archive, means, rng, _FACES)
        figures["rename_all_s"] = timed("all named by a new model", lambda: rename_all(archive), 1)
        figures["regroup_s"] = timed("all strangers grouped anew", lambda: identify_archive(archive, "p"), 1)
        work = NamingWork()
        identify_archive(archive, "p", preview=True, work=work)
        regroup = partial(identify_archive, archive, "p", work=work)
        figures["regroup_after_conflict_s"] = timed("the same after a conflict", regroup, 1)
        figures |= measure_changes(archive, tracks, means, others, rng)
        figures |= measure_answers(archive, means, rng)
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"  {'peak of memory':<45} {figures['peak_mb']:8.0f} MB")
    return figures


def fill(archive: Archive, tracks: int, means: FloatArray, others: FloatArray, rng: np.random.Generator) -> None:
    """Enrol everybody, and store the analyses of all videos."""
    store = archive.store
    store.create_project("p")
    store.fix_embedder("p", EMBEDDER)
    for k in range(_FACES):
        enrol(archive, means, rng, k)
    for number in range(tracks // _IN_VIDEO):
        put_video(store, number, means, others, rng)


def enrol(archive: Archive, means: FloatArray, rng: np.random.Generator, k: int) -> None:
    """Enrol one more face of everybody."""
    faces = enumerate(faces_of(means, rng))
    rows = [make_face(f"f-{i}-{k}", f"P{i}", embedder=EMBEDDER, embedding=one) for i, one in faces]
    archive.store.put_faces("p", rows)


def rename_all(archive: Archive) -> None:
    """Train, which names everything."""
    train(archive, "p", TrainingConfig(promote="yes"))


def put_video(
    store: Store, number: int, means: FloatArray, others: FloatArray, rng: np.random.Generator, *, apart: float = 0.0
) -> AnalysisRow:
    """Store a video and its analysis."""
    name = f"v-{number:06}"
    store.put_video(VideoRow(name, "p", f"file:///{name}.mp4", name, f"{name}.mp4", name, float(number)))
    info = VideoInfo(Path("x.mp4"), "mov", "h264", 0, 2000.0, 25.0, 0.04, 640, 360, 1.0, 0, 0.0, Fraction(1, 25))
    shots = tuple((20.0 * i, 20.0 * i + 20) for i in range(_IN_VIDEO))
    analysis = Analysis(
        info=info, embedder=EMBEDDER, tracks=(), shots=shots, period_s=1.0, mode="frames", frames_sampled=2000, densified=True,
        complete=True, warnings=(),
    )  # fmt: skip
    row = AnalysisRow(f"a-{number:06}", "p", name, "key", EMBEDDER, summarize(analysis), float(number))
    store.put_analysis(row, list(some_tracks(means, others, rng, apart)))
    return row


def people_in_video(
    people: int, strangers: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Draw who the tracks of a video show: whether it is a stranger, and which one; the first strangers are seen most."""
    weights = 1 / np.arange(1, strangers + 1)
    unknown = rng.random(_IN_VIDEO) < _UNKNOWN_SHARE
    who = np.where(
        unknown,
        rng.choice(strangers, size=_IN_VIDEO, p=weights / weights.sum()),
        rng.integers(people, size=_IN_VIDEO),
    )
    return unknown, who


def some_tracks(means: FloatArray, others: FloatArray, rng: np.random.Generator, apart: float = 0.0) -> Iterator[Track]:
    """Make the tracks of a video: three faces of each; two in five are strangers'.

    Parameters
    ----------
    apart : float
        How far the middle of a track's faces is from the person's mean, for pose and light; see `faces_of`.
    """
    unknown, who = people_in_video(len(means), len(others), rng)
    for i, (is_unknown, person) in enumerate(zip(unknown.tolist(), who.tolist(), strict=True)):
        mean = (others if is_unknown else means)[person]
        if apart:
            mean = faces_of(mean[None], rng, apart)[0]
        times = [20.0 * i + k for k in range(3)]
        frames = [25 * int(t) for t in times]
        yield make_track(i + 1, times, shot=i, embeddings=faces_of(np.stack([mean] * 3), rng), frames=frames)


def measure_changes(
    archive: Archive, tracks: int, means: FloatArray, others: FloatArray, rng: np.random.Generator
) -> dict[str, float]:
    """Add a video, and correct."""
    rows = [put_video(archive.store, 10**5 + i, means, others, rng) for i in range(_REPEATS)]
    figures = {"one_more_video_s": timed("one more video", lambda: assign_current(archive, rows.pop()), _REPEATS)}
    video = f"v-{tracks // _IN_VIDEO // 2:06}"
    for kind, change in edits_of(archive, video).items():
        preview = timed(f"{kind}, preview", lambda: change(preview=True), _REPEATS)  # noqa: B023
        apply, undo = [], []
        for _ in range(_REPEATS):
            apply.append(timed(f"{kind}, apply", change, 1, quiet=True))
            undo.append(timed(f"{kind}, undo", lambda: undo_edit(archive, "p"), 1, quiet=True))
        say(f"  {kind + ', apply and undo':<45} {statistics.median(apply):8.3f} s {statistics.median(undo):8.3f} s")
        for name, value in (
            ("preview_s", preview),
            ("apply_s", statistics.median(apply)),
            ("undo_s", statistics.median(undo)),
        ):
            figures[name] = max(figures.get(name, 0.0), value)
            figures[f"{kind.replace(' ', '_')}_{name}"] = value
    return figures


def edits_of(archive: Archive, video: str) -> dict[str, Callable[..., Any]]:
    """Return the changes that are measured."""
    names = {
        (row.analysis_id, track): row
        for row in archive.store.list_appearances("p", [f"a{video[1:]}"])
        for track in row.track_ids
    }
    named = next(track for (_, track), row in names.items() if row.decision == "named")
    unknown = next(track for (_, track), row in names.items() if row.decision == "unknown")
    person = next(row.owner for (_, track), row in names.items() if track == named) or ""
    ranked = rank_strangers(archive, "p", limit=1000).strangers
    stranger = next(one for one in ranked if one.tracks <= 1000)
    write_atomically(archive.files.track_crop("p", f"a{video[1:]}", unknown, 0), b"jpeg")
    for one in stranger.sightings:
        write_atomically(one.crop, b"jpeg")
    return {
        "is": lambda **how: correct(archive, "p", [TrackCorrection(video, unknown, CorrectionKind.IS, "P1")], **how),
        "is not": lambda **how: correct(
            archive, "p", [TrackCorrection(video, named, CorrectionKind.IS_NOT, person)], **how
        ),
        "name": lambda **how: name_stranger(archive, "p", stranger.stranger_id, "Zoe", **how),
    }


def measure_answers(archive: Archive, means: FloatArray, rng: np.random.Generator) -> dict[str, float]:
    """Ask for a result, people, faces and strangers."""
    index = TrackIndex(archive.store, "p")
    read = timed("the vectors are read once for search by face", index.refresh, 1)
    faces = iter(faces_of(means[rng.integers(len(means), size=_REPEATS + 1)], rng))
    search_face(archive, index, next(faces))
    return {
        "read_vectors_s": read,
        "result_s": timed(
            "result of one video", lambda: stored_result(archive, "p", "v-000007", lambda *_: ""), _REPEATS
        ),
        "by_person_s": timed("by person", lambda: search_people(archive, "p", ["P7"], AppearanceQuery()), _REPEATS),
        "by_face_s": timed("by face", lambda: search_face(archive, index, next(faces)), _REPEATS),
        "strangers_page_s": timed("strangers by screen time", lambda: rank_strangers(archive, "p", limit=50), _REPEATS),
    }


def timed(what: str, call: Callable[..., object], repeats: int, *, quiet: bool = False) -> float:
    """Return the median of how long a call takes."""
    walls = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        walls.append(time.perf_counter() - started)
    if not quiet:
        say(f"  {what:<45} {statistics.median(walls):8.3f} s")
    return statistics.median(walls)


if __name__ == "__main__":
    main()
