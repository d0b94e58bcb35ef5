"""``facerec export``: a stored result in another form; and what the commands write of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from ui.cli.targets import VIDEO, check_not_the_video, check_target

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
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write stored results in another form."""
    from serving.exports.formats import TEXT_FORMATS

    with open_home(home) as opened:
        rows = [find_video(opened, project, one) for one in videos or []] or _analysed(opened, project)
        holds_many = export_format in TEXT_FORMATS and TEXT_FORMATS[export_format].holds_many
        is_folder = len(rows) > 1 and not holds_many
        _check_out(export_format, out, is_folder=is_folder)
        written: list[Path] = []
        for part in [[row] for row in rows] if is_folder else [rows]:
            target = (
                out / f"{Path(part[0].name).stem}{_endings(export_format)[0]}" if is_folder and out is not None else out
            )
            if target in written:
                target = target.with_stem(f"{target.stem}-{part[0].video_id}")
            _write(opened, part, export_format, target)
            if target is not None:
                written.append(target)
    if as_json and written:
        print_json({"written": [str(path) for path in written]})
    elif written:
        output.print(f"Written: {', '.join(map(str, written))}")


def _analysed(opened: Opened, project: str) -> list[VideoRow]:
    """Return all videos of a project that have a result."""
    store = opened.archive.store
    named = {row.analysis_id for row in store.list_named(project)}
    latest = store.latest_analyses(project)
    return [video for video in store.list_videos(project) if latest.get(video.video_id) in named]


def _endings(export_format: ExportFormat) -> tuple[str, ...]:
    from serving.exports.formats import TEXT_FORMATS

    return (TEXT_FORMATS[export_format].ending,) if export_format in TEXT_FORMATS else VIDEO


def _check_out(export_format: ExportFormat, out: Path | None, *, is_folder: bool) -> None:
    """Raise `typer.BadParameter` if what is exported cannot be written there."""
    is_video = export_format is ExportFormat.ANNOTATED
    if is_video and out is None:
        raise typer.BadParameter("--format annotated needs --out FILE.mp4")
    if is_folder and out is None:
        raise typer.BadParameter(f"--format {export_format} of several videos needs --out DIR: it is a file for each")
    endings = () if is_folder else _endings(export_format)
    check_target("--out", out, endings=endings, is_folder=is_folder, makes_folders=not is_video)


def _write(opened: Opened, videos: Sequence[VideoRow], export_format: ExportFormat, target: Path | None) -> None:
    """Write the results of some videos as one file, or to standard output."""
    from facerec_models.files import write_atomically
    from serving.archive.naming.one_video import stored_result
    from serving.exports.formats import TEXT_FORMATS

    results = (stored_result(opened.archive, row.project, row.video_id, track_crop_uri(opened)) for row in videos)
    if export_format in TEXT_FORMATS:
        pieces = TEXT_FORMATS[export_format].write(results)
        if target is not None:
            write_atomically(target, (piece.encode() for piece in pieces), is_private=False)
            return
        for piece in pieces:
            typer.echo(piece, nl=export_format is ExportFormat.JSON)
    elif target is not None:
        (video,) = videos
        check_not_the_video("--out", target, video.file)
        draw_video(opened, video, next(results), target)


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
