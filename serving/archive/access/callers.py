"""Who asks, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from facerec_models.errors import ForbiddenError, InputError
from facerec_models.names import check_project_name
from serving.store.access_rows import EVERY_PROJECT, Role


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Parameters
    ----------
    name : str
        An `Actor.name`.
    grants : mapping of str to Role
        The role in each project, or in `EVERY_PROJECT`.
    per_minute : int or None
        Requests a minute, where a number of its own was set.
    """

    name: str
    grants: Mapping[str, Role] = field(default_factory=dict)
    per_minute: int | None = None

    def role_in(self, project: str) -> Role | None:
        """Return the role in a project, the higher one where that of every project is another; None if there is none.

        Examples
        --------
        >>> Caller("key:a", {"opera": Role.CURATE, "*": Role.READ}).role_in("opera")
        <Role.CURATE: 'curate'>
        """
        found = [role for name in (project, EVERY_PROJECT) if (role := self.grants.get(name)) is not None]
        return max(found, key=list(Role).index, default=None)

    def sees(self, project: str) -> bool:
        """Whether the caller may know of a project."""
        return self.role_in(project) is not None

    def require(self, role: Role, project: str = EVERY_PROJECT) -> None:
        """Raise `ForbiddenError` unless the caller has this role in a project, or in every one.

        The answer is the same whether the project exists or not.
        """
        found = self.role_in(project)
        if found is None or not found.includes(role):
            where = "every project" if project == EVERY_PROJECT else f"project {project!r}"
            has = "none" if found is None else f"{found}"
            raise ForbiddenError(
                f"this needs the role {role} in {where}, and {self.name} has {has}: ask who gives keys"
            )


# Who asks on this machine, while no key is asked for.
LOCAL = Caller("local", {EVERY_PROJECT: Role.ADMIN})


def check_grants(given: Mapping[str, str]) -> dict[str, Role]:
    """Return grants as they are written down, checked.

    Raises
    ------
    InputError
        If there is none, a project may not be called so, or there is no such role.
    """
    if not given:
        raise InputError(f"no project is named: give one, or {EVERY_PROJECT!r} for every project")
    roles = ", ".join(Role)
    for project, role in given.items():
        if project != EVERY_PROJECT:
            check_project_name(project)
        if role not in list(Role):
            raise InputError(f"{role!r} is no role: give one of {roles}")
    return {project: Role(role) for project, role in given.items()}
