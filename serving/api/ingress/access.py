"""Who may ask what: the key, or the identity provider's token, of each request against the role that its route needs.

Plain ASGI: a refusal is answered before anything of a body is read.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerec_models.errors import BusyError, FacerecError, ForbiddenError, StoreError, UnauthenticatedError
from serving.api.ingress.documents import problem, title_of
from serving.api.ingress.guards import DOCS, DOCS_FILES, hostname
from serving.api.ingress.identity_tokens import IdentityTokens
from serving.api.ingress.own_threads import run_short
from serving.api.ingress.remembered import RememberedCallers
from serving.archive.access import keys
from serving.archive.access.callers import LOCAL, Caller
from serving.settings import AccessConfig
from serving.store.access_rows import Role
from serving.store.acting import Actor, acting
from serving.store.contract import Store
from serving.telemetry.context import bind, bound_ids
from serving.telemetry.metrics import count_refusal

# What tells nothing of any archive: whether the service lives, and how it is asked.
_PUBLIC = frozenset({"/healthz", "/readyz", DOCS, "/openapi.json", f"{DOCS}/oauth2-redirect"})
# What tells whether the store answers must not need it.
_NUMBERS = "/metrics"
_ROLE, _EVERYWHERE = "x-facerec-role", "x-facerec-in-every-project"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
# Where one of these is, another machine may have asked a proxy of this one.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_PROJECT = re.compile(r"/v1/projects/([^/]+)")
# Whether there are keys at all is asked so often, in seconds.
_KEYS_ASKED_S = 2.0
# Of one address: as many refused keys a minute.
_REFUSED_PER_MINUTE = 30
# Of an answer that takes long, whether its caller still may have it is asked so often, in seconds.
_ASKED_AGAIN_S = 10.0

_LOG = logging.getLogger(__name__)


def _is_public(path: str) -> bool:
    return path in _PUBLIC or path.startswith(f"{DOCS_FILES}/")


def needs(role: Role, *, everywhere: bool = False) -> dict[str, Any]:
    """Return what a route's ``openapi_extra`` says of the role that it needs, in the project that it names or in every one.

    A route that says nothing needs ``read`` to be read, and ``curate`` for all else. ``admin`` is for what cannot be undone, and for
    what concerns a project as a whole.
    """
    return {_ROLE: str(role), **({_EVERYWHERE: True} if everywhere else {})}


class _Needed(NamedTuple):
    """What a request to a route needs, and in which project: that of its path, of its query, or of neither."""

    method: str
    pattern: re.Pattern[str]
    role: Role
    in_query: bool
    default: str | None
    everywhere: bool

    @property
    def is_of_all(self) -> bool:
        """Whether it is about what is of no project, and more than reading; a job's project is found with the job."""
        named = {"project", "job_id"} & self.pattern.groupindex.keys()
        return self.everywhere or (self.role is not Role.READ and not self.in_query and not named)

    def project(self, path: str, query: bytes) -> str | None:
        found = self.pattern.match(path)
        named = {} if found is None else found.groupdict()
        if "project" in named or not self.in_query:
            return named.get("project")
        return parse_qs(query.decode("latin-1")).get("project", [self.default])[-1]


class _RevokedMeanwhileError(Exception):
    """A caller's key is refused while an answer is on its way: no error of a route, so that none of its handlers takes it."""


