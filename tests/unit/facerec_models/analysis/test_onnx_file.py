"""ONNX networks that users bring: as good as the same network built in, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from facenet_pytorch import InceptionResnetV1
from torch import nn

import facerec_models as fr
from facerec_models.analysis.embedders.adding import add_network
from facerec_models.analysis.embedders.dlib_resnet import load_dlib_resnet
from facerec_models.analysis.embedders.known import build_embedder, find_embedder, known_templates
from facerec_models.analysis.embedders.manifest import manifest_file
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.weights import DLIB, FACENET_VGGFACE2, WeightsRegistry, WeightsStatus, file_sha256
from facerec_models.config import EmbeddingConfig
from facerec_models.errors import DeviceError, SourceError, WeightsError
from facerec_models.identification.cohort import cohort_file, load_cohort, save_cohort
from facerec_models.types import ImageArray

FP32 = EmbeddingConfig(precision="fp32")
MINE = "my-net"


class Small(nn.Module):
    """Some numbers of a 112 px picture: enough to tell channels, order and scale apart."""

    def __init__(self, outputs: int = 16, *, nhwc: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self._nhwc = nhwc
        self._pool = nn.AvgPool2d(28)
        self._head = nn.Linear(3 * 16, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self._pool(x.permute(0, 3, 1, 2) if self._nhwc else x)
        found: torch.Tensor = self._head(pooled.flatten(1))
        return found


def export(network: nn.Module, path: Path, shape: tuple[int, ...], *, fixed: bool = False, whole: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = None if fixed else ({0: torch.export.Dim("n")},)
    torch.onnx.export(
        network.eval(),
        (torch.rand(shape),),
        path,
        dynamic_shapes=sizes,
        dynamo=True,
        external_data=not whole,
        verbose=False,
    )
    return path


def describe(network: Path, **changes: Any) -> Path:
    """Write a manifest beside a network; a change to None leaves the entry out."""
    said = {
        "name": MINE,
        "file": network.name,
        "sha256": file_sha256(network),
        "input_size": 112,
        "template": "arcface",
        "dimension": 16,
        "licence": "MIT",
        **changes,
    }
    path = network.with_suffix(".yaml")
    path.write_text(yaml.safe_dump({key: value for key, value in said.items() if value is not None}))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(Small(), tmp_path_factory.mktemp("small") / "net.onnx", (2, 3, 112, 112))


@pytest.fixture(scope="module")
def dlib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of weights with the packaged network as a user's own."""
    folder = tmp_path_factory.mktemp("dlib")
    network = load_dlib_resnet(WeightsRegistry(folder).locate(DLIB.name))
    path = export(network, folder / "net.onnx", (2, 3, 150, 150))
    weights = WeightsRegistry(folder / "weights")
    add_network(describe(path, input_size=150, template="dlib", dimension=128, tint=True), weights)
    return weights.directory


@pytest.fixture
def weights(tmp_path: Path) -> WeightsRegistry:
    return WeightsRegistry(tmp_path / "weights")


def pictures(size: int) -> ImageArray:
    return np.random.default_rng(3).integers(0, 256, (5, size, size, 3), np.uint8)


def test_an_exported_network_gives_the_vectors_of_the_built_in_one(dlib: Path) -> None:
    registry = WeightsRegistry(dlib)
    mine = build_embedder(FP32.model_copy(update={"embedder": "onnx"}), registry)
    built_in = build_embedder(FP32.model_copy(update={"embedder": "dlib"}), registry)
    np.testing.assert_allclose(mine.embed(pictures(150)), built_in.embed(pictures(150)), atol=1e-4)
    assert (mine.name, mine.dimension, mine.terms) == (MINE, 128, "MIT")
    assert mine.template == built_in.template
    assert mine.engine == "openvino fp32 on cpu"


def test_pixels_are_normalized_as_the_manifest_says(
    tmp_path: Path, weights: WeightsRegistry, facenet_weights: Path
) -> None:
    network = InceptionResnetV1(pretrained=None)
    known = torch.load(WeightsRegistry(facenet_weights).locate(FACENET_VGGFACE2.name), weights_only=True)
    network.load_state_dict(known)
    path = export(network, tmp_path / "net.onnx", (2, 3, 160, 160))
    add_network(describe(path, input_size=160, template="facenet", dimension=512, mean=127.5, scale=128), weights)
    mine = build_embedder(FP32.model_copy(update={"embedder": MINE}), weights)
    config = FP32.model_copy(update={"embedder": "facenet-vggface2"})
    built_in = build_embedder(config, WeightsRegistry(facenet_weights))
    np.testing.assert_allclose(mine.embed(pictures(160)), built_in.embed(pictures(160)), atol=1e-4)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("nhwc", [False, True])
