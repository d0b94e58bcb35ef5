"""Deleting a video leaves nothing of it, and nothing else is lost."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from facerec_models.errors import VideoNotFoundError
from facerec_models.files import AnyPath, write_atomically
from serving.archive import deletion
from serving.archive.deletion import delete_video
from serving.archive.handle import Archive
from serving.archive.naming.correct import name_stranger
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.undo import undo_edit
from serving.archive.privacy.consent import note_consent, remove_note
from serving.archive.projects import delete_project
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobSegment, JobState
from tests.archive import fill, put_video
from tests.contract.store_cases import make_job
from tests.unit.serving.archive.edits import before_each, labels_in


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def upload(archive: Archive, video_id: str, *projects: str) -> Path:
    """Let a video be an upload, which these other projects have, too."""
    video = archive.store.get_video("p", video_id)
    file = archive.files.upload(video.sha256, ".mp4")
    write_atomically(file, b"a video")
    archive.store.put_video(replace(video, file=str(file)))
    for project in projects:
        archive.store.create_project(project)
        archive.store.put_video(replace(video, project=project, file=str(file)))
    return file


def paths_below(folder: AnyPath) -> set[str]:
    return {str(path) for path in folder.rglob("*")} if isinstance(folder, Path) else set()


def test_deleting_a_video_leaves_nothing_of_it(archive: Archive, store: Store) -> None:
    file = upload(archive, "v-1")
    write_atomically(archive.files.analysis("p", "a-v-1") / "annotated-r-1.mp4", b"drawn")
    store.submit_job(replace(make_job("j-1"), video_id="v-1", key="k"))
    write_atomically(archive.files.job_parts("p", "j-1") / "0.npz", b"part")
    receipt = delete_video(archive, "p", "v-1")
    assert (receipt.analyses, receipt.crops, receipt.jobs_cancelled, receipt.upload_removed) == (1, 8, 1, True)
    assert not file.exists()
    assert not archive.files.analysis("p", "a-v-1").exists()
    assert not archive.files.job_parts("p", "j-1").exists()
    assert (store.get_job("j-1").state, store.get_job("j-1").key) == (JobState.CANCELLED, None)
    assert [row.video_id for row in store.list_videos("p")] == ["v-2"]
    assert [row.analysis_id for row in store.list_analyses("p")] == ["a-v-2"]
    assert {row.analysis_id for row in store.list_stranger_tracks("p")} == {"a-v-2"}
    assert {row.analysis_id for row in store.list_columns("p", limit=9)} == {"a-v-2"}
    with pytest.raises(VideoNotFoundError, match="no video 'v-1'"):
        delete_video(archive, "p", "v-1")


def test_deleting_a_video_changes_no_other(archive: Archive, store: Store) -> None:
    before = labels_in(archive, "v-2")
    store.submit_job(replace(make_job("j-2"), video_id="v-2"))
    kept = [archive.files.job_parts("p", "j-2") / "0.npz", archive.files.job_log("p", "j-2")]
    for path in kept:
        write_atomically(path, b"kept")
    beside = paths_below(archive.files.analysis("p", "a-v-2"))
    delete_video(archive, "p", "v-1")
    assert labels_in(archive, "v-2") == before
    assert paths_below(archive.files.analysis("p", "a-v-2")) == beside
    assert all(path.is_file() for path in kept)
    assert store.get_job("j-2").state is JobState.QUEUED


def test_a_file_that_was_given_by_its_path_stays(archive: Archive, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "film.mp4"
    file.write_bytes(b"mine")
    store.put_video(replace(store.get_video("p", "v-1"), file=str(file)))
    assert not delete_video(archive, "p", "v-1").upload_removed
    assert file.read_bytes() == b"mine"


def test_an_upload_goes_with_the_last_video_that_has_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    file = upload(archive, "v-1", "q", "r")
    with monkeypatch.context() as patched:
        patched.delattr(Path, "rename")  # it is not even put aside: another process may be reading it
        assert not delete_video(archive, "p", "v-1").upload_removed
    assert file.is_file()
    delete_project(archive, "q")
    assert file.is_file()
    assert delete_video(archive, "r", "v-1").upload_removed
    assert list(archive.files.uploads.iterdir()) == []


def test_what_people_learned_from_a_video_stays_and_is_told(archive: Archive, store: Store) -> None:
    name_stranger(archive, "p", "Unknown 2", "Dee")
    receipt = delete_video(archive, "p", "v-1")
    assert (receipt.corrections_kept, receipt.faces_kept) == (1, 2)
    assert len(store.list_faces("p", person_id="Dee")) == 4
    assert "Dee" in labels_in(archive, "v-2")
    identify_archive(archive, "p")
    assert "Dee" in labels_in(archive, "v-2")


def test_an_edit_is_undone_after_a_video_of_it_was_deleted(archive: Archive) -> None:
    before = labels_in(archive, "v-2")
    edit = name_stranger(archive, "p", "Unknown 2", "Dee")
    assert labels_in(archive, "v-2") != before
    delete_video(archive, "p", "v-1")
    assert undo_edit(archive, "p", edit.edit).videos == 1
    assert labels_in(archive, "v-2") == before


def test_the_same_video_can_be_stored_again(archive: Archive) -> None:
    before = labels_in(archive, "v-1")
    delete_video(archive, "p", "v-1")
    put_video(archive, "v-1", 0)
    identify_archive(archive, "p")
    assert labels_in(archive, "v-1") == before


@pytest.mark.parametrize("last", ["remove_uploads", "_remove_files"])
def test_an_interrupted_deletion_is_done_again(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    file = upload(archive, "v-1")
    original = getattr(deletion, last)

    def then_die(*arguments: object) -> None:
        original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(deletion, last, then_die)
        with pytest.raises(KeyboardInterrupt):
            delete_video(archive, "p", "v-1")
    assert store.get_video("p", "v-1").video_id == "v-1"
    delete_video(archive, "p", "v-1")
    assert not file.exists()
    assert not archive.files.analysis("p", "a-v-1").exists()


# Meanwhile


def test_what_is_written_meanwhile_goes_too(archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    file = upload(archive, "v-1")

    def write() -> None:
        for path in (file, archive.files.track_crop("p", "a-v-1", 9, 0)):
            write_atomically(path, b"late")

    before_each(monkeypatch, store, "delete_video", lambda _: write())
    delete_video(archive, "p", "v-1")
    assert list(archive.files.uploads.iterdir()) == []
    assert not archive.files.analysis("p", "a-v-1").exists()


def test_an_upload_that_another_project_takes_meanwhile_stays(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = upload(archive, "v-1")
    before_each(monkeypatch, store, "delete_video", lambda _: upload(archive, "v-1", "q"))
    delete_video(archive, "p", "v-1")
    assert file.read_bytes() == b"a video"


def test_whoever_works_on_the_video_is_waited_for(archive: Archive, store: Store) -> None:
    store.submit_job(replace(make_job("j-1"), video_id="v-1"))
    lease = leases.claim(store, ["video"], "runner", 60.0)
    assert lease is not None
    leases.plan(store, lease, [JobSegment(0, 0.0, 5.0)])
    crop = archive.files.track_crop("p", "a-v-1", 9, 0)

    def work() -> None:
        write_atomically(crop, b"late")
        leases.release(store, lease)

    timer = threading.Timer(0.5, work)
    timer.start()
    delete_video(archive, "p", "v-1")
    timer.join()
    assert store.get_job("j-1").state is JobState.CANCELLED
    assert not crop.exists()


def test_a_job_that_its_runner_has_left_is_not_waited_for(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.submit_job(replace(make_job("j-1"), video_id="v-1"))
    assert leases.claim(store, ["video"], "runner", 0.0) is not None
    with monkeypatch.context() as patched:
        patched.delattr("serving.archive.deletion.time.sleep")
        delete_video(archive, "p", "v-1")
    assert store.get_job("j-1").cancel_requested
    assert leases.claim(store, ["video"], "another", 6.0) is None
    assert store.get_job("j-1").state is JobState.CANCELLED


def test_nothing_that_is_deleted_stays_in_the_stores_files(archive: Archive, store: Store) -> None:
    vectors = [track.embeddings[0].tobytes() for track in store.get_tracks("p", ["a-v-1"])["a-v-1"]]

    def in_files(*traces: bytes) -> bool:
        everything = b"".join(path.read_bytes() for path in archive.files.root.glob("facerec.sqlite3*"))
        return any(trace in everything for trace in traces)

    assert in_files(*vectors)
    delete_video(archive, "p", "v-1")
    assert not in_files(*vectors)
    note_consent(store, "p", "Bob", "form 7 of the archive")
    remove_note(store, "p", "Bob")
    assert not in_files(b"form 7 of the archive")
    assert in_files(b"Ann_Lee")
    delete_project(archive, "p")
    assert not in_files(b"Ann_Lee")
