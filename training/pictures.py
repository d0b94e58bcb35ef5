"""What is in a folder of people's pictures: each file is a picture of a person, or has the reason why it cannot be."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from facerec_models.analysis.weights import file_sha256
from facerec_models.confinement.pictures import is_picture_apart
from facerec_models.errors import InputError
from facerec_models.names import person_id_of

DISABLED_LIST = "disabled.txt"
FOLDER = "folder:"  # begins the source of what was imported from a folder
_PREDECESSORS_FOLDER = "training_img_aligned"
# What systems leave in folders by themselves, in lower case; so are all names that begin with a dot.
_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a person before its faces are searched for.

    Parameters
    ----------
    path : str
        Relative to the imported folder.
    person_id : str
        Empty where it is nobody's.
    source : str or None
        The address it was fetched from, or the folder that it was imported from, see `folder_source`.
    fetched_at : float or None
        When it was fetched, in seconds since the epoch.
    problem : str or None
        Why it cannot be enrolled, whatever it shows.
    sha256 : str
        Of its content, once `with_content` has read it; empty where nothing can be read.
    """

    file: Path
    path: str
    person_id: str
    disabled: bool = False
    source: str | None = None
    fetched_at: float | None = None
    problem: str | None = None
    sha256: str = ""


def folder_source(directory: Path) -> str:
    """Return what is kept as the source of pictures that were imported from a folder."""
    return f"{FOLDER}{directory.resolve()}"


def find_pictures(directory: Path) -> list[Picture]:
    """List every file of ``DIR/<Person_Name>/*``, whatever it is called; those in ``DIR/disabled.txt`` are marked as disabled.

    Pictures in a folder below a person's are the person's as well. A folder that holds folders and no picture itself is nobody's, and
    has a problem, as have pictures beside the people's folders, those in several folders beside pictures of a person, links that lead
    nowhere, and what is no file, such as a pipe. Left out are names that begin with a dot and what systems leave in folders, and other
    files beside the people's folders.

    The predecessor's list names pictures from its data folder on, as ``data/training_img_aligned/<project>/<Person_Name>/1.jpg``: its
    last two parts count.

    Raises
    ------
    InputError
        If there is no such folder, it cannot be read, nothing is in it, or its list of disabled ones is no text.
    """
    if not directory.is_dir():
        raise InputError(f"{str(directory)!r} is no folder; give one with a folder of pictures for each person")
    disabled = _listed_as_disabled(directory / DISABLED_LIST)
    source = folder_source(directory)
    pictures = []
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise InputError(f"{str(directory)!r} cannot be read ({error.strerror}); check its permissions") from error
    for entry in entries:
        if is_litter(entry.name):
            continue
        if not entry.is_dir():
            if (problem := _why_beside_people(directory, entry)) is not None:
                pictures.append(Picture(entry, entry.name, "", source=source, problem=problem))
            continue
        files = _files_below(entry)
        readable = [file for file, why in files if why is None]
        person_id, nobodys = _person_of(entry, readable)
        mixed = None if nobodys else _why_mixed(entry, readable)
        for file, why in files:
            path = file.relative_to(directory).as_posix()
            unclear = None if file.parent == entry else mixed
            whose, problem = "" if unclear else person_id, nobodys or unclear or why
            pictures.append(Picture(file, path, whose, path in disabled, source=source, problem=problem))
    if not pictures:
        raise InputError(
            f"{str(directory)!r} has no pictures: they belong into a folder for each person, as {directory}/Ada_Lovelace/1.jpg"
        )
    return pictures


def is_litter(name: str) -> bool:
    """Whether a file or folder is one that nobody put there."""
    return name.startswith(".") or name.lower() in _LITTER


def with_content(picture: Picture) -> Picture:
    """Return a picture with the checksum of its content, or with the reason why it cannot be read as its problem.

    One that has a problem already keeps it, and has its checksum too where it can be read.
    """
    if picture.sha256:
        return picture
    try:
        # What is no file may never end: a pipe waits for a writer, a device has no end.
        problem = _why_no_file(picture.file)
        if problem is None:
            return replace(picture, sha256=file_sha256(picture.file))
    except OSError as error:
        problem = f"it cannot be read: {error.strerror or error}"
    return replace(picture, problem=picture.problem or problem)


