"""Make API keys, and tell whose a key is. A key is shown once: the store has a digest of its secret end alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping

from facerec_models.errors import InputError, KeyNotFoundError, UnauthenticatedError
from serving.archive.access.callers import Caller, check_grants
from serving.store.access_rows import ApiKey, Role
from serving.store.acting import present_actor
from serving.store.contract import Store

# How a key begins, which a token of an identity provider does not.
KEY_PREFIX = "facerec_"
_KEY = re.compile(KEY_PREFIX + r"([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_ID_BYTES = 10
_SECRET_BYTES = 32
_LONGEST_NAME = 100
# What is compared where there is no such key, so that an answer takes as long.
_NOTHING = hashlib.sha256(b"").hexdigest()


def create_key(
    store: Store,
    name: str,
    grants: Mapping[str, str],
    *,
    expires_at: float | None = None,
    per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; return its row, and the key itself, which nobody can be told again.

    The secret end has 256 random bits: its digest needs no slow hash, which is for what people think up.

    Parameters
    ----------
    grants : mapping of str to str
        The role in each project, or in ``*``, every project.
    expires_at : float or None
        In seconds since the epoch.

    Raises
    ------
    InputError
        If the name is empty or longer than 100 characters, a grant cannot be, or the key would have expired.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InputError(
            f"a key's name has 1 to {_LONGEST_NAME} printable characters: {name[:_LONGEST_NAME]!r} has not"
        )
    if expires_at is not None and expires_at <= time.time():
        raise InputError("the key would have expired already: give a later time")
    key_id = base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode().lower()[:12]
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    row = ApiKey(
        key_id=key_id,
        name=name.strip(),
        digest=_digest(secret),
        grants={project: str(role) for project, role in check_grants(grants).items()},
        created_at=time.time(),
        created_by=present_actor().name,
        expires_at=expires_at,
        per_minute=per_minute,
    )
    store.add_key(row)
    return row, f"{KEY_PREFIX}{key_id}_{secret}"


def find_caller(store: Store, key: str) -> Caller:
    """Return whose a key is.

    Raises
    ------
    UnauthenticatedError
        If it is no key, or one that was revoked or has expired; which of these is told to nobody who has only its beginning.
    """
    parts = _KEY.fullmatch(key)
    if parts is None:
        raise UnauthenticatedError(f"what was sent is no key: one begins with {KEY_PREFIX} and is sent whole")
    try:
        row = store.get_key(parts[1])
    except KeyNotFoundError:
        row = None
    matches = hmac.compare_digest(_digest(parts[2]), _NOTHING if row is None else row.digest)
    if row is None or not matches:
        raise UnauthenticatedError("there is no such key: 'facerec keys list' names all")
    if row.revoked_at is not None:
        raise UnauthenticatedError(f"the key {row.key_id} was revoked: ask for another one")
    if is_over(row):
        raise UnauthenticatedError(f"the key {row.key_id} has expired: ask for another one")
    return Caller(f"key:{row.key_id}", {project: Role(role) for project, role in row.grants.items()}, row.per_minute)


def is_over(key: ApiKey) -> bool:
    """Whether a key opens nothing any more."""
    return key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= time.time())


def are_asked_for(store: Store) -> bool:
    """Whether there was ever a key: then everybody is asked for one, also when the last one has ended."""
    return bool(store.list_keys())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