def test_channels_come_in_the_order_of_the_manifest(
    tmp_path: Path, weights: WeightsRegistry, order: str, nhwc: bool
) -> None:
    network, mean, scale = Small(nhwc=nhwc), (10.0, 20.0, 30.0), (50.0, 60.0, 70.0)
    path = export(network, tmp_path / "net.onnx", (2, 112, 112, 3) if nhwc else (2, 3, 112, 112))
    add_network(describe(path, colour_order=order, mean=[*mean], scale=[*scale]), weights)
    found = build_embedder(FP32.model_copy(update={"embedder": MINE, "mirror": False}), weights).embed(pictures(112))
    pixels = pictures(112)[..., ::-1] if order == "bgr" else pictures(112)
    given = torch.from_numpy((pixels - np.float32(mean)) / np.float32(scale))
    with torch.inference_mode():
        expected = network(given if nhwc else given.permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-4)


def test_adding_again_changes_nothing_and_another_needs_another_name(small: Path, weights: WeightsRegistry) -> None:
    first = add_network(describe(small), weights)
    assert add_network(describe(small), weights) == first
    assert sorted(path.name for path in weights.directory.iterdir()) == [f"{MINE}.manifest.json", f"{MINE}.onnx"]
    with pytest.raises(WeightsError, match="give this one another name"):
        add_network(describe(small, mean=1.0), weights)
    assert find_embedder("onnx", weights).name == MINE
    add_network(describe(small, name="another"), weights)
    with pytest.raises(WeightsError, match=f"one of another, {MINE}"):
        find_embedder("onnx", weights)
    assert {entry.weights.name: entry.status for entry in weights.entries()}[MINE] is WeightsStatus.PRESENT
    assert {template.size for template in known_templates(weights)} == {112, 150, 160}


