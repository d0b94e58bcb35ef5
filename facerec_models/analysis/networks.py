"""The two networks that analysis needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facerec_models.analysis.detection import FaceDetector
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import AnalysisConfig


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks in this process, or proxies of deployments."""

    detector: FaceDetector
    embedder: FaceEmbedder


def load_networks(config: AnalysisConfig, weights: Path, embedder: str | None) -> Networks:
    """Load both networks into this process.

    Parameters
    ----------
    weights : Path
        Folder of downloaded weights.
    embedder : str or None
        The project's embedder, if it has one already; it wins over the configured one.
    """
    # Here and not above: processes that only send pictures to the deployments need no torch, which takes seconds to import.
    from facerec_models.analysis.embedders.torch_embedder import build_embedder, choice_of
    from facerec_models.analysis.mtcnn import MtcnnDetector

    embedding = config.embedding
    if embedder is not None:
        embedding = embedding.model_copy(update={"embedder": choice_of(embedder)})
    return Networks(MtcnnDetector(config.detection), build_embedder(embedding, WeightsRegistry(weights)))
