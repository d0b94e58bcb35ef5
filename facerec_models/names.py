"""Names and ids: what may be one, and how they are made."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from pathlib import Path
from typing import overload
from urllib.parse import unquote

from facerec_models.errors import InputError

DEFAULT_PROJECT = "default"
# What the ids of strangers begin with, and no person's does.
STRANGER_PREFIX = "stranger-"

# What a file system takes, less the checksum that an upload is kept under.
_MAX_NAME_BYTES = 100
_MAX_PERSON_BYTES = 200
_MAX_DIGITS = 18  # fits the 64 bits of a store's whole numbers

# Controls that turn the direction of what follows: a name would show as another.
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# Characters that do not show, lines within a name, halves of characters; but those that join letters in some scripts.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
# Names of devices, which no file may have on some systems.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_STRANGER = re.compile(rf"{STRANGER_PREFIX}.*|unknown_*\d+", re.IGNORECASE)

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_project_name(name: str) -> str:
    """Return a project's name if it may be one: it becomes a folder's name and part of addresses.

    Examples
    --------
    >>> check_project_name("archive-2024")
    'archive-2024'
    >>> check_project_name("../etc")
    Traceback (most recent call last):
    facerec_models.errors.InputError: project name '../etc' must be 1 to 64 letters, ...
    """
    if _DEVICE.fullmatch(name) or name.endswith("."):
        raise InputError(f"project name {name!r} is none that every system takes for a folder: choose another")
    if not _PROJECT.fullmatch(name):
        raise InputError(
            f"project name {name!r} must be 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit"
        )
    return name


def person_id_of(folder: str) -> str:
    """Return the person id of a folder's name: NFC-normalised, blanks as underscores.

    Raises
    ------
    InputError
        If it can be no folder's name, has characters that do not show or that separate names, or means a stranger or nobody.

    Examples
    --------
    >>> person_id_of(" Ada Lovelace ")
    'Ada_Lovelace'
    >>> person_id_of("unknown_7")
    Traceback (most recent call last):
    facerec_models.errors.InputError: person name 'unknown_7' is what strangers are called: choose another
    """
    person_id = unicodedata.normalize("NFC", folder.strip()).replace(" ", "_")
    if not person_id or person_id in {".", ".."} or any(c in person_id for c in '/\\:*?"<>|'):
        raise InputError(f'person name {folder!r} must not be empty or contain / \\ : * ? " < > |')
    if ";" in person_id:
        raise InputError(f"person name {folder!r} must not contain a semicolon, which separates names in searches")
    if any(is_hidden(c) for c in person_id):
        raise InputError(f"person name {folder!r} must not contain control characters")
    if len(person_id.encode()) > _MAX_PERSON_BYTES:
        raise InputError(f"person name {folder!r} is too long: at most {_MAX_PERSON_BYTES} bytes")
    if means_stranger(person_id):
        raise InputError(f"person name {folder!r} is what strangers are called: choose another")
    if person_id.casefold() == "undecidable":
        raise InputError(f"person name {folder!r} is what faces are called that may be anybody: choose another")
    return person_id


def is_hidden(character: str) -> bool:
    r"""Whether a character does not show, or turns the direction of what follows.

    Examples
    --------
    >>> is_hidden("\u202e"), is_hidden("\0"), is_hidden("é")
    (True, True, False)
    """
    if character in _JOINERS:
        return False
    return unicodedata.category(character) in _HIDDEN or unicodedata.bidirectional(character) in _TURNING


def means_stranger(name: str) -> bool:
    """Whether a name is what strangers are called: an id, or "Unknown n".

    Examples
    --------
    >>> means_stranger("Unknown 7"), means_stranger("stranger-id6qenosgj"), means_stranger("Ada Lovelace")
    (True, True, False)
    """
    return _STRANGER.fullmatch(name.strip().replace(" ", "_")) is not None


def short_id(prefix: str, *parts: str) -> str:
    """Return an id that is the same for the same parts, such as ``a-4kq2…`` (16 base32 characters).

    Examples
    --------
    >>> short_id("v", "default", "a checksum")
    'v-...'
    >>> short_id("v", "a", "b") == short_id("v", "a", "b") != short_id("v", "a", "c")
    True
    """
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return f"{prefix}-{base64.b32encode(digest)[:16].decode().lower()}"


def file_name_of(given: str | None, default: str) -> str:
    """Return the last part of the name that an upload came with: what a file may be called, shortened to its end.

    Examples
    --------
    >>> file_name_of("holiday/clip.mp4", "video"), file_name_of(None, "video"), file_name_of("..", "video")
    ('clip.mp4', 'video', 'video')
    """
    shown = "".join(c for c in unicodedata.normalize("NFC", given or "") if not is_hidden(c))
    name = Path(shown).name
    name = name.encode(errors="ignore")[-_MAX_NAME_BYTES:].decode(errors="ignore")
    return default if name in {"", ".."} else name


def number_of(text: str) -> int | None:
    """Return the number that is written in decimal digits; None for other text, and for more digits than a store's numbers have.

    Examples
    --------
    >>> number_of("12"), number_of("-1"), number_of("1" * 30)
    (12, None, None)
    """
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def local_path(uri: str) -> Path:
    """Return the path of a ``file://`` address.

    Raises
    ------
    InputError
        If it is another kind of address, or names no possible file.

    Examples
    --------
    >>> local_path("file:///media/my%20clip.mp4").as_posix()
    '/media/my clip.mp4'
    """
    path = unquote(uri.removeprefix("file://"))
    if not uri.startswith("file://") or "\0" in path:
        raise InputError(f"{uri!r} is no file:// address of a file: give one, or send the file itself")
    return Path(path)


@overload
def identity_of(person_id: str) -> str: ...
@overload
def identity_of(person_id: None) -> None: ...
def identity_of(person_id: str | None) -> str | None:
    """Return a person's name as people write it: ``Barack_Obama`` is Barack Obama.

    Examples
    --------
    >>> identity_of("Barack_Obama")
    'Barack Obama'
    >>> identity_of(None)
    """
    return None if person_id is None else person_id.replace("_", " ")


def folded(text: str) -> str:
    """Return a text as texts are compared when they are searched for: without accents, in lower case, ``_`` as a space.

    Examples
    --------
    >>> folded("Zoë_Saldaña")
    'zoe saldana'
    """
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return plain.replace("_", " ").casefold()
