"""Who imports whom: heavy packages only where they are needed, and all imports in one direction."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import facerec_models

ROOT = Path(facerec_models.__file__).parent.parent
FORBIDDEN = {
    "facerec_models": {"serving", "training", "ui", "ray", "gradio", "pymongo", "fastapi"},
    "serving": {"ui", "gradio"},
    "training": {"ui", "gradio"},
}


def loaded(code: str) -> set[str]:
    """Run code in a new process; return the top-level packages that it loaded."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(run.stdout.splitlines()[-1]))


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module).split(".")[0]


def test_the_library_loads_no_server() -> None:
    modules = [m.name for m in pkgutil.walk_packages(facerec_models.__path__, "facerec_models.")]
    assert "facerec_models.embedders.torch_embedder" in modules
    packages = loaded("\n".join(f"import {module}" for module in modules))
    assert "torch" in packages
    assert not packages & {"ray", "gradio", "pymongo", "fastapi", "typer"}


@pytest.mark.parametrize("arguments", [["--help"], ["recognize", "--help"], ["serve", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    packages = loaded(
        f"from typer.testing import CliRunner\nfrom ui.cli import app\nCliRunner().invoke(app, {arguments})"
    )
    assert "ui" in packages
    assert not packages & {"torch", "ray", "gradio", "fastapi", "cv2", "av", "sklearn"}


def test_what_only_lists_loads_no_network(tmp_path: Path) -> None:
    packages = loaded(
        "from typer.testing import CliRunner\nfrom ui.cli import app\n"
        f"assert CliRunner().invoke(app, ['projects', 'list', '--home', {str(tmp_path)!r}]).exit_code == 0"
    )
    assert not packages & {"torch", "ray", "gradio"}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(path): sorted(FORBIDDEN[package] & set(imported(path))) for path in files}
    assert not {path: names for path, names in wrong.items() if names}
