"""Time and memory of search in an archive: by person, by company and by face.

    python -m tests.benchmarks.archive --tracks 1000000 --people 1000

All vectors are synthetic: people as different from each other as the shipped strangers are. Tracks lie in videos of 100, as they would
after an hour of talk. Wall time, and in brackets the time of the processor: on a machine that others use the two differ.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from facerec_models.config import IdentificationConfig
from facerec_models.names import STRANGER_PREFIX
from facerec_models.types import Decision, FloatArray
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.search.people_and_faces import search_face, search_people
from serving.archive.search.strangers import rank_strangers
from serving.archive.search.track_index import TrackIndex
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, AppearanceRow, NamedTracks, NamingChange, Stranger
from serving.store.opening import open_store
from serving.store.rows import AnalysisRow, VideoRow
from tests.benchmarks.pictures import say
from tests.benchmarks.scale import faces_of, people_like_the_cohort
from tests.builders import EMBEDDER, make_track
from tests.contract.store_cases import make_face, make_named

_IN_VIDEO = 100
_FACES = 5
# In the archive that is searched every tenth track is one of so many strangers'.
_STRANGERS = 2000
_RULES = IdentificationConfig()
_REPEATS = 15


def main() -> None:
    """Fill an archive, and search it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=1_000_000, help="stored tracks that are searched")
    parser.add_argument("--people", type=int, default=1000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    means = people_like_the_cohort(args.people, rng)
    with tempfile.TemporaryDirectory() as folder:
        search(Path(folder) / "searched", means, args.tracks, rng)


def search(root: Path, means: FloatArray, tracks: int, rng: np.random.Generator) -> None:
    """Search an archive whose rows are written directly."""
    home = Files(root)
    with closing(open_store(root)) as store:
        fill(store, means, rng)
        train(Archive(store, home, _RULES), "p")
        strangers = [Stranger(f"{STRANGER_PREFIX}{i:010}", "p", i + 1, 0.0) for i in range(_STRANGERS)]
        write(store, NamingChange(strangers=strangers))
        started = time.perf_counter()
        rare = len(means) - 1
        for number in range(tracks // _IN_VIDEO):
            row = video(store, number)
            # Person 0 is in every video, the last one in few.
            who = rng.integers(1, len(means) - 1, size=_IN_VIDEO)
            who[0] = 0
            if number % 500 == 0:
                who[1] = rare
            found = [make_track(i + 1, [2.0 * i], embeddings=v[None]) for i, v in enumerate(faces_of(means[who], rng))]
            store.put_analysis(row, found)
            seen = list(appearances(row, who, rng))
            write(store, NamingChange([named(row, seen)], appearances=seen))
        written = time.perf_counter() - started
        size = sum(path.stat().st_size for path in root.glob("facerec.sqlite3*")) / 1e9
        say(f"{tracks} stored tracks: written in {written:.0f} s, {size:.2f} GB on disk")
        measure_people(store, home, rare)
        measure_strangers(store, home)
        measure_faces(store, home, means, rng)


def measure_people(store: Store, home: Files, rare: int) -> None:
    """Search by person and by company."""

    def ask(*who: str, min_probability: float = 0.0, **filters: object) -> Callable[[], object]:
        query = AppearanceQuery(**filters)  # type: ignore[arg-type]
        return lambda: search_people(
            Archive(store, home, _RULES), "p", who, query, min_probability=min_probability, limit=50
        )

    timed("by person who is in every video, first 50", ask("P0"))
    timed("by person who is in few, all", ask(f"P{rare}"))
    timed("the same, of .99 at least", ask("P0", min_probability=0.99))
    timed("the same, of one video", ask("P0", video_id="v-00007"))
    timed("the same, of videos submitted late", ask("P0", submitted_from=1e9))
    timed("two together, first 50", ask("P0", "P5"))
    timed("two together, the rare one first", ask(f"P{rare}", "P0"))
    page = search_people(Archive(store, home, _RULES), "p", ["P0"], AppearanceQuery(), limit=1000)
    timed(
        "by person, page 21",
        lambda: search_people(
            Archive(store, home, _RULES), "p", ["P0"], AppearanceQuery(), limit=50, cursor=page.next_cursor
        ),
    )


def measure_strangers(store: Store, home: Files) -> None:
    """List strangers by screen time."""

    def ask(limit: int, **filters: object) -> Callable[[], object]:
        query = AppearanceQuery(**filters)  # type: ignore[arg-type]
        return lambda: rank_strangers(Archive(store, home, _RULES), "p", query, limit=limit)

    timed("strangers by screen time, first 50", ask(50), repeats=3)
    timed("the same, of one video", ask(50, video_id="v-00007"), repeats=3)
    timed("the same, the first", ask(1), repeats=3)


def measure_faces(store: Store, home: Files, means: FloatArray, rng: np.random.Generator) -> None:
    """Search by face, and compare some answers with double precision."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    index = TrackIndex(store, "p")
    timed("read the vectors", index.refresh, repeats=1)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(
        f"  {len(index)} vectors in {index.memory_bytes / 1e6:.0f} MB; peak of the process {before:.0f} -> {after:.0f} MB"
    )
    faces = faces_of(means[rng.integers(len(means), size=_REPEATS)], rng)
    asked = iter(np.concatenate([faces, faces]))
    timed("by face, 20 hits", lambda: search_face(Archive(store, home, _RULES), index, next(asked), limit=20))
    analyses = set(store.latest_analyses("p").values())
    asked = iter(np.concatenate([faces, faces]))
    timed("of that the comparison", lambda: index.search(next(asked), analyses, 80))
    row = video(store, 10**6)
    store.put_analysis(row, [make_track(1, [0.0], embeddings=faces[:1])])
    timed("take over one new video", index.refresh, repeats=1)
    (best,) = index.search(faces[0], {row.analysis_id}, 1)
    assert best.analysis_id == row.analysis_id
    assert abs(best.similarity - 1) < 1e-5


def fill(store: Store, means: FloatArray, rng: np.random.Generator) -> None:
    """Enrol everybody."""
    store.create_project("p")
    store.fix_embedder("p", EMBEDDER)
    for k in range(_FACES):
        store.put_faces(
            "p",
            [
                make_face(f"f-{i}-{k}", f"P{i}", embedder=EMBEDDER, embedding=face)
                for i, face in enumerate(faces_of(means, rng))
            ],
        )


def video(store: Store, number: int) -> AnalysisRow:
    """Add a video, and return an analysis of it."""
    name = f"v-{number:05}"
    store.put_video(VideoRow(name, "p", f"file:///{name}.mp4", name, f"{name}.mp4", name, float(number)))
    summary = {"shots": [[20.0 * i, 20.0 * i + 20] for i in range(_IN_VIDEO)], "period_s": 1.0}
    return AnalysisRow(f"a-{number:05}", "p", name, "key", EMBEDDER, summary, float(number))


def appearances(row: AnalysisRow, who: np.ndarray, rng: np.random.Generator) -> Iterator[AppearanceRow]:
    """Make an appearance of each track, five to a shot."""
    for i, person in enumerate(who.tolist()):
        is_known = i % 10 != 9
        owner = f"P{person}" if is_known else f"{STRANGER_PREFIX}{rng.integers(_STRANGERS):010}"
        decision = Decision.NAMED if is_known else Decision.UNKNOWN
        yield AppearanceRow(
            row.project, row.analysis_id, i, row.video_id, decision, owner, i // 5, i // 5,
            2.0 * i, 2.0 * i + 1, 0.95 + 0.05 * (i % 10) / 10, False, (i + 1,),
        )  # fmt: skip


def named(row: AnalysisRow, seen: Sequence[AppearanceRow]) -> NamedTracks:
    """Return who the tracks of an analysis are, each in an appearance of its own."""
    names = sorted({str(one.owner) for one in seen})
    place = {one: i for i, one in enumerate(names)}
    return make_named(
        row.analysis_id,
        names=tuple(names),
        decisions=np.array([list(Decision).index(one.decision) for one in seen], np.int8),
        reasons=np.full(len(seen), -1, np.int8),
        owners=np.array([place[str(one.owner)] for one in seen], np.int32),
        besides=np.full(len(seen), -1, np.int32),
        confirmed=np.zeros(len(seen), np.int8),
        scores=np.array([one.score for one in seen], np.float32),
        chosen=np.array([one.score for one in seen], np.float32),
    )


def write(store: Store, change: NamingChange) -> None:
    """Write names at the version that the project has."""
    store.apply("p", change, if_version=store.get_project("p").version)


def timed(what: str, call: Callable[[], object], repeats: int = _REPEATS) -> None:
    """Say how long a call takes: the median, and the median of the processor's time."""
    walls, processor = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    say(f"  {what:<45} {statistics.median(walls):8.3f} s ({statistics.median(processor):.3f})")


if __name__ == "__main__":
    main()
