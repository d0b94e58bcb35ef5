from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from facerec_models.files import UNFINISHED
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.jobs.sweep import sweep
from serving.sources.config import SourcesConfig
from serving.store import leases
from serving.store.contract import Store
from serving.store.naming_rows import Edit
from serving.store.opening import open_store
from tests.contract.store_cases import (
    make_analysis,
    make_job,
    make_named,
    make_track,
    make_video,
    name,
    put_analyses,
)


def write(path: Path, days_ago: float = 2.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    for aged in (path, path.parent):
        os.utime(aged, (time.time() - days_ago * 86400,) * 2)
    return path


def test_parts_go_as_soon_as_their_job_has_ended(archive: Archive, store: Store) -> None:
    parts = {}
    for job_id in ("ended", "waits"):
        store.submit_job(make_job(job_id))
        parts[job_id] = write(archive.files.job_parts("p", job_id) / "0.npz", days_ago=0)
    log = write(archive.files.job_log("p", "ended"))
    assert sweep(archive, SourcesConfig()) == 0
    leases.cancel(store, "ended")
    assert sweep(archive, SourcesConfig()) == 1
    assert not parts["ended"].parent.exists()
    assert parts["waits"].exists()
    assert log.exists()


def test_parts_of_a_project_that_was_deleted_go_when_they_are_old(archive: Archive) -> None:
    old = write(archive.files.job_parts("gone", "a") / "0.npz")
    new = write(archive.files.job_parts("gone", "b") / "0.npz", days_ago=0.1)
    log = write(archive.files.job_log("gone", "a"))
    assert sweep(archive, SourcesConfig()) == 1
    assert (old.exists(), new.exists(), log.exists()) == (False, True, True)


def test_old_unfinished_files_go_and_new_ones_stay(archive: Archive) -> None:
    old = write(archive.files.face_crop("p", "f").with_suffix(UNFINISHED))
    new = write(archive.files.face_crop("p", "g").with_suffix(UNFINISHED), days_ago=0.1)
    face = write(archive.files.face_crop("p", "f"))
    assert sweep(archive, SourcesConfig()) == 1
    assert (old.exists(), new.exists(), face.exists()) == (False, True, True)


def test_another_store_than_the_homes_own_removes_nothing(home: Files) -> None:
    kept = [
        write(home.upload("ab" * 32, ".mp4")),
        write(home.track_crop("p", "a", 1, 0)),
        write(home.face_crop("p", "f")),
    ]
    with closing(open_store(home.root / "elsewhere")) as other:
        other.create_project("p")
        assert sweep(Archive(other, home), SourcesConfig()) == 0
    assert all(path.exists() for path in kept)


def test_drawn_videos_with_other_names_than_now_go(archive: Archive, store: Store) -> None:
    put_analyses(store, "a", "b")
    long_ago = time.time() - 30 * 86400
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: long_ago)
        name(store, named=[make_named("a"), make_named("b")], edit=Edit("identify"))

    def draw(analysis_id: str) -> Path:
        (named,) = store.list_named("p", [analysis_id])
        return write(archive.files.analysis("p", analysis_id) / f"annotated-{named.version}.mp4", days_ago=0)

    drawn = [draw("a"), draw("b")]
    half = write(archive.files.analysis("p", "a") / f".annotated-1.mp4.0{UNFINISHED}")
    assert sweep(archive, SourcesConfig()) == 1
    assert not half.exists()
    name(store, named=[make_named("a", "Bob")])  # an hour later another person is in it, and no edit was made
    assert sweep(archive, SourcesConfig()) == 0
    name(store, named=[make_named("a", "Cem")], edit=Edit("correction"))
    drawn.append(draw("a"))
    assert sweep(archive, SourcesConfig()) == 1
    assert [path.exists() for path in drawn] == [False, True, True]
    name(store, unnamed=["b"], edit=Edit("embedder"))
    assert sweep(archive, SourcesConfig()) == 1
    assert [path.exists() for path in drawn] == [False, False, True]


def test_crops_without_an_analysis_are_removed_when_they_are_old(archive: Archive, store: Store) -> None:
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a"), [make_track(1)])
    kept = write(archive.files.track_crop("p", "a", 1, 0))
    orphan = write(archive.files.track_crop("p", "b", 1, 0))
    write(archive.files.analysis_mark("p", "b"))
    begun_today = write(archive.files.analysis_mark("p", "c"), days_ago=0.1)
    store.submit_job(make_job("j"))
    assert sweep(archive, SourcesConfig()) == 0
    leases.cancel(store, "j")
    assert sweep(archive, SourcesConfig()) == 1
    assert (kept.exists(), orphan.exists(), begun_today.exists()) == (True, False, True)


def test_files_with_future_times_are_removed_too(archive: Archive) -> None:
    left = [
        write(archive.files.root / f"a{UNFINISHED}", days_ago=-365),
        write(archive.files.job_parts("gone", "j") / "0.npz", -365),
    ]
    young = write(archive.files.root / f"b{UNFINISHED}", days_ago=-0.5)
    assert sweep(archive, SourcesConfig()) == 2
    assert not any(path.exists() for path in left)
    assert young.exists()
