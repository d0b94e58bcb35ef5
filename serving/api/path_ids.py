"""Ids in a request's path, which may be given by their beginning."""

from __future__ import annotations

from fastapi import Request

from facerec_models.errors import NotFoundError
from serving.api.service import ServiceDep
from serving.archive.ids import IdKind, find_video, full_id

# A stranger's is read where it may be "Unknown n", too.
_KINDS = {
    "job_id": IdKind.JOB,
    "version": IdKind.MODEL,
    "analysis_id": IdKind.ANALYSIS,
    "face_id": IdKind.FACE,
}


def complete_path_ids(request: Request, service: ServiceDep) -> None:
    """Put whole ids in the place of their beginnings, before the route reads them; a video may be named by its file's name.

    What means nothing stays as it is: the route answers that it is not there.
    """
    given, store = request.path_params, service.archive.store
    project = str(given.get("project", ""))
    try:
        if "video_id" in given:
            given["video_id"] = find_video(store, project, given["video_id"]).video_id
        for name, kind in _KINDS.items():
            if name in given:
                given[name] = full_id(store, kind, given[name], project)
    except NotFoundError:
        return
