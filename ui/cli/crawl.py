"""``facerec people crawl``: collect pictures of people and enrol them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    Opened,
    ProjectOption,
    messages,
    open_home,
    output,
    print_json,
    progress_bar,
)
from ui.cli.enrolment_table import count_statuses, enrolled_document, print_reasons

if TYPE_CHECKING:
    from facerec_models.analysis.networks import Networks
    from training.crawling.crawl import CrawlReport


def crawl(
    names: Annotated[
        str,
        typer.Argument(
            metavar="NAME[;NAME...]", help="Whom to find pictures of; several names separated by semicolons."
        ),
    ],
    max_num: Annotated[
        int, typer.Option("--max-num", "--max_num", min=1, max=1000, help="Pictures of each person, with those there.")
    ] = 20,
    source: Annotated[
        str,
        typer.Option(
            help="Where to search: bing, google, baidu, urls:FILE (an address a line), site:URL or folder:DIR; "
            "{name} in it becomes the person's id."
        ),
    ] = "bing",
    discard_multi_face: Annotated[
        bool,
        typer.Option("--discard-multi-face", "--discard_multi_faces", help="Refuse pictures that show several faces."),
    ] = False,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Collect pictures of people, politely, and enrol them; doing it again fetches only what is missing.

    Pictures stay in the home with a list of where and when each was fetched. They are other people's: mind their rights.
    """
    from facerec_models.analysis.networks import load_networks
    from facerec_models.errors import FacerecError, SourceError
    from facerec_models.names import check_project_name, identity_of
    from serving.archive.learning.enrol import content_elsewhere
    from training.crawling.crawl import crawl as fetch
    from training.crawling.crawl import split_names
    from training.crawling.sources import parse_source

    try:
        check_project_name(project)
        people = split_names(names)
        found = parse_source(source)
        found.check_people(len(people))
    except FacerecError as error:
        raise typer.BadParameter(str(error)) from error
    errors: list[str] = []
    with open_home(home) as opened, progress_bar("items") as progress:
        opened.archive.store.create_project(project)
        networks: Networks | None = None
        for person_id in people:
            task = progress.add_task(identity_of(person_id), total=max_num)
            try:
                report = fetch(
                    person_id,
                    found,
                    opened.archive.files.pictures(project, person_id),
                    opened.settings.crawl,
                    opened.settings.analysis.limits,
                    max_num=max_num,
                    alone=len(people) == 1,
                    known_sha256=content_elsewhere(opened.archive.store.list_faces(project, person_id=person_id)),
                    on_picture=lambda _, task=task: progress.advance(task),  # type: ignore[misc]
                )
            except FacerecError as error:
                errors.append(f"{identity_of(person_id)}: {error}")
                continue
            progress.update(task, completed=len(report.pictures))
            if report.error is not None:
                errors.append(report.error)
            if report.pictures:
                if networks is None:
                    embedder = opened.archive.store.get_project(project).embedder
                    networks = load_networks(opened.settings.analysis, opened.archive.files.weights, embedder)
                taken = _enrol(opened, project, report, networks, discard_multi_face, as_json)
                if not taken and report.error is None:
                    errors.append(f"no picture of {identity_of(person_id)!r} could be taken")
    if networks is not None and not as_json:
        output.print(
            f"Next: facerec train. Embedded with {networks.embedder.name}. {networks.embedder.terms}", style="dim"
        )
    for line in errors[:-1]:
        messages.print(f"facerec: {line}", soft_wrap=True)
    if errors:
        raise SourceError(errors[-1])


def _enrol(
    opened: Opened, project: str, report: CrawlReport, networks: Networks, one_face_only: bool, as_json: bool
) -> int:
    """Enrol what a crawl gave and show what became of each picture; return how many are learned from."""
    from facerec_models.names import identity_of
    from serving.archive.learning.enrol import enrol

    pictures = {picture.path: picture for picture in report.to_enrol()}
    faces = []
    for face in enrol(
        opened.archive,
        project,
        list(pictures.values()),
        networks,
        opened.settings.analysis,
        one_face_only=one_face_only,
    ):
        faces.append(face)
        if as_json:
            print_json({**enrolled_document(face), "source": pictures[face.path].source})
    if not as_json:
        print_reasons(faces)
    if report.note is not None:
        messages.print(report.note, soft_wrap=True)
    if not as_json:
        output.print(
            f"{identity_of(report.person_id)}: {report.fetched} pictures fetched, {len(report.pictures)} there: "
            f"{count_statuses(faces)}."
        )
    return sum(face.status.value == "taken" for face in faces)
