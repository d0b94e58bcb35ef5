"""``facerec unknowns``, ``correct`` and ``import-corrections``: who strangers are, and what tracks are and are not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from facerec_models.errors import InputError
from ui.cli.archive.lookup import find_video
from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    counted,
    messages,
    open_home,
    output,
    print_json,
)
from ui.cli.export import VideoArgument
from ui.cli.filters import ProbabilityOption, SinceOption, UntilOption, VideoOption, WithinOption, read_query
from ui.cli.identify import ExpectOption, PreviewOption, print_change
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from serving.archive.naming.correct import TrackCorrection
    from serving.archive.search.strangers import StrangerSummary

app = typer.Typer(help="Strangers: people in videos whom nobody has named.", no_args_is_help=True)

StrangerArgument = Annotated[
    str, typer.Argument(metavar="STRANGER", help="An id or the beginning of one, or the n of 'Unknown n'.")
]


@app.command("list")
def list_unknowns(
    limit: Annotated[int | None, typer.Option(min=1, max=1000, help="List at most this many.")] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="List those who were hidden, too.")] = False,
    min_probability: ProbabilityOption = 0.0,
    video: VideoOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    within: WithinOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List strangers by screen time: what one name settles comes first. What is asked for alone counts."""
    from serving.archive.search.strangers import rank_strangers

    with open_home(home) as opened:
        query = read_query(
            opened,
            project,
            video=video,
            since=since,
            until=until,
            within=within,
        )
        page = rank_strangers(
            opened.archive, project, query, min_probability=min_probability, with_hidden=hidden, limit=limit
        )
        strangers = page.strangers
    if page.note is not None:
        messages.print(page.note, soft_wrap=True)
    if as_json:
        print_json([_document(stranger) for stranger in strangers])
        return
    if page.note is not None:
        return
    table = Table("stranger", "id", "seconds", "tracks", "videos")
    for stranger in strangers:
        table.add_row(
            f"Unknown {stranger.number}{' (hidden)' if stranger.is_hidden else ''}",
            stranger.stranger_id,
            f"{stranger.screen_time_s:.1f}",
            str(stranger.tracks),
            str(stranger.videos),
        )
    print_table(table)
    output.print("Show one with 'facerec unknowns show ID', name one with 'facerec unknowns name ID NAME'.")


@app.command()
def show(
    stranger: StrangerArgument,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a stranger is seen, the best face first."""
    from serving.archive.search.strangers import show_stranger

    with open_home(home) as opened:
        found, summary = show_stranger(opened.archive, project, stranger)
        others = opened.archive.store.list_strangers(project, summary.aliases)
    if as_json:
        print_json({**_document(summary), "person_id": found.person_id})
        return
    seen = f"{summary.screen_time_s:.1f} s in {counted(summary.videos, 'video')}"
    if not summary.tracks:
        seen = f"was named {found.person_id}" if found.person_id else "no track is this stranger now"
    also = "".join(f"; also Unknown {one.number}" for one in others)
    hidden = "; hidden" if summary.is_hidden else ""
    output.print(f"Unknown {found.number}, {found.stranger_id}: {seen}{also}{hidden}")
    for one in summary.sightings:
        output.print(
            f"{one.video}, {one.start_s:.1f} to {one.end_s:.1f} s, track {one.track_id}, quality {one.quality:.2f}: "
            f"{one.crop or 'its pictures are no longer kept'}"
        )


@app.command()
def name(
    stranger: StrangerArgument,
    person: Annotated[str, typer.Argument(metavar="NAME", help="Who it is: enrolled already, or new.")],
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a stranger: their best faces are enrolled, and the whole archive is named again."""
    from serving.archive.naming.correct import name_stranger

    with open_home(home) as opened:
        change = name_stranger(
            opened.archive,
            project,
            stranger,
            person,
            preview=preview,
            expected=expect,
        )
    print_change(change, as_json=as_json)


@app.command()
def hide(
    stranger: Annotated[
        str | None,
        typer.Argument(
            metavar="[STRANGER]", help="An id or the beginning of one, or the n of 'Unknown n'.", show_default=False
        ),
    ] = None,
    under: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="All who are in view for less than so many seconds, over all videos.",
            show_default=False,
        ),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(
            help="With --under, only those who are seen in this video: its file, its name, or its id or the beginning of it.",
            show_default=False,
        ),
    ] = None,
    no_longer: Annotated[bool, typer.Option("--no-longer", help="Show them in lists again.")] = False,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave a stranger out of lists from now on, or with --under all passers-by; results of videos still have them."""
    from serving.archive.naming.edit_strangers import hide_passers_by, hide_stranger

    if (stranger is None) == (under is None):
        raise typer.BadParameter("give a STRANGER or --under SECONDS")
    if under is None and video is not None:
        raise typer.BadParameter("--video goes with --under")
    if under is not None and (no_longer or not (0 < under < math.inf)):
        raise typer.BadParameter("--under takes seconds, more than 0, and hides: 'facerec history undo' takes it back")
    with open_home(home) as opened:
        if under is not None:
            video_id = None if video is None else find_video(opened, project, video).video_id
            change = hide_passers_by(
                opened.archive, project, under, video_id=video_id, preview=preview, expected=expect
            )
        else:
            change = hide_stranger(
                opened.archive, project, stranger or "", is_hidden=not no_longer, preview=preview, expected=expect
            )
    print_change(change, as_json=as_json)


@app.command()
def merge(
    stranger: StrangerArgument,
    into: Annotated[
        str, typer.Argument(metavar="INTO", help="Who it is: the stranger whose number stays, given in the same way.")
    ],
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a stranger as another one from now on; 'facerec unknowns unmerge' takes them apart."""
    from serving.archive.naming.edit_strangers import merge_strangers

    with open_home(home) as opened:
        change = merge_strangers(opened.archive, project, stranger, into, preview=preview, expected=expect)
    print_change(change, as_json=as_json)


