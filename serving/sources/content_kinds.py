"""What an answer brings: a video, or something that only leads to one."""

from __future__ import annotations

from pathlib import PurePosixPath

from facerec_models.errors import InputError
from serving.sources.addresses import name_in

HEAD_BYTES = 1024
"""So much of the beginning tells what it is."""
ENDINGS = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".f4v", ".mkv", ".webm", ".avi", ".mxf", ".dv", ".gif"),
        *(".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".ogg", ".ogv", ".flv", ".wmv", ".asf"),
    }
)
"""What a file of a video may be called."""
UNKNOWN_ENDING = ".video"

_ENDING_OF = {
    "application/mxf": ".mxf",
    "image/gif": ".gif",
    "video/3gpp": ".3gp",
    "video/mp2t": ".ts",
    "video/mp4": ".mp4",
    "video/mpeg": ".mpg",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-flv": ".flv",
    "video/x-m4v": ".m4v",
    "video/x-matroska": ".mkv",
    "video/x-ms-wmv": ".wmv",
    "video/x-msvideo": ".avi",
}
_HLS = {"application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl"}
_DASH = {"application/dash+xml"}
_HTML = {"text/html", "application/xhtml+xml"}
_PLAYLIST_ENDINGS = {".m3u8": "HLS", ".m3u": "HLS", ".mpd": "DASH"}


def is_playlist_type(media_type: str) -> bool:
    """Whether a media type is one of HLS or DASH; parameters do not count."""
    return plain_type(media_type) in _HLS | _DASH


def plain_type(media_type: str) -> str:
    """Return a media type without its parameters, in lower case."""
    return media_type.partition(";")[0].strip().lower()


def ending_of(names: list[str], media_type: str) -> str:
    """Return the ending of the first name that has one of a video, else that of the media type.

    Examples
    --------
    >>> ending_of(["film.MP4"], ""), ending_of(["film.php"], "video/webm"), ending_of(["film.sh"], "")
    ('.mp4', '.webm', '.video')
    """
    endings = [PurePosixPath(name).suffix.lower() for name in names]
    return next((one for one in endings if one in ENDINGS), _ENDING_OF.get(plain_type(media_type), UNKNOWN_ENDING))


def is_document(head: bytes) -> bool:
    """Whether content is JSON: no video begins so."""
    return _text(head).startswith(b"{")


def check_is_file(head: bytes, media_type: str, shown: str) -> None:
    """Refuse what is no file of a video.

    Parameters
    ----------
    head : bytes
        The first of the content.
    shown : str
        What errors call the address; its ending counts, too.

    Raises
    ------
    InputError
        If it is a playlist or a web page.
    """
    text, kind = _text(head), plain_type(media_type)
    playlist = _PLAYLIST_ENDINGS.get(PurePosixPath(name_in(shown)).suffix.lower())
    if kind in _HLS or text.startswith(b"#extm3u"):
        playlist = "HLS"
    elif kind in _DASH or (text.startswith(b"<") and b"<mpd" in text):
        playlist = "DASH"
    if playlist is not None:
        raise InputError(
            f"{shown!r} is a playlist ({playlist}), not a video: fetch what it lists with a downloader and submit the file"
        )
    if kind in _HTML or text.startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{shown!r} is a web page, not a video: give the address of the video's file")


def _text(head: bytes) -> bytes:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
