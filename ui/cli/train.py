"""``facerec train``, also as a job of a Ray cluster."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ui.cli.common import (
    DEFAULT_PROJECT,
    STOPPED,
    AddressOption,
    ErrorOption,
    HomeOption,
    JobIdOption,
    JsonOption,
    Opened,
    ProjectOption,
    ShownProgress,
    counted,
    interrupt_when_terminated,
    messages,
    open_home,
    output,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from facerec_models.config import IdentificationConfig, TrainingConfig
    from serving.store.rows import ModelVersion

_REFUSED = 3


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
    address: AddressOption = None,
    job_id: JobIdOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn the enrolled people; tells what similarity a name will need for the accepted error.

    As a job of a Ray cluster: ray job submit --address http://HOST:8265 -- facerec train --job-id "nightly-$(date +%F)".
    Exit codes: 0; 1 it failed; 3 the gate kept the promoted version; 130 it was stopped.
    """
    from facerec_models.config import TrainingConfig
    from training.ray_tasks import TrainingStoppedError

    config = TrainingConfig(
        classifier=classifier,
        seed=seed,
        max_false_names=max_false_names,
        use_seen_strangers=use_seen_strangers,
        promote=promote,
    )
    with open_home(home) as opened:
        try:
            model = _fit(opened, project, config, address, job_id)
        except TrainingStoppedError as error:
            messages.print(f"Stopped: {error}.")
            raise typer.Exit(STOPPED) from error
        rules = opened.settings.identification
        has_videos = bool(opened.archive.store.list_videos(project))
    gate = model.metrics["gate"]
    if as_json:
        print_json(asdict(model))
    else:
        output.print(_describe(model, rules, max_false_names))
        if gate["promoted"]:
            of_project = "" if project == DEFAULT_PROJECT else f" --project {project}"
            output.print(
                f"Stored videos are named by it from now on. Take it back with 'facerec history undo{of_project}'."
                if has_videos
                else f"Next: facerec recognize VIDEO{of_project}"
            )
    if not gate.get("passed", True):
        messages.print(
            f"Not promoted: {gate['reason']}. {gate['compared_with']} goes on naming; "
            f"'facerec models promote {model.version}' promotes it all the same."
        )
        raise typer.Exit(_REFUSED)


def _fit(opened: Opened, project: str, config: TrainingConfig, address: str | None, job_id: str | None) -> ModelVersion:
    from serving.archive.learning.model_versions import train as train_project
    from training.ray_tasks import Workers

    workers = Workers(opened.archive.files.root, address)
    if job_id is not None:
        from serving.jobs.training import train_recorded

        interrupt_when_terminated()
        return train_recorded(opened.archive, project, job_id, opened.settings, config, workers)
    with progress_bar() as bar:
        return train_project(
            opened.archive,
            project,
            config,
            workers=workers,
            progress=ShownProgress(bar, f"training {config.classifier}"),
            embedding=opened.settings.analysis.embedding,
        )


def _describe(model: ModelVersion, rules: IdentificationConfig, max_false_names: float | None) -> str:
    metrics = model.metrics
    stills = max_false_names or rules.max_false_names_stills
    tracks = max_false_names or rules.max_false_names_tracks
    score = "similarity" if model.classifier == "prototype" else "score"
    learned = f"{counted(model.people, 'person', 'people')}, {counted(model.faces, 'face')}"
    lines = [
        f"Model {model.version}: {learned}, {model.classifier} on {model.embedder}"
        f"{', promoted' if metrics['gate']['promoted'] else ', not promoted'}.",
        f"At most {stills:.2%} of strangers' pictures get a name: {score} {metrics['limit_stills']:.3f}.",
        f"At most {tracks:.2%} of strangers' tracks get a name: {score} {metrics['limit_tracks']:.3f}"
        f"{' (extrapolated: no data checked this)' if metrics['extrapolated_tracks'] else ''}.",
        f"Checked with {metrics['strangers']} strangers ({metrics['cohort']}).",
    ]
    if metrics["unusable_faces"]:
        unusable = counted(metrics["unusable_faces"], "face has", "faces have")
        lines.append(f"{unusable} no vector of {model.embedder}: import their pictures again.")
    return "\n".join(lines)
