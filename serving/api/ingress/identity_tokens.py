"""Tokens of an identity provider (OpenID Connect): whether one is genuine, and what its owner may do."""

from __future__ import annotations

import logging
import threading
import time

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from facerec_models.errors import SourceError, UnauthenticatedError
from serving.archive.access.callers import Caller
from serving.settings import OidcConfig
from serving.store.access_rows import Role

logger = logging.getLogger(__name__)

# Signatures of a pair of keys alone: one that the provider shares with nobody.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_KEYS_KEPT_S = 600.0
# While the provider does not answer, those that it had are taken for so long.
_KEYS_LAST_S = 24 * 3600.0
# A token of an unknown key may be of a new one: then the keys are asked for again, but not more often.
_KEYS_ASKED_S = 30.0
_TIMEOUT_S = 5.0
_CLOCK_DIFFERENCE_S = 60
_LONGEST_TOKEN = 16_384


class _Signatures(JWSRegistry):
    """Takes headers with a certificate: the token as a whole is bounded."""

    max_header_length = 8192


_REGISTRY = _Signatures(algorithms=_ALGORITHMS, strict_check_header=False)


class IdentityTokens:
    """Checks the tokens of one provider. May be shared by threads."""

    def __init__(self, config: OidcConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._asked_at = self._had_at = -_KEYS_LAST_S
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_CLOCK_DIFFERENCE_S,
            iss={"essential": True, "value": config.issuer},
            aud={"essential": True, "value": config.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def caller(self, token: str) -> Caller:
        """Return whose a token is, with the grants of its owner's groups together.

        Raises
        ------
        UnauthenticatedError
            If it is not this provider's, not for this service, over, or of no group that may do anything.
        SourceError
            If the provider's keys cannot be had.
        """
        if len(token) > _LONGEST_TOKEN:
            raise UnauthenticatedError("what was sent is no token: it is too long")
        claims = self._decode(token)
        given = claims.get(self._config.groups_claim)
        groups = given if isinstance(given, list) else [given]
        grants: dict[str, Role] = {}
        for group in groups:
            for project, role in (self._config.grants.get(group, {}) if isinstance(group, str) else {}).items():
                if project not in grants or role.includes(grants[project]):
                    grants[project] = role
        if not grants:
            raise UnauthenticatedError(
                f"none of this user's groups may do anything here: FACEREC_ACCESS__OIDC__GRANTS names those that may, by the claim "
                f"{self._config.groups_claim!r}"
            )
        return Caller(f"user:{claims['sub']}", grants)

    def _decode(self, token: str) -> dict[str, object]:
        for is_last in (False, True):
            keys = self._provider_keys(asks_again=is_last)
            try:
                decoded = jwt.decode(token, keys, algorithms=_ALGORITHMS, registry=_REGISTRY)
                self._claims.validate(decoded.claims)
            # The library takes apart whatever is sent: headers of other types, lists within lists.
            except (JoseError, ValueError, TypeError, RecursionError) as error:
                # A signature of no known key may be of one that is new.
                if is_last or (isinstance(error, JoseError) and error.error in ("expired_token", "invalid_claim")):
                    raise UnauthenticatedError(f"the token is not accepted ({_why(error)}): sign in again") from error
            else:
                return dict(decoded.claims)
        raise AssertionError

    def _provider_keys(self, *, asks_again: bool) -> KeySet:
        now = time.monotonic()
        with self._lock:
            age_s, asked_s = now - self._had_at, now - self._asked_at
            is_due = self._keys is None or age_s > _KEYS_KEPT_S or asks_again
            asks = is_due and asked_s > _KEYS_ASKED_S
            if asks:  # whoever comes meanwhile does not
                self._asked_at = now
        if asks:
            try:
                answer = httpx.get(self._config.keys_url, timeout=_TIMEOUT_S, follow_redirects=False)
                answer.raise_for_status()
                found = KeySet.import_key_set(answer.json())
            except (httpx.HTTPError, ValueError, KeyError, JoseError) as error:
                logger.warning("the identity provider's keys cannot be had: %s", error)
            else:
                with self._lock:
                    self._keys, self._had_at = found, now
        with self._lock:
            if self._keys is None or time.monotonic() - self._had_at > _KEYS_LAST_S:
                raise SourceError("the identity provider's keys cannot be had: try again later")
            return self._keys


def _why(error: Exception) -> str:
    return str(getattr(error, "error", "")).replace("_", " ") or type(error).__name__
