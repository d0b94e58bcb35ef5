"""Whole videos through decoder, detector, embedder and tracker in one process; this needs PyAV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from facerec_models.analysis.analyze import Analysis, analyze
from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import AnalysisConfig, DetectionConfig, EmbeddingConfig
from facerec_models.identification.cohort import load_cohort
from facerec_models.types import Track
from facerec_models.vectors import track_embedding
from facerec_models.video_writer import VideoWriter
from tests.gpu_check import material
from tests.gpu_check.clock import Clock
from tests.gpu_check.material import Portrait

FPS = 25
_SHOT_S = 2
_SWING = 0.08


def write_clip(path: Path, portraits: Sequence[Portrait], width: int, height: int, length_s: int) -> Path:
    """Write a clip that shows a person for two seconds each, while the picture slowly moves."""
    shots = material.frames(portraits, round(width * (1 + _SWING)), round(height * (1 + _SWING)), length_s // _SHOT_S)
    with VideoWriter(path, FPS, width, height) as writer:
        for shot in shots:
            room = np.array(shot.shape[1::-1]) - (width, height)
            for i in range(FPS * _SHOT_S):
                x, y = (room * (0.5 + 0.5 * math.sin(math.pi * i / (FPS * _SHOT_S)))).astype(int)
                writer.write(np.ascontiguousarray(shot[y : y + height, x : x + width]))
    return path


def compare_chain(
    clips: Sequence[Path], weights: WeightsRegistry, device: torch.device, clock: Clock
) -> list[dict[str, object]]:
    """Analyse each clip on the device, and on the CPU where there is time; return speed, parts and differences."""
    rows: list[dict[str, object]] = []
    for clip in clips:
        if not clock.allows(f"video {clip.name}"):
            continue
        # The first analysis of a size of frames also loads kernels.
        first = _analyze(clip, weights, device)
        found = _analyze(clip, weights, device)
        row = {"clip": clip.name, "first_wall_s": first.timing.wall_s, **_facts(found)}
        # The CPU takes perhaps twenty times as long.
        if device.type == "cpu":
            row["against_the_cpu"] = _differences(first, found)
        elif clock.allows(f"video {clip.name} on the CPU", 20 * found.timing.wall_s):
            expected = _analyze(clip, weights, torch.device("cpu"))
            row["on_the_cpu"] = _facts(expected)
            row["against_the_cpu"] = _differences(expected, found)
        rows.append(row)
    return rows


def _analyze(clip: Path, weights: WeightsRegistry, device: torch.device) -> Analysis:
    name = "cuda" if device.type == "cuda" else "cpu"
    config = AnalysisConfig(
        detection=DetectionConfig(device=name, engine="torch"),
        embedding=EmbeddingConfig(embedder="dlib", device=name, engine="torch"),
    )
    embedder = build_embedder(config.embedding, weights)
    return analyze(clip, config, MtcnnDetector(config.detection), embedder, load_cohort(embedder.name).pair)


def _facts(found: Analysis) -> dict[str, object]:
    timing = found.timing
    length_s = found.shots[-1][1] - found.shots[0][0]
    return {
        "size": f"{found.info.width}x{found.info.height}",
        "length_s": length_s,
        "times_as_fast_as_shown": length_s / timing.wall_s,
        "wall_s": timing.wall_s,
        "decode_s": timing.decode_s,
        "detect_s": timing.detect_s,
        "embed_s": timing.embed_s,
        "frames_decoded": timing.frames_decoded,
        "frames_detected": timing.frames_detected,
        "faces_embedded": timing.faces_embedded,
        "tracks": len(found.tracks),
    }


def _differences(expected: Analysis, found: Analysis) -> dict[str, object]:
    """Compare the tracks that begin in the same shot and frame, in their order."""

    def key(track: Track) -> tuple[int, int, int, float]:
        return (track.shot, int(track.frame_indexes[0]), len(track), float(np.round(track.boxes[0, 0] / 8)))

    a, b = sorted(expected.tracks, key=key), sorted(found.tracks, key=key)
    pairs = [(x, y) for x, y in zip(a, b, strict=False) if np.array_equal(x.frame_indexes, y.frame_indexes)]
    return {
        "tracks": len(a),
        "same_frames": len(pairs),
        "same_shots": expected.shots == found.shots,
        "max_box_px": max((float(np.abs(x.boxes - y.boxes).max()) for x, y in pairs), default=0.0),
        "max_cosine_distance": max((float(1 - track_embedding(x) @ track_embedding(y)) for x, y in pairs), default=0.0),
    }
