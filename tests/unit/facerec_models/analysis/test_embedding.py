"""Embedding: the port equals dlib, batches change nothing, and no damaged weights pass."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from facenet_pytorch import InceptionResnetV1
from torch import nn

from facerec_models.analysis.alignment import DLIB_TEMPLATE, FACENET_TEMPLATE, align
from facerec_models.analysis.embedders.dlib_resnet import DlibResNet, read_dat
from facerec_models.analysis.embedders.facenet import load_facenet
from facerec_models.analysis.embedders.known import build_embedder
from facerec_models.analysis.embedders.tint import tint_gray
from facerec_models.analysis.embedders.torch_embedder import TorchEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import DLIB, FACENET_VGGFACE2, WeightsRegistry, file_sha256
from facerec_models.config import DetectionConfig, EmbeddingConfig
from facerec_models.errors import DeviceError, WeightsError
from facerec_models.types import FloatArray, ImageArray


def read_rgb(path: Path) -> ImageArray:
    image = cv2.imread(str(path))
    assert image is not None, path
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


@pytest.fixture(scope="module")
def crops() -> ImageArray:
    """A real face, aligned: as it is, darkened, gray, blurred, out of place, and negative."""
    astronaut = read_rgb(Path(skimage.data.__file__).parent / "astronaut.png")
    found = MtcnnDetector(DetectionConfig(device="cpu")).detect([astronaut])[0]
    landmarks = found.landmarks[:1]
    changed = [
        astronaut,
        (astronaut * 0.6).astype(np.uint8),
        np.repeat(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
        cv2.GaussianBlur(astronaut, (0, 0), 1.5),
        np.roll(astronaut, 12, axis=1),
        255 - astronaut,
    ]
    return np.concatenate([align(np.asarray(image, np.uint8), landmarks, DLIB_TEMPLATE)[0] for image in changed])


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> WeightsRegistry:
    return WeightsRegistry(tmp_path_factory.mktemp("home") / "weights")


@pytest.fixture(scope="module")
def dlib_embedder(registry: WeightsRegistry) -> TorchEmbedder:
    return build_embedder(EmbeddingConfig(embedder="dlib", device="cpu", engine="torch", batch_size=4), registry)


@pytest.fixture(scope="module")
def facenet_registry(tmp_path_factory: pytest.TempPathFactory) -> WeightsRegistry:
    """A registry with a FaceNet of random weights, saved as the release saves its own, ``logits`` included."""
    folder = tmp_path_factory.mktemp("facenet")
    torch.manual_seed(0)
    network = InceptionResnetV1(pretrained=None, classify=True, num_classes=10)
    torch.save(network.state_dict(), folder / "random.pt")
    registry = WeightsRegistry(folder / "weights")
    registry.fetch(FACENET_VGGFACE2.name, source=folder / "random.pt", sha256=file_sha256(folder / "random.pt"))
    return registry


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_port_agrees_with_dlib(crops: ImageArray, registry: WeightsRegistry) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed")
    path = registry.locate(DLIB.name)
    theirs = dlib.face_recognition_model_v1(str(path))
    expected = np.array([theirs.compute_face_descriptor(np.ascontiguousarray(crop)) for crop in tint_gray(crops)])
    embedder = build_embedder(EmbeddingConfig(embedder="dlib", device="cpu", engine="torch", mirror=False), registry)
    raw = embedder.infer(embedder.prepare(crops)).numpy()
    np.testing.assert_allclose(raw, expected, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(crops), unit(expected), atol=1e-5)
    # dlib's own descriptors have free length: finish is what makes them units.
    assert np.linalg.norm(raw, axis=1).min() > 1.2


def test_embeddings_are_unit_vectors(dlib_embedder: TorchEmbedder, crops: ImageArray) -> None:
    embeddings = dlib_embedder.embed(crops)
    assert embeddings.shape == (len(crops), 128)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_face_embeds_alike_alone_and_in_a_batch(dlib_embedder: TorchEmbedder, crops: ImageArray) -> None:
    together = dlib_embedder.embed(crops)
    alone = np.concatenate([dlib_embedder.embed(crop[None]) for crop in crops])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(dlib_embedder.embed(crops[::-1]), together[::-1], atol=1e-5)


def test_mirrored_face_embeds_alike(registry: WeightsRegistry, crops: ImageArray) -> None:
    averaged = build_embedder(EmbeddingConfig(embedder="dlib", device="cpu", engine="torch", mirror=True), registry)
    single = build_embedder(EmbeddingConfig(embedder="dlib", device="cpu", engine="torch", mirror=False), registry)
    flipped = crops[:, :, ::-1]
    np.testing.assert_allclose(averaged.embed(crops), averaged.embed(flipped), atol=1e-5)
    assert np.abs(single.embed(crops) - single.embed(flipped)).max() > 0.01
    mean = (single.infer(single.prepare(crops)) + single.infer(single.prepare(flipped))).numpy() / 2
    np.testing.assert_allclose(averaged.embed(crops), unit(mean), atol=1e-5)


def test_gray_face_stays_near_its_colour(dlib_embedder: TorchEmbedder, crops: ImageArray) -> None:
    embeddings = dlib_embedder.embed(crops)
    colour, dark, gray, blurred, moved, negative = embeddings
    assert min(colour @ dark, colour @ gray, colour @ blurred, colour @ moved) > 0.95
    assert colour @ negative < 0.9


def test_embeddings_of_one_person_are_nearer_than_those_of_two(dlib_embedder: TorchEmbedder, eval_data: Path) -> None:
    detector = MtcnnDetector(DetectionConfig(device="cpu"))
    first, second = [], []
    seen: list[FloatArray]
    for person in sorted(folder for folder in (eval_data / "gallery").iterdir() if len(list(folder.iterdir())) > 2)[:8]:
        seen = []
        for path in sorted(person.iterdir()):
            image = read_rgb(path)
            found = detector.detect([image])[0]
            if len(found) == 1 and len(seen) < 2:
                seen.append(dlib_embedder.embed(align(image, found.landmarks, DLIB_TEMPLATE)[0])[0])
        if len(seen) == 2:
            first.append(seen[0])
            second.append(seen[1])
    similarity = np.stack(first) @ np.stack(second).T
    assert len(similarity) >= 6
    np.testing.assert_array_equal(similarity.argmax(axis=1), np.arange(len(similarity)))
    different = similarity[~np.eye(len(similarity), dtype=bool)]
    assert np.median(np.diag(similarity)) > 0.93 > np.median(different)


def test_no_crop_gives_no_embedding(dlib_embedder: TorchEmbedder) -> None:
    embeddings = dlib_embedder.embed(np.zeros((0, 150, 150, 3), np.uint8))
    assert embeddings.shape == (0, 128)
    assert embeddings.dtype == np.float32


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (np.zeros((2, 160, 160, 3), np.uint8), "2x160x160x3 uint8"),
        (np.zeros((150, 150, 3), np.uint8), "150x150x3 uint8"),
        (np.zeros((1, 150, 150, 3), np.float32), "1x150x150x3 float32"),
    ],
)
def test_wrong_crops_are_refused_naming_both_shapes(
    dlib_embedder: TorchEmbedder, wrong: ImageArray, named: str
) -> None:
    with pytest.raises(ValueError, match=f"Nx150x150x3 uint8, not {named}"):
        dlib_embedder.embed(wrong)


def test_read_only_crops_neither_warn_nor_change(dlib_embedder: TorchEmbedder, crops: ImageArray) -> None:
    frozen = crops[:1].copy()
    frozen.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dlib_embedder.embed(frozen)
    np.testing.assert_array_equal(frozen, crops[:1])


def test_batches_are_bounded(crops: ImageArray) -> None:
    class Recorder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.dtype == torch.float32
            assert x.is_contiguous(memory_format=torch.channels_last)
            self.sizes.append(len(x))
            return x.mean(dim=(2, 3))

    network = Recorder()
    embedder = TorchEmbedder(
        network,
        name="mean-colour",
        dimension=3,
        template=DLIB_TEMPLATE,
        terms="",
        engine="",
        device=torch.device("cpu"),
        batch_size=4,
        mirror=False,
    )
    np.testing.assert_allclose(embedder.embed(crops), unit(crops.mean(axis=(1, 2))), atol=1e-4)
    assert network.sizes == [4, 2]


def cut(data: bytes) -> bytes:
    return data[:-1]


def longer(data: bytes) -> bytes:
    return data + b"\0"


def other_filters(data: bytes) -> bytes:
    """Change the first convolution's kernel size, 7, right after its parameters."""
    at = data.index(bytes.fromhex("01200107010701020102"))
    return data[: at + 3] + b"\5" + data[at + 4 :]


