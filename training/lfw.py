"""Labeled Faces in the Wild: photographs of some 5,700 people from the news, many of them several times.

Huang et al., *Labeled Faces in the Wild: A Database for Studying Face Recognition in Unconstrained Environments*, University of
Massachusetts, Amherst, Technical Report 07-49, 2007. scikit-learn downloads it (200 MB) and keeps it where it keeps its data.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from facerec_models.errors import InputError, SourceError

SOURCE = "Labeled Faces in the Wild"
# As the collection names its pictures: the person, and a number.
_PICTURE = re.compile(r"(.+)_\d{4}")
# scikit-learn has no function that downloads alone; this many pictures one person has, which are few to load.
_MOST_PICTURES = 500


def fetch_lfw() -> Path:
    """Return scikit-learn's folder of the collection, downloaded where it is not there yet.

    Raises
    ------
    SourceError
        If it cannot be downloaded.
    """
    from sklearn.datasets import fetch_lfw_people, get_data_home

    try:
        home = Path(get_data_home())
        fetch_lfw_people(funneled=False, min_faces_per_person=_MOST_PICTURES)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(
            f"Labeled Faces in the Wild cannot be downloaded ({error}): try again, or give a folder with its pictures with --folder"
        ) from error
    return home / "lfw_home" / "lfw"


def lfw_people(folder: Path, most: int) -> dict[str, list[Path]]:
    """Return pictures of some people, drawn by lot but always the same, by their names.

    Parameters
    ----------
    folder : Path
        Holds pictures called ``Some_Name_0001.jpg``, in folders or not.
    most : int
        Of people.

    Raises
    ------
    InputError
        If no picture in it is called so.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    # By its name: the collection may lie there twice, as it is and aligned.
    for path in {path.stem: path for path in sorted(folder.rglob("*.jpg"))}.values():
        if (name := _PICTURE.fullmatch(path.stem)) is not None:
            found[name[1]].append(path)
    if not found:
        raise InputError(f"{str(folder)!r} holds no picture of Labeled Faces in the Wild, such as Some_Name_0001.jpg")
    drawn = np.random.default_rng(0).permutation(len(found))[:most]
    names = sorted(found)
    return {names[i]: found[names[i]] for i in sorted(drawn.tolist())}
