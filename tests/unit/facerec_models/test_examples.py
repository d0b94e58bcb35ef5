"""The examples in the docstrings of the library."""

from __future__ import annotations

import doctest
import importlib
import types
from pathlib import Path

import pytest

import facerec_models as fr

_ROOT = Path(fr.__file__).parent
# Every module whose source has an example.
_MODULES = [
    ".".join(file.relative_to(_ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted(_ROOT.rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]
# Those whose examples would need a video.
_NEED_VIDEO = {"identify", "result_of"}


@pytest.mark.parametrize("module", _MODULES)
def test_examples_give_what_they_show(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def test_every_public_function_has_an_example() -> None:
    functions = {name for name in fr.__all__ if isinstance(getattr(fr, name), types.FunctionType)}
    assert {name for name in functions if ">>> " not in (getattr(fr, name).__doc__ or "")} == _NEED_VIDEO
