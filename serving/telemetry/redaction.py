"""Take out of a text what nobody who reads logs or errors needs: secrets, keys, addresses of databases, paths of this machine."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

SECRET, STORE = "<secret>", "<store>"
_API_KEY = re.compile(r"facerec_([A-Za-z0-9_-]{12})_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
# Who logs in at an address: mongodb://user:password@host, also where the password has signs that should have been encoded.
_LOGIN = re.compile(r"(?<=://)[^\s/'\"<>?#]+@")
_IN_QUERY = re.compile(
    r"(?i)([?&;](?:[\w.-]*(?:token|secret|signature|password|credential|api[_-]?key)[\w.-]*|sig|key|auth|x-amz-[\w-]+)=)[^&\s'\"<>]+"
)
_IN_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_SECRET_VARIABLE = re.compile(r"(?i)(secret|token|password|access_key|api_key)$")
# A secret of three letters would be found in every sentence.
_SHORTEST = 4
_MONGO_PORT = 27017


@dataclass(frozen=True)
class Redaction:
    """Takes secrets and places of this machine out of texts.

    Parameters
    ----------
    secrets : frozenset of str
        Replaced wherever they stand.
    hosts : frozenset of str
        Where the database is, as ``host:port``.
    places : tuple of (str, str)
        Folders, and by what each is replaced.

    Examples
    --------
    >>> redaction = Redaction(frozenset({"hunter2"}), frozenset({"db:27017"}), (("/srv/faces", "<home>"),))
    >>> redaction.redact("mongodb://ann:x@db:27017/a failed, hunter2, /srv/faces/store.sqlite")
    'mongodb://<secret>@<store>/a failed, <secret>, <home>/store.sqlite'
    """

    secrets: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    places: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, settings: BaseModel, environment: Mapping[str, str] = os.environ) -> Redaction:
        """Return what takes out the secrets of settings and environment, and where home, temporary files and interpreter are.

        Parameters
        ----------
        settings : BaseModel
            Every `SecretStr` in it is a secret; of a ``home``, where it has one, the path.
        """
        secrets = {secret.get_secret_value() for secret in _secrets(settings)}
        hosts = {host for secret in secrets for host in _hosts(secret)}
        secrets |= {value for name, value in environment.items() if _SECRET_VARIABLE.search(name)}
        places = {sys.prefix: "<python>", sys.base_prefix: "<python>", tempfile.gettempdir(): "<tmp>"}
        places[str(Path(__file__).parent.parent.parent)] = "<code>"
        home = getattr(settings, "home", None)
        if home is not None:
            places |= {str(home): "<home>", str(Path(home).resolve()): "<home>"}
        return cls(
            frozenset(secret for secret in secrets if len(secret) >= _SHORTEST),
            frozenset(hosts),
            tuple((place.rstrip("/"), shown) for place, shown in places.items() if place.rstrip("/")),
        )

    @cached_property
    def _shown(self) -> dict[str, str]:
        return {
            **dict(self.places),
            **dict.fromkeys(self.hosts, STORE),
            **dict.fromkeys(self.secrets, SECRET),
        }

    @cached_property
    def _known(self) -> re.Pattern[str] | None:
        # The longest first: the home may be in the folder of temporary files.
        def longest(found: Iterator[str] | frozenset[str]) -> str:
            return "|".join(map(re.escape, sorted(found, key=len, reverse=True)))

        parts = [longest(self.secrets)] if self.secrets else []
        # What begins or ends in the middle of another name is not meant.
        bounded = longest(self.hosts | {place for place, _ in self.places})
        parts += [rf"(?<![\w.-])(?:{bounded})(?![\w-])"] if bounded else []
        return re.compile("|".join(parts)) if parts else None

    def redact(self, text: str) -> str:
        """Return a text without what is to be taken out."""
        if self._known is not None:
            text = self._known.sub(lambda found: self._shown[found[0]], text)
        text = _API_KEY.sub(rf"facerec_\1_{SECRET}", text)
        if "://" in text:
            text = _LOGIN.sub(f"{SECRET}@", text)
        if "=" in text:
            text = _IN_QUERY.sub(rf"\1{SECRET}", text)
        return _IN_HEADER.sub(rf"\1 {SECRET}", text)


def _secrets(model: BaseModel) -> Iterator[SecretStr]:
    for name in type(model).model_fields:
        yield from _within(getattr(model, name))


def _within(value: object) -> Iterator[SecretStr]:
    if isinstance(value, SecretStr):
        yield value
    elif isinstance(value, BaseModel):
        yield from _secrets(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _within(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _within(one)


def _hosts(address: str) -> Iterator[str]:
    """Yield where a database is, as errors of its driver say it."""
    if not address.startswith(("mongodb://", "mongodb+srv://")):
        return
    place = urlsplit(address).netloc.rpartition("@")[2]
    for host in unquote(place).split(","):
        if host:
            yield host
            name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", str(_MONGO_PORT))
            yield f"{name}:{port}"
            yield f"('{name.strip('[]')}', {port})"
