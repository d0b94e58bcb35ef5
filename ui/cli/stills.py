"""``facerec faces``: who is in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ui.cli.common import (
    DEFAULT_PROJECT,
    ErrorOption,
    HomeOption,
    JsonOption,
    ProjectOption,
    open_home,
    output,
    progress_bar,
)
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from facerec_models.stills import StillResult


def faces(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Picture files.")],
    max_false_names: ErrorOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who is in pictures: a table on a terminal, one line of JSON for each picture elsewhere and with --json."""
    from facerec_models.analysis.networks import load_networks
    from facerec_models.stills import find_stills, name_still
    from serving.archive.learning.loaded_models import load_model

    is_table = output.is_terminal and not as_json
    done: list[StillResult] = []
    with open_home(home) as opened, progress_bar("items") as progress:
        row = opened.archive.store.get_model(project)
        model = load_model(opened.archive.files, project, row.version)
        networks = load_networks(opened.settings.analysis, opened.archive.files.weights, row.embedder)
        model.check_embedder(networks.embedder.name)
        rules = opened.settings.identification
        task = progress.add_task("recognizing", total=len(images), visible=len(images) > 1)
        for image in images:
            (seen,) = find_stills([(str(image), image)], networks, opened.settings.analysis)
            found = name_still(str(image), seen, model, rules, max_false_names)
            done.append(found)
            if not is_table:
                typer.echo(found.model_dump_json())
            progress.advance(task)
    if is_table:
        _print_faces(done, max_false_names or rules.max_false_names_stills)
    if any(found.error is not None for found in done):
        raise typer.Exit(1)


def _print_faces(pictures: Sequence[StillResult], limit: float) -> None:
    from serving.exports.evidence import explain_face

    table = Table("picture", "who", "left, top, right, bottom", "why")
    for picture in pictures:
        if not picture.faces:
            table.add_row(picture.path, "", "", picture.error or "no face was found")
        for face in picture.faces:
            label = face.identity or face.decision.capitalize()
            box = ", ".join(f"{value:.0f}" for value in face.box_xyxy)
            table.add_row(picture.path, label, box, explain_face(face, limit).removeprefix(f"{label}; "))
    print_table(table)
