"""Make a model version from the enabled faces of a project, and promote it where it may be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facerec_models.config import EmbeddingConfig, IdentificationConfig, TrainingConfig
from facerec_models.errors import ConflictError, GalleryMismatchError, ModelNotFoundError
from facerec_models.files import remove_tree
from facerec_models.identification.cohort import Cohort
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.naming_model import Gallery
from facerec_models.names import STRANGER_PREFIX, short_id
from serving.archive.handle import Archive
from serving.archive.learning.cohort import project_cohort, with_seen_strangers
from serving.archive.learning.evaluation_set import evaluate_version
from serving.archive.learning.gallery import read_gallery
from serving.archive.learning.loaded_models import promoted_version
from serving.archive.learning.missing_vectors import embed_missing
from serving.archive.naming.identify import promote_learned
from serving.store.naming_rows import Correction, CorrectionKind, StrangerTrack
from serving.store.rows import ModelVersion
from training.progress import FIT_FROM, NoProgress, Progress, stop_if_asked
from training.promotion import Figures, judge
from training.ray_tasks import Workers
from training.train import FittedModel, fit

logger = logging.getLogger(__name__)

Evaluate = Callable[[Archive, str, str], Figures | None]
# It learns at most so often where corrections change meanwhile.
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class FittedVersion:
    """A version that is not stored yet."""

    row: ModelVersion
    fitted: FittedModel

    def write(self, archive: Archive) -> None:
        """Write its files, then its row."""
        self.fitted.save(archive.files.model(self.row.project, self.row.version))
        archive.store.add_model(self.row)


def _cohort(
    archive: Archive,
    project: str,
    gallery: Gallery,
    config: TrainingConfig,
    seen: Sequence[StrangerTrack] | None = None,
) -> Cohort:
    cohort = project_cohort(archive.files, project, gallery.embedder)
    return with_seen_strangers(cohort, archive, project, seen) if config.use_seen_strangers else cohort


def _version(
    project: str,
    gallery: Gallery,
    cohort: Cohort,
    rules: IdentificationConfig,
    config: TrainingConfig,
    corrections: Sequence[Correction],
) -> str:
    """Return the id of a version: the same for the same people, faces, corrections and configuration."""
    # Only who learns needs it, and it takes long to import.
    from facerec_models.identification.classifiers import build_classifier

    params = build_classifier(config.classifier, config.seed).get_params()
    return short_id(
        "m",
        project,
        gallery.embedder,
        config.classifier,
        repr(sorted(params.items())),
        cohort.source,
        str(rules.prior_known),
        *sorted(map("/".join, zip(gallery.face_ids.tolist(), gallery.person_ids.tolist(), strict=True))),
        *sorted(correction.correction_id for correction in corrections),
    )


def train(
    archive: Archive,
    project: str,
    config: TrainingConfig | None = None,
    *,
    workers: Workers | None = None,
    progress: Progress | None = None,
    embedding: EmbeddingConfig | None = None,
    evaluate: Evaluate = evaluate_version,
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

    Returns
    -------
    ModelVersion
        Its metrics say which score a face and a track must reach, whether the cohort could check that, and what the gate decided.

    Raises
    ------
    EmptyGalleryError
        If no face is enabled.
    ConflictError
        If a person whom it learned was forgotten meanwhile: the version is deleted. Also if, each time that it learned, corrections
        changed before the version could be promoted.
    TrainingStoppedError
        If `progress` asked for it.
    """
    config = config or TrainingConfig()
    progress = progress or NoProgress()
    if config.max_false_names is not None:
        limits = dict.fromkeys(("max_false_names_stills", "max_false_names_tracks"), config.max_false_names)
        archive = replace(archive, rules=archive.rules.model_copy(update=limits))
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        with workers or Workers(archive.files.root) as used:
            made, learned = _make(archive, project, config, used, progress, embedding or EmbeddingConfig())
        stop_if_asked(progress)
        made.write(archive)
        row = made.row
        if _promote(archive, row, config, evaluate, learned):
            break
        if attempts == 0:
            raise ConflictError(row.metrics["gate"]["reason"])
    progress.report(1.0)
    logger.info("version %s: %d people, %d faces, %s", row.version, row.people, row.faces, row.classifier)
    return row


def _make(
    archive: Archive,
    project: str,
    config: TrainingConfig,
    workers: Workers,
    progress: Progress,
    embedding: EmbeddingConfig,
) -> tuple[FittedVersion, Learned]:
    """Fit a version of the project's faces, and say what it learned; nothing of it is stored yet."""
    started = time.perf_counter()
    found = embed_missing(
        archive,
        project,
        embedding,
        workers,
        on_progress=lambda done: progress.report(done * FIT_FROM),
        should_stop=progress.should_stop,
    )
    progress.report(FIT_FROM)
    facts = {"embedded_faces": found.embedded, "unusable_faces": found.impossible}
    learned = Learned(read_gallery(archive.store, project), archive.store.list_corrections(project), facts, started)
    return fit_version(archive, project, learned, config, workers, progress), learned


