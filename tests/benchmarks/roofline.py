"""How far each stage of analysis is from what a core can do: ``python -m tests.benchmarks.roofline VIDEO [--json FILE]``.

On one core, for a second of VIDEO: how often each stage is called, the operations of its network at the shapes that it really gets,
the bytes that it moves at least, and how long it takes by itself, the shortest of several times. What a core can do is measured, too:
a large product of matrices and a large copy, the best of many before and after the rest. The *roofline* of a stage is the lower of two:
the core's operations a second, and the operations for each byte times the memory's bytes a second. Williams, Waterman and Patterson,
*Roofline: an insightful visual performance model for multicore architectures*, CACM 2009.

- *operations*: multiplications and additions of convolutions and matrix products, taken from the compiled network's own layers;
- *bytes*: each such layer, and each pooling, reads its input and weights once and writes its output once; what follows a layer pixel
  by pixel is done with it. A stage without a network reads what it gets and writes what it gives;
- *fixed*: the part of a network's time that a call costs however small it is: the constant of a line through times over operations;
- *bound by*: a network by overhead if that part exceeds what the roofline allows, else by what the roofline is made of. Other stages
  by memory if copying what they read and write would take half their time, else by the instructions that they are made of.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from scipy.optimize import nnls

from facerec_models.analysis.alignment import align, fit_similarity
from facerec_models.analysis.analyze import Analysis, analyze
from facerec_models.analysis.detection import FaceDetector
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.engines.choice import available_cores, has_bf16
from facerec_models.analysis.engines.openvino_network import OpenvinoNetwork
from facerec_models.analysis.networks import Networks, load_networks
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig
from facerec_models.identification.cohort import load_cohort
from facerec_models.types import Detections, FloatArray, ImageArray
from tests.benchmarks.bench import decode, processor
from tests.benchmarks.command import circumstances, say

_EMBEDDER = "dlib-resnet-v1"
_CONFIG = AnalysisConfig.model_validate({part: {"device": "cpu"} for part in ("detection", "embedding")})
_ROUNDS = 3
# Side of the matrices, bytes of what is copied, and how often each is tried: the best counts.
_SIDE, _COPIED, _TRIES = 2048, 2**28, 30
_NUMBER_BYTES = {"f32": 4, "bf16": 2}
_WHOLE, _NEAR = "P-Net, whole frames", "P-Net, near faces"
_NETWORKS = (_WHOLE, _NEAR, "R-Net", "O-Net", "embedder")

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What a network has to do.

    Parameters
    ----------
    operations : int
    numbers : int
        That its layers read and write.
    """

    operations: int
    numbers: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What some cores can do.

    Parameters
    ----------
    operations : dict of str to float
        By precision, in a second.
    copied : float
        Bytes read and written in a second.
    """

    cores: int
    operations: dict[str, float]
    copied: float


@dataclass(slots=True)
class Stage:
    """What a stage does for a second of video, and how long it takes on one core.

    Parameters
    ----------
    fixed_s : float, optional
        Of `seconds`, what does not depend on how much there is to compute.
    """

    name: str
    calls: float = 0.0
    seconds: float = 0.0
    bytes: float = 0.0
    operations: float = 0.0
    precision: str = "f32"
    fixed_s: float | None = None

    def limit_s(self, machine: Machine) -> float:
        """Return the least time that its roofline allows."""
        return max(self.operations / machine.operations[self.precision], self.bytes / machine.copied)

    def bound_by(self, machine: Machine) -> str:
        """Return what it would have to do less of to be faster."""
        least_s = self.limit_s(machine)
        if self.fixed_s is None:
            return "memory" if least_s > self.seconds / 2 else "instructions"
        if self.fixed_s > least_s:
            return "overhead"
        return "memory" if least_s > self.operations / machine.operations[self.precision] else "computing"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.roofline", description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--json", type=Path, help="write what was measured here, too")
    arguments = parser.parse_args()
    say(circumstances())
    say(processor())
    cores = available_cores()
    tries = [[apart(count, measure_machine, count) for count in sorted({1, cores})]]
    stages, whole_s = apart(1, measure_stages, arguments.video)
    wall_s = apart(cores, measure_whole, arguments.video)
    tries += [[apart(count, measure_machine, count) for count in sorted({1, cores})]]
    machines = [best_of(same) for same in zip(*tries, strict=True)]
    for machine in machines:
        peaks = ", ".join(f"{name} {value / 1e9:.0f} GFLOP/s" for name, value in machine.operations.items())
        say(f"{machine.cores} core(s): {peaks}; copying {machine.copied / 1e9:.1f} GB/s")
    report(stages, whole_s, machines[0])
    say(f"  on {cores} core(s) all of it takes {wall_s * 1e3:.1f} ms of wall time for a second")
    if arguments.json is not None:
        rows = [
            asdict(stage) | {"limit_s": stage.limit_s(machines[0]), "bound_by": stage.bound_by(machines[0])}
            for stage in stages
        ]
        found = {"machines": list(map(asdict, machines)), "stages": rows, "one_core_s": whole_s, "all_cores_s": wall_s}
        arguments.json.write_text(json.dumps({"processor": processor()} | found, indent=2) + "\n")


def apart(cores: int, measure: Callable[..., Any], *given: object) -> Any:
    """Measure in a new process that has so many cores."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_stay_on, initargs=(cores,)) as process:
        return process.submit(measure, *given).result()


