"""``facerec recognize`` and ``batch``."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from facerec_models.errors import FacerecError, InputError, VideoNotFoundError, VideoOpenError
from facerec_models.names import person_id_of
from training.batch_table import BatchRow, read_batch
from ui.cli.common import (
    DEFAULT_PROJECT,
    ErrorOption,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    counted,
    open_home,
    output,
    print_json,
    print_note,
    progress_bar,
)
from ui.cli.export import draw_video, write_result, write_timeline
from ui.cli.tables import print_table
from ui.cli.targets import JSON, PICTURE, VIDEO, check_not_the_video, check_target, parse_fragment, result_files

if TYPE_CHECKING:
    from facerec_models.analysis.networks import Networks
    from facerec_models.config import AnalysisConfig
    from facerec_models.result import Result
    from serving.sources.source import Resolved


def _check_fps(value: float | None) -> float | None:
    if value is not None and not 0.01 <= value <= 240:
        raise typer.BadParameter(f"{value:g} frames a second cannot be sampled; give 0.01 to 240")
    return value


SpeedupOption = Annotated[
    int | None,
    typer.Option(
        "--video-speedup",
        min=1,
        help="Sample one frame in N; default: 25, or one second by the video's clock if that is sooner.",
        show_default=False,
    ),
]
FpsOption = Annotated[
    float | None,
    typer.Option(
        "--sample-fps",
        callback=_check_fps,
        help="Sample this many frames a second, 0.01 to 240.",
        show_default=False,
    ),
]
StreamOption = Annotated[
    int | None,
    typer.Option(
        "--stream",
        min=0,
        metavar="N",
        help="Number of the picture track as FFmpeg counts all streams of a file, from 0; default: the main one.",
        show_default=False,
    ),
]
LengthOption = Annotated[
    float,
    typer.Option("--min-length", min=0, help="Drop appearances shorter than this, in seconds."),
]


def recognize(
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO...", help="Video files, or their addresses.")],
    video_speedup: SpeedupOption = None,
    sample_fps: FpsOption = None,
    fragment: Annotated[
        str | None,
        typer.Option(
            metavar="START,END", help="Only this part, in seconds or hours:minutes:seconds.", show_default=False
        ),
    ] = None,
    stream: StreamOption = None,
    min_length: LengthOption = 0.0,
    max_false_names: ErrorOption = None,
    result: Annotated[Path | None, typer.Option(help="Write the result of one video here, as JSON.")] = None,
    out_dir: Annotated[Path | None, typer.Option(help="Write each result to DIR/<video>.json.")] = None,
    annotated: Annotated[Path | None, typer.Option(help="Write the video with boxes and names here (MP4).")] = None,
    timeline: Annotated[Path | None, typer.Option(help="Draw who is seen when, as PNG or JPEG.")] = None,
    export_frames: Annotated[
        Path | None, typer.Option(help="Write the faces of each person, and the frames that show them best, here.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Analyse again what was analysed before.")] = False,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find who appears in videos, when, and on what evidence."""
    check_sampling(video_speedup, sample_fps)
    if len(videos) > 1 and (result or annotated or timeline or export_frames):
        raise typer.BadParameter(
            "--result, --annotated, --timeline and --export-frames take one video; use --out-dir for several"
        )
    span = parse_fragment(fragment)
    check_target("--result", result, endings=JSON)
    check_target("--annotated", annotated, endings=VIDEO, makes_folders=False)
    check_target("--timeline", timeline, endings=PICTURE)
    check_target("--export-frames", export_frames, is_folder=True)
    for option, file in (("--result", result), ("--annotated", annotated), ("--timeline", timeline)):
        check_not_the_video(option, file, videos[0])
    files = [] if out_dir is None else result_files(out_dir, [(video, None) for video in videos])
    with open_home(home) as opened:
        recognizer = _Recognizer(opened, project, max_false_names, no_cache)
        config = with_sampling(opened.settings.analysis, video_speedup, sample_fps, span, stream)
        failed = 0
        for i, video in enumerate(videos):
            try:
                found = drop_short(recognizer.recognize(video, config), min_length)
            except FacerecError as error:
                failed += 1
                print_note("facerec:", error, "red")
                continue
            if result is not None:
                write_result(result, found)
            if files:
                write_result(files[i], found)
            if annotated is not None:
                recognizer.annotate(found, annotated)
            if timeline is not None:
                write_timeline(found, timeline, opened.settings.analysis.limits)
            if export_frames is not None:
                recognizer.export_faces(found, export_frames)
            typer.echo(found.to_json()) if as_json else _print_result(video, found)
            if recognizer.is_part_of_more(found):
                print_note(
                    "note:",
                    f"more of {Path(video).name} was analysed: 'facerec correct' takes the track numbers of 'facerec export'",
                    "yellow",
                )
        if failed:
            raise typer.Exit(1)


