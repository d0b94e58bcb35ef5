"""What every store promises of its rows as a whole: described, copied into any other store, and kept in a file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec_models.errors import ConflictError, StoreError
from serving.store import leases
from serving.store.access_rows import ApiKey, PersonNote
from serving.store.contract import Store
from serving.store.copying import Tally, back_up, copy_store
from serving.store.job_rows import JobState, Webhook
from serving.store.naming_rows import Correction, CorrectionKind, Edit, Stranger, StrangerTrack
from serving.store.opening import open_address
from serving.store.rows import FaceStatus
from tests.contract.store_cases import (
    STORES,
    Opener,
    make_analysis,
    make_appearance,
    make_face,
    make_job,
    make_model,
    make_track,
    make_video,
    name,
    promote,
    put_analyses,
)
from tests.mongodb import fresh_database
from tests.waiting import WAIT_S

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=STORES)
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens another store, which nobody has used."""
    if request.param == "sqlite":
        yield partial(open_address, str(tmp_path / "other.sqlite3"), create=True)
        return
    with fresh_database(request.getfixturevalue("mongodb_uri")) as uri:
        yield partial(open_address, uri, create=True)


def fill(store: Store) -> None:
    """Add some of every kind of row."""
    store.add_key(ApiKey("k" * 12, "for tests", "d" * 64, {"p": "read"}, 1.0, "local:ada"))
    store.put_note(PersonNote("p", "Ada_Lovelace", "form 7", None, 1.0, "local:ada"))
    store.create_project("q")
    store.fix_embedder("p", "dlib")
    odd = np.array([np.nan, -0.0, np.inf], np.float32)
    store.put_faces("p", [make_face("f1", embedding=odd), make_face("f2", "Zoë", status=FaceStatus.REFUSED, crop=None)])
    put_analyses(store, "a", "b")
    store.add_model(make_model("m2"))
    for project in ("p", "q"):
        store.add_model(make_model("m", project=project))
        promote(store, "m", project)
    promote(store, "m2")
    store.put_video(make_video("v-q", project="q"))
    store.put_analysis(make_analysis("a", "v-q", project="q"), [make_track(i, samples=i * 300) for i in (3, 1)])
    rows = [make_appearance("a"), make_appearance("a", 1, "stranger-a"), make_appearance("b", 0, None)]
    name(store, *rows)
    correction = Correction("c", "p", CorrectionKind.IS, "Zoë", "a", 1, "dlib", np.ones(4, np.float32), 2)
    strangers = [Stranger("stranger-a", "p", 1, 1.0), Stranger("stranger-b", "p", 2, 1.0, "stranger-a", "Zoë")]
    seen = StrangerTrack("p", "a", 1, "stranger-a", np.ones(4, np.float32))
    edit = Edit("correction", corrections=[correction], max_false_names=0.01)
    name(store, *rows, stranger_tracks=[seen], strangers=strangers, edit=edit)
    store.submit_job(replace(make_job("j1"), key="k", webhook=Webhook("https://example.org/done")))
    store.submit_job(make_job("j2", kind="training"))
    leases.claim(store, ["video"], "o", 60)


def contents(store: Store) -> dict[str, Tally]:
    tallies = {}
    with store.exporting() as rows:
        for table in store.list_tables():
            tallies[table] = Tally()
            for _ in tallies[table].counting(rows.read(table)):
                pass
    return tallies


def test_every_kind_of_row_is_copied(store: Store, other: Opener) -> None:
    fill(store)
    info = store.describe()
    assert [table for table, rows in info.rows.items() if not rows] == []
    assert sorted(info.rows) == store.list_tables()
    before = contents(store)
    with closing(other()) as target:
        assert copy_store(store, target) == info.rows
        assert contents(target) == contents(store) == before
        assert target.describe().rows == info.rows
        assert_same_answers(store, target)
        with pytest.raises(ConflictError, match="not empty"):
            copy_store(store, target)
        assert contents(target) == before
        assert target.former_model("p").version == "m"
        assert (target.get_model("p").version, target.get_model("q").version) == ("m2", "m")


