"""OpenVINO computes what torch computes: each network, every face of pictures, and the vectors of faces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1

from facerec_models.analysis import boxes, cpu_cascade
from facerec_models.analysis.alignment import DLIB_TEMPLATE, align
from facerec_models.analysis.cascade import Cascade
from facerec_models.analysis.cpu_cascade import CascadeNetworks, CpuCascade
from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.engines.choice import has_bf16
from facerec_models.analysis.engines.openvino_network import OpenvinoNetwork, read_or_convert
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import FACENET_VGGFACE2, WeightsRegistry, file_sha256
from facerec_models.config import DetectionConfig, EmbeddingConfig
from facerec_models.types import FloatArray, ImageArray
from tests.builders import sample_picture
from tests.waiting import WAIT_S

CONFIG = DetectionConfig(device="cpu")
# Low enough that hundreds of candidates come through all three networks.
EASY = (0.2, 0.01, 0.001)
needs_bf16 = pytest.mark.skipif(not has_bf16(), reason="this processor has no bfloat16")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without weights: the packaged ones are used."""
    return tmp_path_factory.mktemp("home") / "weights"


@pytest.fixture(scope="module")
def pictures() -> ImageArray:
    """A face, the same in noise, noise, the face at the border, and nothing."""
    whole = sample_picture("astronaut.png")
    astronaut = whole[:300, 50:400]
    noise = np.random.default_rng(0).integers(0, 256, astronaut.shape, np.uint8)
    blank = np.full_like(astronaut, 128)
    return np.stack([astronaut, astronaut // 2 + noise // 2, noise, whole[80:380, 125:475], blank])


@pytest.mark.parametrize("thresholds", [CONFIG.thresholds, EASY])
def test_the_same_faces_are_found(pictures: ImageArray, weights: Path, thresholds: tuple[float, float, float]) -> None:
    config = CONFIG.model_copy(update={"thresholds": thresholds})
    theirs = MtcnnDetector(config.model_copy(update={"engine": "torch"})).detect(list(pictures))
    ours = MtcnnDetector(config.model_copy(update={"engine": "openvino"})).detect(list(pictures))
    total = sum(map(len, theirs))
    assert total >= (100 if thresholds == EASY else 3)
    same = 0
    for mine, other in zip(ours, theirs, strict=True):
        assert len(mine) == len(other)
        if not len(mine):
            continue
        # Boxes of nearly one size may change places.
        order = boxes.iou(mine.boxes, other.boxes).argmax(axis=0)
        assert sorted(order) == list(range(len(mine)))
        off = [np.abs(getattr(mine, name)[order] - getattr(other, name)) for name in ("boxes", "landmarks")]
        same += int(((off[0].max(axis=1) < 0.02) & (off[1].max(axis=(1, 2)) < 0.02)).sum())
        np.testing.assert_allclose(mine.scores[order], other.scores, atol=0.05)
    # Of two candidates that are equally good but for rounding, another one may win.
    assert same >= (0.98 * total if thresholds == EASY else total)


def test_a_picture_whose_sums_need_more_than_four_bytes_is_cut_out_exactly(
    monkeypatch: pytest.MonkeyPatch, pictures: ImageArray, weights: Path
) -> None:
    detector = MtcnnDetector(CONFIG.model_copy(update={"engine": "openvino"}))
    usual = detector.detect([pictures[0]])[0]
    monkeypatch.setattr("facerec_models.analysis.cpu_cascade._MOST_PIXELS", 1)
    (large,) = detector.detect([pictures[0]])
    np.testing.assert_array_equal(usual.boxes, large.boxes)


def test_the_search_is_one_whatever_computes_the_networks(pictures: ImageArray) -> None:
    """Only the networks differ between engines: with torch's own, the search finds what torch's search finds."""
    torch_search = Cascade(
        torch.device("cpu"), min_face_px=CONFIG.min_face_px, thresholds=CONFIG.thresholds, factor=CONFIG.factor
    )

    def network(module: torch.nn.Module):  # type: ignore[no-untyped-def]
        @torch.inference_mode()
        def compute(pixels: FloatArray) -> tuple[FloatArray, ...]:
            given = (torch.from_numpy(pixels).permute(0, 3, 1, 2) - 127.5) / 128
            return tuple(output.numpy() for output in module(given))

        return compute

    networks = CascadeNetworks(*(network(getattr(torch_search, f"_{name}net")) for name in "pro"))
    search = CpuCascade(networks, min_face_px=CONFIG.min_face_px, thresholds=CONFIG.thresholds, factor=CONFIG.factor)
    for mine, other in zip(map(search.find, pictures), torch_search.find(pictures), strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, atol=0.01)


@pytest.fixture(scope="module")
def crops() -> ImageArray:
    """A real face, aligned: as it is, and darker and darker."""
    astronaut = sample_picture("astronaut.png")
    landmarks = MtcnnDetector(CONFIG).detect([astronaut])[0].landmarks[:1]
    return np.concatenate(
        [align((astronaut * (1 - i / 20)).astype(np.uint8), landmarks, DLIB_TEMPLATE)[0] for i in range(11)]
    )


@pytest.mark.parametrize("mirror", [True, False])
def test_the_packaged_network_gives_the_same_vectors(crops: ImageArray, weights: Path, mirror: bool) -> None:
    config = EmbeddingConfig(embedder="dlib", device="cpu", engine="torch", mirror=mirror)
    expected = build_embedder(config, WeightsRegistry(weights)).embed(crops)
    exact = config.model_copy(update={"engine": "openvino", "precision": "fp32"})
    np.testing.assert_allclose(build_embedder(exact, WeightsRegistry(weights)).embed(crops), expected, atol=1e-5)


@needs_bf16
def test_bf16_turns_a_vector_by_less_than_noise_does(crops: ImageArray, weights: Path) -> None:
    config = EmbeddingConfig(embedder="dlib", device="cpu", engine="openvino", precision="fp32")
    exact = build_embedder(config, WeightsRegistry(weights)).embed(crops)
    rounded = build_embedder(config.model_copy(update={"precision": "bf16"}), WeightsRegistry(weights)).embed(crops)
    assert (exact * rounded).sum(axis=1).min() > 0.9998
    assert not np.array_equal(exact, rounded)


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
def test_a_vector_does_not_depend_on_the_batch(crops: ImageArray, weights: Path, precision: str) -> None:
    """What a service batches, and what segments hold, is then bit by bit what one process finds."""
    config = EmbeddingConfig(embedder="dlib", device="cpu", engine="openvino", precision=precision)  # type: ignore[arg-type]
    embedder = build_embedder(config, WeightsRegistry(weights))
    together = embedder.embed(crops)
    np.testing.assert_array_equal(np.concatenate([embedder.embed(crop[None]) for crop in crops]), together)
    np.testing.assert_array_equal(embedder.embed(crops[::-1]), together[::-1])
    assert embedder.embed(crops[:0]).shape == (0, 128)


def test_crops_of_another_size_are_refused(crops: ImageArray, weights: Path) -> None:
    embedder = build_embedder(EmbeddingConfig(embedder="dlib", engine="openvino"), WeightsRegistry(weights))
    with pytest.raises(ValueError, match="150x150"):
        embedder.embed(crops[:, :100])


def test_facenets_architecture_gives_the_same_vectors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = InceptionResnetV1(pretrained=None, classify=True, num_classes=10)
    torch.save(network.state_dict(), tmp_path / "random.pt")
    registry = WeightsRegistry(tmp_path / "weights")
    registry.fetch(FACENET_VGGFACE2.name, source=tmp_path / "random.pt", sha256=file_sha256(tmp_path / "random.pt"))
    crops = np.random.default_rng(0).integers(0, 255, (3, 160, 160, 3), np.uint8)
    config = EmbeddingConfig(device="cpu", engine="torch")
    expected = build_embedder(config, registry).embed(crops)
    exact = config.model_copy(update={"engine": "openvino", "precision": "fp32"})
    np.testing.assert_allclose(build_embedder(exact, registry).embed(crops), expected, atol=1e-4)


_WITHOUT_TORCH = """
import sys
import numpy as np
from facerec_models.analysis.networks import load_networks

from facerec_models.config import AnalysisConfig

config = AnalysisConfig.model_validate({"detection": {"device": "cpu"}, "embedding": {"device": "cpu"}})
networks = load_networks(config, embedder="dlib-resnet-v1")
networks.detector.detect([np.zeros((64, 64, 3), np.uint8)])
networks.embedder.embed(np.zeros((1, 150, 150, 3), np.uint8))
print(networks.detector.engine, "torch" in sys.modules)
"""


def test_a_network_is_converted_once_and_then_needs_no_torch(tmp_path: Path) -> None:
    cache = tmp_path / "facerec" / "networks"

    def run() -> str:
        command = [sys.executable, "-c", _WITHOUT_TORCH]
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=WAIT_S
        ).stdout

    assert run() == "openvino fp32 on cpu True\n"
    kept = sorted(path.name for path in cache.iterdir())
    assert [name.partition("-2")[0][:10] for name in kept] == ["dlib-resne", "mtcnn-onet", "mtcnn-pnet", "mtcnn-rnet"]
    assert run() == "openvino fp32 on cpu False\n"
    assert sorted(path.name for path in cache.iterdir()) == kept


def test_other_weights_are_another_file_and_a_cache_that_cannot_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, cache = tmp_path / "weights", tmp_path / "cache"

    def loaded(value: float) -> float:
        def load() -> torch.nn.Module:
            convolution = torch.nn.Conv2d(3, 1, 1).eval()
            torch.nn.init.constant_(convolution.weight, value)
            torch.nn.init.zeros_(convolution.bias)
            return convolution

        weights.write_text(str(value))
        network = OpenvinoNetwork(read_or_convert("one", [weights], load, (1, 3, 8, 8)), precision="fp32")
        (output,) = network(np.ones((1, 8, 8, 3), np.uint8))
        return float(output[0, 0, 0, 0])

    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert (loaded(1.0), loaded(2.0), loaded(1.0)) == (3.0, 6.0, 3.0)
    kept = sorted((cache / "facerec" / "networks").iterdir())
    assert len(kept) == 2
    # What is damaged is converted again: bytes that are others, and fewer of them.
    whole = kept[0].read_bytes()
    for damaged in (whole[:-1], whole[:2000], whole.replace(np.float32(1).tobytes(), np.float32(9).tobytes())):
        for file in kept:
            file.write_bytes(damaged)
        assert (loaded(1.0), loaded(2.0)) == (3.0, 6.0)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert loaded(5.0) == 15.0


def test_pictures_of_many_sizes_need_no_more_compiled_networks(weights: Path) -> None:
    detector = MtcnnDetector(CONFIG.model_copy(update={"engine": "openvino"}), threads=1)
    picture = sample_picture("astronaut.png")

    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    (found,) = detector.detect([picture[:200, :200]])
    before = threads()
    for side in range(201, 231):
        detector.detect([picture[:side, : side + 60]])
    # R-Net and O-Net meet batches of a few sizes.
    assert threads() - before <= 3 * 12
    assert len(found) == len(detector.detect([picture[:200, :200]])[0])


def test_read_only_crops_are_taken_as_ray_gives_them() -> None:
    embedder = build_embedder(EmbeddingConfig(embedder="dlib", engine="openvino"), WeightsRegistry(Path("no_folder")))
    crops = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), np.uint8)
    found = embedder.embed(crops)
    crops.flags.writeable = False
    np.testing.assert_array_equal(embedder.embed(crops), found)


def test_a_process_leaves_the_choice_of_cores_to_the_system() -> None:
    config = EmbeddingConfig(embedder="dlib", device="cpu", engine="openvino")
    embedder = build_embedder(config, WeightsRegistry(Path("no_folder")), threads=1)
    embedder.embed(np.zeros((1, 150, 150, 3), np.uint8))
    allowed = {
        line for task in Path("/proc/self/task").iterdir() for line in (task / "status").read_text().splitlines()
        if line.startswith("Cpus_allowed_list")
    }  # fmt: skip
    assert len(allowed) == 1


def test_the_largest_sum_of_a_picture_fits_into_four_bytes() -> None:
    assert 255 * cpu_cascade._MOST_PIXELS < 2**31
