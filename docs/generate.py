"""Put the pages of the documentation together, those that come from the code included: python docs/generate.py FOLDER."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe
import typer
from typer.core import TyperCommand, TyperGroup

from serving.api.app import build_api
from serving.api.service import Service
from serving.app import AppArgs
from serving.archive.handle import open_archive
from serving.settings import Settings
from ui.cli import whole_command

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "facerec_models": "The library: it knows no server and no store.",
    "training": "From pictures to a model, and how good it is.",
    "serving": "The service: HTTP, Ray Serve, jobs, the archive and its store.",
    "ui": "The command and the page.",
}


def commands() -> str:
    """Return the page of all commands, from the Typer application."""
    lines = ["# Commands", "", "Exit codes: 0 done; 1 an item failed; 2 usage; 3 a gate failed; 130 interrupted.", ""]
    root = whole_command()
    for path, command in _walk("facerec", root):
        context = typer.Context(command, info_name=path)
        lines += [f"{'#' * (1 + len(path.split()))} `{path}`", "", _plain(inspect.cleandoc(command.help or "")), ""]
        if isinstance(command, TyperGroup):
            continue
        lines += ["```text", command.get_usage(context).removeprefix("Usage: "), "```", ""]
        lines += [
            f"- `{names}` — {_plain(' '.join(text.split()))}"
            for parameter in command.get_params(context)
            if (record := parameter.get_help_record(context)) is not None
            for names, text in [record]
            if parameter.name != "help"
        ]
        lines.append("")
    return "\n".join(lines)


def _walk(path: str, command: TyperCommand | TyperGroup) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    yield path, command
    if isinstance(command, TyperGroup):
        for name, part in command.commands.items():
            yield from _walk(f"{path} {name}", part)


def http() -> str:
    """Return the page of all routes, from the OpenAPI document of the service."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), files=None, store=None, shared_home=False)
        nobody: Any = None
        with open_archive(settings) as archive:
            document = build_api(Service(settings, archive, nobody, nobody, nobody, nobody)).openapi()
    lines = ["# HTTP", "", "The service publishes this as OpenAPI: `/openapi.json`, and to try out at `/docs`.", ""]
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            by_tag.setdefault(route.get("tags", ["other"])[0], []).extend(_route(method, path, route))
    for tag, routes in by_tag.items():
        lines += [f"## {tag.capitalize()}", "", *routes]
    lines += ["## Documents", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### `{name}`", "", _plain(_first(schema.get("description", ""))), "", *_properties(schema)]
    return "\n".join(lines)


def _route(method: str, path: str, route: Mapping[str, Any]) -> list[str]:
    lines = [f"### `{method.upper()} {path}`", "", _plain(route.get("description", route["summary"])), ""]
    rows = [
        (f"`{one['name']}`", one["in"], _type(one["schema"]), _plain(one.get("description", "")))
        for one in route.get("parameters", [])
    ]
    lines += _table(("parameter", "in", "type", "meaning"), rows)
    for media, content in route.get("requestBody", {}).get("content", {}).items():
        lines += [f"Takes `{media}`: {_type(content.get('schema', {}))}.", ""]
    for status, answer in route["responses"].items():
        if "$ref" not in answer:  # errors, which are alike everywhere
            types = {_type(content.get("schema", {})) for content in answer.get("content", {}).values()}
            lines += [f"Answers {status}{': ' + ', '.join(sorted(types)) if types - {'any'} else ''}.", ""]
    return lines


def configuration() -> str:
    """Return the page of all settings, from the models that read them."""
    schema = Settings.model_json_schema()
    lines = [
        "# Configuration",
        "",
        "Each setting is an environment variable. A group is also taken whole, as JSON: `FACEREC_WEBHOOK='{...}'`.",
        "",
        "## General",
        "",
        *_settings(schema, schema["$defs"], "FACEREC_"),
    ]
    for title, group, prefix in _groups(schema, schema["$defs"], "FACEREC_"):
        lines += [f"## {title}", "", _plain(_first(group.get("description", ""))), ""]
        lines += _settings(group, schema["$defs"], prefix)
    args = AppArgs.model_json_schema()
    lines += ["## In `serve_config.yaml`", "", "`args:` of the application; each goes before the environment.", ""]
    return "\n".join(lines + _properties(args))


def _groups(
    schema: Mapping[str, Any], known: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any], str]]:
    for name, field in schema["properties"].items():
        if (group := _group(field, known)) is not None:
            yield name.capitalize(), group, f"{prefix}{name.upper()}__"
            yield from (
                (f"{name.capitalize()}: {title.lower()}", part, longer)
                for title, part, longer in _groups(group, known, f"{prefix}{name.upper()}__")
            )


def _group(field: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any] | None:
    name = field.get("$ref", "").rpartition("/")[2]
    return known[name] if "properties" in known.get(name, {}) else None


def _settings(schema: Mapping[str, Any], known: Mapping[str, Any], prefix: str) -> list[str]:
    lines = []
    for name, field in schema["properties"].items():
        if _group(field, known) is None:
            default = f", by default {value}" if (value := _default(field)) else ""
            about = _plain(field.get("description", ""))
            lines.append(f"- `{prefix}{name.upper()}` ({_type(field)}{default}) — {about}")
    return [*lines, ""]


def python() -> str:
    """Return the page of what ``import facerec_models`` gives, from the docstrings."""
    library = griffe.load(
        "facerec_models",
        search_paths=[str(ROOT)],
        docstring_parser="numpy",
        docstring_options={"warn_unknown_params": False},  # a NamedTuple's
    )
    lines = ["# Python", "", _docstring(library), ""]
    public = [str(name) for name in library.exports or []]
    for name in sorted(public, key=lambda name: (not library[name].is_function, name)):
        lines += _described(name, library[name], "##")
    return "\n".join(lines)


