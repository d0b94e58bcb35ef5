"""``facerec identify``: name the whole archive again, or see what that would change."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from facerec_models.errors import ConflictError
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
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from serving.archive.naming.preview import Example, IdentificationChange
    from serving.jobs.name_again import NamingRequest
    from serving.jobs.runner import JobControl
    from serving.store.job_rows import Job
    from training.ray_tasks import Workers

PreviewOption = Annotated[bool, typer.Option("--preview", help="Show what would change and change nothing.")]
ExpectOption = Annotated[
    int | None,
    typer.Option(
        "--expect", metavar="VERSION", help="Refuse if the project has changed since this preview.", show_default=False
    ),
]


def identify(
    preview: PreviewOption = False,
    model: Annotated[
        str | None,
        typer.Option(help="A model version, which is promoted with it; default: the promoted one.", show_default=False),
    ] = None,
    expect: ExpectOption = None,
    max_false_names: ErrorOption = None,
    address: AddressOption = None,
    job_id: JobIdOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the whole archive again, from stored embeddings: no video is opened. 'facerec history undo' takes that back.

    Others go on working meanwhile. Exit codes: 0; 1 it failed; 130 it was stopped.
    """
    from serving.archive.ids import IdKind, full_id
    from serving.jobs.name_again import NamingRequest
    from training.ray_tasks import TrainingStoppedError, Workers

    with open_home(home) as opened, Workers(opened.archive.files.root, address) as workers:
        version = None if model is None else full_id(opened.archive.store, IdKind.MODEL, model, project)
        asked = NamingRequest(max_false_names, version, preview, expect)
        try:
            change = _name_again(opened, project, asked, workers, job_id)
        except TrainingStoppedError as error:
            messages.print(f"Stopped: {error}.")
            raise typer.Exit(STOPPED) from error
    print_change(change, as_json=as_json)


def _name_again(
    opened: Opened, project: str, asked: NamingRequest, workers: Workers, job_id: str | None
) -> IdentificationChange:
    from serving.archive.naming.identify import identify_archive
    from serving.archive.naming.whole_archive import NamingWork

    if job_id is not None:
        from serving.jobs.name_again import KIND, name_again_as_job
        from serving.jobs.training import record

        def work(job: Job, control: JobControl) -> IdentificationChange | None:
            return name_again_as_job(opened.archive, job, NamingWork(control, workers))

        interrupt_when_terminated()
        change = record(opened.archive, project, job_id, KIND, asdict(asked), work)
        if change is None:
            raise ConflictError(f"job {job_id} has been applied already: 'facerec history list' shows the edit")
        return change
    with progress_bar() as bar:
        shown = NamingWork(ShownProgress(bar, "naming the archive again"), workers)
        return identify_archive(opened.archive, project, **asdict(asked), work=shown)


def _side(label: str | None, example: Example) -> str:
    """Return what an appearance is called on one side of a change, and why, where it cannot be decided."""
    is_undecidable = label is not None and label.startswith("Undecidable")
    return f"{label} ({example.reason})" if is_undecidable and example.reason else label or "nobody"


def print_change(change: IdentificationChange, *, as_json: bool, apply_with: str | None = None) -> None:
    """Say what naming the archive again changes, or has changed; `apply_with` is the command that applies it, where it is another."""
    if as_json:
        print_json(change.to_dict())
        return
    if change.note:
        output.print(f"{change.note}.")
    table = Table("person", "appearances", "tracks", "for example")
    for person in change.people:
        gained, lost = change.appearances_added[person], change.appearances_removed[person]
        examples = [
            f"{one.video} {one.start_s:.1f}-{one.end_s:.1f} s: {_side(one.before, one)} -> {_side(one.after, one)}"
            for one in change.examples.get(person, [])
        ]
        more = [f"and {gained + lost - len(examples)} more"] if gained + lost > len(examples) else []
        tracks = f"+{change.added[person]} -{change.removed[person]}"
        table.add_row(person, f"+{gained} -{lost}", tracks, "\n".join(examples + more))
    if change.people:
        print_table(table)
    else:
        output.print("No person gains or loses a track.")
    for one in change.perhaps:
        output.print(
            f"{one.label} may be {one.person_id} too, and keeps the number. "
            f"If it is: facerec unknowns name '{one.label}' '{one.person_id}'"
        )
    if change.new_people:
        output.print(f"New, nobody was called so before: {', '.join(change.new_people)}.")
    for person_id in change.not_enrolled:
        output.print(
            f"No face of {person_id} is good enough to enrol: their tracks are confirmed, others are not found by it."
        )
    everything = f"{counted(change.tracks, 'track')} of {counted(change.videos, 'video')}"
    output.print(f"In the archive: {everything}, {'now' if change.applied else 'then'} of revision {change.revision}.")
    if change.applied:
        if change.edit:
            output.print("Take it back with 'facerec history undo'.")
    else:
        command = f"'{apply_with} --expect" if apply_with else "the same command with --expect"
        rest = "'." if apply_with else " in place of --preview."
        output.print(f"Apply exactly this: {command} {change.version}{rest}")
