"""``facerec people``: enrol people and inspect their pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from facerec_models.errors import PersonNotFoundError
from training.outlier_strategy import OutlierStrategy
from ui.cli import crawl
from ui.cli.archive import person_records
from ui.cli.common import (
    DEFAULT_PROJECT,
    HomeOption,
    JsonOption,
    ProjectOption,
    counted,
    messages,
    open_home,
    output,
    print_json,
    print_note,
    progress_bar,
)
from ui.cli.enrolment_table import count_statuses, enrolled_document, print_enrolled, print_reasons
from ui.cli.identify import ExpectOption, PreviewOption, print_change
from ui.cli.tables import print_table
from ui.cli.targets import TEXT, check_target

if TYPE_CHECKING:
    from serving.store.rows import Face

app = typer.Typer(help="Enrol people and inspect their pictures.", no_args_is_help=True)
app.command()(crawl.crawl)
app.command()(person_records.consent)
app.command()(person_records.export)

PersonArgument = Annotated[str, typer.Argument(metavar="PERSON", help="A person's name or id.")]
FaceIds = Annotated[
    list[str], typer.Argument(metavar="FACE", help="Faces by id, as 'people show' lists them, or its beginning.")
]


@app.command("import")
def import_people(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder with a folder of pictures for each person.")
    ],
    prune_gone: Annotated[
        bool, typer.Option("--prune", help="Remove faces whose pictures were imported from DIR and are there no more.")
    ] = False,
    find_outliers: Annotated[
        bool, typer.Option("--outliers/--no-outliers", help="Disable pictures that show another person.")
    ] = True,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol the people of DIR/<Person_Name>/*; pictures listed in DIR/disabled.txt are kept but not learned from.

    Every file is taken, or refused with the reason; the exit code is 1 where one was refused. Of a group picture the face is taken that
    the person's other pictures agree with. Where nothing supports a choice it is a guess, which is not learned from until
    'facerec people enable' confirms it. Pictures that show another person are disabled.
    """
    from facerec_models.analysis.networks import load_networks
    from facerec_models.errors import InputError
    from facerec_models.names import check_project_name
    from serving.archive.learning.enrol import enrol, find_gone, prune
    from training.pictures import find_pictures, with_content

    check_project_name(project)
    with open_home(home) as opened, progress_bar("items") as progress:
        pictures = [with_content(picture) for picture in find_pictures(directory)]
        opened.archive.store.create_project(project)
        embedder = opened.archive.store.get_project(project).embedder
        networks = load_networks(opened.settings.analysis, opened.archive.files.weights, embedder)
        task = progress.add_task("importing", total=len(pictures))
        gone = find_gone(opened.archive.store, project, directory, pictures)
        if prune_gone:  # first: what was a person's under another name is then not theirs any more
            prune(opened.archive, project, gone.faces)
        faces = []
        for face in enrol(
            opened.archive,
            project,
            pictures,
            networks,
            opened.settings.analysis,
            outliers=OutlierStrategy.ROBUST if find_outliers else None,
        ):
            progress.advance(task)
            faces.append(face)
            if as_json:
                print_enrolled(face)
    told = [_tell_gone(face, directory, prune_gone) for face in gone.faces]
    told += [_tell_doubtful(face, directory) for face in gone.doubtful]
    people = len({picture.person_id for picture in pictures if picture.person_id})
    total = f"{counted(people, 'person', 'people')}, {counted(len(pictures), 'file')}"
    summary = f"{total}: {count_statuses([*faces, *told])}. Next: facerec train"
    if as_json:
        for face in told:
            print_enrolled(face)
        messages.print(summary)
    else:
        print_reasons([*faces, *told])
        output.print(summary)
        output.print(f"Embedded with {networks.embedder.name}. {networks.embedder.terms}", style="dim")
    if not any(face.status.value == "taken" for face in faces):
        raise InputError(f"no picture of {str(directory)!r} could be taken; the reasons are above")
    if any(face.status.value == "refused" for face in faces):
        raise typer.Exit(1)


def _tell_gone(face: Face, directory: Path, is_pruned: bool) -> Face:
    from serving.archive.learning.enrol import GONE, REMOVED
    from serving.store.rows import FaceStatus

    if is_pruned:
        return replace(face, status=FaceStatus.REFUSED, reason=f"{REMOVED}: it is no longer in {directory}")
    return replace(face, reason=f"{GONE}: it is no longer in {directory}, and still {face.status}; --prune removes it")


