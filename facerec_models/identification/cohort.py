"""People who are enrolled nowhere: what a stranger's face scores, measured in advance for each embedder.

The shipped cohort is ``cohorts/<embedder>.npz``; that of another network is made by `training.make_cohort` on the machine that uses
it. Its vectors carry no name and no picture.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import IO

import numpy as np

from facerec_models.errors import GalleryError, WeightsError
from facerec_models.files import AnyPath, write_atomically
from facerec_models.identification.calibration import GenuineScale
from facerec_models.types import FloatArray
from facerec_models.vectors import PairScale

# Fewer enrolled people cannot stand in for strangers.
_LEAST_PEOPLE = 20


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Strangers' embeddings, and what similarities of this embedder mean.

    Parameters
    ----------
    embedder : str
    stills : (M, D) float32
        One photograph of each stranger.
    tracks : (M, D) float32
        The mean of several faces of each, in the same order, as a track gives them.
    pair : PairScale
        For two single faces.
    genuine_stills, genuine_tracks : GenuineScale
        For a face, or a track, against the right person's prototype.
    source : str
        Which pictures this was computed from.
    seen : int
        How many of the last stills are of people who were seen in a project's own videos.
    """

    embedder: str
    stills: FloatArray
    tracks: FloatArray
    pair: PairScale
    genuine_stills: GenuineScale
    genuine_tracks: GenuineScale
    source: str
    seen: int = 0

    @property
    def compared(self) -> FloatArray:
        """The stills that a model may keep: of people who were only seen, who may want to be forgotten, it keeps no vectors."""
        return self.stills[: len(self.stills) - self.seen]


# Without a shipped cohort: similarities of FaceNet as its authors and users report them, not measured by us. Naming then rests on
# the gallery's own people.
_FACENET = (PairScale(0.40, 40.0), GenuineScale(0.80, 0.10), GenuineScale(0.85, 0.08))
_REPORTED = {"facenet-vggface2": _FACENET, "facenet-casia": _FACENET}


def load_cohort(embedder: str, weights: Path = Path("weights")) -> Cohort:
    """Return the cohort of an embedder: the one beside its weights, else the one that is shipped; for FaceNet one without strangers.

    Parameters
    ----------
    weights : Path
        Folder of downloaded weights; see `cohort_file`.

    Raises
    ------
    WeightsError
        If nothing is known of the embedder.
    GalleryError
        If the file beside the weights holds no cohort.

    Examples
    --------
    >>> cohort = load_cohort("dlib-resnet-v1")
    >>> cohort.embedder, cohort.stills.shape[1], len(cohort.stills) > 100
    ('dlib-resnet-v1', 128, True)
    >>> load_cohort("no-such-network")
    Traceback (most recent call last):
    facerec_models.errors.WeightsError: nothing is known of similarities of the embedder 'no-such-network': run ...
    """
    fetched = cohort_file(embedder, weights)
    if fetched.is_file():
        return _read_fetched(fetched, embedder, fetched.stat().st_mtime_ns)
    resource = files("facerec_models") / "cohorts" / f"{embedder}.npz"
    if resource.is_file():
        with resource.open("rb") as file:
            return _read(file, embedder)
    if embedder in _REPORTED:
        nobody = np.zeros((0, 0), np.float32)
        return Cohort(embedder, nobody, nobody, *_REPORTED[embedder], source="the gallery's own people")
    raise WeightsError(
        f"nothing is known of similarities of the embedder {embedder!r}: run 'facerec cohort fetch lfw --embedder {embedder}', or "
        "'facerec cohort import DIR' with pictures of 200 people, two each of at least 20"
    )


def is_measured(embedder: str, weights: Path) -> bool:
    """Whether there is a cohort of this embedder's own, fetched or shipped."""
    return (
        cohort_file(embedder, weights).is_file() or (files("facerec_models") / "cohorts" / f"{embedder}.npz").is_file()
    )


def cohort_file(embedder: str, weights: Path) -> Path:
    """Return where the cohort that was made for an embedder on this machine is, beside its weights."""
    return weights / f"{embedder}.cohort.npz"


@lru_cache(maxsize=4)
def _read_fetched(path: Path, embedder: str, _modified_ns: int) -> Cohort:
    return read_cohort(path, embedder)


def read_cohort(path: AnyPath, embedder: str) -> Cohort:
    """Return what `save_cohort` wrote.

    Raises
    ------
    GalleryError
        If the file holds no cohort.
    """
    try:
        with path.open("rb") as file:
            return _read(file, embedder)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise GalleryError(f"{path} holds no cohort ({error}): remove it and import the strangers again") from error


def _read(file: IO[bytes], embedder: str) -> Cohort:
    with np.load(file, allow_pickle=False) as data:
        if "embedder" in data and (found := str(data["embedder"])) != embedder:
            raise ValueError(f"it is of the embedder {found!r}, not of {embedder!r}")
        return Cohort(
            embedder=embedder,
            stills=data["stills"].astype(np.float32),
            tracks=data["tracks"].astype(np.float32),
            pair=PairScale(*data["pair"].tolist()),
            genuine_stills=GenuineScale(*data["genuine_stills"].tolist()),
            genuine_tracks=GenuineScale(*data["genuine_tracks"].tolist()),
            source=str(data["source"]),
        )


def save_cohort(cohort: Cohort, path: AnyPath) -> None:
    """Write a cohort as ``.npz``, whole or not at all, vectors in half precision."""
    data = io.BytesIO()
    np.savez_compressed(
        data,
        embedder=np.array(cohort.embedder),
        stills=cohort.stills.astype(np.float16),
        tracks=cohort.tracks.astype(np.float16),
        pair=np.array([cohort.pair.midpoint, cohort.pair.slope]),
        genuine_stills=np.array([cohort.genuine_stills.mean, cohort.genuine_stills.deviation]),
        genuine_tracks=np.array([cohort.genuine_tracks.mean, cohort.genuine_tracks.deviation]),
        source=np.array(cohort.source),
    )
    write_atomically(path, data.getvalue())


def require_strangers(cohort: Cohort, people: int) -> None:
    """Raise `GalleryError` if there is nobody to calibrate names with: neither a cohort nor enough people in the gallery."""
    if len(cohort.stills) == 0 and people < _LEAST_PEOPLE:
        raise GalleryError(
            f"there is no cohort of strangers for {cohort.embedder!r}, and {people} people are too few to stand in for one: run "
            f"'facerec cohort fetch lfw --embedder {cohort.embedder}' or 'facerec cohort import', enrol at least {_LEAST_PEOPLE}, or "
            f"begin a project with the embedder 'dlib'"
        )
