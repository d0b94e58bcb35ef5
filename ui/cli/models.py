"""``facerec train``, ``projects``, ``models`` and ``weights``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ui.cli.archive import ExpectOption, PreviewOption, print_change
from ui.cli.common import (
    DEFAULT_PROJECT,
    ErrorOption,
    HomeOption,
    JsonOption,
    ProjectOption,
    date_of,
    messages,
    open_home,
    output,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from facerec_models.config import IdentificationConfig
    from serving.changes import IdentificationChange
    from serving.store.rows import ModelVersion

projects = typer.Typer(help="Sets of people, models and videos that belong together.", no_args_is_help=True)
models = typer.Typer(help="Trained versions, and which of them names.", no_args_is_help=True)
cohort = typer.Typer(help="Strangers who calibrate names: those shipped, and your own.", no_args_is_help=True)
weights = typer.Typer(help="The networks' weights: what is there, under what terms.", no_args_is_help=True)


def train(
    classifier: Annotated[
        Literal["prototype", "svm", "knn", "rf", "softmax"], typer.Option(help="How people are told apart.")
    ] = "prototype",
    promote: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option(help="Let the new version name from now on; auto: if it is not worse on the evaluation set."),
    ] = "auto",
    max_false_names: ErrorOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what the classifier draws at random.")] = 0,
    use_seen_strangers: Annotated[
        bool, typer.Option(help="Calibrate with the nameless strangers of the project's videos too.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster to train on.", envvar="RAY_ADDRESS", show_default=False)
    ] = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn the enrolled people; tells what similarity a name will need for the accepted error."""
    from facerec_models.config import TrainingConfig
    from training.train import train as train_project
    from training.workers import Workers

    config = TrainingConfig(
        classifier=classifier,
        seed=seed,
        max_false_names=max_false_names,
        use_seen_strangers=use_seen_strangers,
        promote=promote,
    )
    with open_home(home) as opened, progress_bar() as bar:
        model = train_project(
            opened.store,
            opened.home,
            project,
            opened.settings.identification,
            config,
            workers=Workers(opened.home.root, address),
            progress=ShownProgress(bar, f"training {classifier}"),
            embedding=opened.settings.analysis.embedding,
        )
        rules = opened.settings.identification
        has_videos = bool(opened.store.list_videos(project))
    gate = model.metrics["gate"]
    if as_json:
        print_json(asdict(model))
    else:
        output.print(_describe(model, rules, max_false_names))
        if gate["promoted"]:
            of_project = "" if project == DEFAULT_PROJECT else f" --project {project}"
            output.print(
                f"Videos that are stored keep their names until: facerec identify --preview{of_project}, then facerec identify"
                f"{of_project}"
                if has_videos
                else f"Next: facerec recognize VIDEO{of_project}"
            )
    if not gate.get("passed", True):
        messages.print(
            f"Not promoted: {gate['reason']}. {gate['compared_with']} goes on naming; "
            f"'facerec models promote {model.version}' promotes it all the same."
        )
        raise typer.Exit(3)


class ShownProgress:
    """Shows the progress of training, or of what leads to it; Ctrl-C is what stops it."""

    def __init__(self, bar: Progress, words: str) -> None:
        self._bar = bar
        self._task = bar.add_task(words, total=1.0)

    def report(self, progress: float) -> None:
        """Move the bar to the fraction that is done."""
        self._bar.update(self._task, completed=progress)

    def should_stop(self) -> bool:
        """Never stop."""
        return False


def _describe(model: ModelVersion, rules: IdentificationConfig, max_false_names: float | None) -> str:
    metrics = model.metrics
    stills = max_false_names or rules.max_false_names_stills
    tracks = max_false_names or rules.max_false_names_tracks
    score = "similarity" if model.classifier == "prototype" else "score"
    lines = [
        f"Model {model.version}: {model.people} people, {model.faces} faces, {model.classifier} on {model.embedder}"
        f"{', promoted' if metrics['gate']['promoted'] else ', not promoted'}.",
        f"At most {stills:.2%} of strangers' pictures get a name: {score} {metrics['limit_stills']:.3f}.",
        f"At most {tracks:.2%} of strangers' tracks get a name: {score} {metrics['limit_tracks']:.3f}"
        f"{' (extrapolated: no data checked this)' if metrics['extrapolated_tracks'] else ''}.",
        f"Checked with {metrics['strangers']} strangers ({metrics['cohort']}).",
    ]
    if metrics["unusable_faces"]:
        lines.append(
            f"{metrics['unusable_faces']} faces have no vector of {model.embedder}: import their pictures again."
        )
    return "\n".join(lines)


