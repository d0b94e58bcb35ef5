"""Naming the archive again as a job: applied once, whatever dies, and told afterwards."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from facerec_models.errors import ConflictError, ModelNotFoundError
from serving.archive.handle import Archive
from serving.archive.naming.undo import undo_edit
from serving.archive.naming.whole_archive import NamingWork
from serving.jobs.name_again import NamingRequest, change_of, name_again_as_job, submit_naming
from serving.settings import Settings
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from tests.archive import fill
from tests.contract.store_cases import clock_ahead
from tests.unit.serving.archive.edits import add_named_video


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def submitted(archive: Archive, asked: NamingRequest) -> Job:
    return submit_naming(archive, Settings(home=archive.files.root), "p", asked)


def test_a_job_that_is_taken_up_after_it_was_applied_applies_nothing_again(archive: Archive, store: Store) -> None:
    job = submitted(archive, NamingRequest(max_false_names=1e-9))
    assert leases.claim(store, [job.kind], "dies", 60) is not None
    change = name_again_as_job(archive, job, NamingWork())
    assert change is not None
    add_named_video(archive, (1, 9))
    with clock_ahead():  # its lease has ended
        again = leases.claim(store, [job.kind], "takes over", 60)
        assert again is not None
        assert again.job.attempt == 2
        assert name_again_as_job(archive, again.job, NamingWork()) is None
        leases.finish(store, again, JobState.SUCCEEDED)
    assert [(row.cause, row.note) for row in store.list_edits("p")] == [
        ("training", ""),
        ("identify", f"job {job.job_id}"),
    ]
    told = change_of(archive, store.get_job(job.job_id))
    assert told == json.loads(json.dumps({**change.to_dict(), "applied": True, "edit": 2}))
    assert told["people"]["Bob"]["removed"] == 2
    undo_edit(archive, "p", 2)
    assert change_of(archive, store.get_job(job.job_id)) == told


def test_a_job_that_died_before_it_was_applied_begins_again(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(archive, NamingRequest())

    def dies(*_arguments: object, **_options: object) -> int:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", dies)
        with pytest.raises(SystemExit):
            name_again_as_job(archive, job, NamingWork())
    assert [row.cause for row in store.list_edits("p")] == ["training"]
    assert name_again_as_job(archive, job, NamingWork()) is not None
    assert [row.cause for row in store.list_edits("p")] == ["training", "identify"]


def test_what_cannot_be_done_is_refused_before_it_is_queued(archive: Archive, store: Store) -> None:
    version = store.get_project("p").version
    with pytest.raises(ModelNotFoundError, match="m-none"):
        submitted(archive, NamingRequest(model_version="m-none"))
    with pytest.raises(ConflictError, match="preview again"):
        submitted(archive, NamingRequest(expected=version - 1))
    assert store.list_jobs("p") == []
    job = submitted(archive, NamingRequest(expected=version))
    assert (job.kind, job.spec) == ("identify", asdict(NamingRequest(expected=version)))
    add_named_video(archive, (1, 9))
    with pytest.raises(ConflictError, match="preview again"):
        name_again_as_job(archive, job, NamingWork())
