"""Make a model version from the enabled faces of a project.

``facerec train`` and the service's training jobs call `train`. It also runs by itself, and so as a job of a Ray cluster::

    python -m training.train --project P
    ray job submit --address http://127.0.0.1:8265 -- python -m training.train --project P --home H --job-id nightly

With ``--job-id`` the store has a job of this id that tells how far it is and can be cancelled, and the home its log. Exit codes: 0; 1
it failed; 2 usage; 3 the gate kept the promoted version; 130 it was stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np

from facerec_models.classifiers import build_classifier
from facerec_models.cohort import Cohort
from facerec_models.config import EmbeddingConfig, IdentificationConfig, TrainingConfig
from facerec_models.corrections import Corrections
from facerec_models.errors import ConflictError, EmptyGalleryError, GalleryMismatchError, ModelNotFoundError
from facerec_models.gallery import Gallery, NamingModel, fit_model
from facerec_models.held_out import learn_in_turn
from facerec_models.model_folder import remove_abandoned
from facerec_models.types import STRANGER_PREFIX
from serving.home import Home, remove_tree
from serving.names import short_id
from serving.store.base import Store
from serving.store.naming_rows import Correction, CorrectionKind, StrangerTrack
from serving.store.rows import Face, FaceStatus, ModelVersion
from training.learning import FIT_FROM, SAVE_FROM, Learner, NoProgress, Progress, stop_if_asked
from training.promotion import Evaluate, judge
from training.reembed import embed_missing
from training.strangers import project_cohort, with_seen_strangers
from training.workers import Workers

logger = logging.getLogger(__name__)

# So often it learns, where something is said each time meanwhile.
_ATTEMPTS = 3


def read_gallery(store: Store, project: str, more: Sequence[Face] = (), less: Collection[str] = frozenset()) -> Gallery:
    """Return the enabled faces of a project.

    Parameters
    ----------
    more : sequence of Face
        Others that are to be taken for enrolled.
    less : collection of str
        Ids of faces that are not to be.

    Raises
    ------
    EmptyGalleryError
        If there is none.
    """
    embedder = store.get_project(project).embedder
    enrolled = sorted(
        [*(f for f in store.list_faces(project, status=FaceStatus.TAKEN) if f.face_id not in less), *more],
        key=lambda face: (face.person_id, face.path, face.face_id),
    )
    faces = [face for face in enrolled if face.embedding is not None and face.embedder == embedder]
    if embedder is None or not faces:
        raise EmptyGalleryError(
            f"project {project!r} has no enabled face to learn from: import people first, as in 'facerec people import DIR'"
        )
    return Gallery(
        embedder,
        np.stack([face.embedding for face in faces if face.embedding is not None]),
        np.array([face.person_id for face in faces]),
        np.array([face.face_id for face in faces]),
    )


def version_of(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    config: TrainingConfig,
    *,
    more: Sequence[Face],
    less: Collection[str],
    said: Sequence[Correction],
) -> str:
    """Return the version that `train` would make with `more` faces enrolled, `less` disabled, and `said` as all corrections."""
    gallery = read_gallery(store, project, more, less)
    return _version(project, gallery, _cohort(store, home, project, gallery, rules, config), rules, config, said)


def fit_preview(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    config: TrainingConfig,
    *,
    more: Sequence[Face],
    less: Collection[str],
    said: Sequence[Correction],
) -> NamingModel:
    """Return the model of `version_of`; nothing is stored, and enrolled faces without a vector are left out.

    In this process, whatever it takes: with a learned classifier that is as long as training.
    """
    gallery = read_gallery(store, project, more, less)
    cohort = _cohort(store, home, project, gallery, rules, config)
    model = fit_model(
        gallery, cohort, rules.prior_known, classifier=config.classifier, seed=config.seed, learn=learn_in_turn
    )
    return replace(model, corrections=_corrections(said))


def _cohort(
    store: Store,
    home: Home,
    project: str,
    gallery: Gallery,
    rules: IdentificationConfig,
    config: TrainingConfig,
    seen: Sequence[StrangerTrack] | None = None,
) -> Cohort:
    cohort = project_cohort(home, project, gallery.embedder)
    return with_seen_strangers(cohort, store, project, rules, seen) if config.use_seen_strangers else cohort


def _version(
    project: str,
    gallery: Gallery,
    cohort: Cohort,
    rules: IdentificationConfig,
    config: TrainingConfig,
    said: Sequence[Correction],
) -> str:
    """Return the id of a version: the same for the same faces, corrections and configuration."""
    params = build_classifier(config.classifier, config.seed).get_params()
    return short_id(
        "m",
        project,
        gallery.embedder,
        config.classifier,
        repr(sorted(params.items())),
        cohort.source,
        str(rules.prior_known),
        *sorted(gallery.face_ids.tolist()),
        *sorted(correction.correction_id for correction in said),
    )


@dataclass(frozen=True, slots=True)
class Unstored:
    """What a version is to learn although the store does not have it yet.

    Parameters
    ----------
    more : sequence of Face
        That are enrolled then.
    less : collection of str
        Ids of faces that are disabled then.
    said : sequence of Correction
        All that hold then.
    new : collection of str
        Ids of those of them that the store does not have.
    """

    more: Sequence[Face]
    less: Collection[str]
    said: Sequence[Correction]
    new: Collection[str]


def train(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    config: TrainingConfig | None = None,
    *,
    workers: Workers | None = None,
    progress: Progress | None = None,
    embedding: EmbeddingConfig | None = None,
    evaluate: Evaluate | None = None,
    unstored: Unstored | None = None,
) -> ModelVersion:
    """Train a project's model; the same faces and configuration give the same version.

    Pictures without a vector are embedded first; all others are as they were. With the classifier ``prototype`` everything is made anew
    in half a second for a thousand people of ten pictures, reading them included, so nothing of an earlier version is reused.

    The version's files are there, whole, before the store knows of it, and the store knows of it before it is promoted: whenever this
    process ends, the version that was promoted before goes on naming.

    Parameters
    ----------
    workers : Workers, optional
        Where what is worth it runs in parallel; by default in a Ray of its own on this machine.
    embedding : EmbeddingConfig, optional
        How pictures are embedded, but for the network, which is the project's.
    evaluate : callable, optional
        Measures a version for the gate, see `training.promotion.judge`; by default on the videos with a truth that the project keeps.
    unstored : Unstored, optional
        What it learns beside what the store has.

    Returns
    -------
    ModelVersion
        Its metrics say which score a face and a track must reach, whether the cohort could check that, and what the gate said.

    Raises
    ------
    EmptyGalleryError
        If no face is enabled.
    ConflictError
        If somebody whom it learned was forgotten meanwhile: the version is deleted. Also if, each time that it learned, something was
        said or taken back before the version could be promoted.
    TrainingStoppedError
        If `progress` said so.
    """
    config = config or TrainingConfig()
    progress = progress or NoProgress()
    if config.max_false_names is not None:
        rules = rules.model_copy(
            update=dict.fromkeys(("max_false_names_stills", "max_false_names_tracks"), config.max_false_names)
        )
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        with workers or Workers(home.root) as used:
            row, learned = _make(
                store, home, project, rules, config, used, progress, embedding or EmbeddingConfig(), unstored
            )
        stop_if_asked(progress)
        store.add_model(row)
        if _promote(store, home, row, rules, config, evaluate, learned):
            break
        if attempts == 0:
            raise ConflictError(row.metrics["gate"]["reason"])
    progress.report(1.0)
    logger.info("version %s: %d people, %d faces, %s", row.version, row.people, row.faces, row.classifier)
    return row


def _make(
    store: Store,
    home: Home,
    project: str,
    rules: IdentificationConfig,
    config: TrainingConfig,
    workers: Workers,
    progress: Progress,
    embedding: EmbeddingConfig,
    unstored: Unstored | None,
) -> tuple[ModelVersion, Learned]:
    """Fit and write a version of the project's faces, and say what it learned; the store does not know of it yet."""
    started = time.perf_counter()
    found = embed_missing(
        store,
        home,
        project,
        embedding,
        workers,
        on_progress=lambda done: progress.report(done * FIT_FROM),
        should_stop=progress.should_stop,
    )
    progress.report(FIT_FROM)
    facts = {"embedded_faces": found.embedded, "unusable_faces": found.impossible}
    if unstored is None:
        learned = Learned(read_gallery(store, project), store.list_corrections(project), facts, started)
    else:
        gallery = read_gallery(store, project, unstored.more, unstored.less)
        new = frozenset(face.face_id for face in unstored.more).union(unstored.new)
        learned = Learned(gallery, unstored.said, facts, started, new=new)
    return fit_version(store, home, project, learned, rules, config, workers, progress), learned


