"""Renditions are made once, kept up to a limit, and go with the last video that has their content."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from facerec_models.files import UNFINISHED, write_atomically
from serving.archive.deletion import delete_video
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.projects import delete_project
from serving.archive.renditions import Renditions
from serving.jobs.sweep import sweep
from serving.sources.config import SourcesConfig
from serving.store.rows import VideoRow

DAY_S = 24 * 3600.0


def put(renditions: Renditions, sha256: str, *, played_ago_s: float, size: int = 10) -> Path:
    file = renditions.files.rendition(sha256, 0)
    write_atomically(file, bytes(size))
    os.utime(file, (time.time() - played_ago_s, time.time() - DAY_S))
    return file


def put_video(archive: Archive, project: str, sha256: str) -> VideoRow:
    archive.store.create_project(project)
    video = VideoRow(f"v-{sha256}", project, f"file:///{sha256}.ts", sha256, f"{sha256}.ts", f"/{sha256}.ts", 1.0)
    archive.store.put_video(video)
    return video


def refuse(_: object) -> None:
    raise AssertionError("nothing is to be written, nobody waited for")


def test_what_was_played_last_stays_where_room_is_made(home: Files) -> None:
    renditions = Renditions(home, max_kept_bytes=25)
    files = [put(renditions, f"{i:064}", played_ago_s=(i + 2) * 3600.0) for i in range(4)]
    assert renditions.play(f"{3:064}", 0) == files[3]
    assert renditions.make_room() == 2
    assert [file.is_file() for file in files] == [True, False, False, True]


def test_nothing_that_was_played_within_the_last_hour_is_removed(home: Files) -> None:
    renditions = Renditions(home, max_kept_bytes=0)
    new, old = (put(renditions, f"{i:064}", played_ago_s=ago_s) for i, ago_s in enumerate((3000.0, 4000.0)))
    assert renditions.make_room() == 1
    assert (new.is_file(), old.is_file()) == (True, False)


def test_playing_changes_nothing_by_which_a_player_knows_the_file(home: Files) -> None:
    renditions = Renditions(home, max_kept_bytes=100)
    file = put(renditions, "a" * 64, played_ago_s=DAY_S)
    before = file.stat()
    assert renditions.play("a" * 64, 0) == file
    after = file.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert after.st_atime == pytest.approx(time.time(), abs=60)
    assert renditions.play("b" * 64, 0) is None
    assert renditions.play("a" * 64, 1) is None


def test_making_makes_room_and_never_removes_what_was_made(home: Files) -> None:
    renditions = Renditions(home, max_kept_bytes=5)
    old = put(renditions, "a" * 64, played_ago_s=DAY_S)
    made = renditions.make("b" * 64, 2, lambda file: write_atomically(file, bytes(10)), refuse)
    assert made == home.rendition("b" * 64, 2)
    assert (made.is_file(), old.is_file()) == (True, False)
    assert made.stat().st_mode & 0o777 == 0o600
    assert renditions.make("b" * 64, 2, refuse, refuse) == made
    assert list(home.renditions.iterdir()) == [made]


def test_two_processes_at_once_write_it_once(home: Files) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom facerec_models.files import write_atomically\n"
        "from serving.archive.files import Files\nfrom serving.archive.renditions import Renditions\n"
        "def write(file):\n    print('wrote', flush=True)\n    time.sleep(1)\n    write_atomically(file, b'film')\n"
        "Renditions(Files(Path(sys.argv[1])), 100).make('a' * 64, 0, write, time.sleep)"
    )
    command = [sys.executable, "-c", code, str(home.root)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(told) == ["", "wrote\n"]
    assert [file.read_bytes() for file in home.renditions.iterdir()] == [b"film"]


def test_waiting_for_another_ends_when_it_must(home: Files) -> None:
    renditions = Renditions(home, 100)

    def pause(_: float) -> None:
        raise InterruptedError("stop")

    def write_and_ask_meanwhile(file: Path) -> None:
        with pytest.raises(InterruptedError):
            renditions.make("a" * 64, 0, refuse, pause)
        write_atomically(file, b"film")

    worker = Thread(target=renditions.make, args=("a" * 64, 0, write_and_ask_meanwhile, refuse))
    worker.start()
    worker.join(60)
    assert renditions.find("a" * 64, 0) is not None


def test_a_failure_leaves_the_lock_to_the_next(home: Files) -> None:
    renditions = Renditions(home, 100)

    def fail(_: Path) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        renditions.make("a" * 64, 0, fail, refuse)
    assert renditions.make("a" * 64, 0, lambda file: write_atomically(file, b"film"), refuse).read_bytes() == b"film"


def test_renditions_go_with_the_last_video_of_their_content(archive: Archive) -> None:
    renditions = Renditions(archive.files, 100)
    mine, other = "a" * 64, "b" * 64
    for project in ("p", "q", "r"):
        video = put_video(archive, project, mine)
    put_video(archive, "p", other)
    kept = put(renditions, other, played_ago_s=0.0)
    for stream in (0, 2):
        write_atomically(archive.files.rendition(mine, stream), b"film")
    begun = archive.files.renditions / f".{mine[:40]}.0123{UNFINISHED}"
    begun.write_bytes(b"begun")
    assert delete_video(archive, "p", video.video_id).renditions_removed == 0
    delete_project(archive, "q")
    assert renditions.find(mine, 2) is not None
    assert delete_video(archive, "r", video.video_id).renditions_removed == 2
    assert list(archive.files.renditions.iterdir()) == [kept]
    delete_project(archive, "p")
    assert list(archive.files.renditions.iterdir()) == []


def test_what_killed_processes_left_is_swept_up_and_the_rest_stays(archive: Archive) -> None:
    kept = put(Renditions(archive.files, 100), "a" * 64, played_ago_s=2 * DAY_S)
    left = [archive.files.renditions / f".{'a' * 40}.{end}{UNFINISHED}" for end in ("0123", "mp4.lock")]
    for file in left:
        file.write_bytes(b"")
        os.utime(file, (time.time() - 2 * DAY_S,) * 2)
    assert sweep(archive, SourcesConfig()) == 2
    assert list(archive.files.renditions.iterdir()) == [kept]
