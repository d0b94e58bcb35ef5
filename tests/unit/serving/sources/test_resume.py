"""Fetching goes on where it was, with the same bytes or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from facerec_models.errors import SourceError
from serving.sources.registry import resolve
from serving.sources.source import FetchStoppedError
from tests.unit.serving.sources.web import (
    FILM,
    FILM_NAME,
    QUICK,
    ByteRanges,
    Handler,
    Request,
    Send,
    Server,
    brings,
    context,
    head,
    in_turn,
    kept_files,
    parts_of,
    sends,
)
from tests.waiting import wait_until


def test_a_fetched_file_is_kept_by_its_content(web: Server, tmp_path: Path) -> None:
    address = web.put("/films/My%20film.mp4", ByteRanges(FILM))
    fractions: list[float] = []
    found = resolve(address, replace(context(tmp_path), on_progress=fractions.append))
    assert found.file.read_bytes() == FILM
    assert kept_files(tmp_path) == [f"{FILM_NAME}.mp4"]
    assert (found.uri, found.name, found.catalogue) == (address, "My film.mp4", None)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert parts_of(tmp_path) == []


@pytest.mark.parametrize(
    "film", [ByteRanges(FILM), ByteRanges(FILM, etag=None, last_modified="Tue, 01 Dec 2026 08:00:00 GMT")]
)
def test_a_dropped_connection_is_resumed_with_a_range(web: Server, tmp_path: Path, film: ByteRanges) -> None:
    film = replace(film, cuts=[100_000, 150_000])
    found = resolve(web.put("/a.mp4", film), context(tmp_path))
    assert found.file.read_bytes() == FILM
    asked = [request.headers.get("range") for request in web.requests]
    assert asked == [None, "bytes=100000-", "bytes=250000-"]
    assert {request.headers.get("if-range") for request in web.requests[1:]} == {film.etag or film.last_modified}


def test_tries_that_bring_something_new_are_not_counted(web: Server, tmp_path: Path) -> None:
    found = resolve(web.put("/a.mp4", ByteRanges(FILM, cuts=[50_000] * 7)), context(tmp_path, max_attempts=2))
    assert found.file.read_bytes() == FILM


def test_a_server_that_always_breaks_off_is_given_up(web: Server, tmp_path: Path) -> None:
    address = web.put("/a.mp4", sends(head(Content_Length=len(FILM)) + FILM[:1000]))
    with pytest.raises(SourceError, match="399000 bytes early"):
        resolve(address, context(tmp_path))
    assert len(web.requests) == QUICK["max_attempts"]
    assert kept_files(tmp_path) == []


def test_content_that_changes_in_between_begins_anew(web: Server, tmp_path: Path) -> None:
    new = FILM[::-1]
    changed = in_turn(ByteRanges(FILM, cuts=[100_000]), ByteRanges(new, etag='"two"'))
    assert resolve(web.put("/a.mp4", changed), context(tmp_path)).file.read_bytes() == new


def part_of(body: bytes, content_range: str, etag: str = '"one"') -> Handler:
    return sends(head("206 Partial Content", Content_Length=len(body), Content_Range=content_range, ETag=etag) + body)


@pytest.mark.parametrize(
    "wrong",
    [
        part_of(FILM[100_000:], "bytes 100000-399999/400000", etag='"two"'),
        part_of(FILM[99_999:], "bytes 99999-399999/400000"),
        part_of(FILM[100_000:] + b"x", "bytes 100000-400000/400001"),
        part_of(FILM[100_000:], "bytes 100000-399998/400000"),
        part_of(FILM[100_000:], "nonsense"),
        sends(head("416 Range Not Satisfiable", Content_Range="bytes */7", Content_Length=0)),
    ],
    ids=["other tag", "other beginning", "other length", "not to the end", "no range", "unsatisfiable"],
)
def test_a_wrong_part_begins_anew(web: Server, tmp_path: Path, wrong: Handler) -> None:
    film = in_turn(ByteRanges(FILM, cuts=[100_000]), wrong, ByteRanges(FILM))
    assert resolve(web.put("/a.mp4", film), context(tmp_path)).file.read_bytes() == FILM
    assert [request.headers.get("range") for request in web.requests] == [None, "bytes=100000-", None]


@pytest.mark.parametrize("length", [{"Content_Length": 1000}, {}], ids=["short", "none"])
def test_the_rest_of_a_file_without_a_length_must_be_as_long_as_it_says(
    web: Server, tmp_path: Path, length: dict[str, int]
) -> None:
    chunk = b"%x\r\n%s\r\n" % (100_000, FILM[:100_000])
    broken = sends(head(Transfer_Encoding="chunked", ETag='"one"') + chunk)
    content_range = "bytes 100000-399999/400000"
    short = sends(head("206 Partial Content", Content_Range=content_range, **length) + FILM[100_000:101_000])
    address = web.put("/a.mp4", in_turn(broken, short, ByteRanges(FILM)))
    assert resolve(address, context(tmp_path)).file.read_bytes() == FILM
    assert [request.headers.get("range") for request in web.requests] == [None, "bytes=100000-", None]


def test_a_part_is_not_whole_because_a_server_says_that_nothing_has_changed(web: Server, tmp_path: Path) -> None:
    unchanged = sends(head("304 Not Modified", ETag='"one"'))
    address = web.put("/a.mp4", in_turn(ByteRanges(FILM, cuts=[100_000]), unchanged))
    with pytest.raises(SourceError, match="304 Not Modified"):
        resolve(address, context(tmp_path))
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize("validator", [{}, {"ETag": 'W/"weak"'}], ids=["none", "weak"])
def test_without_a_strong_validator_it_begins_anew(web: Server, tmp_path: Path, validator: dict[str, str]) -> None:
    broken = sends(head(Content_Length=len(FILM), **validator) + FILM[:100_000])
    address = web.put("/a.mp4", in_turn(broken, brings(FILM, **validator)))
    assert resolve(address, context(tmp_path)).file.read_bytes() == FILM
    assert "range" not in web.requests[1].headers


def test_a_server_that_ignores_ranges_begins_anew(web: Server, tmp_path: Path) -> None:
    broken = sends(head(Content_Length=len(FILM), ETag='"one"') + FILM[:100_000])
    address = web.put("/a.mp4", in_turn(broken, brings(FILM, ETag='"one"')))
    assert resolve(address, context(tmp_path)).file.read_bytes() == FILM
    assert web.requests[1].headers["range"] == "bytes=100000-"


def test_a_part_that_was_not_asked_for_is_no_file(web: Server, tmp_path: Path) -> None:
    address = web.put("/a.mp4", part_of(FILM[:1000], "bytes 0-999/1000"))
    with pytest.raises(SourceError, match="another part"):
        resolve(address, context(tmp_path))
    assert kept_files(tmp_path) == []


def test_a_server_that_fails_first_is_asked_again(web: Server, tmp_path: Path) -> None:
    failure = sends(head("500 Internal Server Error", Content_Length=0))
    assert resolve(web.put("/a.mp4", in_turn(failure, brings(FILM))), context(tmp_path)).file.read_bytes() == FILM


def test_a_file_that_is_not_there_is_asked_for_once(web: Server, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="404 Not Found"):
        resolve(f"{web.url}/none.mp4", context(tmp_path))
    assert len(web.requests) == 1


def test_stopping_keeps_the_part_for_the_next_time(web: Server, tmp_path: Path) -> None:
    film = ByteRanges(FILM, pause_s=0.2)
    address = web.put("/a.mp4", film)
    stop = threading.Event()
    stopped = replace(context(tmp_path), on_progress=lambda _: stop.set(), should_stop=stop.is_set)
    with pytest.raises(FetchStoppedError):
        resolve(address, stopped)
    (part,) = parts_of(tmp_path)
    size = part.stat().st_size
    assert 0 < size < len(FILM)
    film.pause_s = 0.0
    assert resolve(address, context(tmp_path)).file.read_bytes() == FILM
    assert web.requests[-1].headers["range"] == f"bytes={size}-"


def test_stopping_does_not_wait_for_a_silent_server(web: Server, tmp_path: Path) -> None:
    silent = threading.Event()

    def handle(_: Request, send: Send) -> None:
        send(head(Content_Length=len(FILM)) + FILM[:5000])
        silent.wait(60)

    stop = threading.Event()
    patient = replace(context(tmp_path, read_timeout_s=60), on_progress=lambda _: stop.set(), should_stop=stop.is_set)
    with pytest.raises(FetchStoppedError):
        resolve(web.put("/a.mp4", handle), patient)
    silent.set()


def test_what_asks_whether_to_stop_may_fail(web: Server, tmp_path: Path) -> None:
    def fail() -> bool:
        raise LookupError("the lease is lost")

    address = web.put("/a.mp4", ByteRanges(FILM, pause_s=0.2))
    with pytest.raises(LookupError, match="the lease is lost"):
        resolve(address, replace(context(tmp_path), should_stop=fail))


FETCH = """
import sys
from pathlib import Path
from serving.sources.registry import resolve
from tests.unit.serving.sources.web import context
print(resolve(sys.argv[1], context(Path(sys.argv[2]))).file)
"""


def fetching(address: str, folder: Path) -> subprocess.Popen[str]:
    """Fetch in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", FETCH, address, str(folder)], stdout=subprocess.PIPE, text=True)


