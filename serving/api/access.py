"""Keys, who asks, and the audit log."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from serving.api.ingress.access import needs
from serving.api.schemas import CallerView
from serving.api.service import AfterNumber, CallerDep, NewestFirst, ProjectName, ServiceDep
from serving.archive.access import keys
from serving.archive.access.audit import AuditView, read_audit
from serving.store.access_rows import ApiKey, Role

router = APIRouter(tags=["access"])

_DAY_S = 24 * 3600.0
_MOST_DAYS = 3650
EntryLimit = Annotated[int, Query(ge=1, le=1000)]


class KeyRequest(BaseModel):
    """What a new key is to open."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    grants: dict[str, Role] = Field(
        min_length=1, max_length=1000, description='The role in each project, or in "*", every project.'
    )
    expires_in_days: float | None = Field(default=365, gt=0, le=_MOST_DAYS, description="null: never.")
    per_minute: int | None = Field(default=None, ge=1, le=10**6, description="Requests a minute; null: as set for all.")


class KeyView(BaseModel):
    """A key, without what opens anything."""

    key_id: str
    name: str
    grants: dict[str, Role]
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    per_minute: int | None

    @classmethod
    def of(cls, key: ApiKey) -> KeyView:
        """Return what may be told of a key."""
        return cls.model_validate({name: getattr(key, name) for name in cls.model_fields})


class NewKey(KeyView):
    """A key that was made just now."""

    key: str = Field(description="The key itself: it is told once.")


@router.get("/me")
def describe_caller(caller: CallerDep) -> CallerView:
    """Say who asks, and which role they have in which project."""
    return CallerView(name=caller.name, grants=dict(caller.grants))


@router.get("/keys", openapi_extra=needs(Role.ADMIN))
def list_keys(service: ServiceDep) -> list[KeyView]:
    """List all keys, those that open nothing any more, too."""
    return [KeyView.of(key) for key in service.archive.store.list_keys()]


@router.post("/keys", status_code=201, openapi_extra=needs(Role.ADMIN))
def create_key(wanted: KeyRequest, service: ServiceDep) -> NewKey:
    """Make a key. It is in this answer alone; the service keeps a digest."""
    days = wanted.expires_in_days
    row, key = keys.create_key(
        service.archive.store,
        wanted.name,
        wanted.grants,
        expires_at=None if days is None else time.time() + days * _DAY_S,
        per_minute=wanted.per_minute,
    )
    return NewKey(**KeyView.of(row).model_dump(), key=key)


@router.delete("/keys/{key_id}", openapi_extra=needs(Role.ADMIN))
def revoke_key(key_id: str, service: ServiceDep) -> KeyView:
    """Let a key open nothing any more, from the next request on."""
    return KeyView.of(service.archive.store.revoke_key(key_id))


@router.get("/audit", openapi_extra=needs(Role.ADMIN))
def list_service_audit(
    service: ServiceDep, after: AfterNumber = 0, limit: EntryLimit = 200, newest_first: NewestFirst = False
) -> list[AuditView]:
    """List who changed what that is of no project, as keys, oldest first."""
    return read_audit(service.archive.store, "", after=after, limit=limit, newest_first=newest_first)


@router.get("/projects/{project}/audit", openapi_extra=needs(Role.ADMIN))
def list_audit(
    project: ProjectName,
    service: ServiceDep,
    after: AfterNumber = 0,
    limit: EntryLimit = 200,
    newest_first: NewestFirst = False,
) -> list[AuditView]:
    """List who changed what in a project, oldest first: what was done, to what, and what was before and after."""
    return read_audit(service.archive.store, project, after=after, limit=limit, newest_first=newest_first)
