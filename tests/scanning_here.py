"""An analysis that decodes in this process, for tests that change how it does so."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from facerec_models.analysis.analyze import Analysis, Linker
from facerec_models.analysis.detection import FaceDetector
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.frame_faces import Scan
from facerec_models.analysis.frame_scanner import FrameScanner
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig
from facerec_models.vectors import PairScale


def analyze_here(
    path: Path,
    config: AnalysisConfig,
    detector: FaceDetector,
    embedder: FaceEmbedder,
    pair: PairScale,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Analysis:
    """Do what `analyze` does, without a child; what `on_progress` raises ends it."""
    with Video(path, config.limits, stream=config.sampling.stream) as video:
        scanner = FrameScanner(video, config, detector, embedder)
        linker = Linker(video.info, config, embedder.name, pair, None)
        with closing(scanner.parts()) as parts:
            for part, fraction in parts:
                linker.link(part)
                on_progress(fraction)
        linker.link(Scan(timing=scanner.timing, engines=scanner.engines))
        return linker.result(video.info, complete=video.complete, warnings=video.warnings)
