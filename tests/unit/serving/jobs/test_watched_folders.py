"""Watched folders: what is new and complete is submitted once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from facerec_models.errors import InputError, ProjectNotFoundError, VideoNotFoundError
from serving.archive.deletion import delete_video
from serving.archive.handle import Archive, open_archive
from serving.jobs import watched_folders
from serving.jobs.watched_folders import FolderWatcher
from serving.settings import Settings, read_settings
from serving.store import leases
from serving.store.job_rows import JobState


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
        assert "notes.txt' of a watched folder is not submitted" in caplog.text
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


def watching(tmp_path: Path, **settings: Any) -> Settings:
    (tmp_path / "incoming").mkdir(exist_ok=True)
    return Settings(home=tmp_path / "home", watched={"news": tmp_path / "incoming"}, **settings)


def test_files_that_find_the_queue_full_are_submitted_when_there_is_room(tmp_path: Path, clip: Path) -> None:
    settings = watching(tmp_path, max_queued_jobs=1)
    for number in range(3):
        put(tmp_path / "incoming", f"{number}.mp4", clip.read_bytes() + bytes(number))
    with open_archive(settings) as archive:
        for done in range(1, 4):
            assert FolderWatcher(archive, settings).look() == 1
            watcher = FolderWatcher(archive, settings)
            assert watcher.look() == watcher.look() == 0
            # Nor is all of a file read for a queue that has no room.
            assert len(submitted(archive, "news")) == len(archive.store.list_videos("news")) == done
            lease = leases.claim(archive.store, ["video"], "test", 60.0)
            assert lease is not None
            leases.finish(archive.store, lease, JobState.SUCCEEDED)
        assert FolderWatcher(archive, settings).look() == 0
        assert submitted(archive, "news") == ["0.mp4", "1.mp4", "2.mp4"]


def test_a_file_is_submitted_though_the_process_died_after_it_was_registered(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """What no handler takes for an error."""

    def die(*_: object, **__: object) -> None:
        raise Died

    settings = watching(tmp_path)
    put(tmp_path / "incoming", "a.mp4", clip.read_bytes())
    with open_archive(settings) as archive:
        with monkeypatch.context() as patched:
            patched.setattr(watched_folders, "submit_video", die)
            with pytest.raises(Died):
                FolderWatcher(archive, settings).look()
        assert [video.name for video in archive.store.list_videos("news")] == ["a.mp4"]
        assert FolderWatcher(archive, settings).look() == 1
        assert FolderWatcher(archive, settings).look() == 0


def test_a_file_whose_job_has_failed_is_not_submitted_again_by_a_restart(tmp_path: Path, clip: Path) -> None:
    settings = watching(tmp_path)
    put(tmp_path / "incoming", "a.mp4", clip.read_bytes())
    with open_archive(settings) as archive:
        FolderWatcher(archive, settings).look()
        lease = leases.claim(archive.store, ["video"], "test", 60.0)
        assert lease is not None
        leases.finish(archive.store, lease, JobState.FAILED, error="broken")
        assert FolderWatcher(archive, settings).look() == 0
        assert submitted(archive, "news") == ["a.mp4"]


def test_a_deleted_video_does_not_come_back_by_a_restart_but_by_a_change_of_its_file(
    tmp_path: Path, clip: Path
) -> None:
    settings = watching(tmp_path)
    put(tmp_path / "incoming", "a.mp4", clip.read_bytes())
    with open_archive(settings) as archive:
        FolderWatcher(archive, settings).look()
        (video,) = archive.store.list_videos("news")
        delete_video(archive, "news", video.video_id)
        assert FolderWatcher(archive, settings).look() == 0
        with pytest.raises(VideoNotFoundError):
            archive.store.get_video("news", video.video_id)
        put(tmp_path / "incoming", "a.mp4", clip.read_bytes(), age_s=90)
        assert FolderWatcher(archive, settings).look() == 1


def test_a_file_that_was_replaced_by_an_older_one_is_submitted(tmp_path: Path, clip: Path) -> None:
    settings = watching(tmp_path)
    put(tmp_path / "incoming", "a.mp4", clip.read_bytes())
    with open_archive(settings) as archive:
        watcher = FolderWatcher(archive, settings)
        watcher.look()
        put(tmp_path / "incoming", "a.mp4", clip.read_bytes() + bytes(8), age_s=10**7)
        assert watcher.look() == 1
        assert FolderWatcher(archive, settings).look() == 0
        assert len(archive.store.list_videos("news")) == 2


def test_a_deleted_project_stays_deleted_until_the_service_starts_again(
    tmp_path: Path, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = watching(tmp_path)
    put(tmp_path / "incoming", "a.mp4", clip.read_bytes())
    with open_archive(settings) as archive:
        watcher = FolderWatcher(archive, settings)
        watcher.look()
        archive.store.delete_project("news")
        put(tmp_path / "incoming", "b.mp4", clip.read_bytes())
        assert watcher.look() == watcher.look() == 0
        with pytest.raises(ProjectNotFoundError):
            archive.store.get_project("news")
        assert caplog.text.count("was deleted") == 1
        assert FolderWatcher(archive, settings).look() == 2


def test_what_cannot_be_read_keeps_nothing_else_out_and_is_told_of_once(
    tmp_path: Path, clip: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not there, one without permission, a link to nothing, and a name that is no text."""
    settings = watching(tmp_path)
    settings.watched["later"] = tmp_path / "later"
    settings.watched["own"] = tmp_path / "own"
    incoming = tmp_path / "incoming"
    closed = put(incoming, "closed/b.mp4", clip.read_bytes()).parent
    put(incoming, os.fsdecode(b"\xff.mp4"), clip.read_bytes())
    put(incoming, "z.mp4", clip.read_bytes())
    (incoming / "broken.mp4").symlink_to("nowhere")
    put(tmp_path / "own", "a.mp4", clip.read_bytes())
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not bind the user of a test who is root
    with open_archive(settings) as archive:
        watcher = FolderWatcher(archive, settings)
        assert watcher.look() == 2
        told = len(caplog.records)
        for what in ("later", "closed", "broken.mp4", "udcff.mp4"):
            assert what in caplog.text
        assert watcher.look() == 0
        assert len(caplog.records) == told
        (tmp_path / "later").mkdir()
        put(tmp_path / "later", "c.mp4", clip.read_bytes())
        assert watcher.look() == 1


def test_links_that_lead_out_of_the_folder_are_not_followed(tmp_path: Path, clip: Path) -> None:
    settings = watching(tmp_path)
    outside = put(tmp_path / "outside", "secret.mp4", clip.read_bytes())
    inside = put(tmp_path / "incoming", "films/a.mp4", clip.read_bytes() + bytes(8))
    (tmp_path / "incoming/out.mp4").symlink_to(outside)
    (tmp_path / "incoming/folder").symlink_to(outside.parent)
    (tmp_path / "incoming/again.mp4").symlink_to(inside)
    with open_archive(settings) as archive:
        FolderWatcher(archive, settings).look()
        assert {video.file for video in archive.store.list_videos("news")} == {str(inside)}


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
