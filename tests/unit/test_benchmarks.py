"""What the benchmarks count and fit: the measurements themselves are commands."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
import torch
from facenet_pytorch import ONet, PNet, RNet
from openvino import opset13 as ops
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from facerec_models.analysis.embedders.dlib_resnet import DlibResNet
from facerec_models.analysis.engines import openvino_network
from tests.benchmarks.duration import exponent
from tests.benchmarks.roofline import Machine, Stage, Work, fixed_s, work_of

MACHINE = Machine(1, {"f32": 100e9}, 10e9)


def test_a_convolution_is_counted_at_its_shape() -> None:
    given = ops.parameter([-1, 3, -1, -1], ov.Type.f32)
    filters = ops.constant(np.zeros((8, 3, 5, 5), np.float32))
    made = ops.convolution(given, filters, [1, 1], [0, 0], [0, 0], [1, 1])
    model = ov.Model([ops.relu(made)], [given])
    # Each of 8 x 16 x 6 numbers is a sum of 75 products.
    one = Work(2 * 8 * 16 * 6 * 75, 3 * 20 * 10 + 8 * 75 + 8 * 16 * 6)
    assert work_of(model, (1, 3, 20, 10)) == one
    assert work_of(model, (4, 3, 20, 10)) == Work(4 * one.operations, 4 * one.numbers - 3 * 8 * 75)


@pytest.mark.parametrize("is_transposed", [False, True])
def test_a_product_of_matrices_is_counted(is_transposed: bool) -> None:
    shape = [7, 5] if is_transposed else [5, 7]
    given = ops.parameter(shape, ov.Type.f32)
    model = ov.Model([ops.matmul(given, ops.constant(np.zeros((7, 3), np.float32)), is_transposed, False)], [given])
    assert work_of(model, shape) == Work(2 * 5 * 7 * 3, 5 * 7 + 7 * 3 + 5 * 3)


@pytest.mark.parametrize(("network", "side"), [(PNet, 61), (RNet, 24), (ONet, 48), (DlibResNet, 150)])
def test_torch_counts_the_same_operations(network: type[nn.Module], side: int) -> None:
    module = network().eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        module(torch.zeros(2, 3, side, side))
    model = openvino_network._convert(module, (2, 3, side, side))
    assert work_of(model, (2, 3, side, side)).operations == counter.get_total_flops()


def test_the_fixed_part_of_a_call_is_found() -> None:
    operations = [1e6, 1e7, 1e8, 1e9]
    assert fixed_s(operations, [0.002 + one / 50e9 for one in operations]) == pytest.approx(0.002)
    assert fixed_s(operations, [one / 50e9 for one in operations]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("stage", "bound_by"),
    [
        (Stage("all of it products", seconds=0.02, operations=1e9, bytes=1e6, fixed_s=0.001), "computing"),
        (Stage("few operations a byte", seconds=0.02, operations=1e8, bytes=1e8, fixed_s=0.001), "memory"),
        (Stage("small calls", seconds=0.02, operations=1e8, bytes=1e6, fixed_s=0.015), "overhead"),
        (Stage("a copy", seconds=0.015, bytes=1e8), "memory"),
        (Stage("much to do for a byte", seconds=0.1, bytes=1e8), "instructions"),
    ],
)
def test_what_a_stage_is_bound_by(stage: Stage, bound_by: str) -> None:
    assert stage.bound_by(MACHINE) == bound_by


def test_the_exponent_of_growth_is_found() -> None:
    x = [1, 10, 100]
    assert exponent(x, [3 * one**1.5 for one in x]) == pytest.approx(1.5)
