"""What is no file of a video is refused with a clear word; what is one is called by an ending of videos alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_models.errors import InputError
from serving.sources.registry import resolve
from tests.unit.serving.sources.web import FILM, Server, brings, context, kept_files, redirects

HLS, DASH = b"#EXTM3U\n#EXT-X-VERSION:3\n", b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">'


@pytest.mark.parametrize(
    ("path", "kind", "body", "word"),
    [
        ("/a", "application/vnd.apple.mpegurl", FILM, "HLS"),
        ("/a", "Application/x-mpegURL; charset=utf-8", FILM, "HLS"),
        ("/a.m3u8?x=1", "video/mp4", FILM, "HLS"),
        ("/a.mp4", "video/mp4", HLS, "HLS"),
        ("/a.mp4", "text/plain", b"\xef\xbb\xbf\r\n" + HLS, "HLS"),
        ("/a", "application/dash+xml", FILM, "DASH"),
        ("/a.MPD", "video/mp4", FILM, "DASH"),
        ("/a.mp4", "video/mp4", DASH, "DASH"),
        ("/a.mp4", "text/html; charset=utf-8", b"<p>Please log in", "web page"),
        ("/a.mp4", "video/mp4", b"\n <!DOCTYPE HTML><html>", "web page"),
        ("/a.mp4", "video/mp4", b"<html lang=de>", "web page"),
        ("/a.mp4", "application/json", b'{"error": "log in"}', "no IIIF manifest"),
        ("/a.mp4", "application/json", b"{" + FILM, "neither a video nor JSON"),
        ("/a.mp4", "application/json", b'{"a":' + b"[" * 100_000, "neither a video nor JSON"),
    ],
)
def test_what_is_no_file_of_a_video_is_refused(
    web: Server, tmp_path: Path, path: str, kind: str, body: bytes, word: str
) -> None:
    with pytest.raises(InputError, match=word):
        resolve(web.put(path, brings(body, Content_Type=kind)), context(tmp_path))
    assert kept_files(tmp_path) == []
    assert len(web.requests) == 1


def test_a_playlist_that_a_redirect_leads_to_is_refused(web: Server, tmp_path: Path) -> None:
    web.put("/a.m3u8", brings(FILM))
    with pytest.raises(InputError, match="HLS"):
        resolve(web.put("/a.mp4", redirects("/a.m3u8")), context(tmp_path))


@pytest.mark.parametrize(
    ("path", "headers", "ending", "name"),
    [
        ("/a.MOV", {}, ".mov", "a.MOV"),
        ("/a.mp4", {"Content_Type": "video/webm"}, ".mp4", "a.mp4"),
        ("/a", {"Content_Type": "video/webm; codecs=vp9"}, ".webm", "a"),
        ("/get.php?file=a.mkv", {"Content_Type": "application/octet-stream"}, ".video", "get.php"),
        ("/get", {"Content_Disposition": 'attachment; filename="b.mkv"'}, ".mkv", "b.mkv"),
        ("/get", {"Content_Disposition": "attachment; filename*=UTF-8''Stra%C3%9Fe.avi"}, ".avi", "Straße.avi"),
        ("/get.mp4", {"Content_Disposition": 'attachment; filename="../../x.sh"'}, ".mp4", "x.sh"),
        ("/a.sh", {"Content_Type": "text/x-shellscript"}, ".video", "a.sh"),
        ("/a.py%00.mp4%2F..%2Fb", {}, ".video", "b"),
        ("/", {}, ".video", "video"),
        ("/a%1B%5B31m%E2%80%AE.mp4", {}, ".mp4", "a[31m.mp4"),
        ("/get", {"Content_Disposition": 'attachment; filename="b\x1b[1m.mp4"'}, ".mp4", "b[1m.mp4"),
    ],
)
def test_a_file_has_an_ending_of_videos_and_the_name_that_people_know(
    web: Server, tmp_path: Path, path: str, headers: dict[str, str], ending: str, name: str
) -> None:
    found = resolve(web.put(path, brings(FILM, **headers)), context(tmp_path))
    assert (found.file.suffix, found.name, found.file.parent) == (ending, name, tmp_path / "media")
