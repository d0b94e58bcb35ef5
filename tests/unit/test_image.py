"""The image: there may be no container engine, so its steps run here, in a folder and an environment of their own.

What takes long, the download of all packages, is left out: the environment has those of this one.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TARGET = "/opt/facerec"


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the Dockerfile: its word, and the rest."""

    kind: str
    rest: str


def stages(text: str) -> list[list[Step]]:
    """Return the steps of each stage, with the arguments' defaults filled in."""
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    found: list[list[Step]] = []
    arguments: dict[str, str] = {}
    for line in filter(str.strip, lines):
        kind, _, rest = line.partition(" ")
        if kind == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
            continue
        for name, value in arguments.items():
            rest = rest.replace(f"${{{name}}}", value)
        if kind == "FROM":
            found.append([])
        found[-1].append(Step(kind, rest))
    return found


def read() -> list[list[Step]]:
    return stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def sent(name: str) -> bool:
    """Whether .dockerignore lets a file at the top of the checkout into the build."""
    included = False
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        if fnmatch.fnmatch(name, rule.removeprefix("!")):
            included = rule.startswith("!")
    return included


def copy(step: Step, folder: Path) -> None:
    """Do a step COPY: what is not sent, or is not there, cannot be copied."""
    *sources, target = shlex.split(step.rest)
    place = folder / target
    if target.endswith("/"):
        place.mkdir(exist_ok=True)
    for source in sources:
        assert sent(source), f".dockerignore keeps {source} out"
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, place)


def test_what_is_copied_makes_a_program_that_runs_elsewhere(tmp_path: Path) -> None:
    packages = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", packages], check=True)
    # In the place of the packages of the lock: those of this environment, but not this checkout.
    (own,) = packages.glob("lib/python*/site-packages")
    (own / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = tmp_path / "build"
    folder.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FACEREC_"))}
    done = []
    for step in read()[0]:
        if step.kind == "COPY":
            copy(step, folder)
        elif step.kind == "RUN" and not re.search(r"-m venv|--require-hashes|compileall", step.rest):
            command = step.rest.replace(TARGET, str(packages)).replace(
                "--no-deps", "--no-deps --ignore-installed --quiet"
            )
            ended = subprocess.run(
                ["/bin/sh", "-ec", command], cwd=folder, env=clean, capture_output=True, text=True, check=False
            )
            assert ended.returncode == 0, f"RUN {step.rest}\n{ended.stdout[-1000:]}\n{ended.stderr[-2000:]}"
            done.append(command)
    assert len(done) == 2
    asked = "import serving, ui, training, facerec_models; print(*[m.__file__ for m in (serving, ui, training, facerec_models)])"
    where = subprocess.run(
        [packages / "bin/python", "-c", asked], cwd="/", env=clean, capture_output=True, text=True, check=True
    )
    assert all(Path(file).is_relative_to(packages) for file in where.stdout.split()), where.stdout
    for needed in ("ui/assets/core/dom.js", "training/templates", "serving/sources/graphs", "facerec_models/cohorts"):
        assert (own / needed).exists(), needed


def test_each_package_of_the_lock_has_a_hash_and_the_version_that_is_tested() -> None:
    tested = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and line[0] != "#"
    )
    tested = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in tested.items()}
    lines = [line for line in (ROOT / "requirements.cuda.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 100
    names = set()
    for line in lines:
        found = re.fullmatch(r"([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
        assert found, line
        name = re.sub(r"[-_.]+", "-", found[1])
        names.add(name)
        assert tested.get(name, found[2]) == found[2], line
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~!; ]", one)[0]).lower() for one in project["dependencies"]}
    assert needed - names == set(), "make locks"
    assert {"ray", "torch", "setuptools", "wheel", "psutil"} <= names


def test_all_that_is_downloaded_is_checked() -> None:
    installs = [step.rest for stage in read() for step in stage if step.kind == "RUN" and "pip install" in step.rest]
    assert len(installs) == 3
    for one in installs:
        assert "--require-hashes" in one or "--no-deps --no-build-isolation ." in one, one
    assert not [
        step for stage in read() for step in stage if re.search(r"\b(curl|wget|apt-get|ADD)\b", step.kind + step.rest)
    ]


def test_the_image_runs_as_nobody_in_particular_and_writes_into_its_volume() -> None:
    last = read()[-1]
    by_kind = {step.kind: step.rest for step in last}
    user, group = by_kind["USER"].split(":")
    assert int(user) > 1000
    assert int(group) > 1000
    # After the last step that needs root.
    kinds = [step.kind for step in last]
    assert kinds.index("USER") > max(index for index, kind in enumerate(kinds) if kind in ("RUN", "COPY"))
    environment = dict(part.split("=", 1) for part in by_kind["ENV"].split())
    for name in ("HOME", "FACEREC_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        assert environment[name].startswith((by_kind["VOLUME"], "/tmp")), name
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert by_kind["STOPSIGNAL"] == "SIGTERM"
    assert "/healthz" in by_kind["HEALTHCHECK"]
    # So that signals reach the command: no shell between.
    assert by_kind["ENTRYPOINT"].startswith("[")
    assert by_kind["CMD"].startswith("[")


@pytest.mark.parametrize("name", [".git", "tests", "docs", ".venv", "demo", "home"])
def test_what_the_image_does_not_need_is_not_sent(name: str) -> None:
    assert not sent(name)
