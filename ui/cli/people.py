"""``facerec people``: enrol people and look at them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ui.cli import crawl
from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    ProjectOption,
    messages,
    open_home,
    output,
    print_json,
    progress_bar,
)

app = typer.Typer(help="Enrol people and look at their pictures.", no_args_is_help=True)
app.command()(crawl.crawl)

FaceIds = Annotated[list[str], typer.Argument(help="Ids of faces, as 'people show' lists them.")]


@app.command("import")
def import_people(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder with a folder of pictures for each person.")
    ],
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol the people of DIR/<Person_Name>/*; pictures listed in DIR/disabled.txt are kept but not learned from."""
    from facerec_models.errors import InputError
    from serving.names import check_project_name
    from serving.networks import load_networks
    from serving.store.rows import FaceStatus
    from training.enrol import enrol, find_pictures

    check_project_name(project)
    pictures = find_pictures(directory)
    with open_home(home) as opened, progress_bar("items") as progress:
        opened.store.create_project(project)
        embedder = opened.store.get_project(project).embedder
        networks = load_networks(opened.settings.analysis, opened.home, embedder)
        task = progress.add_task("importing", total=len(pictures))
        counts: Counter[str] = Counter()
        refused: list[str] = []
        for face in enrol(
            opened.store,
            opened.home,
            project,
            pictures,
            networks,
            opened.settings.analysis,
            opened.settings.identification,
        ):
            progress.advance(task)
            counts[face.status] += 1
            if face.status is FaceStatus.REFUSED:
                refused.append(f"{face.path}: {face.reason}")
            if as_json:
                print_json(
                    {
                        "path": face.path,
                        "person_id": face.person_id,
                        "face_id": face.face_id,
                        "status": face.status.value,
                        "reason": face.reason,
                    }
                )
    people = len({picture.person_id for picture in pictures})
    if not as_json:
        for line in refused:
            messages.print(f"[yellow]refused[/yellow] {line}", soft_wrap=True)
        output.print(
            f"{people} people, {len(pictures)} pictures: {counts['taken']} taken, {counts['disabled']} disabled, "
            f"{counts['refused']} refused. Next: facerec train"
        )
        output.print(f"Embedded with {networks.embedder.name}. {networks.embedder.terms}", style="dim")
    if not counts["taken"]:
        raise InputError(f"no picture of {str(directory)!r} could be taken; the reasons are above")


@app.command("list")
def list_people(project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List everyone who is enrolled."""
    from facerec_models.result import identity_of

    with open_home(home) as opened:
        people = opened.store.list_people(project)
    if as_json:
        print_json(
            [
                {
                    "person_id": person.person_id,
                    "identity": identity_of(person.person_id),
                    "taken": person.taken,
                    "disabled": person.disabled,
                    "refused": person.refused,
                }
                for person in people
            ]
        )
        return
    table = Table("person", "id", "taken", "disabled", "refused")
    for person in people:
        counts = (str(person.taken), str(person.disabled), str(person.refused))
        table.add_row(identity_of(person.person_id), person.person_id, *counts)
    output.print(table)


@app.command()
def show(
    person_id: str, project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show the pictures of a person and what became of each."""
    from facerec_models.errors import PersonNotFoundError

    with open_home(home) as opened:
        faces = opened.store.list_faces(project, person_id=person_id)
        if not faces:
            raise PersonNotFoundError(
                f"project {project!r} has no person {person_id!r}; 'facerec people list' names all"
            )
        crops = [str(opened.home.face_crop(project, face.face_id)) if face.crop else None for face in faces]
    if as_json:
        print_json(
            [
                {
                    "face_id": face.face_id,
                    "path": face.path,
                    "status": face.status.value,
                    "reason": face.reason,
                    "quality": face.quality,
                    "crop": crop,
                }
                for face, crop in zip(faces, crops, strict=True)
            ]
        )
        return
    table = Table("face", "picture", "status", "quality", "reason")
    for face in faces:
        table.add_row(face.face_id, face.path, face.status.value, f"{face.quality:.2f}", face.reason or "")
    output.print(table)


@app.command()
def enable(
    face_ids: FaceIds, project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Let faces be learned from again; takes effect with the next 'facerec train'."""
    _set_status(face_ids, project, home, as_json, enabled=True)


@app.command()
def disable(
    face_ids: FaceIds, project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Keep faces but do not learn from them; takes effect with the next 'facerec train'."""
    _set_status(face_ids, project, home, as_json, enabled=False)


def _set_status(face_ids: list[str], project: str, home: Path | None, as_json: bool, *, enabled: bool) -> None:
    from facerec_models.errors import NotFoundError
    from serving.store.rows import FaceStatus

    status = FaceStatus.TAKEN if enabled else FaceStatus.DISABLED
    with open_home(home) as opened:
        changed = opened.store.set_face_status(project, face_ids, status, None if enabled else "by hand")
    if as_json:
        print_json({"status": status.value, "changed": changed})
    else:
        output.print(f"{changed} of {len(face_ids)} faces are now {status.value}. Next: facerec train")
    if changed < len(face_ids):
        raise NotFoundError(
            f"{len(face_ids) - changed} of the ids name no face of project {project!r} with an embedding"
        )
