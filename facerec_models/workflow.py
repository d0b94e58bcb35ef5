"""The whole way in six functions: load the networks, enrol people, fit a model, analyse a video, name who is in it, publish it.

Each function joins what the other modules do, with defaults that suit a first run. Every part can be used by itself as well: see
`facerec_models.analysis` and `facerec_models.identification`.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facerec_models.analysis.analyze import Analysis
from facerec_models.analysis.analyze import analyze as analyze_file
from facerec_models.analysis.faces import clearly_largest_face
from facerec_models.analysis.networks import Networks
from facerec_models.analysis.weights import file_sha256
from facerec_models.build_result import StrangerLabel, build_result, owner_of, stranger_id
from facerec_models.config import AnalysisConfig, IdentificationConfig
from facerec_models.confinement.pictures import is_picture_apart
from facerec_models.errors import EmptyGalleryError, InputError
from facerec_models.identification.appearances import build_appearances
from facerec_models.identification.classifiers import DEFAULT_CLASSIFIER
from facerec_models.identification.clustering import group_unknown
from facerec_models.identification.cohort import Cohort, load_cohort
from facerec_models.identification.fit import fit_model
from facerec_models.identification.identify import identify_tracks
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.names import person_id_of, short_id
from facerec_models.result import ModelView, Result, VideoView
from facerec_models.stills import StillResult, find_stills, name_still
from facerec_models.types import Appearance, FaceSet, FloatArray, Match, Track


class Enrolment(NamedTuple):
    """The people of a folder.

    Parameters
    ----------
    gallery : Gallery
        The faces that were taken; a face's id is the path of its picture in the folder.
    refused : dict of str to str
        Why each other picture was not taken, by its path in the folder.
    """

    gallery: Gallery
    refused: dict[str, str]


def enrol(
    directory: str | Path,
    networks: Networks,
    config: AnalysisConfig = AnalysisConfig(),
    rules: IdentificationConfig = IdentificationConfig(),
) -> Enrolment:
    """Enrol the people of a folder that holds a folder of pictures for each person.

    A picture is taken if it shows one face, or one face that is at least twice as wide as every other, and if that face is good enough
    to learn from. What else lies in a person's folder, folders too, is refused. Names that begin with a dot are left out.

    Parameters
    ----------
    directory : str or Path
        ``DIR/<Person_Name>/*``: the name of the folder is the person's.
    networks : Networks
        See `load_networks`.
    rules : IdentificationConfig
        Its `min_quality_enrolled` is the least quality of a face.

    Returns
    -------
    Enrolment
        The gallery, and the pictures that were refused with the reason for each.

    Raises
    ------
    InputError
        If there is no such folder.
    EmptyGalleryError
        If no picture in it could be taken.

    Examples
    --------
    >>> import facerec_models as fr
    >>> fr.enrol("people", fr.load_networks())
    Traceback (most recent call last):
    facerec_models.errors.InputError: 'people' is no folder: give one with a folder of pictures for each person
    """
    root = Path(directory)
    if not root.is_dir():
        raise InputError(f"{str(directory)!r} is no folder: give one with a folder of pictures for each person")
    taken: list[tuple[str, str, FloatArray]] = []
    refused: dict[str, str] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        try:
            person_id = person_id_of(folder.name)
        except InputError as error:
            refused[folder.name] = str(error)
            continue
        entries = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        pictures = [
            (path.relative_to(root).as_posix(), path) for path in entries if path.is_file() and is_picture_apart(path)
        ]
        others = {path.relative_to(root).as_posix() for path in entries} - {name for name, _ in pictures}
        refused.update((name, "it is no picture") for name in sorted(others))
        for (name, _), found in zip(pictures, find_stills(pictures, networks, config), strict=True):
            face, reason = _face_to_enrol(found, rules)
            if face is None:
                refused[name] = reason
            else:
                taken.append((person_id, name, face))
    if not taken:
        why = "".join(f"; {name}: {reason}" for name, reason in list(refused.items())[:1])
        raise EmptyGalleryError(
            f"{str(directory)!r} has no picture that can be enrolled{why}: put pictures of one face into a folder for each person, "
            f"as {directory}/Ada_Lovelace/1.jpg"
        )
    people, ids, faces = zip(*taken, strict=True)
    return Enrolment(Gallery(networks.embedder.name, np.stack(faces), np.array(people), np.array(ids)), refused)


def _face_to_enrol(found: FaceSet | StillResult, rules: IdentificationConfig) -> tuple[FloatArray | None, str]:
    """Return the embedding of the face to learn from, or the reason why there is none."""
    if isinstance(found, StillResult):
        return None, found.error or ""
    if len(found) == 0:
        return None, "no face was found"
    index = clearly_largest_face(found.detections)
    if index is None:
        return None, f"{len(found)} faces were found, and none is clearly the largest"
    quality = float(found.quality[index])
    if quality < rules.min_quality_enrolled:
        return (
            None,
            f"too small, blurred, turned or cut off: quality {quality:.2f}, least {rules.min_quality_enrolled:.2f}",
        )
    return found.embeddings[index], ""


def fit(
    gallery: Gallery,
    *,
    classifier: str = DEFAULT_CLASSIFIER,
    cohort: Cohort | None = None,
    weights: Path = Path("weights"),
    rules: IdentificationConfig = IdentificationConfig(),
) -> NamingModel:
    """Make the model that names faces against a gallery.

    Parameters
    ----------
    classifier : str
        ``prototype``, ``svm``, ``knn``, ``rf`` or ``softmax``.
    cohort : Cohort, optional
        Strangers to calibrate with; by default those beside the embedder's weights, or that are shipped for it.
    weights : Path
        Folder of downloaded weights, as of `load_networks`.
    rules : IdentificationConfig
        Its `prior_known` is the assumed fraction of faces that belong to enrolled people.

    Raises
    ------
    EmptyGalleryError, GalleryError, GalleryMismatchError
        As `facerec_models.identification.fit.fit_model` raises them.

    Examples
    --------
    >>> import facerec_models as fr
    >>> import numpy as np
    >>> faces = np.eye(128, dtype=np.float32)[:2]
    >>> model = fr.fit(fr.Gallery("dlib-resnet-v1", faces, ["Ada_Lovelace", "Alan_Turing"], ["a/1.jpg", "b/1.jpg"]))
    >>> model.classifier.classes_.tolist()
    ['Ada_Lovelace', 'Alan_Turing']
    """
    strangers = load_cohort(gallery.embedder, weights) if cohort is None else cohort
    return fit_model(gallery, strangers, rules.prior_known, classifier=classifier)


def analyze(
    video: str | Path,
    networks: Networks,
    config: AnalysisConfig = AnalysisConfig(),
    *,
    weights: Path = Path("weights"),
    on_progress: Callable[[float], None] | None = None,
) -> Analysis:
    """Find and follow the faces of a video: the heavy part, which depends on no name and need not be done again.

    Parameters
    ----------
    video : str or Path
    networks : Networks
        See `load_networks`.
    weights : Path
        Folder of downloaded weights, as of `load_networks`: the embedder's cohort may be beside them.
    on_progress : callable, optional
        Gets the analysed fraction, in [0, 1].

    Raises
    ------
    VideoOpenError, VideoDecodeError, LimitExceededError
        If the file is no video that can be read.

    Examples
    --------
    >>> import facerec_models as fr
    >>> fr.analyze("no_such_clip.mp4", fr.load_networks())
    Traceback (most recent call last):
    facerec_models.errors.VideoOpenError: ...
    """
    pair = load_cohort(networks.embedder.name, weights).pair
    return analyze_file(Path(video), config, networks.detector, networks.embedder, pair, on_progress=on_progress)


def identify(
    analysis: Analysis,
    model: NamingModel,
    rules: IdentificationConfig = IdentificationConfig(),
    *,
    max_false_names: float | None = None,
) -> list[Appearance]:
    """Name who is in an analysed video, and when: cheap, and done again whenever the model or a limit changes.

    Tracks of one person that follow each other are one appearance. So are tracks of one stranger.

    Parameters
    ----------
    max_false_names : float, optional
        Accepted fraction of strangers' tracks that get any name; ``rules.max_false_names_tracks`` by default.

    Returns
    -------
    list of Appearance
        By start. `Appearance.match` has the decision; its `person_id` is None for a stranger and where the face is undecidable.

    Raises
    ------
    GalleryMismatchError
        If the video and the gallery were embedded with different networks.
    """
    matches = _match(analysis, model, rules, max_false_names)
    strangers = _number_strangers(analysis, matches, model)
    owners = [owner_of(t, m, strangers.get(t.track_id)) for t, m in zip(analysis.tracks, matches, strict=True)]
    return build_appearances(analysis.tracks, matches, owners, analysis.period_s)


def identify_pictures(
    pictures: Sequence[str | Path],
    networks: Networks,
    model: NamingModel,
    config: AnalysisConfig = AnalysisConfig(),
    rules: IdentificationConfig = IdentificationConfig(),
    *,
    max_false_names: float | None = None,
) -> list[StillResult]:
    """Name the faces of pictures.

    Parameters
    ----------
    max_false_names : float, optional
        Accepted fraction of strangers' faces that get any name; ``rules.max_false_names_stills`` by default.

    Returns
    -------
    list of StillResult
        In the order of the pictures. One that cannot be read has the reason as its `error`.

    Raises
    ------
    GalleryMismatchError
        If these networks are not the ones that the gallery was embedded with.

    Examples
    --------
    >>> import facerec_models as fr
    >>> import numpy as np
    >>> model = fr.fit(fr.Gallery("dlib-resnet-v1", np.eye(128, dtype=np.float32)[:1], ["Ada_Lovelace"], ["a/1.jpg"]))
    >>> [picture] = fr.identify_pictures(["no_such_picture.jpg"], fr.load_networks(), model)
    >>> picture.error
    "there is no file 'no_such_picture.jpg'; check the path"
    """
    model.check_embedder(networks.embedder.name)
    named = [(str(path), Path(path)) for path in pictures]
    found = find_stills(named, networks, config)
    return [
        name_still(name, faces, model, rules, max_false_names) for (name, _), faces in zip(named, found, strict=True)
    ]


def result_of(
    analysis: Analysis,
    model: NamingModel,
    rules: IdentificationConfig = IdentificationConfig(),
    *,
    max_false_names: float | None = None,
    project: str = "default",
) -> Result:
    """Return the published document of a video, ``facerec.result/1``: who, when and on what evidence.

    Unlike that of the service it needs no server to show its faces: the address of each is a ``data:`` URL that holds the picture.

    Parameters
    ----------
    analysis : Analysis
        Its video must still be there: the document has its checksum.
    max_false_names : float, optional
        As in `identify`.
    project : str
        Name that the document and the ids of strangers have.

    Raises
    ------
    GalleryMismatchError
        If the video and the gallery were embedded with different networks.
    """
    started = time.perf_counter()
    limit = rules.max_false_names_tracks if max_false_names is None else max_false_names
    matches = _match(analysis, model, rules, limit)
    path = analysis.info.path.resolve()
    sha256 = file_sha256(path)
    tracks = {track.track_id: track for track in analysis.tracks}
    strangers: dict[int, StrangerLabel] = {}
    ids: dict[int, str] = {}
    for track_id, number in _number_strangers(analysis, matches, model).items():
        ids.setdefault(number, stranger_id(project, sha256, *_first_seen(tracks[track_id])))
        strangers[track_id] = StrangerLabel(ids[number], number)
    snapshot = json.dumps(model.gallery.snapshot(), sort_keys=True)
    version = short_id("m", model.gallery.embedder, model.classifier.name, snapshot)
    return build_result(
        analysis,
        matches,
        video=VideoView.of(
            analysis, video_id=short_id("v", project, sha256), name=path.name, uri=path.as_uri(), sha256=sha256
        ),
        analysis_id=None,
        project=project,
        revision=short_id("r", project, version, repr(limit)),
        model=model,
        model_view=ModelView.of(model, version, analysis, limit, model.prior_known),
        strangers=strangers,
        crop_url=lambda track_id, k: _data_url(tracks[track_id].crops[k]),
        identify_s=time.perf_counter() - started,
    )


def _match(
    analysis: Analysis, model: NamingModel, rules: IdentificationConfig, max_false_names: float | None
) -> list[Match]:
    model.check_embedder(analysis.embedder)
    return identify_tracks(analysis.tracks, model, rules, max_false_names=max_false_names)


def _number_strangers(analysis: Analysis, matches: Sequence[Match], model: NamingModel) -> dict[int, int]:
    """Return which stranger each unknown track shows, by track id, numbered from 1 in the order in which they come."""
    columns = TrackColumns.of(analysis.tracks)
    found = group_unknown(columns, matches, model.pair)
    return {int(columns.track_ids[row]): number for row, number in found.items()}


def _first_seen(track: Track) -> tuple[int, FloatArray]:
    return int(track.frame_indexes[0]), track.boxes[0]


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