def batch(
    table: Annotated[Path, typer.Argument(metavar="CSV", help="Lines of media,start,end,person; one fragment each.")],
    out_dir: Annotated[Path, typer.Option(help="Write each result to DIR/<media>_<start>_<end>.json.")],
    video_speedup: SpeedupOption = None,
    sample_fps: FpsOption = None,
    min_length: LengthOption = 0.0,
    max_false_names: ErrorOption = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Analyse again what was analysed before.")] = False,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recognize many fragments, one result each; fragments that are done already are not done again.

    A medium is a file, beside the table or where the command runs, or the id or the name of a stored video. Where a line names a
    person, the result says under "asked_for" whether and when they were found.
    """
    from serving.archive.asked_for import with_asked

    check_sampling(video_speedup, sample_fps)
    rows = _read_table(table)
    files = result_files(out_dir, [(row.media, row.fragment) for row in rows])
    # Several lines may ask for different people in the same part.
    asked = {file: [row.person for row, other in zip(rows, files, strict=True) if other == file] for file in files}
    failed = 0
    with open_home(home) as opened, progress_bar("items") as progress:
        recognizer = _Recognizer(opened, project, max_false_names, no_cache)
        task = progress.add_task("fragments", total=len(rows))
        for row, target in zip(rows, files, strict=True):
            config = with_sampling(opened.settings.analysis, video_speedup, sample_fps, row.fragment)
            summary: dict[str, Any] = {"line": row.line, "media": row.media, "start_s": None, "end_s": None}
            summary["person"] = row.person
            if row.fragment is not None:
                summary["start_s"], summary["end_s"] = row.fragment
            try:
                found = drop_short(recognizer.recognize(row.media, config, may_be_stored=True), min_length)
            except FacerecError as error:
                failed += 1
                told = f"{table}, line {row.line}: {error}"
                summary |= {"result": None, "found": None, "error": told}
                print_note("facerec:", told, "red")
            else:
                found = with_asked(opened.archive.store, found, filter(None, asked[target]))
                write_result(target, found)
                mine = None if row.person is None else person_id_of(row.person)
                of_line = next((one for one in found.asked_for if one.person_id == mine), None)
                if of_line is not None and not of_line.enrolled:
                    print_note("warning:", f"{table}, line {row.line}: {of_line.identity} is not enrolled", "yellow")
                summary |= {"result": str(target), "found": None if of_line is None else of_line.found, "error": None}
            progress.advance(task)
            if as_json:
                print_json(summary)
    if not as_json:
        output.print(f"{len(rows) - failed} of {counted(len(rows), 'fragment')} written to {out_dir}.")
    if failed:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Recognizer:
    """Recognises videos in this process; the networks are loaded when the first one needs them."""

    opened: Opened
    project: str
    max_false_names: float | None
    no_cache: bool
    _networks: Networks | None = None
    _analysis_id: str = ""

    def recognize(self, source: str, config: AnalysisConfig, *, may_be_stored: bool = False) -> Result:
        """Recognise a file, or where that is allowed and there is none, the stored video of this id or name."""
        from serving.archive.exporting import crop_files
        from serving.archive.ids import find_video as find_stored
        from serving.archive.naming.answer import become_answer
        from serving.archive.naming.one_video import result_of
        from serving.archive.videos import add_video, analyze_video, find_analysis

        archive = self.opened.archive
        store = archive.store
        if self.project == DEFAULT_PROJECT:  # the name of any other may be a slip of the pen
            store.create_project(self.project)
        embedder = store.get_project(self.project).embedder or self._load(config).embedder.name
        if may_be_stored and "://" not in source and not Path(source).exists():
            try:
                video = find_stored(store, self.project, source)
            except VideoNotFoundError as error:
                raise VideoOpenError(f"there is no file {source!r}, and {error}") from error
        else:
            video = add_video(archive, self.project, self._resolve(source), config)
        analysis = None if self.no_cache else find_analysis(store, video, config, embedder)
        if analysis is None:
            with progress_bar() as progress:
                task = progress.add_task(video.name, total=1.0)
                analysis = analyze_video(
                    archive,
                    video,
                    config,
                    self._load(config),
                    on_progress=lambda fraction: progress.update(task, completed=fraction),
                )
        become_answer(archive, analysis, self.max_false_names)
        self._analysis_id = analysis.analysis_id
        return result_of(archive, archive.store.get_analysis(self.project, analysis.analysis_id), crop_files(archive))

    def _resolve(self, source: str) -> Resolved:
        """Return the local file of a path or an address; what is elsewhere is fetched, with a bar that shows how far that is."""
        from serving.sources.registry import resolve
        from serving.sources.source import SourceContext

        media, settings = self.opened.archive.files.media, self.opened.settings
        if "://" not in source or source.startswith("file://"):
            return resolve(source, SourceContext(media, settings, is_trusted=True))
        with progress_bar() as progress:
            task = progress.add_task("fetching", total=1.0)
            context = SourceContext(
                media, settings, is_trusted=True, on_progress=lambda done: progress.update(task, completed=done)
            )
            return resolve(source, context)

    def is_part_of_more(self, found: Result) -> bool:
        """Whether the answer about the video is made of more than what was recognised last."""
        latest = self.opened.archive.store.latest_analysis(self.project, found.video.id)
        return latest.analysis_id != self._analysis_id

    def annotate(self, found: Result, target: Path) -> None:
        draw_video(self.opened, self.opened.archive.store.get_video(self.project, found.video.id), found, target)

    def export_faces(self, found: Result, folder: Path) -> None:
        """Copy the kept crops of what was recognised last to a folder for each label, and draw a frame of each appearance."""
        from facerec_models.files import write_atomically
        from serving.exports.annotated import write_frames

        crops = self.opened.archive.files.analysis(self.project, self._analysis_id)
        for appearance in found.appearances:
            target = folder / appearance.label.replace(" ", "_")
            for track_id in appearance.track_ids:
                for crop in crops.glob(f"{track_id}-*.jpg"):
                    write_atomically(
                        target / f"{appearance.start_s:08.2f}_{crop.name}", crop.read_bytes(), is_private=False
                    )
        write_frames(
            found,
            Path(self.opened.archive.store.get_video(self.project, found.video.id).file),
            folder / "frames",
            self.opened.settings.analysis.limits,
        )

    def _load(self, config: AnalysisConfig) -> Networks:
        from facerec_models.analysis.networks import load_networks

        if self._networks is None:
            self._networks = load_networks(
                config, self.opened.archive.files.weights, self.opened.archive.store.get_project(self.project).embedder
            )
        return self._networks


def check_sampling(speedup: int | None, fps: float | None) -> None:
    """Refuse two ways of sampling at once."""
    if speedup is not None and fps is not None:
        raise typer.BadParameter("give --video-speedup or --sample-fps, not both")


def with_sampling(
    config: AnalysisConfig,
    speedup: int | None,
    fps: float | None,
    fragment: tuple[float, float] | None = None,
    stream: int | None = None,
) -> AnalysisConfig:
    """Return the configuration with what the options of sampling say."""
    from facerec_models.config import SamplingConfig

    update: dict[str, Any] = {"period_frames": speedup, "fps": fps} if speedup or fps else {}
    if stream is not None:
        update["stream"] = stream
    sampling = SamplingConfig(**{**config.sampling.model_dump(), **update, "fragment": fragment})
    return config.model_copy(update={"sampling": sampling})


def _read_table(path: Path) -> list[BatchRow]:
    """Read a batch; a relative media file is sought beside the table."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read as CSV: {error}") from error

    def beside(media: str) -> str:
        file = path.parent / media
        return str(file) if "://" not in media and file.exists() else media

    return [replace(row, media=beside(row.media)) for row in read_batch(io.StringIO(text, newline=""), str(path))]


