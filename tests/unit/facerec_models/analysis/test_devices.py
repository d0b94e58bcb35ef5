from __future__ import annotations

import pytest
import torch

from facerec_models.analysis.devices import resolve_device
from facerec_models.errors import DeviceError


@pytest.mark.parametrize(("has_cuda", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch, has_cuda: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert resolve_device("auto") == torch.device(chosen)


def test_cuda_by_name_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"'cuda' was asked for.*set device to 'auto' or 'cpu'"):
        resolve_device("cuda")


@pytest.mark.parametrize("has_cuda", [True, False])
def test_cpu_by_name_is_the_cpu(monkeypatch: pytest.MonkeyPatch, has_cuda: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert resolve_device("cpu") == torch.device("cpu")
