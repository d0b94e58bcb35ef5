"""``facerec export``: a stored result in another form; and what the commands write of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec_models.errors import VideoNotFoundError
from serving.exports.export_format import ExportFormat
from ui.cli.archive.lookup import find_video
from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    open_home,
    output,
    print_json,
    progress_bar,
)
from ui.cli.targets import VIDEO, check_not_the_video, check_target, parse_fragment

if TYPE_CHECKING:
    from facerec_models.config import LimitsConfig
    from facerec_models.result import Result
    from facerec_models.types import ImageArray
    from serving.store.rows import VideoRow


VideoArgument = Annotated[
    str, typer.Argument(help="A video that was recognised: its file, its name, or its id or the beginning of it.")
]


def export(
    videos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VIDEO]...",
            help="Videos that were recognised: the file, the name, or the id or the beginning of it; none: all of the project.",
            show_default=False,
        ),
    ] = None,
    export_format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.JSON,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write; of several videos a folder, unless it is a table. Text goes to standard output.",
        ),
    ] = None,
    fragment: Annotated[
        str | None,
        typer.Option(
            metavar="START,END",
            help="Of the annotated video only this part, in seconds or hours:minutes:seconds.",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write stored results in another form."""
    from serving.archive.exporting import analysed_videos, file_names
    from serving.exports.formats import FORMATS

    part = parse_fragment(fragment)
    if part is not None and export_format is not ExportFormat.ANNOTATED:
        raise typer.BadParameter(f"--fragment is for --format annotated: {export_format} is of all that was analysed")
    with open_home(home) as opened:
        named = {row.video_id: row for row in (find_video(opened, project, one) for one in videos or [])}
        rows = [*named.values()] or analysed_videos(opened.archive, project)
        if not rows:
            raise VideoNotFoundError(f"project {project!r} has no video with a result: 'facerec recognize' makes one")
        is_folder = len(rows) > 1 and not (export_format in FORMATS and FORMATS[export_format].holds_many)
        _check_out(export_format, out, is_folder=is_folder)
        written: list[Path] = []
        if is_folder and out is not None:
            out.mkdir(parents=True, exist_ok=True)
            for row, name in zip(rows, file_names(rows, _endings(export_format)[0]), strict=True):
                _write(opened, [row], export_format, out / name, part)
                written.append(out / name)
        else:
            _write(opened, rows, export_format, out, part)
            written.extend([] if out is None else [out])
    if as_json and written:
        print_json({"written": [str(path) for path in written]})
    elif written:
        output.print(f"Written: {', '.join(map(str, written))}")


def _endings(export_format: ExportFormat) -> tuple[str, ...]:
    from serving.exports.formats import FORMATS

    return (FORMATS[export_format].ending,) if export_format in FORMATS else VIDEO


def _check_out(export_format: ExportFormat, out: Path | None, *, is_folder: bool) -> None:
    """Raise `typer.BadParameter` if what is exported cannot be written there."""
    from serving.exports.formats import FORMATS

    is_video = export_format is ExportFormat.ANNOTATED
    ending = _endings(export_format)[0]
    if out is None and (is_video or not FORMATS[export_format].is_text):
        raise typer.BadParameter(f"--format {export_format} needs --out FILE{ending}")
    if is_folder and out is None:
        raise typer.BadParameter(f"--format {export_format} of several videos needs --out DIR: it is a file for each")
    endings = () if is_folder else _endings(export_format)
    check_target("--out", out, endings=endings, is_folder=is_folder, makes_folders=is_folder or not is_video)


def _write(
    opened: Opened,
    videos: Sequence[VideoRow],
    export_format: ExportFormat,
    target: Path | None,
    part: tuple[float, float] | None,
) -> None:
    """Write the results of some videos as one file, or to standard output."""
    from facerec_models.files import write_atomically
    from serving.api.addresses import crop_address
    from serving.archive.exporting import crop_files, write_document
    from serving.archive.naming.one_video import stored_result
    from serving.exports.annotated import only_part

    archive = opened.archive
    if export_format is ExportFormat.ANNOTATED and target is not None:
        (video,) = videos
        check_not_the_video("--out", target, video.file)
        found = stored_result(archive, video.project, video.video_id, crop_files(archive))
        draw_video(opened, video, found if part is None else only_part(found, *part), target)
        return
    # What refers to pictures by addresses of the service is for readers elsewhere.
    crop_url = crop_files(archive) if export_format is ExportFormat.JSON else crop_address
    pieces = write_document(archive, opened.settings.exports, videos, export_format, crop_url)
    if target is not None:
        write_atomically(target, pieces, is_private=False)
        return
    for piece in pieces:
        typer.echo(piece.decode(), nl=False)


def draw_video(opened: Opened, video: VideoRow, found: Result, target: Path) -> None:
    """Write a video again with its faces framed and named, and show how far that is."""
    from serving.archive.videos import video_file
    from serving.exports.annotated import write_annotated

    with progress_bar() as progress:
        task = progress.add_task(f"drawing {target.name}", total=1.0)
        write_annotated(
            found,
            video_file(video),
            target,
            opened.settings.analysis.limits,
            on_progress=lambda fraction: progress.update(task, completed=fraction),
        )


def write_result(path: Path, found: Result) -> None:
    """Write a result as JSON."""
    write_text(path, found.to_json(indent=1))


def write_text(path: Path, text: str) -> None:
    """Write a file that a user named."""
    from facerec_models.files import write_atomically

    write_atomically(path, text.encode(), is_private=False)


def write_timeline(found: Result, target: Path, limits: LimitsConfig) -> None:
    """Draw who is in view when, with a face of each."""
    from facerec_models.images import read_image
    from serving.archive.exporting import read_crop
    from serving.exports.timeline import write_timeline as write

    faces: dict[str, ImageArray] = {}
    for view in found.appearances:
        if view.label not in faces and view.evidence.crops:
            data = read_crop(view.evidence.crops[0].url)
            if data is not None:
                faces[view.label] = read_image(data, limits)
    write(found, target, thumbnails=faces)
