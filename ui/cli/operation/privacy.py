"""``facerec privacy``: what a project keeps, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    ProjectOption,
    counted,
    messages,
    open_home,
    output,
    print_json,
)

if TYPE_CHECKING:
    from serving.archive.privacy.policy import Policy

app = typer.Typer(help="What a project keeps, and for how long.", no_args_is_help=True)


def _days(what: str) -> Any:
    return typer.Option(min=0.0, max=36_500.0, help=f"{what} 0: for ever.", show_default=False)


@app.command()
def show(project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what a project keeps, and for how long."""
    from serving.archive.privacy.policy import read_policy

    with open_home(home) as opened:
        policy = read_policy(opened.archive.store, project)
    _print_policy(policy, as_json=as_json)


@app.command("set")
def set_(
    keep_unmatched: Annotated[
        bool | None,
        typer.Option(
            "--keep-unmatched/--no-keep-unmatched",
            help="Whether crops and vectors of faces that match nobody enrolled are kept.",
            show_default=False,
        ),
    ] = None,
    videos_days: Annotated[
        float | None, _days("Videos with all that was found in them, since they were submitted.")
    ] = None,
    crops_days: Annotated[float | None, _days("Pictures of faces in videos, since these were analysed.")] = None,
    vectors_days: Annotated[float | None, _days("Vectors and pictures of faces in videos; names stay.")] = None,
    strangers_days: Annotated[float | None, _days("Strangers, since a video was submitted that shows them.")] = None,
    forget_expired: Annotated[
        bool | None,
        typer.Option(
            "--forget-expired/--report-expired",
            help="Whether people whose consent is over are forgotten, or only reported.",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what a project keeps; what is not given stays. What is too old goes with the next sweep."""
    from serving.archive.privacy.policy import changed_policy, read_policy, set_policy

    switches = {"keep_unmatched": keep_unmatched, "forget_expired": forget_expired}
    days = {
        "videos_days": videos_days,
        "crops_days": crops_days,
        "vectors_days": vectors_days,
        "strangers_days": strangers_days,
    }
    changes: dict[str, Any] = {name: value for name, value in switches.items() if value is not None}
    changes |= {name: value or None for name, value in days.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give at least one of the options that say what is kept")
    with open_home(home) as opened:
        policy = changed_policy(read_policy(opened.archive.store, project), **changes)
        set_policy(opened.archive.store, project, policy)
    _print_policy(policy, as_json=as_json)
    messages.print("A running service removes what is too old within the hour; 'facerec privacy sweep' does it now.")


@app.command()
def sweep(
    preview: Annotated[bool, typer.Option("--preview", help="Say what would go, and remove nothing.")] = False,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what a project keeps no longer, and tell what that was."""
    from serving.archive.privacy.retention import apply_policy

    with open_home(home) as opened:
        report = apply_policy(opened.archive, project, preview=preview)
    if as_json:
        print_json(report.to_dict())
        return
    told = ", ".join(
        [
            counted(len(report.videos), "video"),
            counted(report.crops, "picture"),
            f"vectors of {counted(report.tracks, 'track')}",
            counted(len(report.strangers), "stranger"),
            counted(len(report.forgotten), "person", "people"),
        ]
    )
    output.print(f"{'Would remove' if preview else 'Removed'}: {told}.")
    if report.expired:
        output.print(f"Consent is over: {', '.join(report.expired)}.")


def _print_policy(policy: Policy, *, as_json: bool) -> None:
    if as_json:
        print_json(policy.to_row())
        return

    def days(value: float | None) -> str:
        return "for ever" if value is None else counted(int(value), "day") if value == int(value) else f"{value:g} days"

    output.print(f"Faces that match nobody enrolled: {'kept' if policy.keep_unmatched else 'nothing is kept'}")
    output.print(f"Videos: {days(policy.videos_days)}")
    output.print(f"Pictures of faces in videos: {days(policy.crops_days)}")
    output.print(f"Vectors of faces in videos: {days(policy.vectors_days)}")
    output.print(f"Strangers who are not seen again: {days(policy.strangers_days)}")
    output.print(f"People whose consent is over: {'forgotten' if policy.forget_expired else 'reported'}")
