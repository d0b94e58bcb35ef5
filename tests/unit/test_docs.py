"""The documentation is true: links hold, commands parse, what is named exists, the example runs, the site loads nothing foreign."""

from __future__ import annotations

import ast
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import cast
from urllib.parse import unquote

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from facerec_models.errors import SourceError
from serving.settings import Settings
from tests.unit.test_imports import PACKAGES
from ui.cli import app, whole_command
from ui.demo_material import prepare

ROOT = Path(__file__).parent.parent.parent
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
PAGES = [
    README,
    CONTRIBUTING,
    ROOT / "CHANGELOG.md",
    ROOT / "tests/benchmarks/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
TOP = {*PACKAGES, "tests", "docs", ".ci"}
OUR_FILE = re.compile(r"(?:[\w.-]+/)+(?:[\w-]+\.(?:py|md|npz|html|css))?(?::[\w.]+)?|[\w-]+\.(?:toml|yaml|txt)")
# Pages that the site makes beside those in docs/.
MADE = {
    "developers/contributing.md",
    *(f"reference/{name}.md" for name in ("commands", "http", "configuration", "python", "files")),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copy(ROOT / "zensical.toml", place)
    subprocess.run([sys.executable, ROOT / "docs/generate.py", place / "build/docs"], check=True, cwd=place)
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], capture_output=True, text=True, check=False, cwd=place
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return place / "build/site"


@cache
def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", read(page), flags=re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE)


def inline(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def anchors(page: Path) -> set[str]:
    """Return what links to a page may name, as GitHub and the site make it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_readme_is_short() -> None:
    assert len(read(README).splitlines()) <= 130
    assert len(read(README).split()) <= 1200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_their_anchors_hold_in_the_repository(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or unquote(anchor) in anchors(target), f"{page.name} links to {link}"


def test_every_page_is_in_the_navigation(site: Path) -> None:
    named = set(re.findall(r'"([\w/-]+\.md)"', read(ROOT / "zensical.toml")))
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}
    assert named == pages | MADE
    assert {str(page.relative_to(site).with_suffix(".md")) for page in site.rglob("*.html")} - {"404.md"} == named


class _Loads(HTMLParser):
    """Collects what a browser fetches for a page by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.found += [value for name in ("src", "srcset", "poster", "data") if (value := given.get(name))]
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.found.append(given.get("href") or "")


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loads = {page: _Loads() for page in site.rglob("*.html")}
    for page, found in loads.items():
        found.feed(page.read_text(encoding="utf-8"))
        assert not [one for one in found.found if re.match(r"(\w+:)?//", one)], page
    assert any(one.endswith(".js") for found in loads.values() for one in found.found)
    sheets = [sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css")]
    assert sheets
    for sheet in sheets:
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet)


@pytest.mark.parametrize("loaded", ["https://fonts.example/a.css", "//cdn.example/a.js"])
def test_what_a_page_loads_from_elsewhere_is_found(loaded: str) -> None:
    found = _Loads()
    found.feed(f'<link rel="stylesheet" href="{loaded}"><a href="https://example.org">no load</a>')
    assert found.found == [loaded]


def commands(page: Path) -> Iterator[tuple[str, bool]]:
    """Yield the facerec commands of a page, and whether each must be complete: those in blocks are meant to be copied."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"(.* -- )?facerec ", line):
                yield line, True
    for code in inline(page):
        if re.match(r"facerec [a-z]", code):
            yield code, False


def parse(line: str, *, complete: bool) -> None:
    """Parse a command as the real application does; raise its error of usage."""
    words = shlex.split(line, comments=True)
    words = words[words.index("facerec") + 1 :]
    command: TyperCommand | TyperGroup = typer.main.get_command(app)
    context = None
    while isinstance(command, TyperGroup):
        try:
            context = command.make_context("facerec", words[:1], parent=context)
        except typer.Exit:  # an option that prints and ends, as --version
            return
        name, found, _ = command.resolve_command(context, words[:1])
        assert name is not None
        assert found is not None
        command, words = found, words[1:]
        if isinstance(command, TyperGroup) and not words and not complete:
            return
    try:
        command.make_context("facerec", words, parent=context)
    except typer.BadParameter as error:
        if complete or type(error).__name__ != "MissingParameter":
            raise


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_parse(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEREC_HOME", raising=False)
    for line, complete in commands(page):
        try:
            parse(line, complete=complete)
        except Exception as error:
            pytest.fail(f"{page.name}: {line!r}: {type(error).__name__}: {error}")


def test_the_documentation_shows_most_commands() -> None:
    shown = {line for page in PAGES for line, _ in commands(page)}
    assert len(shown) > 80


@pytest.mark.parametrize(
    "line",
    [
        "facerec recognise a.mp4",
        "facerec train --clasifier svm",
        "facerec train --seed none",
        "facerec correct film.mp4",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r".+"):
        parse(line, complete=True)


def all_commands(path: tuple[str, ...], command: TyperCommand | TyperGroup) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, TyperGroup):
        for name, part in command.commands.items():
            yield from all_commands((*path, name), part)


def test_every_command_explains_itself() -> None:
    root = whole_command()
    for path in all_commands((), root):
        with redirect_stdout(io.StringIO()) as shown:
            root.main([*path, "--help"], prog_name="facerec", standalone_mode=False)
        assert "Usage: facerec" in shown.getvalue(), path


def test_the_list_of_commands_tells_what_each_tells_of_itself() -> None:
    listed = cast(TyperGroup, typer.main.get_command(app)).commands
    whole = whole_command().commands
    assert {name: command.help for name, command in listed.items()} == {
        name: (command.help or "").split("\n\n")[0] for name, command in whole.items()
    }


@cache
def defined(file: Path) -> set[str]:
    """Return the names that a file defines, methods and fields as ``Class.name``."""
    found = set()
    for node in ast.parse(read(file)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_functions_that_are_named_exist(page: Path) -> None:
    for code in inline(page):
        path, _, name = code.partition(":")
        if not OUR_FILE.fullmatch(code) or path.split("/")[0] not in TOP:
            continue
        assert (ROOT / path).exists(), f"{page.name} names {code}"
        assert not name or name in defined(ROOT / path), f"{page.name} names {code}"


def test_the_routes_name_what_they_run() -> None:
    named = [code for code in inline(ROOT / "docs/developers/routes.md") if ".py:" in code]
    assert len(named) > 50
    assert all(OUR_FILE.fullmatch(code) and code.split("/")[0] in TOP for code in named)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_are_run_exist(page: Path) -> None:
    for module in re.findall(r"python -m ((?:tests|ui|serving|training|facerec_models)[\w.]*)", read(page)):
        file = ROOT / module.replace(".", "/")
        assert file.with_suffix(".py").is_file() or (file / "__main__.py").is_file(), f"{page.name} runs {module}"


def test_routes_that_are_named_exist(site: Path) -> None:
    known = set(re.findall(r"`([A-Z]+ /[^`]+)`", read(site.parent / "docs/reference/http.md")))
    named = {code for page in PAGES for code in inline(page) if re.match(r"(GET|POST|PUT|DELETE|PATCH) ", code)}
    assert len(named) > 8
    for code in named:
        method, _, path = code.partition("?")[0].partition(" ")
        assert any(one.startswith(f"{method} ") and one.endswith(path.removeprefix("...")) for one in known), code


def test_variables_that_are_named_exist(site: Path) -> None:
    known = set(re.findall(r"FACEREC_\w+", read(site.parent / "docs/reference/configuration.md")))
    for graph in sorted((ROOT / "serving/sources/graphs").glob("*.yaml")):
        known |= set(re.findall(r"FACEREC_\w+", read(graph)))
    of_tests = {"FACEREC_EVAL_DATA", "FACEREC_RANDOM_EDITS", "FACEREC_TEST_MONGO_URI"}
    named = {name for page in PAGES for name in re.findall(r"FACEREC_\w+", read(page))} - of_tests
    assert len(named) > 8
    assert named <= known


def test_every_setting_is_described() -> None:
    schema = Settings.model_json_schema()
    groups = [schema, *(part for part in schema["$defs"].values() if "properties" in part)]
    fields = [(name, field) for group in groups for name, field in group["properties"].items() if "$ref" not in field]
    assert len(fields) > 50
    assert [name for name, field in fields if not field.get("description")] == []


def test_the_example_names_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        material = prepare(tmp_path / "demo")
    except SourceError as error:
        pytest.skip(str(error))
    (tmp_path / "people").symlink_to(material.people)
    (tmp_path / "clip.mp4").symlink_to(material.reel)
    monkeypatch.chdir(tmp_path)
    (example,) = blocks(README, "python")
    exec(compile(example, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert {line.split()[-1] for line in shown.splitlines()} >= {"Eileen_Collins", "Carphone_Man", "unknown"}
    assert "Grace_Hopper" not in shown