def _tell_doubtful(face: Face, directory: Path) -> Face:
    from serving.archive.learning.enrol import GONE

    return replace(
        face,
        reason=f"{GONE}: its folder in {directory} is empty, and it is still {face.status}: if nothing has to be mounted there, remove "
        "the folder itself, and --prune removes it",
    )


@app.command("list")
def list_people(project: ProjectOption = DEFAULT_PROJECT, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List everyone who is enrolled."""
    from facerec_models.names import identity_of
    from serving.archive.privacy.consent import is_over, note_document, notes_of

    with open_home(home) as opened:
        people = opened.archive.store.list_people(project)
        notes = notes_of(opened.archive.store, project)
    if as_json:
        from serving.api.schemas import PersonView

        documents = [PersonView.of(person).model_dump() for person in people]
        for one in documents:
            if one["person_id"] in notes:
                one["consent"] = note_document(notes[one["person_id"]])
        print_json(documents)
        return
    table = Table("person", "id", "taken", "disabled", "refused", *(["consent"] if notes else []))
    for person in people:
        counts = (str(person.taken), str(person.disabled), str(person.refused))
        note = notes.get(person.person_id)
        agreed = ["" if note is None else person_records.consent_text(note)] if notes else []
        table.add_row(identity_of(person.person_id), person.person_id, *counts, *agreed)
    print_table(table)
    if over := sum(is_over(note) for note in notes.values()):
        print_note("note:", f"the consent of {counted(over, 'person', 'people')} is over", "yellow")


@app.command()
def show(
    person: PersonArgument,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the pictures of a person and what became of each."""
    from facerec_models.names import person_id_of
    from serving.archive.privacy.consent import note_document, notes_of

    person_id = person_id_of(person)
    with open_home(home) as opened:
        faces = opened.archive.store.list_faces(project, person_id=person_id)
        if not faces:
            raise PersonNotFoundError(
                f"project {project!r} has no person {person_id!r}; 'facerec people list' names all"
            )
        crops = [str(opened.archive.files.face_crop(project, face.face_id)) if face.crop else None for face in faces]
        note = notes_of(opened.archive.store, project).get(person_id)
    agreed = {} if note is None else {"consent": note_document(note)}
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
                    **agreed,
                }
                for face, crop in zip(faces, crops, strict=True)
            ]
        )
        return
    table = Table("face", "picture", "status", "quality", "reason")
    for face in faces:
        table.add_row(face.face_id, face.path, face.status.value, f"{face.quality:.2f}", face.reason or "")
    print_table(table)
    if note is not None:
        output.print(f"Consent: {person_records.consent_text(note)}")