def owners_of(pictures: Iterable[Picture]) -> dict[str, dict[str, str]]:
    """Return whose each content is, by checksum: the people, each with a path of it."""
    owners: dict[str, dict[str, str]] = defaultdict(dict)
    for picture in pictures:
        if picture.sha256 and picture.problem is None:
            owners[picture.sha256].setdefault(picture.person_id, picture.path)
    return owners


def _listed_as_disabled(listed: Path) -> set[str]:
    try:
        lines = listed.read_text(encoding="utf-8-sig").splitlines() if listed.is_file() else []
    except UnicodeDecodeError as error:
        raise InputError(f"{str(listed)!r} is no text in UTF-8 ({error}); save it as such") from error
    disabled = {line.strip() for line in lines if line.strip()}
    return disabled | {"/".join(line.split("/")[-2:]) for line in disabled if _PREDECESSORS_FOLDER in line.split("/")}


def _files_below(folder: Path) -> list[tuple[Path, str | None]]:
    """Return each file below a folder, and each folder that is not entered, with the reason why it cannot be a picture."""
    found: list[tuple[Path, str | None]] = []

    def tell(error: OSError) -> None:
        found.append((Path(error.filename), f"the folder cannot be read: {error.strerror}"))

    for parent, folders, files in os.walk(folder, onerror=tell):
        folders[:] = [name for name in folders if not is_litter(name)]
        found += [(Path(parent, name), None) for name in files if not is_litter(name)]
        found += [
            (Path(parent, name), "it is a link to a folder, which is not followed: import that folder itself")
            for name in folders
            if Path(parent, name).is_symlink()
        ]
    return sorted(found)


def _shows(file: Path) -> bool:
    """Whether a file seems to be a picture, or a link to one that is not there now; nothing but files is opened."""
    return (file.is_file() or not file.exists()) and is_picture_apart(file)


def _why_no_file(file: Path) -> str | None:
    """Return why something is no file; nothing is opened.

    Raises
    ------
    OSError
        If it is not there.
    """
    mode = file.stat().st_mode
    if stat.S_ISREG(mode):
        return None
    kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
    return f"it is a {kinds.get(stat.S_IFMT(mode), 'device')} and no file: put the picture itself there"


def _why_beside_people(directory: Path, entry: Path) -> str | None:
    """Return what is wrong with a file beside the people's folders; None where it is none of a person's."""
    if entry.is_symlink() and not entry.exists():
        return (
            f"it is a link that leads nowhere, to {str(entry.readlink())!r}: mount or restore that, or remove the link"
        )
    if _shows(entry):
        return f"it is in no person's folder: it belongs into one, as {directory}/Ada_Lovelace/{entry.name}"
    return None


def _why_mixed(folder: Path, files: list[Path]) -> str | None:
    """Return why the folders below a person's are nobody's: pictures are beside several of them, as of an album of people."""
    shown = [file for file in files if _shows(file)]
    below = {file.relative_to(folder).parts[0] for file in shown if file.parent != folder}
    if len(below) < 2 or all(file.parent != folder for file in shown):
        return None
    return (
        f"{folder.name!r} holds pictures itself and {len(below)} folders of pictures, so it is not clear whose these are: "
        f"{_remedies(folder)}"
    )


def _remedies(folder: Path) -> str:
    return (
        f"if its folders are people, import it by itself, as 'facerec people import {folder}'; if all pictures are of one person, "
        f"move them up into {folder}"
    )


def _person_of(folder: Path, files: list[Path]) -> tuple[str, str | None]:
    """Return whose a folder is, and why it is nobody's."""
    own = [file for file in files if file.parent == folder]
    if files and not any(_shows(file) for file in own) and len(own) < len(files):
        return "", (
            f"{folder.name!r} holds folders and no picture itself, so it is not clear whose these are: {_remedies(folder)}"
        )
    try:
        return person_id_of(folder.name), None
    except InputError as error:
        return "", f"{error}: rename the folder"