def assert_same_answers(store: Store, target: Store) -> None:
    asked: list[Callable[[Store], Any]] = [
        lambda s: s.list_projects(),
        lambda s: s.list_people("p"),
        lambda s: s.list_models("p"),
        lambda s: s.list_videos("p"),
        lambda s: s.list_analyses("p"),
        lambda s: s.list_strangers("p"),
        lambda s: s.list_edits("p"),
        lambda s: s.get_inverse("p", 3).withdrawn,
        lambda s: [(row.analysis_id, row.names, row.scores.tobytes()) for row in s.list_named("p")],
        lambda s: [(row.stranger_ids, row.counts.tobytes(), row.totals.tobytes()) for row in s.list_stranger_sums("p")],
        lambda s: s.list_appearances("p", ["a", "b"]),
        lambda s: s.columns_positions("p"),
        lambda s: [row.columns.vectors.tobytes() for row in s.list_columns("p", limit=9)],
        lambda s: s.list_jobs(),
        lambda s: s.count_jobs([JobState.RUNNING]),
        lambda s: s.get_model("p"),
        lambda s: [face.embedding.tobytes() for face in s.list_faces("p")],
        lambda s: [row.embedding.tobytes() for row in s.list_corrections("p")],
        lambda s: [track.embeddings.tobytes() for track in s.get_tracks("q", ["a"])["a"]],
    ]
    for ask in asked:
        assert ask(target) == ask(store)


def test_a_tally_changes_with_one_value(store: Store) -> None:
    fill(store)
    before = contents(store)
    assert store.judge_faces("p", ["f1"], FaceStatus.TAKEN, "") == 1
    after = contents(store)
    assert [table for table in after if after[table] != before[table]] == ["audit", "faces", "projects"]


def copy_and_die(source: Opener, target: Opener) -> None:
    """Kill this process before the last table is there."""

    class Dying:
        def __init__(self, rows: Any) -> None:
            self.read, self._add = rows.read, rows.add

        def add(self, table: str, rows: Any) -> None:
            self._add(table, rows)
            if table == "strangers":
                os.kill(os.getpid(), signal.SIGKILL)

    store, filled = source(), target()
    begin = filled.importing

    @contextmanager
    def importing() -> Iterator[Any]:
        with begin() as rows:
            yield Dying(rows)

    filled.importing = importing  # type: ignore[method-assign]
    copy_store(store, filled)


def test_a_killed_copy_cannot_be_opened_and_is_repeated(opener: Opener, store: Store, other: Opener) -> None:
    fill(store)
    with closing(other()):
        pass
    process = SPAWN.Process(target=copy_and_die, args=(opener, other))
    process.start()
    process.join(WAIT_S)
    assert process.exitcode == -9
    process.close()
    address = other.args[0]  # type: ignore[attr-defined]
    if address.startswith("mongodb"):
        with pytest.raises(StoreError, match="copied only in part"):
            open_address(address, create=False)
    else:
        with closing(open_address(address, create=False)) as left:
            assert left.list_projects() == []
    with closing(other()) as target:
        copy_store(store, target)
        assert contents(target) == contents(store)
    with closing(open_address(address, create=False)) as target:
        assert len(target.list_projects()) == 2


def test_a_copy_that_loses_rows_fails(store: Store, other: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    with closing(other()) as target:
        begin = target.importing

        @contextmanager
        def losing() -> Iterator[Any]:
            with begin() as rows:
                add = rows.add
                monkeypatch.setattr(rows, "add", lambda table, given: add(table, list(given)[1:]))
                yield rows

        monkeypatch.setattr(target, "importing", losing)
        with pytest.raises(StoreError, match="arrived"):
            copy_store(store, target)


def write_for_ever(opener: Opener, started: Any) -> None:
    with closing(opener()) as store:
        number = 0
        while True:
            store.put_analysis(make_analysis(f"w{number}"), [make_track(i) for i in range(1, 21)])
            number += 1
            if number == 3:
                started.set()


def test_a_backup_during_writes_is_consistent(opener: Opener, store: Store, tmp_path: Path) -> None:
    store.put_video(make_video("v"))
    started = SPAWN.Event()
    writer = SPAWN.Process(target=write_for_ever, args=(opener, started))
    writer.start()
    try:
        assert started.wait(WAIT_S)
        file = tmp_path / "backup.sqlite3"
        back_up(store, file)
        time.sleep(0.1)
    finally:
        writer.kill()
        writer.join()
        writer.close()
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == ["backup.sqlite3"]
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(open_address(str(file), create=False)) as kept:
        analyses = [row.analysis_id for row in kept.list_analyses("p")]
        assert len(analyses) >= 3
        for tracks in kept.get_tracks("p", analyses).values():
            assert [track.track_id for track in tracks] == list(range(1, 21))
    with pytest.raises(ConflictError, match="there already"):
        back_up(store, file)


def test_a_backup_restores_every_row(store: Store, other: Opener, tmp_path: Path) -> None:
    fill(store)
    back_up(store, tmp_path / "backup.sqlite3")
    with closing(open_address(str(tmp_path / "backup.sqlite3"), create=False)) as kept, closing(other()) as target:
        copy_store(kept, target)
        assert contents(target) == contents(store)
