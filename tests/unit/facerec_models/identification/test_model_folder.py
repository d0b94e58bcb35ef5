from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from facerec_models.errors import ModelNotFoundError
from facerec_models.files import AnyPath, open_files
from facerec_models.identification import model_folder
from facerec_models.identification.model_folder import read_folder, remove_abandoned, write_folder

ARRAYS = {"a": np.arange(5), "names": np.array(["Zoë", "Ann"])}


@pytest.fixture(params=["folder", "bucket"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    return open_files(tmp_path.as_uri() if request.param == "folder" else request.getfixturevalue("bucket")) / "models"


def test_a_written_model_is_read_back(models: AnyPath) -> None:
    write_folder(models / "m-1", ARRAYS, {"é": [1, None]})
    arrays, facts = read_folder(models / "m-1")
    assert facts == {"é": [1, None]}
    assert arrays["names"].tolist() == ["Zoë", "Ann"]
    assert [path.name for path in models.iterdir()] == ["m-1"]


@pytest.mark.parametrize("broken", ["model.npz", "model.json"])
def test_a_readable_version_stays_and_a_broken_one_is_replaced(models: AnyPath, broken: str) -> None:
    target = models / "m-1"
    write_folder(target, ARRAYS, {"first": True})
    write_folder(target, ARRAYS, {"first": False})
    assert read_folder(target)[1] == {"first": True}
    (target / broken).write_bytes(b"half")
    write_folder(target, ARRAYS, {"first": False})
    assert read_folder(target)[1] == {"first": False}


def test_a_failure_leaves_nothing(models: AnyPath) -> None:
    with pytest.raises(TypeError):
        write_folder(models / "m-1", ARRAYS, {"no JSON": object()})
    with pytest.raises(ValueError, match="Object arrays"):
        write_folder(models / "m-1", {"a": np.array([object()])}, {})
    assert list(models.glob("*")) == []


def test_a_folder_without_a_model_is_refused(models: AnyPath) -> None:
    with pytest.raises(ModelNotFoundError, match="holds no readable model: train the project again"):
        read_folder(models)


def test_folders_of_killed_writers_are_removed_and_unfinished_ones_kept(tmp_path: Path) -> None:
    for name in (".m-old.x1", ".m-new.x2", "m-3"):
        (tmp_path / name).mkdir()
    hour_ago = time.time() - 3600
    os.utime(tmp_path / ".m-old.x1", (hour_ago, hour_ago))
    os.utime(tmp_path / "m-3", (hour_ago, hour_ago))
    remove_abandoned(tmp_path)
    remove_abandoned(tmp_path / "absent")
    assert {path.name for path in tmp_path.iterdir()} == {".m-new.x2", "m-3"}


def test_objects_of_killed_writers_are_removed_from_a_bucket(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models = open_files(bucket) / "models"
    write_folder(models / "m-1", ARRAYS, {})
    (models / "m-2" / "model.npz").write_bytes(b"")
    remove_abandoned(models)
    assert [path.name for path in models.iterdir()] == ["m-1", "m-2"]
    # As if the bucket's clock were a minute ahead.
    monkeypatch.setattr(model_folder, "_ABANDONED_AFTER_S", -60.0)
    remove_abandoned(models)
    assert [path.name for path in models.iterdir()] == ["m-1"]
    read_folder(models / "m-1")
