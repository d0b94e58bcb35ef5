"""``facerec export``: a stored result in another form; and what the commands write of one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from ui.cli.targets import CSV, JSON, VIDEO, check_not_the_video, check_target

if TYPE_CHECKING:
    from facerec_models.config import LimitsConfig
    from facerec_models.result import Result
    from facerec_models.types import ImageArray
    from serving.archive.naming.one_video import CropUrl
    from serving.store.naming_rows import AppearanceRow
    from serving.store.rows import AnalysisRow, VideoRow

VideoArgument = Annotated[
    str, typer.Argument(help="A video that was recognised: its file, its name, or its id or the beginning of it.")
]


class ExportFormat(StrEnum):
    """What a result can be written as."""

    JSON = "json"
    CSV = "csv"
    ANNOTATED = "annotated"


_ENDINGS = {ExportFormat.JSON: JSON, ExportFormat.CSV: CSV, ExportFormat.ANNOTATED: VIDEO}


def export(
    video: VideoArgument,
    export_format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.JSON,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; text goes to standard output.")
    ] = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a stored result in another form."""
    from serving.archive.naming.one_video import stored_result
    from serving.exports.table import to_csv

    is_video = export_format is ExportFormat.ANNOTATED
    if is_video and out is None:
        raise typer.BadParameter("--format annotated needs --out FILE.mp4")
    check_target("--out", out, endings=_ENDINGS[export_format], makes_folders=not is_video)
    with open_home(home) as opened:
        row = find_video(opened, project, video)
        found = stored_result(opened.archive, project, row.video_id, track_crop_uri(opened))
        if is_video and out is not None:
            check_not_the_video("--out", out, row.file)
            draw_video(opened, row, found, out)
        else:
            text = to_csv(found) if export_format is ExportFormat.CSV else found.to_json(indent=1)
            if out is None:
                typer.echo(text, nl=not text.endswith("\n"))
                return
            write_text(out, text)
    print_json({"written": str(out)}) if as_json else output.print(f"Written: {out}")


def track_crop_uri(opened: Opened) -> CropUrl:
    """Return what says in which file the k-th best face of a track is."""

    def uri(analysis: AnalysisRow | AppearanceRow, track_id: int, k: int) -> str:
        return opened.archive.files.track_crop(analysis.project, analysis.analysis_id, track_id, k).as_uri()

    return uri


def draw_video(opened: Opened, video: VideoRow, found: Result, target: Path) -> None:
    """Write a video again with its faces framed and named, and show how far that is."""
    from serving.exports.annotated import write_annotated

    with progress_bar() as progress:
        task = progress.add_task(f"drawing {target.name}", total=1.0)
        write_annotated(
            found,
            Path(video.file),
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
    from serving.exports.timeline import write_timeline as write

    faces: dict[str, ImageArray] = {}
    for view in found.appearances:
        if view.label not in faces and view.evidence.crops:
            data = _read_crop(view.evidence.crops[0].url)
            if data is not None:
                faces[view.label] = read_image(data, limits)
    write(found, target, thumbnails=faces)


def _read_crop(uri: str) -> bytes | None:
    """Return the face at an address that `track_crop_uri` made; None if the file is gone."""
    from facerec_models.files import RemotePath
    from facerec_models.names import local_path

    protocol, key = uri.split("://", 1)
    file = local_path(uri) if protocol == "file" else RemotePath(protocol, key)
    return file.read_bytes() if file.is_file() else None
