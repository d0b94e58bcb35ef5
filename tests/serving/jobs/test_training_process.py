"""Training as a process of its own: recorded, cancelled and killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from facerec_models.errors import ModelNotFoundError
from facerec_models.identification.model_folder import remove_abandoned
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.model_versions import train
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobState
from serving.store.opening import open_store
from tests.archive import put_people
from tests.bucket import stalled_at
from tests.serving.train_command import command
from tests.waiting import WAIT_S, wait_until


@pytest.fixture
def store(store: Store) -> Store:
    """Forty people of three faces each, in project ``p``."""
    put_people(store, "p", 40, faces_each=3)
    return store


def run(home: Files, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(home, *options), capture_output=True, text=True, check=False, timeout=WAIT_S)


def test_a_training_process_needs_no_ray_and_prints_its_version(store: Store, home: Files) -> None:
    done = run(home, "--job-id", "nightly")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert store.get_model("p").version == answer["version"]
    assert answer["metrics"]["gate"]["reason"] == "no version was promoted before"
    job = store.get_job("nightly")
    assert (job.state, job.progress) == (JobState.SUCCEEDED, 1.0)
    assert "learning 120 faces with prototype" in home.job_log("p", "nightly").read_text()
    assert not (home.root / "ray_token").exists()
    again = run(home, "--job-id", "nightly")
    assert again.returncode == 1
    assert "there is a job 'nightly' already" in again.stderr


def test_a_training_that_cannot_run_is_one_error_line(home: Files) -> None:
    done = run(home)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "facerec: no project 'p': 'facerec projects list' names all, 'facerec projects create p' begins it"
    )
    assert run(home, "--classifier", "mlp").returncode == 2


def test_a_recorded_training_is_cancelled_from_outside(store: Store, home: Files) -> None:
    # So many that the forest is still growing when it is cancelled.
    put_people(store, "p", 300, faces_each=3)
    with subprocess.Popen(
        command(home, "--classifier", "rf", "--job-id", "long"), stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: bool(store.list_jobs("p")) and store.get_job("long").progress > 0.3)
            leases.cancel(store, "long")
            assert process.wait(WAIT_S) == 130
        finally:
            process.kill()
    assert store.get_job("long").state is JobState.CANCELLED
    assert store.list_models("p") == []


def test_a_training_that_is_killed_at_any_point_leaves_the_promoted_model(archive: Archive, store: Store) -> None:
    promoted = train(archive, "p").version
    began = time.monotonic()
    assert run(archive.files, "--classifier", "knn", "--promote", "no").returncode == 0
    whole_s = time.monotonic() - began
    rng = random.Random(1)
    for number in range(6):
        # Another prior, another version: each round writes one.
        environment = {**os.environ, "FACEREC_IDENTIFICATION__PRIOR_KNOWN": str(0.1 + number / 100)}
        with subprocess.Popen(
            command(archive.files, "--promote", "yes"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            # Loading the program takes most of the time: kill in the last half.
            time.sleep(rng.uniform(0.5, 1.05) * whole_s)
            process.kill()
        versions = {row.version for row in store.list_models("p")}
        now = store.get_model("p").version
        assert now in versions
        assert promoted in versions
        load_model(archive.files, "p", now)
        for folder in archive.files.model("p", "x").parent.iterdir():
            # What is not whole has no version's name.
            if not folder.name.startswith("."):
                load_model(archive.files, "p", folder.name)


def test_a_training_that_is_killed_between_two_files_of_a_bucket_leaves_no_model(
    bucket: str, s3_server: str, tmp_path: Path
) -> None:
    home = Files.at(tmp_path, bucket)
    with closing(open_store(tmp_path)) as store, stalled_at(s3_server, rb"PUT /\S+/model\.json") as (address, reached):
        put_people(store, "p", 5, faces_each=3)
        asked = subprocess.Popen(
            command(home),
            env={**os.environ, "FACEREC_FILES": bucket, "AWS_ENDPOINT_URL": address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with asked:
            try:
                assert reached.wait(WAIT_S)
            finally:
                asked.kill()
        models = home.model("p", "x").parent
        assert store.list_models("p") == []
        (left,) = models.iterdir()
        assert [path.name for path in left.iterdir()] == ["model.npz"]
        with pytest.raises(ModelNotFoundError, match="holds no readable model"):
            load_model(home, "p", left.name)
        remove_abandoned(models)
        assert left.is_dir()
        assert train(Archive(store, home), "p").version == left.name
        load_model(home, "p", left.name)
