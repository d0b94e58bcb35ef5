"""What a project keeps, and for how long."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError

from facerec_models.config import Config
from facerec_models.errors import InputError, StoreError
from serving.store.contract import Store
from serving.store.rows import Project

DAY_S = 24 * 3600.0

Days = Annotated[float | None, Field(default=None, gt=0, le=36_500, allow_inf_nan=False)]


class Policy(Config):
    """What a project keeps, and for how many days; null is for ever.

    Examples
    --------
    >>> Policy(videos_days=30).crops_days is None
    True
    """

    keep_unmatched: bool = Field(
        default=True, description="Whether crops and vectors of faces that match nobody enrolled are kept."
    )
    videos_days: Days = Field(
        default=None, description="Videos, with all that was found in them, since they were submitted."
    )
    crops_days: Days = Field(default=None, description="Pictures of faces in videos, since these were analysed.")
    vectors_days: Days = Field(
        default=None, description="Vectors and pictures of faces in videos, since these were analysed; names stay."
    )
    strangers_days: Days = Field(
        default=None, description="Strangers, since the last video was submitted that shows them."
    )
    forget_expired: bool = Field(
        default=False, description="Whether people whose consent is over are forgotten; otherwise they are reported."
    )

    @property
    def removes_anything(self) -> bool:
        """Whether there is anything that is not kept for ever."""
        return self != Policy()

    def to_row(self) -> dict[str, Any]:
        """Return the policy as a project's row keeps it."""
        return self.model_dump(mode="json")


def policy_of(project: Project) -> Policy:
    """Return what a project keeps; of one that nobody decided on, everything.

    Raises
    ------
    StoreError
        If a later version of FaceRec, or another program, has written it: nothing may be kept by guess.
    """
    try:
        return Policy.model_validate(project.policy)
    except ValidationError as error:
        first = error.errors()[0]
        raise StoreError(
            f"the policy of project {project.name!r} cannot be read, {'.'.join(map(str, first['loc']))}: {first['msg']}; "
            "set it anew with 'facerec privacy set'"
        ) from error


def read_policy(store: Store, project: str) -> Policy:
    """Return what a project keeps; see `policy_of`."""
    return policy_of(store.get_project(project))


def set_policy(store: Store, project: str, policy: Policy) -> None:
    """Set what a project keeps; what is too old by then goes with the next sweep."""
    store.set_policy(project, policy.to_row())


def changed_policy(policy: Policy, **changes: Any) -> Policy:
    """Return a policy with some values changed.

    Raises
    ------
    InputError
        If a value is out of bounds.
    """
    try:
        return Policy.model_validate({**policy.to_row(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def nothing_kept(project: str) -> str:
    """Return the sentence that tells who asks for strangers that there are none."""
    return (
        f"Project {project} keeps nothing of faces that match nobody enrolled: there are no strangers to show or find."
    )
