"""``facerec import-predecessor``: take over what users of the predecessor have."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facerec_models.errors import InputError
from ui.cli.common import (
    HomeOption,
    JsonOption,
    Opened,
    messages,
    open_home,
    output,
    print_json,
    print_note,
    progress_bar,
)
from ui.cli.targets import check_target

if TYPE_CHECKING:
    from training.predecessor import PredecessorDatabase, Recording

_PICTURES = "training_img_aligned"


def import_predecessor(
    uri: Annotated[
        str,
        typer.Argument(
            metavar="URI", help="Its MongoDB: mongodb://HOST, mongodb://HOST:PORT/DATABASE; 'facerec' by default."
        ),
    ],
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Its data folder, or training_img_aligned: people to enrol.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write who it named when, and its catalogue.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take over the predecessor's projects, people and disabled pictures, and write its answers about videos.

    DIR/<project>/videos.csv is for 'facerec batch', names.csv (media,start,end,person) for 'facerec batch' and 'facerec evaluate'. What
    cannot be taken over is counted. Nothing is written to its database.
    """
    from facerec_models.names import check_project_name
    from training.predecessor import PredecessorDatabase

    check_target("--records", records, is_folder=True)
    folders = _project_folders(pictures)
    by_project: dict[str, list[Recording]] = defaultdict(list)
    with PredecessorDatabase(uri) as database:
        for recording in database.recordings():
            by_project[recording.project].append(recording)
        catalogue = database.metadata()
    left_out = _left_out(database)
    views = []
    with open_home(home) as opened:
        for project in sorted(by_project.keys() | folders.keys()):
            recordings = by_project[project]
            try:
                check_project_name(project)
            except InputError as error:
                left_out.append(f"project {project!r} with {len(recordings)} videos: {error}")
                continue
            views.append(_take_over(opened, project, recordings, folders.get(project), records, left_out))
            if not as_json:
                _print(views[-1])
    if records is not None:
        _write_catalogue(records, catalogue)
    elif catalogue or by_project:
        left_out.append(
            f"the records above and {len(catalogue)} entries of the catalogue: name a folder with --records"
        )
    if as_json:
        print_json({"projects": views, "catalogue": len(catalogue), "left_out": left_out})
        return
    for line in left_out:
        print_note("not taken over:", line, "yellow")
    for line in _next_steps(views, records):
        output.print(f"Next: {line}")


def _next_steps(views: list[dict[str, Any]], records: Path | None) -> list[str]:
    """Return the commands that go on from here; a project that has no pictures yet begins with them."""
    lines = []
    for view in views:
        project = f"--project {view['project']}"
        if not view["pictures"]:
            lines.append(f"facerec people import DIR {project}")
        lines.append(f"facerec train {project}")
        if records is not None and view["files"]:
            folder = records / view["project"]
            table, results = (shlex.quote(str(folder / name)) for name in ("videos.csv", "results"))
            lines.append(f"facerec batch {table} --out-dir {results} {project}")
    return lines


def _take_over(
    opened: Opened,
    project: str,
    recordings: list[Recording],
    folder: Path | None,
    records: Path | None,
    left_out: list[str],
) -> dict[str, Any]:
    """Create a project, enrol its pictures, write its records; return what there is to tell."""
    from training.predecessor import write_records

    opened.archive.store.create_project(project)
    pictures = {} if folder is None else _enrol(opened, project, folder, left_out)
    enrolled = {person.person_id for person in opened.archive.store.list_people(project)}
    named = {name.person_id for recording in recordings for name in recording.names}
    return {
        **_summary(project, recordings),
        "pictures": pictures,
        "without_pictures": sorted(named - enrolled),
        "files": [] if records is None else list(map(str, write_records(records / project, recordings))),
    }


def _summary(project: str, recordings: list[Recording]) -> dict[str, Any]:
    return {
        "project": project,
        "videos": len(recordings),
        "status": dict(Counter(r.status or "none" for r in recordings)),
        "faces": sum(r.samples for r in recordings),
        "tracks": sum(r.tracks for r in recordings),
        "names": sum(len(r.names) for r in recordings),
        "strangers": sum(len(r.strangers) for r in recordings),
        "undecided_tracks": sum(r.undecided for r in recordings),
        "lost_clusters": sum(r.lost_clusters for r in recordings),
    }


def _print(view: dict[str, Any]) -> None:
    states = ", ".join(f"{count} {state}" for state, count in view["status"].items())
    output.print(
        f"{view['project']}: {view['videos']} videos ({states or 'none'}), {view['faces']} faces in {view['tracks']} tracks: "
        f"{view['names']} names, {view['strangers']} times strangers, {view['undecided_tracks']} tracks without agreement, "
        f"{view['lost_clusters']} clusters without tracks"
    )
    if view["pictures"]:
        output.print("  pictures: " + ", ".join(f"{count} {status}" for status, count in view["pictures"].items()))
    if view["without_pictures"]:
        output.print(f"  named in videos, without pictures here: {', '.join(view['without_pictures'])}")
    for file in view["files"]:
        output.print(f"  {file}")


def _left_out(database: PredecessorDatabase) -> list[str]:
    """Say what the database holds that has no place here."""
    lines = [
        f"{count} documents of {name!r}, which cannot be read: {database.reasons[name]}"
        for name, count in database.unreadable.items()
    ]
    lines += [f"collection {name!r}, {count} documents" for name, count in database.other_collections.items()]
    return [*lines, "boxes of faces: no embedding is kept beside them, so its videos are to be analysed once more"]


def _project_folders(pictures: Path | None) -> dict[str, Path]:
    if pictures is None:
        return {}
    root = pictures / _PICTURES if (pictures / _PICTURES).is_dir() else pictures
    if not root.is_dir():
        raise InputError(f"{str(root)!r} is no folder; give the predecessor's data folder")
    return {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")}


def _enrol(opened: Opened, project: str, folder: Path, left_out: list[str]) -> dict[str, int]:
    """Enrol a project's pictures; return how many have each status."""
    from facerec_models.analysis.networks import load_networks
    from serving.archive.learning.enrol import enrol
    from serving.store.rows import FaceStatus
    from training.outlier_strategy import OutlierStrategy
    from training.pictures import DISABLED_LIST, find_pictures

    try:
        found = find_pictures(folder)
    except InputError as error:
        left_out.append(f"pictures of project {project!r}: {error}")
        return {}
    # A person has checked these: what was left enabled is right. Without a list, nobody has.
    outliers = None if (folder / DISABLED_LIST).is_file() else OutlierStrategy.ROBUST
    settings = opened.settings
    networks = load_networks(
        settings.analysis, opened.archive.files.weights, opened.archive.store.get_project(project).embedder
    )
    counts: Counter[str] = Counter()
    with progress_bar("items") as progress:
        task = progress.add_task(f"enrolling {project}", total=len(found))
        faces = enrol(
            opened.archive,
            project,
            found,
            networks,
            settings.analysis,
            outliers=outliers,
        )
        for face in faces:
            progress.advance(task)
            counts[face.status.value] += 1
            if face.status is FaceStatus.REFUSED:
                left_out.append(f"picture {project}/{face.path}: {face.reason}")
    return dict(counts)


def _write_catalogue(directory: Path, lines: list[str]) -> None:
    from facerec_models.files import write_atomically

    path = directory / "metadata.jsonl"
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode(), is_private=False)
    messages.print(f"{path}: {len(lines)} entries of the catalogue", soft_wrap=True)
