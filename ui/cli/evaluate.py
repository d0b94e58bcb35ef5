"""``facerec evaluate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.cli.common import (
    DEFAULT_PROJECT,
    ErrorOption,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    open_home,
    output,
    print_json,
    print_note,
    progress_bar,
)
from ui.cli.targets import check_target
from ui.cli.videos import FpsOption, SpeedupOption, check_sampling, with_sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from facerec_models.analysis.networks import Networks
    from facerec_models.config import AnalysisConfig
    from serving.store.rows import AnalysisRow
    from training.evaluation.results import MeasuredResult
    from training.evaluation.truth import Truth

_GATE_FAILED = 3


class Baseline(StrEnum):
    """Which other way of naming to count beside ours."""

    PREDECESSOR = "predecessor"


def evaluate(
    truth: Annotated[
        Path, typer.Option(help="Folder of truths, <video>.json or <video>.vtt, or a CSV of media,start,end,person.")
    ],
    report: Annotated[Path, typer.Option(help="Write report.json, report.txt and report.html to this folder.")],
    results: Annotated[
        Path | None,
        typer.Option(help="Folder of results, <video>.json; without it, the videos beside the truth are recognised."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Folder of results where more people are enrolled: their names say who the strangers are."),
    ] = None,
    baseline: Annotated[
        Baseline | None, typer.Option(help="Name the same tracks the predecessor's way too, and count both.")
    ] = None,
    gate: Annotated[
        Path | None, typer.Option(help="JSON or TOML of limits; exit code 3 if the evaluation breaks one.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Make these videos the project's evaluation set, for the gate of a training.")
    ] = False,
    video_speedup: SpeedupOption = None,
    sample_fps: FpsOption = None,
    max_false_names: ErrorOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure names against a truth: person-seconds, records, stated chances, faces by size and pose, strangers."""
    check_sampling(video_speedup, sample_fps)
    check_target("--report", report, is_folder=True)
    from training.evaluation import counting
    from training.evaluation.gate import read_gate
    from training.evaluation.report import as_text, to_dict, write_report
    from training.evaluation.results import read_results
    from training.evaluation.truth import read_truths

    limits = None if gate is None else read_gate(gate)
    truths = read_truths(truth)
    references = None if reference is None else read_results(reference)
    if results is not None and baseline is None and not keep:
        evaluation = counting.evaluate(truths, read_results(results), references)
    else:
        with open_home(home) as opened:
            config = with_sampling(opened.settings.analysis, video_speedup, sample_fps)
            if results is None:
                analyses, found = _recognize(opened, project, truth, truths, config, max_false_names)
            else:
                found = read_results(results)
                analyses = _stored(opened, project, truths, found)
            evaluation = counting.evaluate(truths, found, references)
            if baseline is not None:
                from serving.archive.measure import add_baseline

                evaluation = add_baseline(opened.archive.store, project, evaluation, truths, analyses)
            if keep:
                _keep(opened, project, truths, analyses)
    document = to_dict(evaluation)
    checks = [] if limits is None else limits.check(document)
    write_report(evaluation, report, checks)
    if as_json:
        print_json({**document, "gate": [check.to_dict() for check in checks]})
    else:
        output.print(as_text(evaluation), end="")
        output.print(f"The report is in {report}.")
    failed = [check for check in checks if not check.is_kept]
    for check in failed:
        print_note("gate:", check, "red")
    if failed:
        raise typer.Exit(_GATE_FAILED)


def _recognize(
    opened: Opened,
    project: str,
    truth_path: Path,
    truths: Mapping[str, Truth],
    config: AnalysisConfig,
    max_false_names: float | None,
) -> tuple[dict[str, AnalysisRow], dict[str, MeasuredResult]]:
    """Recognise the videos beside the truth with the promoted model; what was analysed already is taken as it is."""
    from facerec_models.analysis.networks import load_networks
    from serving.archive.measure import find_video, recognize
    from serving.archive.naming.current import read_current

    archive = opened.archive
    version = archive.store.get_model(project).version
    limit = read_current(archive, project).max_false_names if max_false_names is None else max_false_names
    files = {stem: find_video(truth_path, stem, truth) for stem, truth in truths.items()}
    loaded: list[Networks] = []

    def networks() -> Networks:
        if not loaded:
            embedder = archive.store.get_project(project).embedder
            loaded.append(load_networks(config, archive.files.weights, embedder))
        return loaded[0]

    analyses, found = {}, {}
    with progress_bar("items") as progress:
        task = progress.add_task("videos", total=len(files))
        for stem, file in files.items():
            progress.update(task, description=file.name)
            analyses[stem], found[stem] = recognize(archive, project, file, version, limit, config, networks)
            progress.advance(task)
    return analyses, found


def _stored(
    opened: Opened, project: str, truths: Mapping[str, Truth], found: Mapping[str, MeasuredResult]
) -> dict[str, AnalysisRow]:
    from serving.archive.measure import analysis_of

    return {stem: analysis_of(opened.archive.store, project, stem, found[stem]) for stem in truths if stem in found}


def _keep(opened: Opened, project: str, truths: Mapping[str, Truth], analyses: Mapping[str, AnalysisRow]) -> None:
    from serving.archive.learning.evaluation_set import keep_truth

    for stem, truth in truths.items():
        video = opened.archive.store.get_video(project, analyses[stem].video_id)
        keep_truth(opened.archive.files, project, video.sha256, truth)
