"""A project's own strangers: people from the user's world who are enrolled nowhere, beside the cohort that is shipped."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_models.analysis.embedders.manifest import Manifest, added_manifests
from facerec_models.analysis.faces import largest_face
from facerec_models.analysis.networks import Networks
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import AnalysisConfig
from facerec_models.confinement.pictures import is_picture_apart
from facerec_models.errors import InputError
from facerec_models.identification.cohort import Cohort, cohort_file, is_measured, load_cohort, read_cohort, save_cohort
from facerec_models.stills import find_stills
from facerec_models.types import FaceSet, FloatArray
from facerec_models.vectors import normalize
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.naming.aliases import follow_merges
from serving.store.naming_rows import StrangerTrack
from training.make_cohort import are_enough, make_cohort


def project_cohort(files: Files, project: str, embedder: str) -> Cohort:
    """Return the shipped cohort of an embedder with the strangers that were imported into the project."""
    shipped = load_cohort(embedder, files.weights)
    own = own_cohort(files, project, embedder)
    if own is None:
        return shipped
    if len(shipped.stills) == 0:
        return own
    return _joined(shipped, own.stills, own.tracks, f"{shipped.source}; {own.source}")


def with_seen_strangers(
    cohort: Cohort,
    archive: Archive,
    project: str,
    seen: Sequence[StrangerTrack] | None = None,
) -> Cohort:
    """Return a cohort with the strangers who were seen in the project's videos and whom nobody has named.

    An enrolled person whose tracks went unnamed may be among them: that makes limits stricter, never looser. Each stranger
    counts once, by their best face and the mean of their tracks.

    Parameters
    ----------
    seen : sequence of StrangerTrack, optional
        Which strangers tracks show, by default all that the store knows; of a second set, those that were carried to it.
    """
    strangers = {row.stranger_id: row for row in archive.store.list_strangers(project)}
    means = {one: follow_merges(one, strangers) for one in strangers}
    shown = archive.store.list_stranger_tracks(project) if seen is None else seen
    rows = [row for row in shown if row.stranger_id in means and means[row.stranger_id].person_id is None]
    wanted: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        wanted[row.analysis_id].append(row.track_id)
    found = archive.store.pick_tracks(project, wanted)
    by_id = {(analysis_id, track.track_id): track for analysis_id, tracks in found.items() for track in tracks}
    faces: dict[str, list[tuple[float, FloatArray, FloatArray]]] = defaultdict(list)
    for row in rows:
        track = by_id[row.analysis_id, row.track_id]
        quality = float(track.quality[track.embedded[0]]) if len(track.embedded) else -np.inf
        if quality >= archive.rules.min_quality_enrolled:
            faces[means[row.stranger_id].stranger_id].append((quality, track.embeddings[0], row.embedding))
    if not faces:
        return cohort
    stills = np.stack([max(own, key=lambda face: face[0])[1] for own in faces.values()])
    tracks = np.stack([normalize(np.sum([mean for _, _, mean in own], axis=0)) for own in faces.values()])
    seen_here = f"{len(faces)} seen in the project's videos ({_fingerprint(stills, tracks)})"
    return replace(_joined(cohort, stills, tracks, f"{cohort.source}; {seen_here}"), seen=len(stills))


def add_embedder(files: Files, manifest: Path) -> Manifest:
    """Add a user's own network, see `facerec_models.analysis.embedders.adding.add_network`; a cohort of a former one goes."""
    # Here and not above: it brings OpenVINO.
    from facerec_models.analysis.embedders.adding import add_network

    before = added_manifests(files.weights)
    added = add_network(manifest, WeightsRegistry(files.weights))
    if added.name not in before:
        cohort_file(added.name, files.weights).unlink(missing_ok=True)
    return added


def keep_cohort(archive: Archive, cohort: Cohort) -> None:
    """Keep the cohort of an embedder beside its weights; projects with this embedder count its strangers from the next version on."""
    save_cohort(cohort, cohort_file(cohort.embedder, archive.files.weights))
    # Afterwards: who has read the version that it makes, reads the new strangers too.
    for row in archive.store.list_projects():
        if row.embedder == cohort.embedder:
            archive.store.raise_version(row.name)


def _joined(cohort: Cohort, stills: FloatArray, tracks: FloatArray, source: str) -> Cohort:
    stills, tracks = np.concatenate([cohort.stills, stills]), np.concatenate([cohort.tracks, tracks])
    return replace(cohort, stills=stills, tracks=tracks, source=source)


