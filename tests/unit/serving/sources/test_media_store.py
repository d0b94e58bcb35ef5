"""What was fetched is kept within its quota: what was not used for longest goes first, and nothing that is in use."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from facerec_models.errors import LimitExceededError, PlaceError, SourceError
from serving.sources.media_store import IN_USE_S, RECORDED, FetchNote, MediaStore
from serving.sources.registry import resolve
from tests.unit.serving.sources.web import FILM, ByteRanges, Server, context, head, kept_files, parts_of, sends

SIZE = 1000


def film(number: int, size: int = SIZE) -> bytes:
    return bytes([number]) * size


def fetch(web: Server, folder: Path, number: int, *, quota: int = 3 * SIZE, size: int = SIZE) -> Path:
    address = web.put(f"/{number}.mp4", ByteRanges(film(number, size), etag=f'"{number}"'))
    return resolve(address, context(folder, max_kept_bytes=quota)).file


def age(file: Path, age_s: float) -> None:
    then = time.time() - age_s
    os.utime(file, (then, then))


def test_what_was_not_used_for_longest_goes_first(web: Server, tmp_path: Path) -> None:
    files = [fetch(web, tmp_path, number) for number in range(3)]
    for file, hours in zip(files, (3, 5, 4), strict=True):
        age(file, hours * 3600.0)
    new = fetch(web, tmp_path, 3)
    assert sorted(kept_files(tmp_path)) == sorted(file.name for file in (files[0], files[2], new))


def test_resolving_is_a_use(web: Server, tmp_path: Path) -> None:
    files = [fetch(web, tmp_path, number) for number in range(3)]
    for file, hours in zip(files, (5, 4, 3), strict=True):
        age(file, hours * 3600.0)
    assert fetch(web, tmp_path, 0) == files[0]
    fetch(web, tmp_path, 3)
    assert files[0].exists()
    assert not files[1].exists()


def test_a_file_that_is_opened_says_so_and_stays(web: Server, tmp_path: Path) -> None:
    files = [fetch(web, tmp_path, number) for number in range(3)]
    for file in files:
        age(file, 5 * 3600.0)
    store = MediaStore(tmp_path / "media", 3 * SIZE)
    assert store.touch(files[1])
    fetch(web, tmp_path, 3, size=2 * SIZE)
    assert [file.exists() for file in files] == [False, True, False]
    assert not store.touch(files[0])


def test_touching_changes_no_other_file(tmp_path: Path) -> None:
    file = tmp_path / "own.mp4"
    file.write_bytes(FILM)
    age(file, 3600.0)
    before = file.stat().st_mtime
    assert MediaStore(tmp_path / "media", SIZE).touch(file)
    assert file.stat().st_mtime == before


def test_what_was_used_within_the_hour_is_not_removed(web: Server, tmp_path: Path) -> None:
    files = [fetch(web, tmp_path, number) for number in range(3)]
    for file in files:
        age(file, IN_USE_S - 60.0)
    with pytest.raises(PlaceError, match="FACEREC_SOURCES__MAX_KEPT_BYTES"):
        fetch(web, tmp_path, 3)
    assert all(file.exists() for file in files)


def test_a_file_that_was_removed_is_fetched_again(web: Server, tmp_path: Path) -> None:
    fetch(web, tmp_path, 0).unlink()
    assert fetch(web, tmp_path, 0).read_bytes() == film(0)


def test_more_than_the_quota_is_not_even_begun(web: Server, tmp_path: Path) -> None:
    with pytest.raises(LimitExceededError, match="FACEREC_SOURCES__MAX_KEPT_BYTES"):
        fetch(web, tmp_path, 0, quota=SIZE - 1)
    assert kept_files(tmp_path) == []


def test_what_is_being_fetched_has_its_room(web: Server, tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media", 3 * SIZE)
    with store.slot("another", time.sleep) as slot:
        slot.begin(FetchNote(total=2 * SIZE + 1, etag='"a"', last_modified=None, name="a", ending=".mp4"))
        with slot.appending() as append:
            append(b"x")
        with pytest.raises(PlaceError):
            fetch(web, tmp_path, 0)
        assert slot.part.read_bytes() == b"x"


def test_an_announcement_alone_removes_nothing_and_keeps_nobody_out(web: Server, tmp_path: Path) -> None:
    kept = fetch(web, tmp_path, 0, quota=10 * SIZE)
    age(kept, 5 * 3600.0)
    announcing = web.put("/b.mp4", sends(head(Content_Length=10 * SIZE - 1, Content_Type="video/mp4"), film(1, 1500)))
    with pytest.raises(SourceError, match="early"):
        resolve(announcing, context(tmp_path, max_kept_bytes=10 * SIZE, max_attempts=1))
    assert kept.exists()
    assert len(parts_of(tmp_path)) == 1
    assert fetch(web, tmp_path, 2, quota=10 * SIZE, size=7 * SIZE).exists()
    assert kept.exists()


def test_room_is_made_as_bytes_arrive(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media", 4 * SIZE)
    (tmp_path / "media").mkdir()
    files = [tmp_path / "media" / f"{number}.mp4" for number in range(4)]
    for number, file in enumerate(files):
        file.write_bytes(film(number))
        age(file, 9 * 3600.0 - number)
    with store.slot("a", time.sleep) as slot:
        slot.begin(FetchNote(total=4 * SIZE, etag='"a"', last_modified=None, name="a", ending=".mp4"))
        slot.require_room()
        assert all(file.exists() for file in files)
        with slot.appending() as append:
            append(film(7, 400))
            assert [file.exists() for file in files] == [False, True, True, True]
            append(film(7, 800))
            assert [file.exists() for file in files] == [False, False, False, True]


def test_what_is_longer_than_all_that_may_be_kept_and_does_not_say_so_leaves_nothing(
    web: Server, tmp_path: Path
) -> None:
    with pytest.raises(LimitExceededError, match="FACEREC_SOURCES__MAX_KEPT_BYTES"):
        resolve(
            web.put("/a.mp4", sends(head(Content_Type="video/mp4"), film(1, 2000), film(1, 2000), pause_s=0.2)),
            context(tmp_path, max_kept_bytes=3000),
        )
    assert parts_of(tmp_path) == kept_files(tmp_path) == []


def test_recordings_that_nobody_can_fetch_again_go_last(web: Server, tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media", 3 * SIZE)
    with store.slot("a stream", time.sleep) as slot:
        slot.begin(FetchNote(total=None, etag=None, last_modified=None, name="a", ending=RECORDED))
        slot.part.write_bytes(film(9))
        recording = slot.finish()
    age(recording, 9 * 3600.0)
    fetched = fetch(web, tmp_path, 0)
    age(fetched, 5 * 3600.0)
    fetch(web, tmp_path, 1, size=2 * SIZE)
    assert (recording.exists(), fetched.exists()) == (True, False)
    fetch(web, tmp_path, 2)
    assert not recording.exists()


def test_one_content_of_two_addresses_is_kept_once(web: Server, tmp_path: Path) -> None:
    first, second = (web.put(path, ByteRanges(FILM)) for path in ("/a.mp4", "/b.mov"))
    assert resolve(first, context(tmp_path)).file == resolve(second, context(tmp_path)).file
    assert len(kept_files(tmp_path)) == 1


def test_files_are_for_their_owner_alone(web: Server, tmp_path: Path) -> None:
    fetch(web, tmp_path, 0)
    for file in (tmp_path / "media").rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file


def test_old_parts_are_swept_up_and_newer_ones_and_what_is_known_of_kept_files_stay(
    web: Server, tmp_path: Path
) -> None:
    def break_off(path: str) -> None:
        with pytest.raises(SourceError):
            resolve(web.put(path, ByteRanges(FILM, cuts=[2000])), context(tmp_path, max_attempts=1))

    break_off("/old.mp4")
    whole = fetch(web, tmp_path, 7, quota=10**6)
    for file in (whole, *(tmp_path / "media/addresses").iterdir()):
        age(file, 3 * 3600.0)
    break_off("/new.mp4")
    assert len(parts_of(tmp_path)) == 2
    assert MediaStore(tmp_path / "media", 10**6).sweep(2 * 3600.0) == 2
    assert len(parts_of(tmp_path)) == 1
    assert fetch(web, tmp_path, 7, quota=10**6) == whole
    assert "if-none-match" in web.requests[-1].headers


def test_what_is_fetched_now_is_not_swept_up(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media", 3 * SIZE)
    with store.slot("a", time.sleep) as slot:
        slot.begin(FetchNote(total=2, etag='"a"', last_modified=None, name="a", ending=".mp4"))
        for file in (tmp_path / "media/addresses").iterdir():
            age(file, 3 * 3600.0)
        assert store.sweep(3600.0) == 0
        assert slot.note is not None


def test_a_note_of_another_version_begins_anew(web: Server, tmp_path: Path) -> None:
    fetch(web, tmp_path, 0)
    for note in (tmp_path / "media/addresses").glob("*.json"):
        note.write_text('{"total": 1, "colour": "red"}')
    assert fetch(web, tmp_path, 0).read_bytes() == film(0)
    assert "if-none-match" not in web.requests[-1].headers
