"""``facerec videos``: which videos are stored, what was analysed of them, and their deletion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ui.cli.archive.lookup import find_video
from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    ProjectOption,
    counted,
    date_of,
    messages,
    open_home,
    output,
    print_json,
)
from ui.cli.filters import LimitOption
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from facerec_models.types import Interval
    from serving.archive.video_overview import VideoOverview
    from serving.exports.playability import Playability
    from serving.store.rows import VideoRow
    from ui.cli.common import Opened

app = typer.Typer(help="Stored videos: what was analysed of them, and who is in them.", no_args_is_help=True)

VideoArgument = Annotated[str, typer.Argument(metavar="VIDEO", help="A stored video: its file, id or name.")]


@app.command("list")
def list_videos(
    limit: LimitOption = 50,
    after: Annotated[
        str | None,
        typer.Option(metavar="VIDEO", help="Only those that were submitted after this one.", show_default=False),
    ] = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List videos, oldest first: how long they are, how far they are, and how many people are in them."""
    from serving.archive.video_overview import overview_of

    with open_home(home) as opened:
        store = opened.archive.store
        last = None if after is None else find_video(opened, project, after)
        rows = store.list_videos(project, after=last, limit=limit + 1)
        found = [overview_of(store, row) for row in rows[:limit]]
    if as_json:
        print_json([one.to_dict() for one in found])
    else:
        table = Table("video", "id", "length", "submitted", "analysed", "named", "people", "strangers")
        for one in found:
            table.add_row(*_cells(one))
        print_table(table)
    if len(rows) > limit:
        messages.print(f"There are more: --after {rows[limit - 1].video_id}", soft_wrap=True)


@app.command()
def show(
    video: VideoArgument,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was analysed of a video, with which settings and network, and what names it. The latest analysis counts."""
    from serving.archive.video_overview import describe_analyses, overview_of

    with open_home(home) as opened:
        row = find_video(opened, project, video)
        found = overview_of(opened.archive.store, row)
        analyses = describe_analyses(opened.archive.store, row)
        playability = _judge(opened, row)
    if as_json:
        latest = None if found.analysis is None else found.analysis.analysis_id
        playing = None if playability is None else {"plays": playability.plays, "why": playability.why}
        print_json(
            {**found.to_dict(), "file": row.file, "playing": playing, "latest_analysis": latest, "analyses": analyses}
        )
        return
    length = "" if found.duration_s is None else f", {_clock(found.duration_s)} long"
    output.print(f"{row.name}, {row.video_id}{length}, submitted {date_of(row.created_at)}")
    gone = "" if Path(row.file).is_file() else f" is gone: 'facerec recognize {row.uri}' makes it play again"
    output.print(f"file: {row.file}{gone}")
    if row.catalogue is not None:
        _print_catalogue(row.catalogue)
    if playability is not None:
        told = "as it is" if playability.plays else f"by a rendition alone: {playability.why}"
        output.print(f"plays in browsers {told}")
    if not analyses:
        output.print(
            "It was not analysed yet: 'facerec jobs list' shows what waits, 'facerec recognize' analyses a file."
        )
        return
    people = ", ".join(one.replace("_", " ") for one in found.people) or "nobody enrolled"
    output.print(f"who is in it: {people}; {counted(found.strangers, 'stranger')}")
    for one in analyses:
        is_latest = found.analysis is not None and one["analysis_id"] == found.analysis.analysis_id
        output.print(_analysis_line(one) + (" (the one that counts)" if is_latest else ""))


def _print_catalogue(values: dict[str, Any]) -> None:
    """Say what the catalogue knows of a video."""
    from facerec_models.catalogue import Catalogue

    known = Catalogue(**values)
    output.print(f"catalogue: {known.uri}")
    channels = [channel.name for channel in known.channels]
    told = {
        "title": known.titles,
        "date": known.dates,
        "channel": channels,
        "genre": known.genres,
        "theme": known.themes,
    }
    for name, lines in {**told, "rights": known.rights}.items():
        if lines:
            output.print(f"  {name}: {'; '.join(lines)}")
    for segment in known.segments:
        output.print(f"  {_clock(segment.start_s)} to {_clock(segment.end_s)}  {segment.label}")


@app.command()
def delete(
    video: VideoArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a video with its analyses, crops, drawn videos, and its upload and renditions unless another video has the same.

    Jobs about it are cancelled. A file that was given by its path stays where it is. Corrections that were made in it and faces that
    were enrolled from it stay with their people: 'facerec people forget' removes those.
    """
    from serving.archive.deletion import delete_video

    with open_home(home) as opened:
        row = find_video(opened, project, video)
        if not yes:
            typer.confirm(
                f"Delete video {row.name} ({row.video_id}) with all that was found in it?", abort=True, err=True
            )
        receipt = delete_video(opened.archive, project, row.video_id)
    if as_json:
        print_json(receipt.to_dict())
        return
    upload = ", its upload" if receipt.upload_removed else ""
    output.print(f"{row.name} is deleted (analyses: {receipt.analyses}, crops: {receipt.crops}{upload}).")
    if receipt.corrections_kept or receipt.faces_kept:
        output.print(
            f"{counted(receipt.corrections_kept, 'correction')} and {counted(receipt.faces_kept, 'enrolled face')} from it stay with "
            "their people: "
            "'facerec people forget' removes a person."
        )


def _judge(opened: Opened, row: VideoRow) -> Playability | None:
    """Say whether browsers play a video; None where its file is gone or cannot be read."""
    from facerec_models.errors import InputError
    from serving.archive.renditions import stream_of_result
    from serving.archive.videos import video_file
    from serving.exports.playability import judge_playability

    stream = stream_of_result(opened.archive.store, row)
    try:
        return judge_playability(video_file(row), opened.settings.analysis.limits, stream=stream, name=row.name)
    except InputError:
        return None


def _cells(one: VideoOverview) -> tuple[str, ...]:
    is_analysed = one.analysis is not None
    return (
        one.video.name,
        one.video.video_id,
        "" if one.duration_s is None else _clock(one.duration_s),
        date_of(one.video.created_at),
        "no" if not is_analysed else "yes" if one.fragments is None else _parts(one.fragments),
        "yes" if one.is_named else "no",
        str(len(one.people)) if is_analysed else "",
        str(one.strangers) if is_analysed else "",
    )


def _analysis_line(one: dict[str, Any]) -> str:
    part = "no frame" if one["start_s"] is None else f"{one['start_s']:.1f} to {one['end_s']:.1f} s"
    if one["joined_of"]:
        part = f"{_parts(one['fragments'])}, joined of {', '.join(one['joined_of'])}"
    by = one["named_by"]
    named = (
        "not named" if by is None else f"named by {by['model_version']} with accepted error {by['max_false_names']:.2%}"
    )
    return (
        f"{one['analysis_id']}: {part}, one frame in {one['period_s']:.3g} s, {one['embedder']}, "
        f"analysed {date_of(one['created_at'])}; {named}"
    )


def _parts(fragments: Sequence[Interval]) -> str:
    return ", ".join(f"{start_s:g} to {end_s:g} s" for start_s, end_s in fragments)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
