"""Corrections: who tracks and strangers are, what people are called, whom to forget. They change the whole archive at once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, UploadFile

from facerec_models.names import file_name_of, person_id_of
from serving.api.ingress.access import needs
from serving.api.schemas import (
    CorrectionRequest,
    OtherPerson,
    OtherStranger,
    PassersBy,
    PersonName,
    SeveralStrangers,
    StrangerName,
    StrangersName,
    TrackCorrections,
)
from serving.api.service import HowToApply, ProjectName, ServiceDep
from serving.api.uploads import bounded_route, content_of, of_a_table
from serving.archive.forget import forget
from serving.archive.ids import find_video
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger, name_strangers, tell_apart
from serving.archive.naming.edit_strangers import (
    hide_passers_by,
    hide_stranger,
    hide_strangers,
    merge_strangers,
    unmerge_stranger,
)
from serving.archive.naming.rename import merge_people, rename_person, unmerge_person
from serving.archive.returned_table import read_corrections
from serving.store.access_rows import Role
from serving.store.naming_rows import CorrectionKind

router = APIRouter(tags=["corrections"], route_class=bounded_route(of_a_table))


@router.post("/projects/{project}/videos/{video_id}/tracks/{track_id}/corrections")
def correct_track(
    project: ProjectName, video_id: str, track_id: int, given: CorrectionRequest, service: ServiceDep, how: HowToApply
) -> dict[str, Any]:
    """Correct who a track is, or is not; answers what that changes, or would change, for each person."""
    correction = TrackCorrection(video_id, track_id, CorrectionKind(given.kind), given.person_id)
    return correct(service.archive, project, [correction], **how).to_dict()


@router.post("/projects/{project}/tracks/corrections")
def correct_tracks(
    project: ProjectName, given: TrackCorrections, service: ServiceDep, how: HowToApply
) -> dict[str, Any]:
    """Correct who several tracks are, or are not, as one edit, which one step undoes; or show what that would change."""
    kind = CorrectionKind(given.kind)
    corrections = [
        TrackCorrection(one.video_id, one.track_id, kind, one.person_id or given.person_id or "")
        for one in given.tracks
    ]
    return correct(service.archive, project, corrections, **how).to_dict()


@router.post("/projects/{project}/corrections")
def correct_by_table(project: ProjectName, file: UploadFile, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Take back an exported table, CSV or XLSX, in which names were changed: all corrections as one edit, or what they would change."""
    data = content_of(file)
    archive = service.archive
    name = file_name_of(file.filename, "table.csv")
    corrections = read_corrections(
        archive, project, name, data, lambda given: find_video(archive.store, project, given).video_id
    )
    return correct(archive, project, corrections, **how).to_dict()