@dataclass(frozen=True, slots=True)
class Learned:
    """What a version is made of, beside the project's cohort.

    Parameters
    ----------
    said : sequence of Correction
        With vectors of the gallery's embedder.
    facts : mapping
        What else its metrics say, as JSON values.
    started : float
        When the work began, by `time.perf_counter`.
    seen : sequence of StrangerTrack, optional
        See `training.strangers.with_seen_strangers`.
    new : collection of str
        Ids of faces and corrections that the store does not have yet.
    """

    gallery: Gallery
    said: Sequence[Correction]
    facts: Mapping[str, Any]
    started: float
    seen: Sequence[StrangerTrack] | None = None
    new: Collection[str] = frozenset()


def fit_version(
    store: Store,
    home: Home,
    project: str,
    learned: Learned,
    rules: IdentificationConfig,
    config: TrainingConfig,
    workers: Workers,
    progress: Progress,
) -> ModelVersion:
    """Fit and write a version; the store does not know of it yet."""
    gallery, said = learned.gallery, learned.said
    cohort = _cohort(store, home, project, gallery, rules, config, learned.seen)
    logger.info("learning %d faces with %s", len(gallery.face_ids), config.classifier)
    learner = Learner(workers, progress, len(np.unique(gallery.person_ids)))
    model = fit_model(
        gallery, cohort, rules.prior_known, classifier=config.classifier, seed=config.seed, learn=learner.learn
    )
    model = replace(model, corrections=_corrections(said))
    stop_if_asked(progress)
    progress.report(SAVE_FROM)
    version = _version(project, gallery, cohort, rules, config, said)
    directory = home.model(project, version)
    row = ModelVersion(
        version=version,
        project=project,
        created_at=time.time(),
        embedder=gallery.embedder,
        classifier=config.classifier,
        people=len(model.classifier.classes_),
        faces=len(gallery.face_ids),
        directory=home.model_name(project, version),
        metrics={
            "seconds": time.perf_counter() - learned.started,
            "training": config.model_dump(mode="json", include={"classifier", "seed", "use_seen_strangers"}),
            "cohort": cohort.source,
            "strangers": len(model.stills.strangers),
            **model.facts,
            **learned.facts,
            "limit_stills": model.stills.limit(rules.max_false_names_stills),
            "limit_tracks": model.tracks.limit(rules.max_false_names_tracks),
            "extrapolated_tracks": model.tracks.is_extrapolated(rules.max_false_names_tracks),
        },
    )
    remove_abandoned(directory.parent)
    model.save(
        directory,
        {
            "version": version,
            "project": project,
            "created_at": row.created_at,
            "seed": config.seed,
            "cohort": cohort.source,
            "libraries": {name: installed_version(name) for name in ("facerec", "numpy", "scikit-learn", "scipy")},
            "metrics": row.metrics,
        },
    )
    return row


