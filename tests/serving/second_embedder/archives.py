"""An archive of the demonstration's people and reel, and what is compared before and after a change of its embedder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from facerec_models.analysis.networks import Networks
from facerec_models.analysis.weights import DLIB, FACENET_VGGFACE2
from facerec_models.config import AnalysisConfig, EmbeddingConfig, SamplingConfig
from facerec_models.errors import ModelNotFoundError
from serving.archive.coverage import MADE_FROM
from serving.archive.handle import Archive
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current, stored_result
from serving.archive.search.strangers import rank_strangers
from serving.archive.second_embedder.prepare import Prepared, prepare_second_set
from serving.archive.videos import analyze_video, register_video
from serving.store.contract import Store
from serving.store.rows import AnalysisRow
from training.pictures import find_pictures
from training.ray_tasks import TrainingStoppedError, Workers
from ui.demo_material import DemoMaterial

ANALYSIS = AnalysisConfig()
CPU = EmbeddingConfig(device="cpu")
A, B = DLIB.name, FACENET_VGGFACE2.name


def of_fragment(start_s: float, end_s: float) -> AnalysisConfig:
    return ANALYSIS.model_copy(update={"sampling": SamplingConfig(fragment=(start_s, end_s))})


class Here(Workers):
    """Works in this process: what a task does is the same, and a test of the service has a Ray."""

    def map(
        self,
        function: Callable[..., Any],
        batches: Iterable[Any],
        *shared: Any,
        on_done: Callable[[int, Any], None],
        should_stop: Callable[[], bool],
    ) -> list[Any]:
        results = []
        for number, batch in enumerate(batches):
            if should_stop():
                raise TrainingStoppedError("the training was stopped")
            results.append(function(batch, *shared))
            on_done(number, results[-1])
        return results


class StopAt:
    """Asks to stop when a fraction is done."""

    def __init__(self, at: float) -> None:
        self.at, self.seen = at, [0.0]

    def report(self, progress: float) -> None:
        self.seen.append(progress)

    def should_stop(self) -> bool:
        return self.seen[-1] >= self.at


def make_archive(
    archive: Archive,
    networks: Networks,
    material: DemoMaterial,
    videos: Sequence[tuple[Path, AnalysisConfig]],
    facenet_weights: Path,
) -> None:
    """Enrol the demonstration's people, and name videos."""
    archive.files.weights.symlink_to(facenet_weights)
    list(enrol(archive, "p", find_pictures(material.people), networks, ANALYSIS, outliers=None))
    train(archive, "p")
    for file, config in videos:
        video = register_video(archive.store, "p", file, config)
        assign_current(archive, analyze_video(archive, video, config, networks))
    identify_archive(archive, "p")


def ids(store: Store) -> list[str]:
    return [row.analysis_id for row in store.list_analyses("p")]


def prepare(archive: Archive, embedder: str = B, **options: Any) -> Prepared:
    return prepare_second_set(archive, "p", embedder, CPU, **{"workers": Here(archive.files.root), **options})


def visible_state(archive: Archive) -> dict[str, Any]:
    """Return all that the project shows."""
    store = archive.store
    results = {}
    for video in store.list_videos("p"):
        with suppress(ModelNotFoundError):
            result = stored_result(archive, "p", video.video_id, lambda row, *k: f"{row.analysis_id} {k}")
            results[video.video_id] = result.model_dump(exclude={"timing"})
    rounded = json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 5))
    return {
        "results": rounded,
        "latest": store.latest_analyses("p"),
        "strangers": rank_strangers(archive, "p").strangers,
        "appearances": store.list_appearances("p", list(store.latest_analyses("p").values())),
        "promoted": store.get_model("p").version,
        "embedder": store.get_project("p").embedder,
        "faces": [
            (face.face_id, face.embedder, face.status, None if face.embedding is None else face.embedding.tobytes())
            for face in store.list_faces("p")
        ],
        "corrections": [
            (row.correction_id, row.embedder, row.embedding.tobytes()) for row in store.list_corrections("p")
        ],
        "edits": [row.number for row in store.list_edits("p") if row.undone_at is None],
        "renamed": identify_archive(archive, "p", preview=True).to_dict()["people"],
    }


def hidden_state(store: Store) -> dict[str, Any]:
    """Return what undoing must restore beside what is visible."""
    return {
        "analyses": [(row.analysis_id, row.created_at) for row in store.list_analyses("p")],
        "named": [(row.analysis_id, row.names, row.owners.tobytes()) for row in store.list_named("p")],
        "tracks": [(row.analysis_id, row.track_id, row.stranger_id) for row in store.list_stranger_tracks("p")],
        "appearances": store.list_appearances("p", ids(store)),
    }


def pairs(store: Store) -> list[tuple[AnalysisRow, AnalysisRow]]:
    """Return the analyses of the second set, each after the one that it was made from."""
    rows = {row.analysis_id: row for row in store.list_analyses("p")}
    return [(rows[row.summary[MADE_FROM]], row) for row in rows.values() if MADE_FROM in row.summary]
