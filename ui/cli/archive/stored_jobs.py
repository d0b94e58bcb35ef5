"""``facerec jobs``: long work that is stored, how far it is, and how to stop it or try it again."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from facerec_models.errors import ConflictError
from serving.store.job_rows import Job, JobState
from ui.cli.common import HomeOption, JsonOption, date_of, messages, open_home, output, print_json
from ui.cli.filters import LimitOption
from ui.cli.tables import print_table

app = typer.Typer(help="Long work: how far it is, how to stop it, how to try it again.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="A job's id.")]


@app.command("list")
def list_jobs(
    state: Annotated[
        list[JobState] | None, typer.Option(help="Only jobs in this state; may be given again.", show_default=False)
    ] = None,
    limit: LimitOption = 50,
    after: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="Only those that were submitted after this one.", show_default=False),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Only jobs of this project.", show_default="all projects")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs, oldest first."""
    with open_home(home) as opened:
        store = opened.archive.store
        last = None if after is None else store.get_job(after)
        rows = store.list_jobs(project, state or [], after=last, limit=limit + 1)
    if as_json:
        print_json([_document(job) for job in rows[:limit]])
    else:
        table = Table(
            "job",
            "project",
            "kind",
            "state",
            "done",
            "submitted",
            "video",
            "error",
        )
        for job in rows[:limit]:
            table.add_row(
                job.job_id, job.project, job.kind, _state(job), f"{job.progress:.0%}", date_of(job.created_at),
                job.video_id or "", job.error or "",
            )  # fmt: skip
        print_table(table)
    if len(rows) > limit:
        messages.print(f"There are more: --after {rows[limit - 1].job_id}", soft_wrap=True)


@app.command()
def show(job: JobArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show a job: what it is to do, how far it and its segments are, and why it failed."""
    with open_home(home) as opened:
        row = opened.archive.store.get_job(job)
        log = opened.archive.files.job_log(row.project, row.job_id)
        has_log = log.is_file()
    if as_json:
        print_json({**_document(row), "spec": _shown(row), "log": str(log) if has_log else None})
        return
    output.print(f"{row.job_id}, {row.kind} of project {row.project}: {_state(row)}, {row.progress:.0%} done")
    output.print(f"submitted {date_of(row.created_at)}, last changed {date_of(row.updated_at)}, attempt {row.attempt}")
    if row.video_id:
        output.print(f"video: {row.video_id}")
    output.print(f"to do: {json.dumps(_shown(row), ensure_ascii=False)}")
    if row.error:
        output.print(f"error: {row.error}")
    if row.webhook is not None:
        told = "not told yet" if row.webhook.delivered_at is None else f"told {date_of(row.webhook.delivered_at)}"
        output.print(f"webhook: {row.webhook.url}, {row.webhook.error or told}")
    if has_log:
        output.print(f"log: {log}")
    if row.segments:
        table = Table("segment", "from", "to", "state", "done", "attempt", "error")
        for part in row.segments:
            end = "" if part.end_s is None else f"{part.end_s:.1f} s"
            table.add_row(
                str(part.index), f"{part.start_s:.1f} s", end, part.state.value, f"{part.progress:.0%}",
                str(part.attempt), part.error or "",
            )  # fmt: skip
        print_table(table)


@app.command()
def cancel(job: JobArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """End a queued job at once, and ask a running one to stop."""
    from serving.store import leases

    with open_home(home) as opened:
        row = leases.cancel(opened.archive.store, job)
    if row.state in (JobState.SUCCEEDED, JobState.FAILED):
        raise ConflictError(
            f"job {job} has {row.state.value} already, nothing is left to cancel: 'facerec jobs list --state running' shows what is"
        )
    if as_json:
        print_json(_document(row))
    elif row.state is JobState.CANCELLED:
        output.print(f"Job {job} is cancelled.")
    else:
        output.print(f"Job {job} is asked to stop: whoever works on it does so within seconds.")


@app.command()
def retry(job: JobArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Queue a failed or cancelled job again; what was done of its segments stays done until it is swept up."""
    from serving.jobs import submit

    with open_home(home) as opened:
        row = submit.retry(opened.archive.store, job)
    if as_json:
        print_json(_document(row))
    else:
        output.print(f"Job {job} is queued: a service that runs takes it up, 'facerec serve' starts one.")


def _state(job: Job) -> str:
    is_stopping = job.cancel_requested and not job.state.is_final
    return f"{job.state.value}, asked to stop" if is_stopping else job.state.value


def _document(job: Job) -> dict[str, Any]:
    from serving.api.schemas import JobView

    return JobView.of(job).model_dump()


def _shown(job: Job) -> dict[str, Any]:
    """Return what a job is to do, without what an address must not show."""
    from serving.sources.addresses import shown

    return {name: shown(value) if name == "uri" else value for name, value in job.spec.items()}
