from __future__ import annotations

import pytest
import torch

from facerec_models.analysis.engines import choice as engines
from facerec_models.analysis.engines.choice import choose_engine
from facerec_models.errors import DeviceError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A machine with all of it; what is set to False is not there."""
    there = {"cuda": True, "openvino": True, "bf16": True}
    monkeypatch.setattr(engines, "has_cuda", lambda: there["cuda"])
    monkeypatch.setattr(engines, "_has_openvino", lambda: there["openvino"])
    monkeypatch.setattr(engines, "has_bf16", lambda: there["bf16"])
    return there


@pytest.mark.parametrize(
    ("absent", "asked", "chosen"),
    [
        ((), ("auto", "auto", "auto"), "torch fp32 on cuda"),
        ((), ("auto", "cpu", "auto"), "openvino bf16 on cpu"),
        ((), ("openvino", "auto", "auto"), "openvino bf16 on cpu"),
        ((), ("torch", "cpu", "auto"), "torch fp32 on cpu"),
        ((), ("auto", "cpu", "fp32"), "openvino fp32 on cpu"),
        (("cuda",), ("auto", "auto", "auto"), "openvino bf16 on cpu"),
        (("cuda",), ("torch", "auto", "fp32"), "torch fp32 on cpu"),
        (("cuda", "bf16"), ("auto", "auto", "auto"), "openvino fp32 on cpu"),
        (("cuda", "openvino"), ("auto", "auto", "auto"), "torch fp32 on cpu"),
    ],
)
def test_the_engine_follows_from_the_machine(
    machine: dict[str, bool], absent: tuple[str, ...], asked: tuple[str, str, str], chosen: str
) -> None:
    machine.update(dict.fromkeys(absent, False))
    assert str(choose_engine(*asked)) == chosen  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("absent", "asked", "message"),
    [
        (("cuda",), ("auto", "cuda", "auto"), r"'cuda' was asked for.*set device to 'auto' or 'cpu'"),
        ((), ("openvino", "cuda", "auto"), r"'openvino' computes on CPUs"),
        (("openvino",), ("openvino", "cpu", "auto"), r"OpenVINO is not installed: 'pip install openvino'"),
        (("bf16",), ("auto", "cpu", "bf16"), r"neither AVX-512 BF16 nor AMX"),
        ((), ("torch", "cpu", "bf16"), r"needs engine 'openvino'"),
        ((), ("auto", "cuda", "bf16"), r"needs engine 'openvino'"),
        ((), ("auto", "auto", "bf16"), r"needs engine 'openvino'"),
    ],
)
def test_what_is_asked_for_by_name_is_never_replaced(
    machine: dict[str, bool], absent: tuple[str, ...], asked: tuple[str, str, str], message: str
) -> None:
    machine.update(dict.fromkeys(absent, False))
    with pytest.raises(DeviceError, match=message):
        choose_engine(*asked)  # type: ignore[arg-type]


def test_this_machine_is_seen_as_torch_sees_it() -> None:
    assert engines.has_cuda() == torch.cuda.is_available()