@projects.command("list")
def list_projects(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List all projects."""
    with open_home(home) as opened:
        rows = opened.store.list_projects()
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    table = Table("project", "embedder", "created")
    for row in rows:
        table.add_row(row.name, row.embedder or "not fixed yet", date_of(row.created_at))
    output.print(table)


@projects.command()
def create(name: str, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Create a project."""
    from serving.names import check_project_name

    with open_home(home) as opened:
        row = opened.store.create_project(check_project_name(name))
    print_json(asdict(row)) if as_json else output.print(f"Project {row.name} is there.")


@projects.command()
def delete(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a project with its people, models, analyses, crops, and the uploads that are its alone."""
    from serving.names import check_project_name
    from serving.projects import delete_project

    with open_home(home) as opened:
        opened.store.get_project(check_project_name(name))
        if not yes:
            typer.confirm(f"Delete project {name} with everything in it?", abort=True, err=True)
        delete_project(opened.store, opened.home, name)
    print_json({"deleted": name}) if as_json else output.print(f"Project {name} is deleted.")


@models.command("list")
def list_models(project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the trained versions; the promoted one is marked."""
    from facerec_models.errors import ModelNotFoundError

    with open_home(home) as opened:
        rows = opened.store.list_models(project)
        try:
            promoted = opened.store.get_model(project).version
        except ModelNotFoundError:
            promoted = None
    if as_json:
        print_json([{**asdict(row), "promoted": row.version == promoted} for row in rows])
        return
    table = Table("version", "promoted", "people", "faces", "classifier", "embedder", "trained")
    for row in rows:
        mark = "yes" if row.version == promoted else ""
        table.add_row(
            row.version, mark, str(row.people), str(row.faces), row.classifier, row.embedder, date_of(row.created_at)
        )
    output.print(table)


@models.command()
def promote(
    version: str,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a version name new videos and the whole archive; 'facerec identify --undo' takes that back."""
    from serving.archive import identify_archive

    with open_home(home) as opened:
        rules = opened.settings.identification
        change = identify_archive(
            opened.store,
            opened.home,
            project,
            rules,
            model_version=version,
            apply=not preview,
            expected_state=expect,
        )
    _print_promotion(version, change, as_json=as_json)


@models.command()
def rollback(
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the version that was promoted before name new videos and the whole archive again."""
    from serving.archive import identify_archive

    with open_home(home) as opened:
        rules = opened.settings.identification
        version = opened.store.former_model(project).version
        change = identify_archive(
            opened.store, opened.home, project, rules, goes_back=True, apply=not preview, expected_state=expect
        )
    _print_promotion(version, change, as_json=as_json)


def _print_promotion(version: str, change: IdentificationChange, *, as_json: bool) -> None:
    if as_json:
        print_json({"promoted": version, **change.to_dict()})
        return
    if change.applied:
        output.print(f"{version} names from now on.")
    print_change(change, as_json=False)


@cohort.command("import")
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
    """Add strangers of your own world to those that are shipped; takes effect with the next 'facerec train'."""
    from facerec_models.embedders.torch_embedder import embedder_named
    from serving.names import check_project_name
    from serving.networks import load_networks
    from training.strangers import import_cohort

    check_project_name(project)
    with open_home(home) as opened, progress_bar("items") as progress:
        opened.store.create_project(project)
        own = opened.store.get_project(project).embedder
        wanted = own if embedder is None else embedder_named(embedder)
        networks = load_networks(opened.settings.analysis, opened.home, wanted)
        task = progress.add_task("importing", total=None)
        found = import_cohort(
            opened.home,
            project,
            directory,
            networks,
            opened.settings.analysis,
            opened.settings.identification,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        print_json({"embedder": found.embedder, "strangers": len(found.stills), "source": found.source})
    else:
        output.print(f"{len(found.stills)} strangers of the project's own. Next: facerec train")


@cohort.command("show")
def show_strangers(
    project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Say which strangers calibrate a project's names."""
    from facerec_models.errors import ConflictError
    from training.strangers import project_cohort

    with open_home(home) as opened:
        embedder = opened.store.get_project(project).embedder
        if embedder is None:
            raise ConflictError(f"project {project!r} has no embedder yet: import people first")
        found = project_cohort(opened.home, project, embedder)
    if as_json:
        print_json({"embedder": embedder, "strangers": len(found.stills), "source": found.source})
    else:
        output.print(f"{len(found.stills)} strangers for {embedder}: {found.source}")


@weights.command("list")
def list_weights(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the known weights, whether they are there, and their terms."""
    from facerec_models.weights import WeightsRegistry

    with open_home(home) as opened:
        entries = WeightsRegistry(opened.home.weights).entries()
    if as_json:
        print_json(
            [
                {
                    "name": entry.weights.name,
                    "status": entry.status,
                    "path": str(entry.path) if entry.path else None,
                    "terms": entry.weights.terms,
                }
                for entry in entries
            ]
        )
        return
    for entry in entries:
        output.print(Text(entry.weights.name, "bold"), f"{entry.status} {entry.path or ''}\n  {entry.weights.terms}")


@weights.command()
def fetch(
    name: str,
    source: Annotated[str | None, typer.Option(help="Address or file to take instead of the published one.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum to accept, for weights without a pinned one.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download weights, or take them from a file or a mirror; an interrupted download goes on where it stopped."""
    from facerec_models.weights import WeightsRegistry

    with open_home(home) as opened, progress_bar() as progress:
        task = progress.add_task(f"fetching {name}", total=None)

        def show(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        path = WeightsRegistry(opened.home.weights).fetch(name, source=source, sha256=sha256, progress=show)
    print_json({"name": name, "path": str(path)}) if as_json else output.print(f"{name} is at {path}")


@weights.command()
def verify(name: str, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Compute the checksum of weights and compare it."""
    from facerec_models.weights import WeightsRegistry

    with open_home(home) as opened:
        path: Path = WeightsRegistry(opened.home.weights).locate(name)
    print_json({"name": name, "path": str(path), "intact": True}) if as_json else output.print(f"{path} is intact.")
