"""Where commands write: checked before anything is computed, so that no work is lost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import typer

from facerec_models.errors import InputError
from training.batch_table import parse_span

Fragment = tuple[float, float] | None

JSON = (".json",)
CSV = (".csv",)
TEXT = (".txt",)
DATABASE = (".sqlite3", ".sqlite", ".db")
VIDEO = (".mp4", ".m4v")  # what the writer of videos writes: H.264 in MP4
PICTURE = (".png", ".jpg", ".jpeg")


def check_target(
    option: str,
    path: Path | None,
    *,
    endings: Sequence[str] = (),
    is_folder: bool = False,
    makes_folders: bool = True,
) -> None:
    """Make sure that a file, or files in a folder, can be written, and that the file's name does not lie about what it is.

    Parameters
    ----------
    option : str
        What errors call it.
    path : Path or None
        None if the option was not given.
    endings : sequence of str
        Of a file, those that say what is written, as ``.json``; a name without an ending says nothing, and is taken, too.
    makes_folders : bool
        Whether the folders that it is in are made when it is written.

    Raises
    ------
    typer.BadParameter
        If it cannot be written; says what to do.
    """
    if path is None:
        return
    value = f"{option} {str(path)!r}"
    try:
        if is_folder and path.exists() and not path.is_dir():
            raise typer.BadParameter(f"{value} is a file; name a folder")
        if not is_folder and path.is_dir():
            raise typer.BadParameter(f"{value} is a folder; name a file in it")
        place = path if path.is_dir() else path.parent
        while makes_folders and not place.exists() and place != place.parent:
            place = place.parent
        if not place.exists():
            raise typer.BadParameter(f"{value}: there is no folder {str(place)!r}; make it first")
        if not place.is_dir():
            raise typer.BadParameter(f"{value}: {str(place)!r} is a file; name a folder")
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{value} cannot be reached ({error}); choose another place") from error
    if endings:
        check_ending(option, path, endings)
    if not os.access(place, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"{value}: nothing may be written to {str(place)!r}; choose another folder")


def check_ending(option: str, path: Path, endings: Sequence[str]) -> None:
    """Raise `typer.BadParameter` if a file's name ends in what it will not be; see `check_target`."""
    if path.suffix and path.suffix.lower() not in endings:
        raise typer.BadParameter(
            f"{option} {str(path)!r} would not be what {path.suffix!r} says; end its name in {' or '.join(endings)}"
        )


def check_not_the_video(option: str, path: Path | None, video: str) -> None:
    """Raise `typer.BadParameter` if a video would be overwritten by what is made of it."""
    if path is not None and os.path.realpath(path) == os.path.realpath(video):
        raise typer.BadParameter(f"{option} {str(path)!r} is the video itself; name another file")


def result_files(out_dir: Path, wanted: Sequence[tuple[str, Fragment]]) -> list[Path]:
    """Return the file of each result: ``<video>.json`` or ``<video>_<start>_<end>.json`` in a folder.

    Raises
    ------
    typer.BadParameter
        If one cannot be written, or would be the file of two different results.
    """
    check_target("--out-dir", out_dir, is_folder=True)
    files = []
    owners: dict[Path, tuple[str, Fragment]] = {}
    for media, fragment in wanted:
        file = out_dir / f"{_name(media, fragment)}.json"
        check_target("--out-dir", file)
        other, other_fragment = owners.setdefault(file, (media, fragment))
        if (_place(other), other_fragment) != (_place(media), fragment):
            raise typer.BadParameter(
                f"{_row_label(other, other_fragment)} and {_row_label(media, fragment)} would both be written to {str(file)!r}; rename "
                "one, or give each a command and an --out-dir of its own"
            )
        files.append(file)
    return files


def _name(media: str, fragment: Fragment) -> str:
    stem = PurePosixPath(unquote(urlsplit(media).path)).stem if "://" in media else Path(media).stem
    return stem if fragment is None else f"{stem}_{fragment[0]:.12g}_{fragment[1]:.12g}"


def _place(media: str) -> str:
    return media if "://" in media else os.path.realpath(media)


def _row_label(media: str, fragment: Fragment) -> str:
    return repr(media) if fragment is None else f"{media!r} from {fragment[0]!r} to {fragment[1]!r} s"


def parse_fragment(text: str | None, option: str = "--fragment") -> tuple[float, float] | None:
    """Read an option's ``START,END`` in seconds or ``hours:minutes:seconds``."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2:
        raise typer.BadParameter(f"{option} {text!r} must be START,END, as 10,25.5 or 0:01:00,0:02:30")
    try:
        return parse_span(*parts)
    except InputError as error:
        raise typer.BadParameter(f"{option} {text!r}: {error}") from error
