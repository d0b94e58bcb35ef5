"""Files in a folder and in a bucket: one behaviour."""

from __future__ import annotations

import os
import time
from pathlib import Path

import boto3
import numpy as np
import pytest

from facerec_models.errors import InputError, StoreError
from facerec_models.files import AnyPath, RemotePath, open_files, remove_tree, write_atomically
from facerec_models.video_writer import VideoWriter
from tests.bucket import s3_environment
from tests.serving.service import free_port


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    if request.param == "folder":
        return open_files(tmp_path.as_uri())
    return open_files(request.getfixturevalue("bucket") + "/some/prefix/")


def test_a_file_is_written_whole_and_removed(root: AnyPath) -> None:
    file = root / "a" / "1-0.jpg"
    assert not file.is_file()
    write_atomically(file, b"first")
    write_atomically(file, b"second")
    assert file.is_file()
    assert not file.is_dir()
    assert file.parent.is_dir()
    assert file.read_bytes() == b"second"
    with file.open("rb") as opened:
        assert opened.read(3) == b"sec"
    file.unlink()
    file.unlink(missing_ok=True)
    assert not file.is_file()
    with pytest.raises(FileNotFoundError):
        file.read_bytes()


@pytest.mark.parametrize(("is_private", "mode"), [(True, 0o600), (False, 0o640)])
def test_a_file_is_its_owners_alone_or_of_the_mode_of_the_umask(tmp_path: Path, is_private: bool, mode: int) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "data", b"1", is_private=is_private)
        with VideoWriter(tmp_path / "video.mp4", 10, 32, 32, is_private=is_private) as writer:
            writer.write(np.zeros((32, 32, 3), np.uint8))
    finally:
        os.umask(before)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {"data": mode, "video.mp4": mode}


def test_folders_are_listed_and_removed(root: AnyPath) -> None:
    for name in ("1-0.jpg", "1-1.jpg", "11-0.jpg", "deep"):
        write_atomically(root / "a" / name if name != "deep" else root / "a" / name / "x", name.encode())
    write_atomically(root / "ab", b"")
    assert {path.name for path in (root / "a").iterdir()} == {"1-0.jpg", "1-1.jpg", "11-0.jpg", "deep"}
    assert {path.name for path in (root / "a").glob("1-*.jpg")} == {"1-0.jpg", "1-1.jpg"}
    assert list((root / "absent").glob("*")) == []
    remove_tree(root / "a")
    remove_tree(root / "absent")
    assert [path.name for path in root.iterdir()] == ["ab"]
    assert not (root / "a").is_dir()


def test_changes_of_another_process_are_seen_at_once(bucket: str) -> None:
    root = open_files(f"{bucket}/p")
    assert not (root / "x").is_file()
    assert list(root.iterdir()) == []
    other, there = boto3.client("s3"), {"Bucket": bucket.removeprefix("s3://"), "Key": "p/x"}
    other.put_object(**there, Body=b"1")
    assert (root / "x").is_file()
    assert [path.name for path in root.iterdir()] == ["x"]
    other.delete_object(**there)
    assert not (root / "x").is_file()
    assert list(root.iterdir()) == []


def test_a_large_file_is_uploaded_and_read_in_parts(bucket: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (tmp_path / "film").write_bytes(content)
    file = open_files(bucket) / "film"
    assert isinstance(file, RemotePath)
    file.upload(tmp_path / "film")
    facts = file.facts()
    assert facts.size == len(content)
    assert facts.etag
    assert abs(facts.modified_at - time.time()) < 60
    assert b"".join(file.chunks(1000, 3_000_007)) == content[1000:3_000_007]
    assert file.parent.files() == {file: facts}


def test_a_missing_bucket_is_an_error(bucket: str) -> None:
    absent = open_files(f"{bucket}-absent/p") / "x"
    with pytest.raises(
        StoreError, match=r"s3://test-\w+-absent/p/x cannot be written: .*; 'facerec doctor' tries it out"
    ):
        write_atomically(absent, b"")


def test_a_server_that_does_not_answer_is_an_error_and_no_absence() -> None:
    with s3_environment(f"http://127.0.0.1:{free_port()}"):
        file = open_files("s3://b/p/x")
        for ask in (file.is_file, file.is_dir, file.read_bytes, file.unlink, lambda: list(file.glob("*"))):
            with pytest.raises(StoreError, match=r"s3://b/p/x cannot be \w+") as told:
                ask()
            assert "secret-of-tests" not in str(told.value)
        with pytest.raises(StoreError, match="cannot be removed"):
            remove_tree(file)
        with pytest.raises(StoreError, match="cannot be written"):
            write_atomically(file, b"")


@pytest.mark.parametrize(
    "address",
    ["", "bucket", "/folder", "s3://", "s3:///", "ftp://a/b", "memory://a", "s3://key:hidden@bucket/p", "s3://b/a*",
     "gs://b?hidden=1"],
)  # fmt: skip
def test_an_address_of_another_kind_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(InputError, match="FACEREC_FILES must be s3://bucket/prefix") as told:
        open_files(address)
    assert "hidden" not in str(told.value)


def test_a_local_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="mount or make it"):
        open_files((tmp_path / "absent").as_uri())
    with pytest.raises(InputError, match="names no folder of this machine"):
        open_files("file://other/mnt")
    spaced = tmp_path / "with space"
    spaced.mkdir()
    assert open_files(spaced.as_uri()) == spaced


def test_a_missing_package_is_named() -> None:
    with pytest.raises(InputError, match=r"gs:// needs gcsfs: pip install 'facerec\[gs\]'"):
        open_files("gs://bucket/p")