@app.command()
def enable(
    face_ids: FaceIds,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from faces again, as one edit; the whole archive is named again at once."""
    _enable(face_ids, project, home, preview, expect, as_json, enabled=True)


@app.command()
def disable(
    face_ids: FaceIds,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep faces but do not learn from them, as one edit; the whole archive is named again at once."""
    _enable(face_ids, project, home, preview, expect, as_json, enabled=False)


@app.command()
def rename(
    person: PersonArgument,
    name: Annotated[str, typer.Argument(metavar="NEW", help="A name that nobody has.")],
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a person another name: pictures, corrections and results have it at once.

    Rename the folder of pictures too before it is imported again: a folder of the old name enrols a person of that name.
    """
    from serving.archive.naming.rename import rename_person

    with open_home(home) as opened:
        change = rename_person(opened.archive, project, person, name, preview=preview, expected=expect)
    print_change(change, as_json=as_json)


@app.command()
def merge(
    person: PersonArgument,
    into: Annotated[str, typer.Argument(metavar="INTO", help="Who they are: the name that stays.")],
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one person of two: pictures, corrections and results of the first are the second's at once.

    'facerec people unmerge' takes them apart.
    """
    from serving.archive.naming.rename import merge_people

    with open_home(home) as opened:
        change = merge_people(opened.archive, project, person, into, preview=preview, expected=expect)
    print_change(change, as_json=as_json)


@app.command()
def unmerge(
    person: Annotated[str, typer.Argument(metavar="NAME", help="What the person was called who was merged.")],
    holder: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PERSON", help="Whom they are merged with, where that is several; the last one."
        ),
    ] = None,
    preview: PreviewOption = False,
    expect: ExpectOption = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person whom you merged with another apart again, under the former name; what you corrected since stays."""
    from serving.archive.naming.rename import unmerge_person

    with open_home(home) as opened:
        change = unmerge_person(opened.archive, project, person, holder=holder, preview=preview, expected=expect)
    print_change(change, as_json=as_json)


@app.command()
def outliers(
    person_ids: Annotated[list[str] | None, typer.Argument(metavar="[PERSON...]", help="Everyone by default.")] = None,
    strategy: Annotated[OutlierStrategy, typer.Option(help="How they are found.")] = OutlierStrategy.ROBUST,
    apply: Annotated[bool, typer.Option("--apply", help="Disable what was found, enable what was cleared.")] = False,
    write_disabled: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all disabled pictures as a disabled.txt.")
    ] = None,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List pictures that seem to show another person; importing finds and disables them by itself."""
    from facerec_models.files import write_atomically
    from facerec_models.identification.cohort import load_cohort
    from facerec_models.names import person_id_of
    from serving.archive.learning.enrol import GUESSED, disable_outliers, put_judgements, tally
    from serving.store.rows import FaceStatus

    check_target("--write-disabled", write_disabled, endings=TEXT)
    wanted = [person_id_of(name) for name in person_ids or []]
    with open_home(home) as opened:
        store = opened.archive.store
        embedder = store.get_project(project).embedder
        cohort = None if embedder is None else load_cohort(embedder, opened.archive.files.weights)
        people = [person.person_id for person in store.list_people(project)]
        unknown = sorted(set(wanted) - set(people))
        if unknown:
            raise PersonNotFoundError(
                f"project {project!r} has no person {unknown[0]!r}; 'facerec people list' names all"
            )
        found = []
        for person_id in wanted or people:
            faces = {face.face_id: face for face in store.list_faces(project, person_id=person_id)}
            changed = {} if cohort is None else disable_outliers(faces.values(), cohort, strategy)
            if apply:
                put_judgements(store, project, changed.values())
                changed = {face.face_id: face for face in store.list_faces(project, person_id=person_id)}
            judged = {**faces, **changed}
            found += [
                face
                for face in judged.values()
                if face.status is FaceStatus.DISABLED and not face.by_hand and tally(face) != GUESSED
            ]
        if write_disabled is not None:
            paths = sorted({face.path for face in store.list_faces(project, status=FaceStatus.DISABLED)})
            write_atomically(write_disabled, "".join(f"{path}\n" for path in paths).encode(), is_private=False)
    if as_json:
        print_json([enrolled_document(face) for face in found])
        return
    for face in found:
        output.print(f"{face.face_id}  {face.path}  {face.reason}")
    output.print(f"{counted(len(found), 'outlier')}{'' if apply else ' (nothing was changed; --apply disables them)'}.")


@app.command()
def forget(
    person: PersonArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    project: ProjectOption = DEFAULT_PROJECT,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a person for good: pictures, crops, vectors, model versions, the name in results; prints a receipt."""
    from serving.archive.forget import forget as forget_person

    with open_home(home) as opened:
        opened.archive.store.get_project(project)
        if not yes:
            typer.confirm(f"Forget {person}? This cannot be undone", abort=True, err=True)
        receipt = forget_person(opened.archive, project, person)
    if as_json:
        print_json(receipt.to_dict())
        return
    output.print(f"Forgotten: {receipt.person_id}.")
    for name, value in receipt.to_dict().items():
        if name not in {"person_id", "forgotten_at"}:
            output.print(f"  {name.replace('_', ' ')}: {', '.join(value) if isinstance(value, list) else value}")


def _enable(
    face_ids: list[str],
    project: str,
    home: Path | None,
    preview: bool,
    expect: int | None,
    as_json: bool,
    *,
    enabled: bool,
) -> None:
    from serving.archive.ids import IdKind, full_id
    from serving.archive.naming.enable import enable_faces

    with open_home(home) as opened:
        face_ids = [full_id(opened.archive.store, IdKind.FACE, face_id, project) for face_id in face_ids]
        change = enable_faces(opened.archive, project, face_ids, enabled=enabled, preview=preview, expected=expect)
    print_change(change, as_json=as_json)