def _stay_on(cores: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    torch.set_num_threads(cores)


def measure_machine(cores: int) -> Machine:
    """Return what this process's cores can do."""
    a, b, product = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE), torch.empty(_SIDE, _SIDE)
    count = 2 * _SIDE**3
    operations = {"f32": count / least_s(lambda: torch.mm(a, b, out=product))}
    if has_bf16():
        given = ops.parameter([_SIDE, _SIDE], ov.Type.f32)
        model = ov.Model([ops.matmul(given, ops.constant(b.numpy()), False, True)], [given])
        settings = {"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": cores}
        request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
        operations["bf16"] = count / least_s(lambda: request.infer([a.numpy()], share_inputs=True))
    source = torch.rand(_COPIED // 4)
    target = torch.empty_like(source)
    return Machine(cores, operations, 2 * _COPIED / least_s(lambda: target.copy_(source)))


def best_of(machines: Sequence[Machine]) -> Machine:
    """Return the best of what some cores did at several times: others may have kept them busy."""
    operations = {name: max(one.operations[name] for one in machines) for name in machines[0].operations}
    return Machine(machines[0].cores, operations, max(one.copied for one in machines))


def least_s(call: Callable[[], object]) -> float:
    """Return the shortest time of several calls after a first one."""
    call()
    walls = []
    for _ in range(_TRIES):
        begin = time.perf_counter()
        call()
        walls.append(time.perf_counter() - begin)
    return min(walls)


def work_of(model: ov.Model, shape: Sequence[int]) -> Work:
    """Count what a network does with an input of this shape."""
    shaped = model.clone()
    shaped.reshape(list(shape))
    operations = numbers = 0
    for layer in shaped.get_ordered_ops():
        kind = layer.get_type_name()
        if kind not in {"Convolution", "MatMul", "MaxPool", "AvgPool"}:
            continue
        given = [prod(port.get_shape()) for port in layer.inputs()]
        made = prod(layer.output(0).get_shape())
        numbers += sum(given) + made
        if kind == "Convolution":
            filters = layer.input(1).get_shape()
            operations += 2 * made * prod(filters[1:])
        elif kind == "MatMul":
            rows_last = layer.get_attributes()["transpose_a"]
            operations += 2 * made * layer.input(0).get_shape()[-2 if rows_last else -1]
    return Work(operations, numbers)


class _Watch:
    """Keeps what the networks are asked, and how long they take.

    Attributes
    ----------
    is_whole : bool
        Whether the picture that is searched now is a whole frame.
    spent_s : float
        By all calls so far.
    """

    def __init__(self) -> None:
        self.is_whole = True
        self.spent_s = 0.0
        self._networks: dict[str, OpenvinoNetwork] = {}
        self._walls: dict[str, dict[Shape, list[float]]] = defaultdict(lambda: defaultdict(list))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Time every call of a network until the context ends."""
        usual = OpenvinoNetwork.__call__

        def call(network: OpenvinoNetwork, pixels: ImageArray | FloatArray) -> tuple[FloatArray, ...]:
            begin = time.perf_counter()
            outputs = usual(network, pixels)
            wall_s = time.perf_counter() - begin
            self.spent_s += wall_s
            name = self._name(network, pixels)
            self._networks[name] = network
            self._walls[name][pixels.shape].append(wall_s)
            return outputs

        with patch.object(OpenvinoNetwork, "__call__", call):
            yield

    def _name(self, network: OpenvinoNetwork, pixels: ImageArray | FloatArray) -> str:
        """Return which network this is: P-Net alone takes pictures of any size."""
        if network._shape is not None:
            return _WHOLE if self.is_whole else _NEAR
        return {24: "R-Net", 48: "O-Net"}.get(pixels.shape[1], "embedder")

    def stages(self, per_second: float) -> list[Stage]:
        """Sum up the calls of each network; so many of all calls are made for a second of video."""
        return [self._stage(name, per_second) for name in sorted(self._networks, key=_NETWORKS.index)]

    def _stage(self, name: str, per_second: float) -> Stage:
        network = self._networks[name]
        row = Stage(name, precision=network._config["INFERENCE_PRECISION_HINT"])
        works, walls = [], []
        for shape, times in self._walls[name].items():
            works.append(work_of(network._model, shape))
            walls.append(min(times))
            calls = len(times) * per_second
            row.calls += calls
            row.seconds += calls * walls[-1]
            row.operations += calls * works[-1].operations
            row.bytes += calls * works[-1].numbers * _NUMBER_BYTES[row.precision]
        row.fixed_s = row.calls * fixed_s([work.operations for work in works], walls)
        return row


def fixed_s(operations: Sequence[float], walls: Sequence[float]) -> float:
    """Return the constant of the line through times over operations that is nearest in proportion; neither part is negative."""
    y = np.asarray(walls)
    line = np.stack([np.ones(len(y)), np.asarray(operations, np.float64) / 1e9], axis=1) / y[:, None]
    (constant, _), _ = nnls(line, np.ones(len(y)))
    return float(constant)


class _WatchedDetector:
    """Keeps the pictures that a detector is asked about."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self.engine = detector.engine
        self.images: list[ImageArray] = []

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        self.images += images
        return self._detector.detect(images)


class _WatchedEmbedder:
    """Keeps the crops that an embedder is asked about."""

    def __init__(self, embedder: FaceEmbedder) -> None:
        self._embedder = embedder
        self.name, self.dimension, self.template = embedder.name, embedder.dimension, embedder.template
        self.terms, self.engine = embedder.terms, embedder.engine
        self.crops: list[ImageArray] = []

    def embed(self, crops: ImageArray) -> FloatArray:
        self.crops.append(crops)
        return self._embedder.embed(crops)


def measure_whole(video: Path) -> float:
    """Return the wall seconds of a second of video, with all networks warm."""
    networks = load_networks(_CONFIG, Path("none"), _EMBEDDER)
    analysis = _analyse(video, networks)
    walls = [_analyse(video, networks).timing.wall_s for _ in range(_ROUNDS)]
    return min(walls) / _length_s(analysis)


def _analyse(video: Path, networks: Networks) -> Analysis:
    pair = load_cohort(_EMBEDDER).pair
    return analyze(video, _CONFIG, networks.detector, networks.embedder, pair, take_crops=lambda _: None)


def _length_s(analysis: Analysis) -> float:
    return analysis.shots[-1][1] - analysis.shots[0][0]


def measure_stages(video: Path) -> tuple[list[Stage], float]:
    """Return the stages, and the processor seconds that all of analysis takes, for a second of video."""
    networks = load_networks(_CONFIG, Path("none"), _EMBEDDER)
    detector, embedder = _WatchedDetector(networks.detector), _WatchedEmbedder(networks.embedder)
    analysis = _analyse(video, Networks(detector, embedder))
    length_s = _length_s(analysis)
    spent = []
    for _ in range(_ROUNDS):
        begin = time.process_time()
        _analyse(video, networks)
        spent.append((time.process_time() - begin) / length_s)
    stages = [*_reading(video, analysis, length_s), *_finding(networks, detector.images, length_s)]
    stages += [_aligning(networks, detector.images, analysis.timing.faces_embedded, length_s)]
    stages += _describing(networks, embedder.crops, length_s)
    return stages, min(spent)


def _reading(video: Path, analysis: Analysis, length_s: float) -> list[Stage]:
    """Measure decoding, and the conversion of the frames in which faces are sought."""
    walls = []
    for _ in range(_ROUNDS):
        begin = time.process_time()
        decode(video)
        walls.append(time.process_time() - begin)
    count = analysis.timing.frames_decoded
    planes = analysis.info.width * analysis.info.height * 3 // 2
    decoding = Stage("decoding", count / length_s, min(walls) / length_s)
    decoding.bytes = (video.stat().st_size + count * planes) / length_s
    times = []
    with Video(video, _CONFIG.limits) as opened:
        for frame in opened.frames():
            if frame.index % 5 == 0:
                begin = time.perf_counter()
                frame.to_square_frame()
                times.append(time.perf_counter() - begin)
    sampled = analysis.timing.frames_detected / length_s
    converting = Stage("to RGB", sampled, sampled * statistics.median(times), sampled * planes * 3)
    return [decoding, converting]


def _finding(networks: Networks, images: Sequence[ImageArray], length_s: float) -> list[Stage]:
    """Measure the networks that find faces, picture by picture, and what is done around them."""
    watch = _Watch()
    whole = max(image.nbytes for image in images)
    around_s = np.zeros((_ROUNDS, len(images)))
    with watch.listening():
        for walls in around_s:
            for i, image in enumerate(images):
                watch.is_whole = image.nbytes == whole
                spent_s, begin = watch.spent_s, time.perf_counter()
                networks.detector.detect([image])
                walls[i] = time.perf_counter() - begin - (watch.spent_s - spent_s)
    around = Stage("around these networks", len(images) / length_s, float(around_s.min(axis=0).sum()) / length_s)
    around.bytes = sum(image.nbytes for image in images) / length_s
    return [*watch.stages(1 / _ROUNDS / length_s), around]


def _aligning(networks: Networks, images: Sequence[ImageArray], faces: int, length_s: float) -> Stage:
    """Measure how faces are cut out of whole frames."""
    whole = max(image.nbytes for image in images)
    template = networks.embedder.template
    times, moved = [], []
    for image in images:
        if image.nbytes == whole and len(found := networks.detector.detect([image])[0]):
            begin = time.perf_counter()
            crops, _ = align(image, found.landmarks, template)
            times.append((time.perf_counter() - begin) / len(found))
            maps, _ = fit_similarity(found.landmarks, template)
            shown = float((template.size**2 / np.linalg.det(maps[:, :, :2])).mean())
            moved.append(3 * shown + crops[0].nbytes)
    calls = faces / length_s
    return Stage("alignment", calls, calls * statistics.median(times), calls * statistics.mean(moved))


def _describing(networks: Networks, crops: Sequence[ImageArray], length_s: float) -> list[Stage]:
    """Measure the network that describes faces."""
    watch = _Watch()
    with watch.listening():
        for some in [*crops] * _ROUNDS:
            networks.embedder.embed(some)
    return watch.stages(1 / _ROUNDS / length_s)


def report(stages: Sequence[Stage], whole_s: float, machine: Machine) -> None:
    """Print what each stage takes and could take, for a second of video on one core."""
    say()
    heads = (
        f"{'calls':>7}{'GFLOP':>8}{'MB':>8}{'ms':>8}{'fixed':>7}{'GFLOP/s':>9}{'least ms':>10}{'share':>7}  bound by"
    )
    say(f"{'a second of video, one core':<28}{heads}")
    for stage in stages:
        fixed = "" if stage.fixed_s is None else f"{stage.fixed_s * 1e3:.1f}"
        reached = f"{stage.operations / stage.seconds / 1e9:.0f} {stage.precision}" if stage.operations else ""
        least_s = stage.limit_s(machine)
        say(
            f"{stage.name:<28}{stage.calls:7.1f}{stage.operations / 1e9:8.2f}{stage.bytes / 1e6:8.1f}{stage.seconds * 1e3:8.1f}"
            f"{fixed:>7}{reached:>9}{least_s * 1e3:10.2f}{least_s / stage.seconds:7.2f}  {stage.bound_by(machine)}"
        )
    known_s, least_s = sum(stage.seconds for stage in stages), sum(stage.limit_s(machine) for stage in stages)
    say(f"{'all else':<28}{'':30} {(whole_s - known_s) * 1e3:7.1f}")
    say(f"{'all':<28}{'':30} {whole_s * 1e3:7.1f}{'':16}{least_s * 1e3:10.2f}{least_s / whole_s:7.2f}")


if __name__ == "__main__":
    main()