def own_cohort(files: Files, project: str, embedder: str) -> Cohort | None:
    """Return the strangers that were imported into a project; None if there are none."""
    path = files.cohort(project, embedder)
    return read_cohort(path, embedder) if path.is_file() else None


def import_cohort(
    archive: Archive,
    project: str,
    directory: Path,
    networks: Networks,
    analysis: AnalysisConfig,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Add strangers to a project's own; importing the same pictures again adds nothing.

    Whatever fits a version counts them from then on, a correction too: the project's version is raised. Where nothing was measured of
    the embedder yet and the pictures are enough for it, its cohort is made of them, for all projects.

    Parameters
    ----------
    directory : Path
        Pictures directly in it show a stranger each, those in a folder below it one stranger together. Of several faces the largest
        counts; those too poor to be enrolled are left out. Only vectors are kept.

    Returns
    -------
    Cohort
        All strangers of the project's own, or those of the embedder.

    Raises
    ------
    InputError
        If there is no such folder, or no usable face in it.
    WeightsError
        If nothing is known of the embedder, and the pictures are too few to tell.
    """
    if not directory.is_dir():
        raise InputError(f"{str(directory)!r} is no folder; give one with pictures of people whom you will not enrol")
    pictures = sorted(path for path in directory.rglob("*") if path.is_file() and is_picture_apart(path))
    source = f"pictures of {directory.name} ({_digest(pictures)})"
    embedder = networks.embedder.name
    if not is_measured(embedder, archive.files.weights):
        made = _cohort_of(pictures, directory, networks, source, analysis, on_progress)
        if made is not None:
            keep_cohort(archive, made)
            return made
    known = load_cohort(embedder, archive.files.weights)
    if known.source.startswith(source):
        return known
    faces: dict[str, list[tuple[float, FloatArray]]] = defaultdict(list)
    for number, path in enumerate(pictures, 1):
        (found,) = find_stills([(path.name, path)], networks, analysis)
        if isinstance(found, FaceSet) and len(found):
            i = largest_face(found.detections)
            if found.quality[i] >= archive.rules.min_quality_enrolled:
                faces[_whose(path, directory)].append((float(found.quality[i]), found.embeddings[i]))
        if on_progress is not None:
            on_progress(number, len(pictures))
    if not faces:
        raise InputError(
            f"{str(directory)!r} has no picture with a face that is good enough; it has {len(pictures)} pictures"
        )
    stills = np.stack([max(own, key=lambda face: face[0])[1] for own in faces.values()])
    tracks = np.stack([normalize(np.sum([face for _, face in own], axis=0)) for own in faces.values()])
    before = own_cohort(archive.files, project, embedder)
    if before is not None:
        # Kept in half precision: the same face is as good as the same.
        new = (stills @ before.stills.T).max(axis=1) < 0.9999
        if not new.any():
            return before
        stills = np.concatenate([before.stills, stills[new]])
        tracks = np.concatenate([before.tracks, tracks[new]])
    cohort = replace(
        known,
        stills=stills,
        tracks=tracks,
        source=f"{len(stills)} of the project's own ({_fingerprint(stills, tracks)})",
    )
    save_cohort(cohort, archive.files.cohort(project, embedder))
    # Afterwards: who has read the version that it makes, reads the new strangers too.
    archive.store.raise_version(project)
    return cohort


def _cohort_of(
    pictures: Sequence[Path],
    directory: Path,
    networks: Networks,
    source: str,
    analysis: AnalysisConfig,
    on_progress: Callable[[int, int], None] | None,
) -> Cohort | None:
    """Return the cohort that pictures make; None where they are too few."""
    people: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        people[_whose(path, directory)].append(path)
    if not are_enough(people):
        return None

    def tell(done: float) -> None:
        if on_progress is not None:
            on_progress(round(done * len(pictures)), len(pictures))

    try:
        return make_cohort(people, networks, source, analysis, on_progress=tell)
    except InputError:  # too many of them show no face
        return None


def _digest(pictures: Sequence[Path]) -> str:
    """Return what tells one set of pictures from another, by their names and sizes."""
    listed = "\n".join(f"{path.name} {path.stat().st_size}" for path in pictures)
    return hashlib.sha256(listed.encode()).hexdigest()[:12]


def _whose(path: Path, directory: Path) -> str:
    """Return whom a picture shows: all of a folder show one person, and one that is in none a person of its own."""
    inside = path.relative_to(directory)
    return inside.parts[0] if len(inside.parts) > 1 else f"/{path.name}"


def _fingerprint(*vectors: FloatArray) -> str:
    return hashlib.sha256(np.concatenate(vectors).astype(np.float16).tobytes()).hexdigest()[:12]