class AccessGuard:
    """Ask for a key, unless the request comes from this machine and there is no key.

    What it finds is in the request's state: ``caller``, and ``needed``, the role that the route needs.

    Parameters
    ----------
    app : ASGIApp
    api : FastAPI
        Whose routes are guarded.
    store : Store
    config : AccessConfig
    redact : callable
        Takes out of an error what is not for who asks.
    """

    def __init__(
        self, app: ASGIApp, api: FastAPI, store: Store, config: AccessConfig, redact: Callable[[str], str]
    ) -> None:
        self._app = app
        self._redact = redact
        self._api = api
        self._store = store
        self._config = config
        self._tokens = None if config.oidc is None else IdentityTokens(config.oidc)
        self._routes: list[_Needed] | None = None
        # Of the ways to count, the one whose counts are dropped when they are over.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._keys_asked_at = -_KEYS_ASKED_S
        self._has_keys = True
        self._remembered = RememberedCallers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 403 or 429, or pass the request on as its caller's."""
        if scope["type"] != "http" or _is_public(self._path(scope)):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            caller = await run_short(self._admit, scope, headers)
        except FacerecError as error:
            await _refusal(error, self._redact)(scope, receive, send)
            return
        with acting(Actor(caller.name, bound_ids().get("request_id"))), bind(key_id=caller.name):
            await self._pass_on(scope, receive, send, headers)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        """Answer as long as the caller's key holds; the short life of an identity provider's token ends no answer that has begun."""
        has_begun, asked_at = False, time.monotonic()
        given = given_token(headers) or ""

        async def sending(message: Message) -> None:
            nonlocal has_begun, asked_at
            if given.startswith(keys.KEY_PREFIX) and time.monotonic() - asked_at >= _ASKED_AGAIN_S:
                try:
                    await run_short(keys.find_caller, self._store, given)
                except UnauthenticatedError as error:
                    raise _RevokedMeanwhileError from error
                except StoreError as error:
                    _LOG.warning("whether a key still holds is asked again later: %s", self._redact(str(error)))
                asked_at = time.monotonic()
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except _RevokedMeanwhileError as revoked:
            _LOG.info("an answer is cut off: %s", revoked.__cause__)
            # What has begun is left without an end, by which a client would take it for whole.
            if not has_begun and isinstance(revoked.__cause__, FacerecError):
                await _refusal(revoked.__cause__, self._redact)(scope, receive, send)

    def _admit(self, scope: Scope, headers: Headers) -> Caller:
        if self._path(scope) == _NUMBERS:
            sent = repr((given_token(headers), comes_from_here(scope, headers)))
            caller = self._remembered.identify(sent, lambda: self._identify(scope, headers))
        else:
            caller = self._identify(scope, headers)
        self._count(caller.name, caller.per_minute or self._config.per_minute)
        needed = self._needed(scope)
        state = scope.setdefault("state", {})
        state["caller"] = caller
        state["needed"] = Role.ADMIN if needed is None else needed.role
        project = None if needed is None else needed.project(self._path(scope), scope["query_string"])
        if needed is not None and project is not None:
            caller.require(needed.role, project)
        elif needed is not None and needed.is_of_all:
            caller.require(needed.role)
        elif needed is None and (below := _PROJECT.match(self._path(scope))):
            # What comes after this would tell whether there is such a project.
            caller.require(Role.READ, below[1])
        return caller

    def _identify(self, scope: Scope, headers: Headers) -> Caller:
        given = given_token(headers)
        if given is None:
            if self._is_open(scope, headers):
                return LOCAL
            raise UnauthenticatedError(
                "a key is needed: send it as 'Authorization: Bearer KEY'; 'facerec keys create' makes one"
            )
        address = f"address:{_neighbourhood((scope.get('client') or ['unknown'])[0])}"
        try:
            if self._tokens is not None and not given.startswith(keys.KEY_PREFIX):
                return self._tokens.caller(given)
            return keys.find_caller(self._store, given)
        except UnauthenticatedError:
            # Who has a key is answered, however many others of the same address, as of a proxy, have none.
            refused = RateLimitItemPerMinute(_REFUSED_PER_MINUTE)
            if not self._limiter.hit(refused, address):
                raise self._too_many(refused, address) from None
            raise

    def _is_open(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request without a key is answered: it comes from this machine, for this machine, and there is no key."""
        if self._config.keys or self._tokens is not None or not comes_from_here(scope, headers):
            return False
        now = time.monotonic()
        if now - self._keys_asked_at >= _KEYS_ASKED_S:
            self._has_keys = keys.are_asked_for(self._store)
            self._keys_asked_at = now
        return not self._has_keys

    def _count(self, caller: str, per_minute: int) -> None:
        item = RateLimitItemPerMinute(per_minute)
        if not self._limiter.hit(item, caller):
            raise self._too_many(item, caller)

    def _too_many(self, item: RateLimitItemPerMinute, who: str) -> BusyError:
        wait_s = max(1.0, self._limiter.get_window_stats(item, who).reset_time - time.time())
        return BusyError(f"{who} has asked {item.amount} times within a minute: ask less often", retry_after_s=wait_s)

    def _needed(self, scope: Scope) -> _Needed | None:
        if self._routes is None:
            self._routes = list(_needs_of(self._api))
        path = self._path(scope)
        for needed in self._routes:
            if scope["method"] == needed.method and needed.pattern.match(path):
                return needed
        return None

    @staticmethod
    def _path(scope: Scope) -> str:
        # The application may be mounted below a path of its own.
        return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _needs_of(api: FastAPI) -> Iterator[_Needed]:
    for context in iter_route_contexts(api.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and context.path is not None:
            pattern, _, _ = compile_path(context.path)
            asked = [field for field in route.dependant.query_params if field.name == "project"]
            default = asked[0].default if asked else None
            for method in route.methods or ():
                extra = route.openapi_extra or {}
                yield _Needed(method, pattern, role_of(extra, method), bool(asked), default, _EVERYWHERE in extra)


def role_of(openapi_extra: Mapping[str, Any] | None, method: str) -> Role:
    """Return the role that a route needs, see `needs`."""
    stated = (openapi_extra or {}).get(_ROLE)
    return Role(stated) if stated is not None else Role.READ if method in _READING else Role.CURATE


def comes_from_here(scope: Scope, headers: Headers) -> bool:
    """Whether a request comes from this machine and is for this machine, and no proxy says that it asks for another one."""
    peer = (scope.get("client") or [""])[0]
    return (
        _is_loopback(peer)
        and hostname(f"//{headers.get('host', '')}") in _LOOPBACK_NAMES
        and not any(name in headers for name in _FORWARDED)
    )


def given_token(headers: Headers) -> str | None:
    """Return the key or token that a request sends."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key")


def _neighbourhood(address: str) -> str:
    """Return what one who asks cannot change at will: an IPv4 address, or the network of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


def _refusal(error: FacerecError, redact: Callable[[str], str]) -> ASGIApp:
    headers = {}
    if isinstance(error, BusyError):
        count_refusal("rate")
    elif isinstance(error, UnauthenticatedError | ForbiddenError):
        count_refusal("key")
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="facerec"'
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return problem(error.status, title_of(error), redact(str(error)), headers)
