"""What a request's address says: texts that can be names, and ids, which may be given by their beginning."""

from __future__ import annotations

import unicodedata
from collections import Counter

from fastapi import Request

from facerec_models.errors import InputError, JobNotFoundError, NotFoundError
from facerec_models.names import is_hidden
from serving.api.service import ServiceDep
from serving.archive.access.callers import Caller
from serving.archive.ids import IdKind, complete, find_video, full_id
from serving.store.access_rows import Role
from serving.store.contract import Store
from serving.store.lookups import no_job

# A stranger's is read where it may be "Unknown n", too.
_KINDS = {
    "version": IdKind.MODEL,
    "analysis_id": IdKind.ANALYSIS,
    "face_id": IdKind.FACE,
}


_MOST_LETTERS = 2000
_MOST_DIGITS = 18
# Of one name in a query: people who are searched for together, videos that are exported together.
_MOST_VALUES = {"video": 500}
_USUAL_VALUES = 20


def check_address(request: Request) -> None:
    """Refuse values that can be no name, number or list of anything here, whatever the route does with them.

    Raises
    ------
    InputError
        Says which value of the path or the query that is.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        most = _MOST_VALUES.get(name, _USUAL_VALUES)
        if count > most:
            raise InputError(f"{name!r} is given {count} times: at most {most} are taken at once")
    given = [*request.path_params.items(), *request.query_params.multi_items()]
    for name, value in given:
        text = str(value)
        if len(text) > _MOST_LETTERS:
            raise InputError(f"{name} has {len(text)} characters: at most {_MOST_LETTERS} are taken")
        if any(is_hidden(c) for c in text):
            raise InputError(f"{name} {text!r} must not contain control characters")
        if text.lstrip("+-").isdecimal() and len(text) > _MOST_DIGITS:
            raise InputError(f"{name} is a number of {len(text)} digits: at most {_MOST_DIGITS} are taken")
    for name, value in request.path_params.items():
        if isinstance(value, str):
            request.path_params[name] = unicodedata.normalize("NFC", value)


# Who may not begin a job of these kinds may not begin it again either, nor end it.
_ROLES = {"second_set": Role.ADMIN}


def complete_path_ids(request: Request, service: ServiceDep) -> None:
    """Put whole ids in the place of their beginnings, before the route reads them; a video may be named by its file's name.

    What means nothing stays as it is: the route answers that it is not there.
    """
    given, store = request.path_params, service.archive.store
    if "job_id" in given:
        given["job_id"] = _own_job(request, store, given["job_id"])
    project = str(given.get("project", ""))
    try:
        if "video_id" in given:
            given["video_id"] = find_video(store, project, given["video_id"]).video_id
        for name, kind in _KINDS.items():
            if name in given:
                given[name] = full_id(store, kind, given[name], project)
    except NotFoundError:
        return


def _own_job(request: Request, store: Store, given: str) -> str:
    """Return the whole id of a job; raise unless the caller may do with it what the route does.

    What is in a project that the caller does not see is not there.
    """
    caller: Caller = request.state.caller
    try:
        job = store.get_job(given)
    except JobNotFoundError:
        job = store.get_job(
            complete(IdKind.JOB, given, [row.job_id for row in store.list_jobs() if caller.sees(row.project)])
        )
    if not caller.sees(job.project):
        raise no_job(given)
    needed: Role = request.state.needed
    caller.require(needed if needed is Role.READ else _ROLES.get(job.kind, needed), job.project)
    return job.job_id
