"""Make a model version from the enabled faces of a project, and promote it where it may be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facerec_models.config import EmbeddingConfig, IdentificationConfig, TrainingConfig
from facerec_models.errors import ConflictError, GalleryMismatchError, ModelNotFoundError
from facerec_models.identification.classifiers import build_classifier
from facerec_models.identification.cohort import Cohort
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.cross_validation import learn_in_turn
from facerec_models.identification.naming_model import Gallery, NamingModel, fit_model
from facerec_models.names import short_id
from facerec_models.types import STRANGER_PREFIX
from serving.archive.files import Home, remove_tree
from serving.archive.learning.cohort import project_cohort, with_seen_strangers
from serving.archive.learning.evaluation_set import evaluate_version
from serving.archive.learning.gallery import read_gallery
from serving.archive.learning.missing_vectors import embed_missing
from serving.archive.projects import promoted_version
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, StrangerTrack
from serving.store.rows import Face, ModelVersion
from training.learning import FIT_FROM, NoProgress, Progress, stop_if_asked
from training.promotion import Figures, judge
from training.ray_tasks import Workers
from training.train import fit

logger = logging.getLogger(__name__)

Evaluate = Callable[[Store, Home, str, str, IdentificationConfig], Figures | None]
# So often it learns, where something is said each time meanwhile.
_ATTEMPTS = 3


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
    evaluate: Evaluate = evaluate_version,
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
    evaluate : callable
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
        See `serving.archive.learning.cohort.with_seen_strangers`.
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
    version = _version(project, gallery, cohort, rules, config, said)
    created_at = time.time()
    model, metrics = fit(
        gallery,
        cohort,
        _corrections(said),
        home.model(project, version),
        rules,
        config,
        about={"version": version, "project": project, "created_at": created_at},
        facts=learned.facts,
        started=learned.started,
        workers=workers,
        progress=progress,
    )
    return ModelVersion(
        version=version,
        project=project,
        created_at=created_at,
        embedder=gallery.embedder,
        classifier=config.classifier,
        people=len(model.classifier.classes_),
        faces=len(gallery.face_ids),
        directory=home.model_name(project, version),
        metrics=metrics,
    )


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
    evaluate: Evaluate,
    learned: Learned,
) -> bool:
    """Promote a version if it may be, and note why in its metrics; False, and not promoted, if something was said since it learned.

    It would take that back. Pictures that were enrolled since are learned by the next version.
    """
    gate: dict[str, Any] = {"promote": config.promote}
    if config.promote == "auto":
        gate.update(
            judge(
                row.version,
                promoted_version(store, row.project),
                lambda version: evaluate(store, home, row.project, version, rules),
            )
        )
    promoted = gate.get("passed", config.promote == "yes")
    _note(store, home, row, {**gate, "promoted": promoted}, learned)
    if promoted:
        try:
            store.promote_model(row.project, row.version, corrections={one.correction_id for one in learned.said})
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