def test_a_killed_process_leaves_a_part_that_is_gone_on_with(web: Server, tmp_path: Path) -> None:
    film = ByteRanges(FILM, pause_s=0.2)
    address = web.put("/a.mp4", film)
    with fetching(address, tmp_path) as process:
        wait_until(lambda: parts_of(tmp_path) and parts_of(tmp_path)[0].stat().st_size > 0)
        process.send_signal(signal.SIGKILL)
    film.pause_s = 0.0
    assert resolve(address, context(tmp_path)).file.read_bytes() == FILM
    assert web.requests[-1].headers["range"].startswith("bytes=")


def test_a_part_that_was_whole_already_is_not_fetched_again(web: Server, tmp_path: Path) -> None:
    address = web.put("/a.mp4", ByteRanges(FILM, cuts=[399_999]))
    with pytest.raises(SourceError):
        resolve(address, context(tmp_path, max_attempts=1))
    (part,) = parts_of(tmp_path)
    part.write_bytes(FILM)  # as a process leaves it that is killed before it keeps the file
    assert resolve(address, context(tmp_path)).file.read_bytes() == FILM
    assert web.requests[-1].headers["if-none-match"] == '"one"'


def test_two_processes_and_two_threads_keep_one_file(web: Server, tmp_path: Path) -> None:
    address = web.put("/a.mp4", ByteRanges(FILM, pause_s=0.01))
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(resolve(address, context(tmp_path)).file)) for _ in range(2)
    ]
    processes = [fetching(address, tmp_path) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found += [Path(process.communicate()[0].strip()) for process in processes]
    assert found == [tmp_path / "media" / f"{FILM_NAME}.mp4"] * 4
    assert kept_files(tmp_path) == [f"{FILM_NAME}.mp4"]
    bodies = [request for request in web.requests if "if-none-match" not in request.headers]
    assert len(bodies) == 1  # whoever waited was told that nothing had changed
    assert found[0].read_bytes() == FILM


def test_an_address_whose_content_is_kept_is_only_asked_whether_it_changed(web: Server, tmp_path: Path) -> None:
    film = ByteRanges(FILM)
    address = web.put("/a.mp4", film)
    first = resolve(address, context(tmp_path))
    assert resolve(address, context(tmp_path)) == first
    assert [request.headers.get("if-none-match") for request in web.requests] == [None, '"one"']
    film.body, film.etag = FILM[::-1], '"two"'
    assert resolve(address, context(tmp_path)).file.read_bytes() == FILM[::-1]
    assert len(kept_files(tmp_path)) == 2