def _corrections(said: Sequence[Correction]) -> Corrections:
    """Return what people said as a model knows it; of strangers it knows only that a track is not one of them."""
    is_not = [c for c in said if c.kind is CorrectionKind.IS_NOT]
    denied = [c for c in is_not if not c.person_id.startswith(STRANGER_PREFIX)]
    confirmed = {(c.analysis_id, c.track_id): c.person_id for c in said if c.kind is CorrectionKind.IS}
    no_images = frozenset((c.analysis_id, c.track_id) for c in is_not if c.person_id.startswith(STRANGER_PREFIX))
    if not denied:
        return Corrections(confirmed, no_images=no_images)
    people, embeddings = np.array([c.person_id for c in denied]), np.stack([c.embedding for c in denied])
    return Corrections(confirmed, people, embeddings, no_images)


def _require_known(store: Store, home: Home, row: ModelVersion, learned: Learned) -> None:
    """Delete a version that knows somebody who was forgotten meanwhile, and raise `ConflictError`.

    Called when the store knows the version: whoever is forgotten afterwards finds it.
    """
    faces = store.list_faces(row.project)
    known = {face.person_id for face in faces} | {said.person_id for said in store.list_corrections(row.project)}
    lost = set(learned.gallery.face_ids.tolist()) - {face.face_id for face in faces} - set(learned.new)
    if not lost and {said.person_id for said in learned.said if said.correction_id not in learned.new} <= known:
        return
    with suppress(ModelNotFoundError):
        store.delete_model(row.project, row.version)
    remove_tree(home.model(row.project, row.version))
    raise ConflictError(f"faces or corrections of project {row.project!r} were removed meanwhile: train again")


def _promote(
    store: Store,
    home: Home,
    row: ModelVersion,
    rules: IdentificationConfig,
    config: TrainingConfig,
    evaluate: Evaluate | None,
    learned: Learned,
) -> bool:
    """Promote a version if it may be, and note why in its metrics; False, and not promoted, if something was said since it learned.

    It would take that back. Pictures that were enrolled since are learned by the next version.
    """
    gate: dict[str, Any] = {"promote": config.promote}
    if config.promote == "auto":
        if evaluate is None:
            # Here and not above: measuring reads galleries with this module.
            from training.evaluate import evaluate_version

            evaluate = evaluate_version
        gate.update(judge(store, home, row.project, row.version, rules, evaluate))
    promoted = gate.get("passed", config.promote == "yes")
    _note(store, home, row, {**gate, "promoted": promoted}, learned)
    if promoted:
        try:
            store.promote_model(row.project, row.version, said={one.correction_id for one in learned.said})
        except GalleryMismatchError:
            raise
        except ConflictError as error:
            _note(store, home, row, {**gate, "promoted": False, "reason": str(error)}, learned)
            logger.info("not promoted: %s", error)
            return False
    logger.info("%s: %s", "promoted" if promoted else "not promoted", gate.get("reason", "by hand"))
    return True


def _note(store: Store, home: Home, row: ModelVersion, gate: Mapping[str, Any], learned: Learned) -> None:
    row.metrics["gate"] = dict(gate)
    store.add_model(row)
    _require_known(store, home, row, learned)


if __name__ == "__main__":
    # Not this module again under its own name: what tasks are given must be importable by them.
    from training.command import main

    main()