@router.post("/projects/{project}/strangers/name")
def set_names(project: ProjectName, given: StrangersName, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Name several strangers as one person, and `tracks` of others with them, as one edit; or show what that would change."""
    also = [(one.video_id, one.track_id) for one in given.tracks]
    return name_strangers(service.archive, project, given.strangers, given.person_id, also=also, **how).to_dict()


@router.post("/projects/{project}/strangers/hide")
def hide_several(
    project: ProjectName, given: SeveralStrangers, service: ServiceDep, how: HowToApply, no_longer: bool = False
) -> dict[str, Any]:
    """Leave several strangers out of lists from now on, or show them again, as one edit; those who are so already are passed over."""
    return hide_strangers(service.archive, project, given.strangers, is_hidden=not no_longer, **how).to_dict()


@router.post("/projects/{project}/strangers/hide-passers-by")
def hide_all_passers_by(project: ProjectName, given: PassersBy, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Hide all strangers who are in view for less than so many seconds, as one edit; `strangers` of the answer is how many.

    Those who are hidden already are passed over; 409 if nobody is left.
    """
    video_id = None if given.video_id is None else find_video(service.archive.store, project, given.video_id).video_id
    return hide_passers_by(service.archive, project, given.max_screen_time_s, video_id=video_id, **how).to_dict()


@router.post("/projects/{project}/strangers/{stranger}/name")
def set_name(
    project: ProjectName, stranger: str, given: StrangerName, service: ServiceDep, how: HowToApply
) -> dict[str, Any]:
    """Name a stranger: their best faces are enrolled, and the whole archive is named again; or show what that would change.

    Tracks `without` which they are that person are told apart from them, and stay the stranger's.
    """
    without = [(one.video_id, one.track_id) for one in given.without]
    return name_stranger(service.archive, project, stranger, given.person_id, without=without, **how).to_dict()


@router.post("/projects/{project}/strangers/{stranger}/different")
def set_different(
    project: ProjectName, stranger: str, given: OtherPerson, service: ServiceDep, how: HowToApply
) -> dict[str, Any]:
    """Remember that a stranger is not a person, or not another stranger, however alike they are."""
    return tell_apart(service.archive, project, stranger, given.other, **how).to_dict()


@router.post("/projects/{project}/strangers/{stranger}/hide")
def hide(
    project: ProjectName, stranger: str, service: ServiceDep, how: HowToApply, no_longer: bool = False
) -> dict[str, Any]:
    """Leave a stranger out of lists from now on, or with `no_longer` show them again; results of videos still have them."""
    return hide_stranger(service.archive, project, stranger, is_hidden=not no_longer, **how).to_dict()


@router.post("/projects/{project}/strangers/{stranger}/merge")
def merge_with_stranger(
    project: ProjectName, stranger: str, given: OtherStranger, service: ServiceDep, how: HowToApply
) -> dict[str, Any]:
    """Show a stranger as another one, who they turned out to be, in all videos; or show what that would change."""
    return merge_strangers(service.archive, project, stranger, given.stranger, **how).to_dict()


@router.post("/projects/{project}/strangers/{stranger}/unmerge")
def unmerge(project: ProjectName, stranger: str, service: ServiceDep, how: HowToApply) -> dict[str, Any]:
    """Show a stranger who was merged with another as one of their own again; or show what that would change."""
    return unmerge_stranger(service.archive, project, stranger, **how).to_dict()


@router.post("/projects/{project}/people/{person_id}/rename")
def rename(
    project: ProjectName, person_id: str, given: PersonName, service: ServiceDep, how: HowToApply
) -> dict[str, Any]:
    """Give a person a name that nobody has, everywhere and at once; or show what that would change."""
    return rename_person(service.archive, project, person_id, given.person_id, **how).to_dict()


@router.post("/projects/{project}/people/{person_id}/merge")
def merge(
    project: ProjectName, person_id: str, given: PersonName, service: ServiceDep, how: HowToApply
) -> dict[str, Any]:
    """Make a person one with another, whose name stays; or show what that would change."""
    return merge_people(service.archive, project, person_id, given.person_id, **how).to_dict()


@router.post("/projects/{project}/people/{person_id}/unmerge")
def unmerge_from_person(
    project: ProjectName,
    person_id: str,
    service: ServiceDep,
    how: HowToApply,
    from_person: Annotated[
        str | None, Query(description="Whom they are merged with, where that is several; by default the last one.")
    ] = None,
) -> dict[str, Any]:
    """Take a person apart again who was merged with another, under the former name; or show what that would change.

    What was corrected by hand since the merge stays as it is. `GET .../people/{person_id}/merges` lists whom that is possible for.
    """
    return unmerge_person(service.archive, project, person_id, holder=from_person, **how).to_dict()


@router.delete("/projects/{project}/people/{person_id}", openapi_extra=needs(Role.ADMIN))
def forget_person(project: ProjectName, person_id: str, service: ServiceDep) -> dict[str, Any]:
    """Remove a person for good; answers with a receipt of what was removed."""
    return forget(service.archive, project, person_id_of(person_id)).to_dict()
