"""Watched folders: what is new and complete is submitted once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from facerec_models.errors import InputError
from serving.archive.handle import Archive, open_archive
from serving.jobs.watched_folders import FolderWatcher
from serving.settings import Settings, read_settings


def put(folder: Path, name: str, content: bytes, *, age_s: float = 60) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (time.time() - age_s,) * 2)
    return file


def submitted(archive: Archive, project: str) -> list[str]:
    jobs = archive.store.list_jobs(project)
    return sorted(archive.store.get_video(project, str(job.video_id)).name for job in jobs)


def test_a_complete_video_is_submitted_once(tmp_path: Path, clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    incoming = tmp_path / "incoming"
    content = clip.read_bytes()
    settings = Settings(home=tmp_path / "home", watched={"news": incoming})
    with open_archive(settings) as archive:
        watcher = FolderWatcher(archive, settings)
        incoming.mkdir()
        assert watcher.look() == 0
        film = put(incoming, "2014/ü film.mp4", content)
        put(incoming, "growing.mp4", content, age_s=5)
        put(incoming, "half.mp4.part", content)
        put(incoming, ".hidden.mp4", content)
        put(incoming, "empty.mp4", b"")
        put(incoming, "notes.txt", b"no video")
        watcher.look()
        assert submitted(archive, "news") == ["ü film.mp4"]
        assert "notes.txt of a watched folder is not submitted" in caplog.text
        told = len(caplog.records)
        watcher.look()
        # After a restart, too.
        FolderWatcher(archive, settings).look()
        assert submitted(archive, "news") == ["ü film.mp4"]
        assert len(caplog.records) == told + 1
        put(incoming, "growing.mp4", content + bytes(8))
        watcher.look()
        assert submitted(archive, "news") == ["growing.mp4", "ü film.mp4"]
        assert film.read_bytes() == content


def test_the_thread_looks_until_it_is_stopped(tmp_path: Path, clip: Path) -> None:
    incoming = tmp_path / "incoming"
    put(incoming, "a.mp4", clip.read_bytes())
    settings = Settings(home=tmp_path / "home", watched={"news": incoming})
    with open_archive(settings) as archive:
        watcher, other = FolderWatcher(archive, settings), FolderWatcher(archive, settings)
        watcher.start()
        other.start()
        deadline = time.monotonic() + 20
        while not (archive.store.list_projects() and archive.store.list_jobs("news")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        watcher.check_health()
        other.check_health()
        watcher.stop()
        other.stop()


def test_a_project_must_have_a_name_that_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_WATCHED", '{"../x": "/incoming"}')
    with pytest.raises(InputError, match="FACEREC_WATCHED"):
        read_settings()