@dataclass(frozen=True, slots=True)
class Learned:
    """What a version is made of, beside the project's cohort.

    Parameters
    ----------
    corrections : sequence of Correction
        With vectors of the gallery's embedder.
    facts : mapping
        What else its metrics say, as JSON values.
    started : float
        When the work began, by `time.perf_counter`.
    seen : sequence of StrangerTrack, optional
        See `serving.archive.learning.cohort.with_seen_strangers`.
    """

    gallery: Gallery
    corrections: Sequence[Correction]
    facts: Mapping[str, Any]
    started: float
    seen: Sequence[StrangerTrack] | None = None


def fit_version(
    archive: Archive,
    project: str,
    learned: Learned,
    config: TrainingConfig,
    workers: Workers,
    progress: Progress,
) -> FittedVersion:
    """Fit a version; nothing of it is stored."""
    gallery, corrections = learned.gallery, learned.corrections
    cohort = _cohort(archive, project, gallery, config, learned.seen)
    version = _version(project, gallery, cohort, archive.rules, config, corrections)
    created_at = time.time()
    fitted = fit(
        gallery,
        cohort,
        _corrections(corrections),
        archive.rules,
        config,
        about={"version": version, "project": project, "created_at": created_at},
        facts=learned.facts,
        started=learned.started,
        workers=workers,
        progress=progress,
    )
    row = ModelVersion(
        version=version,
        project=project,
        created_at=created_at,
        embedder=gallery.embedder,
        classifier=config.classifier,
        people=len(fitted.model.classifier.classes_),
        faces=len(gallery.face_ids),
        directory=archive.files.model_name(project, version),
        metrics=fitted.metrics,
    )
    return FittedVersion(row, fitted)


def _corrections(corrections: Sequence[Correction]) -> Corrections:
    """Return corrections as a model knows them; of strangers it knows only that a track is not one of them."""
    is_not = [c for c in corrections if c.kind is CorrectionKind.IS_NOT]
    apart = [c for c in corrections if c.kind is CorrectionKind.APART]
    denied = [c for c in is_not if not c.person_id.startswith(STRANGER_PREFIX)] + apart
    confirmed = {(c.analysis_id, c.track_id): c.person_id for c in corrections if c.kind is CorrectionKind.IS}
    no_images = frozenset((c.analysis_id, c.track_id) for c in is_not if c.person_id.startswith(STRANGER_PREFIX))
    if not denied:
        return Corrections(confirmed, no_images=no_images)
    people, embeddings = np.array([c.person_id for c in denied]), np.stack([c.embedding for c in denied])
    return Corrections(confirmed, people, embeddings, no_images)


def _require_known(archive: Archive, row: ModelVersion, learned: Learned) -> None:
    """Delete a version that knows a person who was forgotten or renamed meanwhile, and raise `ConflictError`.

    Called when the store knows the version: whoever is forgotten afterwards finds it.
    """
    faces = archive.store.list_faces(row.project)
    known = {face.person_id for face in faces} | {
        correction.person_id for correction in archive.store.list_corrections(row.project)
    }
    enrolled = zip(learned.gallery.face_ids.tolist(), learned.gallery.person_ids.tolist(), strict=True)
    lost = set(enrolled) - {(face.face_id, face.person_id) for face in faces}
    if not lost and {one.person_id for one in learned.corrections} <= known:
        return
    with suppress(ModelNotFoundError):
        archive.store.delete_model(row.project, row.version)
    remove_tree(archive.files.model(row.project, row.version))
    raise ConflictError(
        f"faces or corrections of project {row.project!r} were removed or renamed meanwhile: train again"
    )


def _promote(
    archive: Archive,
    row: ModelVersion,
    config: TrainingConfig,
    evaluate: Evaluate,
    learned: Learned,
) -> bool:
    """Promote a version if it may be, and note why in its metrics; False, and not promoted, if corrections changed since it learned.

    It would take that back. Pictures that were enrolled since are learned by the next version.
    """
    gate: dict[str, Any] = {"promote": config.promote}
    if config.promote == "auto":
        gate.update(
            judge(
                row.version,
                promoted_version(archive.store, row.project),
                lambda version: evaluate(archive, row.project, version),
            )
        )
    promoted = gate.get("passed", config.promote == "yes")
    _note(archive, row, {**gate, "promoted": promoted}, learned)
    if promoted:
        try:
            promote_learned(archive, row, {one.correction_id for one in learned.corrections})
        except GalleryMismatchError:
            raise
        except ConflictError as error:
            _note(archive, row, {**gate, "promoted": False, "reason": str(error)}, learned)
            logger.info("not promoted: %s", error)
            return False
    logger.info("%s: %s", "promoted" if promoted else "not promoted", gate.get("reason", "by hand"))
    return True


def _note(archive: Archive, row: ModelVersion, gate: Mapping[str, Any], learned: Learned) -> None:
    row.metrics["gate"] = dict(gate)
    archive.store.add_model(row)
    _require_known(archive, row, learned)