def drop_short(found: Result, min_length_s: float) -> Result:
    """Leave out the appearances that are shorter than this."""
    kept = [a for a in found.appearances if a.end_s - a.start_s >= min_length_s]
    return found.model_copy(update={"appearances": kept})


def _print_result(video: str, found: Result) -> None:
    from facerec_models.identification.reasons import is_beside
    from facerec_models.metrics.intervals import length
    from ui.views import APPEARANCE_COLUMNS, appearance_rows

    table = Table(*APPEARANCE_COLUMNS, "Tracks", title=Path(video).name, title_justify="left")
    for row, appearance in zip(appearance_rows(found), found.appearances, strict=True):
        if appearance.person_id or appearance.stranger or is_beside(appearance.reason):
            table.add_row(*row, ", ".join(map(str, appearance.track_ids)))
    print_table(table)
    seconds, length_s = found.coverage, length(found.sampling.covered(found.video.duration_s))
    if (parts := found.sampling.fragments) is not None:
        told = " and ".join(f"from {start_s:g} to {end_s:g} s" for start_s, end_s in parts)
        output.print(f"Of {found.video.duration_s:.1f} s only those {told} were analysed.")
    output.print(
        f"Faces during {seconds.face_s:.1f} of {length_s:.1f} s: named {seconds.named_s:.1f} s, "
        f"unknown {seconds.unknown_s:.1f} s, undecidable {seconds.undecidable_s:.1f} s."
    )
    for warning in found.video.warnings:
        print_note("warning:", warning, "yellow")
