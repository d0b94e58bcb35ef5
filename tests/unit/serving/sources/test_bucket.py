"""Files in buckets: for requests those in listed buckets alone; fetched as from the web."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from facerec_models.errors import InputError, LimitExceededError, SourceError
from facerec_models.files import RemotePath
from serving.sources.media_store import FetchNote, MediaStore
from serving.sources.registry import resolve
from serving.sources.source import FetchStoppedError
from tests.bucket import s3_environment
from tests.serving.service import free_port
from tests.unit.serving.sources.web import QUICK, context, kept_files, parts_of

FILM = bytes(range(256)) * 10_000  # 2.5 MB: three pieces
NAME = "films/my film.mp4"


def put(bucket: str, body: bytes = FILM, name: str = NAME) -> str:
    """Put a file into a bucket; return its address."""
    boto3.client("s3").put_object(Bucket=bucket.removeprefix("s3://"), Key=name, Body=body)
    return f"{bucket}/{name}"


def name_of(bucket: str) -> str:
    return bucket.removeprefix("s3://")


def stops_after(pieces: int) -> tuple[Callable[[float], None], Callable[[], bool]]:
    """Return what is told of progress, and what stops once it was told so often."""
    told: list[float] = []
    return told.append, lambda: len(told) >= pieces


def test_a_file_in_a_listed_bucket_is_fetched(bucket: str, tmp_path: Path) -> None:
    fractions: list[float] = []
    request = replace(context(tmp_path, buckets=name_of(bucket)), on_progress=fractions.append)
    found = resolve(put(bucket), request)
    assert found.file.read_bytes() == FILM
    assert (found.uri, found.name, found.file.suffix) == (f"{bucket}/{NAME}", "my film.mp4", ".mp4")
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_requests_may_name_listed_buckets_and_prefixes_alone(bucket: str, tmp_path: Path) -> None:
    address, name = put(bucket), name_of(bucket)
    for listed in ("", name[:-1], f"{name}/other", f"{name}/film", "/"):
        with pytest.raises(InputError, match="FACEREC_SOURCES__BUCKETS"):
            resolve(address, context(tmp_path, buckets=listed))
    with pytest.raises(InputError, match="FACEREC_SOURCES__BUCKETS"):
        resolve(f"{bucket}/films/../{NAME}", context(tmp_path, buckets=f"{name}/films"))
    for listed in (f"{name}/films", f"other,{name}/"):
        assert resolve(address, context(tmp_path, buckets=listed)).file.read_bytes() == FILM


def test_the_user_of_a_command_may_name_any_bucket(bucket: str, tmp_path: Path) -> None:
    assert resolve(put(bucket), context(tmp_path, trusted=True)).file.read_bytes() == FILM


@pytest.mark.parametrize("key", ["", "/", "/a*.mp4", "/a.mp4#t=1"])
def test_what_names_no_file_is_refused(bucket: str, tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match="names no file"):
        resolve(bucket + key, context(tmp_path, trusted=True))


def test_keys_in_an_address_are_never_repeated(tmp_path: Path) -> None:
    for trusted in (True, False):
        with pytest.raises(InputError) as failure:
            resolve("s3://AKIA:hunter2@bucket/a.mp4", context(tmp_path, trusted=trusted))
        assert "hunter2" not in str(failure.value)


def test_a_file_that_is_not_there_is_an_error(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no file"):
        resolve(f"{bucket}/none.mp4", context(tmp_path, trusted=True))


def test_a_large_file_is_not_fetched(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(LimitExceededError, match="FACEREC_SOURCES__MAX_BYTES"):
        resolve(put(bucket), context(tmp_path, trusted=True, max_bytes=len(FILM) - 1))
    assert parts_of(tmp_path) == []


def pieces_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return where reading has begun since."""
    begun: list[int] = []
    chunks = RemotePath.chunks
    monkeypatch.setattr(RemotePath, "chunks", lambda path, start, end: begun.append(start) or chunks(path, start, end))
    return begun


def test_stopping_keeps_the_part_for_the_next_time(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, command = put(bucket), context(tmp_path, trusted=True)
    begun = pieces_read(monkeypatch)
    chunks = RemotePath.chunks

    def slowly(path: RemotePath, start: int, end: int) -> Iterator[bytes]:
        for chunk in chunks(path, start, end):
            yield chunk
            time.sleep(1.0)  # the watch looks ten times a second

    monkeypatch.setattr(RemotePath, "chunks", slowly)
    on_progress, should_stop = stops_after(1)
    with pytest.raises(FetchStoppedError):
        resolve(address, replace(command, on_progress=on_progress, should_stop=should_stop))
    monkeypatch.setattr(RemotePath, "chunks", chunks)
    (part,) = parts_of(tmp_path)
    size = part.stat().st_size
    assert 0 < size < len(FILM)
    assert resolve(address, command).file.read_bytes() == FILM
    assert begun == [0, size]


def test_a_part_of_other_content_begins_anew(bucket: str, tmp_path: Path) -> None:
    address = put(bucket)
    with MediaStore(tmp_path / "media", 10**9).slot(address, time.sleep) as slot:
        slot.begin(FetchNote(total=len(FILM), etag='"other"', last_modified=None, name="a", ending=".mp4"))
        with slot.appending() as append:
            append(b"x" * 1000)
    assert resolve(address, context(tmp_path, trusted=True)).file.read_bytes() == FILM


def test_a_kept_file_of_other_content_is_fetched_again(bucket: str, tmp_path: Path) -> None:
    address, command = put(bucket), context(tmp_path, trusted=True)
    resolve(address, command)
    put(bucket, FILM[::-1])
    assert resolve(address, command).file.read_bytes() == FILM[::-1]


def test_a_kept_file_is_not_fetched_again(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, command = put(bucket), context(tmp_path, trusted=True)
    first = resolve(address, command)
    begun = pieces_read(monkeypatch)
    assert resolve(address, command) == first
    assert begun == []


def test_a_file_that_changes_while_it_is_fetched_begins_anew(bucket: str, tmp_path: Path) -> None:
    address, new = put(bucket), FILM[::-1]
    changes = [lambda: put(bucket, new)]
    command = replace(context(tmp_path, trusted=True), on_progress=lambda _: changes and changes.pop()())
    assert resolve(address, command).file.read_bytes() == new
    assert len(kept_files(tmp_path)) == 1


def test_a_bucket_that_does_not_answer_is_asked_again_and_given_up(tmp_path: Path) -> None:
    with (
        s3_environment(f"http://127.0.0.1:{free_port()}"),
        pytest.raises(SourceError, match="cannot be looked up"),
    ):
        resolve("s3://bucket/a.mp4", context(tmp_path, trusted=True, **{**QUICK, "max_attempts": 2}))


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed: nothing is missing")
def test_a_missing_package_is_named_with_its_extra(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pip install 'facerec\[gs\]'"):
        resolve("gs://bucket/a.mp4", context(tmp_path, trusted=True))
