"""Who imports whom: heavy packages only where they are needed, and all imports in one direction."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import facerec_models

ROOT = Path(facerec_models.__file__).parent.parent
# Each room may import from itself and from rooms further down; a file belongs to the longest room that its path begins with.
ORDER = (
    "ui",
    "serving/local.py",
    "serving/app.py",
    "serving/api",
    "serving/deployments",
    "serving/jobs",
    "serving/archive",
    "serving/exports",
    "serving/sources",
    "serving/store",
    "serving/settings.py",
    "serving/telemetry",
    "serving/sources/config.py",  # hung into the settings
    "serving/bounds.py",  # so is this
    "serving/setting_types.py",
    "serving/store/access_rows.py",  # the roles, which the settings name
    "serving/listening.py",
    "training",
    "facerec_models",  # the library's face: what joins both halves
    "facerec_models/analysis | facerec_models/identification",  # which do not know of each other
    "facerec_models/ground",
)
# Of the files directly in facerec_models, those that all others stand on.
GROUND = {
    "types",
    "errors",
    "config",
    "files",
    "names",
    "vectors",
    "images",
    "proxies",
    "frame_rates",
    "public_connections",
}
ROOMS = {room: level for level, rooms in enumerate(ORDER) for room in rooms.split(" | ")}
PACKAGES = ("facerec_models", "training", "serving", "ui")
# Packages that a part of the code never loads, wherever it imports them.
FORBIDDEN = {
    "facerec_models": {"ray", "gradio", "pymongo", "fastapi"},
    "serving": {"gradio"},
    "training": {"gradio"},
}


def loaded(code: str) -> set[str]:
    """Run code in a new process; return the top-level packages that it loaded."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(run.stdout.splitlines()[-1]))


def sources() -> dict[str, Path]:
    """Return all source files by module."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imported(module: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file imports, wherever in it: a module, and what of it or nothing."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from ((str(node.module), alias.name) for alias in node.names)


def graph() -> dict[str, set[str]]:
    """Return which modules of ours each module imports."""
    files = sources()
    found: dict[str, set[str]] = {module: set() for module in files}
    for module, file in files.items():
        for name, part in imported(module, file):
            if name.split(".")[0] in PACKAGES:
                target = f"{name}.{part}" if f"{name}.{part}" in files else name
                assert target in files, f"{module} imports {name}, which is not there"
                found[module].add(target)
    return found


def room_of(module: str) -> str:
    path = module.replace(".", "/")
    rooms = [r for r in ROOMS if path == r.removesuffix(".py") or path.startswith(f"{r}/")]
    room = max(rooms, key=len, default="")
    assert room or path == "serving", f"{module} is in no room: add one to ORDER"
    name = path.removeprefix("facerec_models/")
    is_ground = name in GROUND or name.startswith(("metrics", "cohorts", "confinement"))
    return "facerec_models/ground" if room == "facerec_models" and is_ground else room


def test_the_library_loads_no_server() -> None:
    modules = [m.name for m in pkgutil.walk_packages(facerec_models.__path__, "facerec_models.")]
    assert "facerec_models.analysis.embedders.torch_embedder" in modules
    packages = loaded("\n".join(f"import {module}" for module in modules))
    assert "torch" in packages
    assert not packages & {"ray", "gradio", "pymongo", "fastapi", "typer"}


def test_importing_the_library_loads_nothing_heavy() -> None:
    packages = loaded("import facerec_models\nfacerec_models.InputError")
    assert "facerec_models" in packages
    assert not packages & {"torch", "numpy", "scipy", "sklearn", "cv2", "av", "pydantic"}


def loaded_by(*commands: list[str]) -> set[str]:
    """Return the packages that commands load which end well."""
    return loaded(
        "from typer.testing import CliRunner\nfrom ui.cli import app\n"
        f"for words in {commands!r}:\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0"
    )


def test_the_list_of_commands_loads_no_command() -> None:
    packages = loaded_by(["--help"])
    assert "ui" in packages
    assert not packages & {"numpy", "pydantic", "training", "serving"}


@pytest.mark.parametrize("command", ["recognize", "serve"])
def test_help_loads_nothing_heavy(command: str) -> None:
    packages = loaded_by([command, "--help"])
    assert "ui" in packages
    assert not packages & {"torch", "ray", "gradio", "fastapi", "cv2", "av", "sklearn", "numpy"}


def test_listing_commands_load_no_network_and_learn_nothing(tmp_path: Path) -> None:
    commands = (["projects", "create", "default"], ["people", "list"], ["models", "list"], ["videos", "list"])
    packages = loaded_by(*([*words, "--home", str(tmp_path)] for words in commands))
    assert "numpy" in packages
    assert not packages & {"torch", "ray", "gradio", "sklearn", "pandas", "cv2", "av"}


def test_analyzers_load_no_network_of_torch_and_learn_nothing() -> None:
    packages = loaded("import serving.deployments.analyzer")
    assert "ray" in packages
    assert not packages & {"torch", "gradio", "sklearn"}


def test_imports_point_one_way() -> None:
    for module, targets in graph().items():
        for target in targets:
            here, there = room_of(module), room_of(target)
            if there and here != there:
                assert ROOMS[here] < ROOMS[there], f"{module} imports {target}: {here} stands on {there}, not above it"


def test_no_module_imports_itself_in_a_circle() -> None:
    waiting = graph()
    while free := [module for module, targets in waiting.items() if not targets & waiting.keys() - {module}]:
        for module in free:
            del waiting[module]
    assert not waiting, f"these import each other: {sorted(waiting)}"


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_never_imports_forbidden_packages(package: str) -> None:
    for module, file in sources().items():
        if module.split(".")[0] == package:
            loaded_packages = {name.split(".")[0] for name, _ in imported(module, file)}
            assert not loaded_packages & FORBIDDEN[package], module


def test_no_two_types_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for module, file in sources().items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    assert not {name: modules for name, modules in places.items() if len(modules) > 1}


def test_files_and_folders_stay_small() -> None:
    files = [*sources().values(), *(ROOT / "tests").rglob("*.py")]
    folders = Counter(file.parent for file in files)
    assert not {file: n for file in files if (n := len(file.read_text(encoding="utf-8").splitlines())) > 450}
    assert not {folder: n for folder, n in folders.items() if n > 22}
