"""``facerec cohort``: strangers who calibrate names."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    ProjectOption,
    counted,
    open_home,
    output,
    print_json,
    progress_bar,
)

app = typer.Typer(help="Strangers who calibrate names: those shipped, and your own.", no_args_is_help=True)


class Collection(StrEnum):
    """Public collections of faces that cohorts are made from."""

    LFW = "lfw"


@app.command("import")
def import_strangers(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Pictures of people who are enrolled nowhere; a folder is one person.")
    ],
    embedder: Annotated[
        str | None,
        typer.Option(help="Another than the project's, before 'facerec embedder prepare'.", show_default=False),
    ] = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add strangers of your own world to those that are shipped; the next 'facerec train' or correction counts them."""
    from facerec_models.analysis.networks import load_networks
    from facerec_models.names import check_project_name
    from serving.archive.learning.cohort import import_cohort

    check_project_name(project)
    with open_home(home) as opened, progress_bar("items") as progress:
        opened.archive.store.create_project(project)
        own = opened.archive.store.get_project(project).embedder
        networks = load_networks(opened.settings.analysis, opened.archive.files.weights, embedder or own)
        task = progress.add_task("importing", total=None)
        found = import_cohort(
            opened.archive,
            project,
            directory,
            networks,
            opened.settings.analysis,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        print_json({"embedder": found.embedder, "strangers": len(found.stills), "source": found.source})
    else:
        output.print(f"{counted(len(found.stills), 'stranger')}: {found.source}. Next: facerec train")


@app.command("fetch")
def fetch_strangers(
    collection: Annotated[Collection, typer.Argument(help="lfw: Labeled Faces in the Wild, 200 MB.")],
    embedder: Annotated[
        str | None,
        typer.Option(help="Of which network, as 'facerec weights list' names it.", show_default="the configured one"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Take the collection's pictures from here; nothing is downloaded."),
    ] = None,
    people: Annotated[int, typer.Option(min=220, help="How many of its people.")] = 1000,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the cohort of a network from a public collection: what strangers score, what a similarity tells."""
    from facerec_models.analysis.networks import load_networks
    from serving.archive.learning.cohort import keep_cohort
    from training.lfw import SOURCE, fetch_lfw, lfw_people
    from training.make_cohort import make_cohort

    with open_home(home) as opened, progress_bar() as progress:
        task = progress.add_task("fetching", total=None)
        pictures = lfw_people(folder if folder is not None else fetch_lfw(), people)
        networks = load_networks(opened.settings.analysis, opened.archive.files.weights, embedder)
        progress.update(task, description="measuring", total=1.0)
        config, tell = opened.settings.analysis, partial(progress.update, task)
        found = make_cohort(pictures, networks, SOURCE, config, on_progress=lambda done: tell(completed=done))
        keep_cohort(opened.archive, found)
    if as_json:
        print_json({"embedder": found.embedder, "strangers": len(found.stills), "source": found.source})
    else:
        output.print(
            f"{counted(len(found.stills), 'stranger')} for {found.embedder}: {found.source}. Next: facerec train"
        )


@app.command("show")
def show_strangers(
    project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Say which strangers calibrate a project's names."""
    from facerec_models.errors import ConflictError
    from serving.archive.learning.cohort import project_cohort

    with open_home(home) as opened:
        embedder = opened.archive.store.get_project(project).embedder
        if embedder is None:
            raise ConflictError(f"project {project!r} has no embedder yet: import people first")
        found = project_cohort(opened.archive.files, project, embedder)
    if as_json:
        print_json({"embedder": embedder, "strangers": len(found.stills), "source": found.source})
    else:
        output.print(f"{counted(len(found.stills), 'stranger')} for {embedder}: {found.source}")