def test_without_an_added_network_onnx_says_how_to_add_one(weights: WeightsRegistry) -> None:
    with pytest.raises(WeightsError, match="facerec weights add"):
        build_embedder(EmbeddingConfig(embedder="onnx"), weights)
    with pytest.raises(
        WeightsError, match="no embedder 'nobody' on this machine; known: dlib-resnet-v1, facenet-vggface2"
    ):
        find_embedder("nobody", weights)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "the SHA-256 of"),
        ({"sha256": "short"}, "sha256: "),
        ({"dimension": 32}, "has 0 outputs of 32 numbers"),
        ({"name": "dlib-resnet-v1"}, "stands for a network of FaceRec"),
        ({"name": "onnx"}, "stands for a network of FaceRec"),
        ({"name": "../up"}, "name: "),
        ({"licence": None}, "licence: Field required"),
        ({"template": "dlib"}, "is for an input_size of 150"),
        ({"scale": 0}, "scale"),
        ({"colour": "rgb"}, "colour: Extra inputs"),
        ({"template": [[74, 52], [38, 52], [56, 72], [71, 92], [42, 92]]}, "eye on the left of the picture"),
        ({"template": [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.3, 0.8], [0.7, 0.8]]}, "points are pixels of the input"),
        (
            {"input_size": 150, "template": [[40, 40], [110, 40], [75, 80], [50, 110], [100, 110]]},
            "stored crops of that size",
        ),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_reason(
    small: Path, weights: WeightsRegistry, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(WeightsError, match=reason):
        add_network(describe(small, **changes), weights)
    assert not weights.directory.exists()


@pytest.mark.parametrize("text", [b"\xff\xfe", b"name: [", b"just words"])
def test_what_is_no_manifest_is_told(tmp_path: Path, weights: WeightsRegistry, text: bytes) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(text)
    with pytest.raises(WeightsError, match=str(path)):
        add_network(path, weights)


def test_a_missing_file_is_named(tmp_path: Path, small: Path, weights: WeightsRegistry) -> None:
    with pytest.raises(SourceError, match="cannot read"):
        add_network(tmp_path / "none.yaml", weights)
    with pytest.raises(SourceError, match=r"there is no file .*other\.onnx"):
        add_network(describe(small, file="other.onnx"), weights)


class WithLength(Small):
    """A network that also tells how long each vector was, and first."""

    def forward(self, x: torch.Tensor) -> Any:
        found = super().forward(x)
        return found.norm(dim=1, keepdim=True), found[:, :, None, None]


def test_of_several_outputs_the_embeddings_are_taken(tmp_path: Path, weights: WeightsRegistry) -> None:
    path = export(WithLength(), tmp_path / "net.onnx", (2, 3, 112, 112))
    add_network(describe(path), weights)
    found = build_embedder(FP32.model_copy(update={"embedder": MINE, "mirror": False}), weights).embed(pictures(112))
    with torch.inference_mode():
        given = torch.from_numpy(pictures(112)).float().permute(0, 3, 1, 2)
        _, expected = WithLength()(given)
    flat = expected.numpy().reshape(5, 16)
    np.testing.assert_allclose(found, flat / np.linalg.norm(flat, axis=1, keepdims=True), atol=1e-4)


class Noisy(Small):
    """As a network that was exported for training gives the same crop other vectors in a batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(dim=0, keepdim=True))


class OfTwo(Small):
    """A network that was exported for batches of two."""

    weights = torch.rand(2, 1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x * self.weights)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"no network"), "no ONNX file that OpenVINO reads"),
        (lambda path: export(Small(), path, (2, 3, 112, 112), whole=False), "weights lie in another file"),
        (lambda path: export(OfTwo(), path, (2, 3, 112, 112), fixed=True), "does not compute batches of 112x112"),
        (lambda path: export(Noisy(), path, (2, 3, 112, 112)), "another vector when it is in a batch"),
    ],
)
def test_a_network_that_cannot_embed_is_refused(
    tmp_path: Path, weights: WeightsRegistry, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "net.onnx"
    make(path)
    manifest = describe(path)
    for beside in tmp_path.glob("net.onnx.data"):
        beside.unlink()
    with pytest.raises(WeightsError, match=reason):
        add_network(manifest, weights)
    assert not weights.directory.exists()


def test_a_damaged_file_is_never_used(small: Path, weights: WeightsRegistry) -> None:
    add_network(describe(small), weights)
    (weights.directory / f"{MINE}.onnx").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=rf"damaged.*facerec weights fetch {MINE} .*--source FILE"):
        build_embedder(EmbeddingConfig(embedder=MINE), weights)
    weights.fetch(MINE, source=small)
    assert build_embedder(EmbeddingConfig(embedder=MINE), weights).name == MINE
    manifest_file(weights.directory, MINE).write_text("{")
    with pytest.raises(WeightsError, match=r"my-net\.manifest\.json.*remove it, and add the network again"):
        build_embedder(EmbeddingConfig(embedder=MINE), weights)
    # Nobody else is kept from working.
    assert build_embedder(EmbeddingConfig(embedder="dlib"), weights).name == DLIB.name


@pytest.mark.parametrize("asked", [{"device": "cuda"}, {"engine": "torch"}])
def test_only_openvino_computes_it(small: Path, weights: WeightsRegistry, asked: dict[str, str]) -> None:
    add_network(describe(small), weights)
    with pytest.raises(DeviceError, match="computed by OpenVINO on the CPU"):
        build_embedder(EmbeddingConfig(embedder=MINE).model_copy(update=asked), weights)


def test_an_exported_network_names_as_the_built_in_one_does(
    dlib: Path, eval_data: Path, detector: MtcnnDetector, tmp_path: Path
) -> None:
    people = sorted(path.name for path in (eval_data / "probes").iterdir())[:8]
    for who in people[:6]:
        (tmp_path / who).symlink_to(eval_data / "gallery" / who)
    probes = [path for who in people for path in sorted((eval_data / "probes" / who).iterdir())[:2]]
    save_cohort(replace(load_cohort(DLIB.name), embedder=MINE), cohort_file(MINE, dlib))
    named = []
    for embedder in (DLIB.name, MINE):
        config = FP32.model_copy(update={"embedder": embedder})
        networks = fr.Networks(detector, build_embedder(config, WeightsRegistry(dlib)))
        model = fr.fit(fr.enrol(tmp_path, networks).gallery, weights=dlib)
        found = fr.identify_pictures(probes, networks, model)
        named.append([[face.person_id for face in picture.faces] for picture in found])
    assert named[0] == named[1]
    assert {who for faces in named[0] for who in faces} >= {None, *people[:4]}
