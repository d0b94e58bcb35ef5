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


def load_networks(
    config: AnalysisConfig = AnalysisConfig(), weights: Path = Path("weights"), embedder: str | None = None
) -> Networks:
    """Load both networks into this process.

    Parameters
    ----------
    config : AnalysisConfig
        Its `detection` and `embedding` choose the device and the embedder. The default embedder needs no download.
    weights : Path
        Folder of downloaded weights.
    embedder : str, optional
        Name of an embedder that must be used, such as the one of a gallery; it wins over the configured one.

    Raises
    ------
    WeightsError
        If the weights of the embedder are not there or damaged.
    DeviceError
        If the device or engine that is asked for is not there.

    Examples
    --------
    >>> load_networks(embedder="dlib-resnet-v1").embedder.dimension
    128
    """
    # Here and not above: processes that only send pictures to the deployments need no torch, which takes seconds to import.
    from facerec_models.analysis.embedders.known import build_embedder
    from facerec_models.analysis.mtcnn import MtcnnDetector

    embedding = config.embedding
    if embedder is not None:
        embedding = embedding.model_copy(update={"embedder": embedder})
    return Networks(MtcnnDetector(config.detection), build_embedder(embedding, WeightsRegistry(weights)))