def other_layer(data: bytes) -> bytes:
    return data.replace(b"relu_", b"prelu", 1)


def other_loss(data: bytes) -> bytes:
    return data.replace(b"loss_metric_2", b"loss_metric_3", 1)


@pytest.mark.parametrize("damage", [cut, longer, other_filters, other_layer, other_loss, lambda data: b""])
def test_deviating_dat_is_refused(registry: WeightsRegistry, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "network.dat"
    data = registry.locate(DLIB.name).read_bytes()
    assert damage(data) != data
    path.write_bytes(damage(data))
    with pytest.raises(WeightsError, match=r"network\.dat is not dlib's face network: .* near byte \d+"):
        read_dat(path)


def test_dat_fills_every_parameter(registry: WeightsRegistry) -> None:
    arrays = read_dat(registry.locate(DLIB.name))
    assert {name: array.shape for name, array in arrays.items()} == {
        name: tuple(parameter.shape) for name, parameter in DlibResNet().state_dict().items()
    }
    with pytest.raises(WeightsError, match="No such file"):
        read_dat(Path("/nonexistent/network.dat"))


def test_changed_bytes_in_the_weights_are_refused(tmp_path: Path, registry: WeightsRegistry) -> None:
    """One flipped bit in a weight parses, so only the checksum sees it."""
    torn = WeightsRegistry(tmp_path)
    data = bytearray(registry.locate(DLIB.name).read_bytes())
    data[1_000_000] ^= 1
    (tmp_path / DLIB.file).write_bytes(data)
    read_dat(tmp_path / DLIB.file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(WeightsError, match="damaged"):
            build_embedder(EmbeddingConfig(embedder="dlib", device="cpu", engine="torch"), torn)


def test_auto_takes_facenet_where_it_is_and_dlib_elsewhere(
    registry: WeightsRegistry, facenet_registry: WeightsRegistry
) -> None:
    assert build_embedder(EmbeddingConfig(device="cpu", engine="torch"), registry).name == "dlib-resnet-v1"
    chosen = build_embedder(EmbeddingConfig(device="cpu", engine="torch"), facenet_registry)
    assert (chosen.name, chosen.dimension, chosen.template) == ("facenet-vggface2", 512, FACENET_TEMPLATE)
    assert "VGGFace2" in chosen.terms


def test_auto_never_hides_damaged_weights(facenet_registry: WeightsRegistry, tmp_path: Path) -> None:
    shutil.copytree(facenet_registry.directory, tmp_path / "weights")
    (tmp_path / "weights" / FACENET_VGGFACE2.file).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged"):
        build_embedder(EmbeddingConfig(device="cpu", engine="torch"), WeightsRegistry(tmp_path / "weights"))


def test_named_facenet_that_is_absent_is_an_error(registry: WeightsRegistry) -> None:
    with pytest.raises(WeightsError, match="facerec weights fetch facenet-casia"):
        build_embedder(EmbeddingConfig(embedder="facenet-casia", device="cpu", engine="torch"), registry)


def test_facenet_loads_all_but_the_logits(facenet_registry: WeightsRegistry) -> None:
    """The embedding equals that of the library's own network, fed as the library feeds it."""
    path = facenet_registry.locate(FACENET_VGGFACE2.name)
    state = torch.load(path, weights_only=True)
    assert "logits.weight" in state
    network = InceptionResnetV1(pretrained=None, classify=True, num_classes=10)
    network.load_state_dict(state)
    network.classify = False
    crops = np.random.default_rng(0).integers(0, 255, (3, 160, 160, 3), np.uint8)
    with torch.inference_mode():
        expected = network.eval()((torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 127.5) / 128).numpy()
    embedder = build_embedder(EmbeddingConfig(device="cpu", engine="torch", mirror=False), facenet_registry)
    np.testing.assert_allclose(embedder.embed(crops), expected, atol=1e-5)
    assert embedder.embed(crops[:0]).shape == (0, 512)


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return pytest.fail, ("a pickle ran",)


@pytest.mark.parametrize("content", ["code", "text", "tensor", "partial", "list"])
def test_what_is_no_facenet_is_refused(facenet_registry: WeightsRegistry, tmp_path: Path, content: str) -> None:
    path = tmp_path / "facenet.pt"
    state = torch.load(facenet_registry.locate(FACENET_VGGFACE2.name), weights_only=True)
    state.pop("last_linear.weight")
    if content == "text":
        path.write_text("not weights")
    else:
        torch.save({"code": Evil(), "tensor": torch.zeros(3), "partial": state, "list": [1]}[content], path)
    with pytest.raises(WeightsError, match=r"facenet\.pt holds no weights"):
        load_facenet(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_that_is_not_there_is_an_error(registry: WeightsRegistry) -> None:
    with pytest.raises(DeviceError, match="no CUDA device"):
        build_embedder(EmbeddingConfig(embedder="dlib", device="cuda"), registry)


def test_checksum_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()