def _described(name: str, given: griffe.Object | griffe.Alias, level: str) -> list[str]:
    item = given.final_target if isinstance(given, griffe.Alias) else given
    lines = [f"{level} `{name}`", ""]
    if isinstance(item, griffe.Function):
        lines += ["```python", item.signature(name=item.name), "```", ""]
    lines += [_docstring(item), ""]
    if isinstance(item, griffe.Class):
        fields = [f"`{one.name}`: `{one.annotation}`" for one in item.attributes.values() if one.annotation]
        if fields and "**Parameters**" not in lines[-2]:
            lines += ["**Fields**", "", *(f"- {field}" for field in fields), ""]
    if "." not in name:
        lines += [f"Defined in `{item.relative_package_filepath}`.", ""]
    if isinstance(item, griffe.Class):
        for method in item.functions.values():
            if method.is_public and method.docstring:
                lines += _described(f"{name.rpartition('.')[2]}.{method.name}", method, level + "#")
    return lines


def _docstring(item: griffe.Object) -> str:
    """Return a docstring in Markdown, its sections as lists."""
    lines: list[str] = []
    for section in item.docstring.parsed if item.docstring else []:
        if section.kind is griffe.DocstringSectionKind.text:
            lines += [_plain(section.value), ""]
        elif section.kind is griffe.DocstringSectionKind.examples:
            lines += ["**Examples**", ""]
            for kind, text in section.value:
                is_text = kind is griffe.DocstringSectionKind.text
                lines += [_plain(text), ""] if is_text else ["```pycon", text, "```", ""]
        elif isinstance(section.value, list):
            lines += [f"**{section.kind.value.capitalize()}**", ""]
            for entry in section.value:
                parts = [f"`{part}`" for part in (getattr(entry, "name", ""), str(entry.annotation or "")) if part]
                lines.append(
                    " — ".join(filter(None, [f"- {': '.join(parts)}", " ".join(_plain(entry.description).split())]))
                )
            lines.append("")
    return "\n".join(lines).strip()


def modules() -> str:
    """Return the page of all source files, each with the first sentence of its docstring and its public names."""
    lines = ["# Source files", "", "Every file with its purpose and its public names, in the order of the flow.", ""]
    for package, about in PACKAGES.items():
        lines += [f"## `{package}/`", "", about, ""]
        for file in sorted((ROOT / package).rglob("*.py")):
            module = griffe.visit(file.stem, filepath=file, code=file.read_text(encoding="utf-8"))
            public = [f"`{name}`" for name in {**module.classes, **module.functions} if not name.startswith("_")]
            purpose = _plain(_first(module.docstring.value if module.docstring else ""))
            lines.append(f"- `{file.relative_to(ROOT)}` — {' '.join([purpose, ', '.join(public)])}".rstrip())
        lines.append("")
    return "\n".join(lines)


def _properties(schema: Mapping[str, Any]) -> list[str]:
    rows = [
        (f"`{name}`", _type(field), _default(field), _plain(field.get("description", "")))
        for name, field in schema.get("properties", {}).items()
    ]
    return _table(("field", "type", "default", "meaning"), rows)


def _type(schema: Mapping[str, Any]) -> str:
    """Return what a JSON schema takes, in short."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    several = schema.get("anyOf") or schema.get("allOf") or schema.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(_type(one) for one in several if one.get("type") != "null"))
    kind = {"object": "object", None: "any"}.get(schema.get("type"), str(schema.get("type")))
    if kind == "array":
        parts = schema.get("prefixItems")
        return f"list of {_type(schema.get('items', {}))}" if not parts else f"{len(parts)} times {_type(parts[0])}"
    bounds = [
        f"{sign} {schema[name]}"
        for name, sign in (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))
        if name in schema
    ]
    return " ".join([kind, *bounds])


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", []) else f"`{', '.join(map(str, value)) if isinstance(value, list) else value}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |" for row in cells] + [
        ""
    ]


def _first(text: str) -> str:
    """Return the first paragraph."""
    return text.strip().partition("\n\n")[0]


def _plain(text: str) -> str:
    """Turn the markup of docstrings into Markdown's, and keep brackets and angles from being read as markup."""
    if (block := re.search(r"::\n\n((?: {4}.*\n|\n)+(?: {4}.*)?)", text)) is not None:
        code = textwrap.dedent(block[1]).strip("\n")
        return f"{_plain(text[: block.start()])}:\n\n```python\n{code}\n```\n\n{_plain(text[block.end() :])}"
    parts = text.replace("``", "`").split("`")
    for i in range(0, len(parts), 2):
        parts[i] = parts[i].replace("<", "&lt;").replace("[", "\\[").replace("*", "\\*")
    return "`".join(parts)


def put_together(target: Path) -> None:
    """Write all pages into a folder, which is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    index = target / "index.md"
    linked = index.read_text(encoding="utf-8").replace("](../CONTRIBUTING.md", "](developers/contributing.md")
    index.write_text(linked, encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pages = {
        "developers/contributing.md": contributing.replace("](docs/developers/", "](").replace("](docs/", "](../"),
        "reference/commands.md": commands(),
        "reference/http.md": http(),
        "reference/configuration.md": configuration(),
        "reference/python.md": python(),
        "reference/files.md": modules(),
    }
    for name, text in pages.items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    put_together(Path(sys.argv[1]))
