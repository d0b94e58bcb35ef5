"""``facerec embedder``: another network for a project, without opening a video again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ui.cli.common import (
    DEFAULT_PROJECT,
    AddressOption,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    messages,
    open_home,
    output,
    print_json,
    progress_bar,
)
from ui.cli.identify import ExpectOption, print_change
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from serving.archive.second_embedder.compare import ComparedSets, SetFigures
    from serving.archive.second_embedder.prepare import Prepared

app = typer.Typer(
    help="Change a project's embedder without decoding: prepare a second set, compare, switch, undo.",
    no_args_is_help=True,
)

VersionOption = Annotated[
    str | None,
    typer.Option("--model", help="A version that was prepared; default: the last one.", show_default=False),
]


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="The embedder, as 'facerec weights list' names it.")],
    address: AddressOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Embed stored crops with another embedder and train on them, beside what names now; again: what is missing."""
    from serving.archive.second_embedder.prepare import prepare_second_set
    from training.ray_tasks import Workers
    from ui.cli.common import ShownProgress

    with open_home(home) as opened, progress_bar() as bar:
        found = prepare_second_set(
            opened.archive,
            project,
            name,
            opened.settings.analysis.embedding,
            workers=Workers(opened.archive.files.root, address),
            progress=ShownProgress(bar, f"embedding with {name}"),
        )
    print_json(found.to_dict()) if as_json else _print_prepared(found)


@app.command()
def compare(
    model: VersionOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each set tells apart, and what naming the archive by the prepared one would change."""
    from serving.archive.second_embedder.compare import compare_sets

    with open_home(home) as opened:
        found = compare_sets(opened.archive, project, _full_version(opened, project, model))
    if as_json:
        print_json(found.to_dict())
        return
    _print_figures(found)
    print_change(found.swap.change, as_json=False, apply_with="facerec embedder switch")


@app.command()
def switch(
    model: VersionOption = None,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the prepared set take the place of the present one, all at once; it can be undone."""
    from serving.archive.second_embedder.switch import switch_embedder

    with open_home(home) as opened:
        change = switch_embedder(opened.archive, project, _full_version(opened, project, model), expected=expect)
        embedder = opened.archive.store.get_project(project).embedder
    print_change(change, as_json=as_json)
    if not as_json:
        output.print(f"Project {project} is of {embedder} now.")
    messages.print(
        f"A service must run with FACEREC_ANALYSIS__EMBEDDING__EMBEDDER set to {embedder}'s to take its videos.",
        soft_wrap=True,
    )


def _full_version(opened: Opened, project: str, model: str | None) -> str | None:
    from serving.archive.ids import IdKind, full_id

    return None if model is None else full_id(opened.archive.store, IdKind.MODEL, model, project)


def _print_prepared(found: Prepared) -> None:
    output.print(
        f"Model {found.version}: {found.faces} faces on {found.embedder}, not promoted. {found.videos} videos are ready, "
        f"{found.made} of them made now from {found.tracks} tracks."
    )
    for count, what in (
        (found.unusable_faces, "faces have no crop to embed: import their pictures again"),
        (found.lost_tracks, "tracks have no crops, and no vectors any more"),
        (
            found.lost_corrections,
            "corrections are of older analyses, or of tracks without crops, and do not hold in it",
        ),
    ):
        if count:
            output.print(f"{count} {what}.")
    output.print("Next: facerec embedder compare, then facerec embedder switch")


def _print_figures(found: ComparedSets) -> None:
    sets = [found.present, found.prepared]
    table = Table("", *(one.embedder for one in sets if one is not None))

    def add(label: str, *figures: str) -> None:
        table.add_row(label, *figures)

    shown: list[SetFigures] = [one for one in sets if one is not None]
    add("version", *(one.version for one in shown))
    add("people, faces", *(f"{one.people}, {one.faces}" for one in shown))
    add(
        "pictures named by the others", *(_share(one.cross_validated.named, one.cross_validated.faces) for one in shown)
    )
    add(
        "... nearest to their person",
        *(_share(one.cross_validated.nearest, one.cross_validated.faces) for one in shown),
    )
    add("... named as another person", *(_share(one.cross_validated.wrong, one.cross_validated.faces) for one in shown))
    for name in ("recall", "precision"):
        figures = [None if one.evaluation is None else one.evaluation[name] for one in shown]
        add(f"{name} on the evaluation set", *("-" if value is None else f"{value:.1%}" for value in figures))
    add("score that names a track", *(f"{one.metrics['limit_tracks']:.3f}" for one in shown))
    print_table(table)
    agreement = found.swap.agreement
    output.print(
        f"{_share(agreement.same, agreement.tracks)} of the tracks are decided alike; {agreement.other_person} are named as "
        f"another person."
    )


def _share(count: int, of: int) -> str:
    return f"{count} of {of}" if of else "none"