@app.command()
def unmerge(
    stranger: StrangerArgument,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a stranger whom you merged with another under their own number again."""
    from serving.archive.naming.edit_strangers import unmerge_stranger

    with open_home(home) as opened:
        change = unmerge_stranger(opened.archive, project, stranger, preview=preview, expected=expect)
    print_change(change, as_json=as_json)


def correct(
    video: VideoArgument,
    track: Annotated[int, typer.Argument(help="Number of a track, as results give it.")],
    is_person: Annotated[str | None, typer.Option("--is", metavar="PERSON", help="Who it is.")] = None,
    is_not: Annotated[
        str | None, typer.Option("--is-not", metavar="PERSON", help="Who it is not: a person, or a stranger.")
    ] = None,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who a track is, or is not; the model learns it and the whole archive is named again at once."""
    from serving.archive.naming.correct import correct as apply

    if (is_person is None) == (is_not is None):
        raise typer.BadParameter("give --is PERSON or --is-not PERSON")
    with open_home(home) as opened:
        correction = _correction(
            opened, project, video, track, "is" if is_person else "is_not", is_person or is_not or ""
        )
        change = apply(
            opened.archive,
            project,
            [correction],
            preview=preview,
            expected=expect,
        )
    print_change(change, as_json=as_json)


def import_corrections(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="An exported CSV or XLSX in which names were changed, or lines of video,track,decision,person.",
        ),
    ],
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back an exported table in which names were changed: all corrections at once, as one edit."""
    from serving.archive.naming.correct import correct as apply
    from serving.archive.returned_table import read_corrections

    try:
        data = table.read_bytes()
    except OSError as error:
        raise InputError(f"{str(table)!r} cannot be read: {error.strerror}") from error
    with open_home(home) as opened:
        corrections = read_corrections(
            opened.archive, project, str(table), data, lambda given: find_video(opened, project, given).video_id
        )
        change = apply(opened.archive, project, corrections, preview=preview, expected=expect)
    print_change(change, as_json=as_json)


def _correction(opened: Opened, project: str, video: str, track: int, decision: str, person: str) -> TrackCorrection:
    from serving.archive.naming.correct import TrackCorrection
    from serving.store.naming_rows import CorrectionKind

    return TrackCorrection(find_video(opened, project, video).video_id, track, CorrectionKind(decision), person)


def _document(stranger: StrangerSummary) -> dict[str, Any]:
    from serving.api.found import StrangerView

    return StrangerView.of(stranger, lambda one: str(one.crop)).model_dump()
