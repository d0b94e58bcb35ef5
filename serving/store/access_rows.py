"""What the store keeps of who may do what, who did what, and what was agreed with the people of a project."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# In grants: every project, those to come included, and what is of no project.
EVERY_PROJECT = "*"


class Role(StrEnum):
    """What a caller may do; each may do what those before it may."""

    READ = "read"
    CURATE = "curate"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what the other one may.

        Examples
        --------
        >>> Role.CURATE.includes(Role.READ), Role.CURATE.includes(Role.ADMIN)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that opens the service; what its owner holds is kept nowhere.

    Parameters
    ----------
    key_id : str
        Public: the middle of the key.
    name : str
        What it is for.
    digest : str
        SHA-256 of the secret end, in hexadecimal.
    grants : dict of str to str
        The role in each project, by the project's name or `EVERY_PROJECT`.
    per_minute : int or None
        Requests a minute; None: as many as the settings allow.
    created_by : str
        An `Actor.name`.
    expires_at, revoked_at : float or None
        In seconds since the epoch.
    """

    key_id: str
    name: str
    digest: str
    grants: dict[str, str]
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, and who made it. An entry is never changed; it names rows by their ids, and people not at all.

    Parameters
    ----------
    project : str
        Empty for what is of no project.
    number : int
        From 1, within the project; entries of a project that was deleted stay, and one of the same name goes on with them.
    actor, request_id
        As in `serving.store.acting.Actor`.
    action : str
        What was done, as ``edit``.
    subject : str or None
        The id of what it was done to.
    details : dict
        What was before and after, as JSON values.
    chain : str
        SHA-256 over this entry and the chain of the one before, in hexadecimal: no entry can be changed or left out unseen.
    """

    project: str
    number: int
    at: float
    actor: str
    request_id: str | None
    action: str
    subject: str | None
    details: dict[str, Any] = field(default_factory=dict)
    chain: str = ""


@dataclass(frozen=True, slots=True)
class PersonNote:
    """What was agreed with a person, or about them.

    Parameters
    ----------
    consent : str
        On what ground their faces are kept: a contract, a form and where it is.
    expires_at : float or None
        Until when, in seconds since the epoch.
    """

    project: str
    person_id: str
    consent: str
    expires_at: float | None
    updated_at: float
    updated_by: str
