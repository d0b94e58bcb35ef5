"""``facerec search``: where a person appears, with whom, and who resembles a face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from facerec_models.errors import GalleryMismatchError, ImageError, InputError
from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    messages,
    open_home,
    print_json,
)
from ui.cli.filters import (
    CursorOption,
    LimitOption,
    ProbabilityOption,
    SinceOption,
    UntilOption,
    VideoOption,
    WithinOption,
    read_query,
)
from ui.cli.tables import print_table

if TYPE_CHECKING:
    from serving.archive.search.people_and_faces import FaceHit, Hit, Page

app = typer.Typer(help="Search the archive by person, by company, and by face.", no_args_is_help=True)


@app.command()
def person(
    names: Annotated[
        str, typer.Argument(metavar="NAME[;NAME...]", help="People, or strangers; several: in the same shot.")
    ],
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    min_probability: ProbabilityOption = 0.0,
    video: VideoOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    within: WithinOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find where a person appears over all videos, or several people together."""
    from serving.archive.search.people_and_faces import search_people

    who = [name.strip() for name in names.split(";") if name.strip()]
    if not who:
        raise typer.BadParameter("give at least one name")
    with open_home(home) as opened:
        query = read_query(
            opened,
            project,
            video=video,
            since=since,
            until=until,
            within=within,
        )
        page = search_people(
            opened.archive, project, who, query, min_probability=min_probability, limit=limit, cursor=cursor
        )
        if as_json:
            items = [_document(opened, hit) for hit in page.hits]
            print_json({"items": items, "next_cursor": page.next_cursor})
            return
    from serving.exports.evidence import explain_found

    table = Table("video", "from", "to", "who", "why", "with")
    for hit in page.hits:
        company = ", ".join(dict.fromkeys(other.label for other in hit.company))
        why = explain_found(hit.row, hit.figure.false_name_rate).removeprefix(f"{hit.label}; ")
        table.add_row(*_cells(hit), why, company)
    print_table(table)
    _print_more(page.next_cursor)


@app.command()
def face(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture file.")],
    limit: LimitOption = 20,
    cursor: CursorOption = None,
    min_probability: ProbabilityOption = 0.0,
    video: VideoOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    within: WithinOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find who resembles the faces of a picture among all stored tracks, known or not."""
    from facerec_models.analysis.networks import load_networks
    from facerec_models.stills import StillResult, find_stills
    from serving.archive.search.people_and_faces import search_face
    from serving.archive.search.track_index import TrackIndex

    with open_home(home) as opened:
        embedder = opened.archive.store.get_project(project).embedder
        query = read_query(
            opened,
            project,
            video=video,
            since=since,
            until=until,
            within=within,
        )
        if embedder is None:
            raise GalleryMismatchError(f"project {project!r} has no video and no picture yet: recognize one first")
        networks = load_networks(opened.settings.analysis, opened.archive.files.weights, embedder)
        (found,) = find_stills([(str(image), image)], networks, opened.settings.analysis)
        if isinstance(found, StillResult):
            raise ImageError(found.error or f"{str(image)!r} cannot be read")
        index = TrackIndex(opened.archive.store, project)
        answers = [
            search_face(
                opened.archive, index, embedding, query, min_probability=min_probability, limit=limit, cursor=cursor
            )
            for embedding in found.embeddings
        ]
        boxes = found.detections.boxes.tolist()
        if as_json:
            print_json(
                [
                    {
                        "box_xyxy": box,
                        "hits": [_face_document(opened, hit) for hit in page.hits],
                        "next_cursor": page.next_cursor,
                        "note": page.note,
                    }
                    for box, page in zip(boxes, answers, strict=True)
                ]
            )
            return
    if not answers:
        raise InputError(f"no face was found in {str(image)!r}")
    for box, page in zip(boxes, answers, strict=True):
        _print_face(box, page)


def _print_face(box: Sequence[float], page: Page[FaceHit]) -> None:
    table = Table("video", "from", "to", "who", "similarity", "same person", title_justify="left")
    table.title = "Face at " + ", ".join(f"{value:.0f}" for value in box)
    for one in page.hits:
        mark = "yes" if one.is_match else "perhaps" if one.probability >= 0.5 else "no"
        table.add_row(*_cells(one.hit), f"{one.similarity:.3f}", mark)
    print_table(table)
    if page.note is not None:
        messages.print(page.note, soft_wrap=True)
    _print_more(page.next_cursor)


def _print_more(cursor: str | None) -> None:
    if cursor is not None:
        messages.print(f"There are more: --cursor {cursor}", soft_wrap=True)


def _cells(hit: Hit) -> tuple[str, str, str, str]:
    return hit.video, f"{hit.row.start_s:.1f}", f"{hit.row.end_s:.1f}", hit.label


def _document(opened: Opened, hit: Hit) -> dict[str, object]:
    from serving.api.found import FoundAppearance
    from serving.archive.exporting import crop_files

    return FoundAppearance.of(hit, crop_files(opened.archive)).model_dump()


def _face_document(opened: Opened, one: FaceHit) -> dict[str, object]:
    from serving.api.found import FoundFace
    from serving.archive.exporting import crop_files

    return FoundFace.of_face(one, crop_files(opened.archive)).model_dump()
