"""Tell another system that a job has ended: signed, and tried again until it is taken."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx

from facerec_models.errors import InputError
from facerec_models.proxies import is_loopback
from serving.settings import WebhookConfig
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job
from serving.store.leases import Lease

logger = logging.getLogger(__name__)

SIGNATURE_HEADER = "X-Facerec-Signature"

_LEASE_MARGIN_S = 5.0


def check_webhook(url: str, config: WebhookConfig) -> str:
    """Return what to sign with, if the operator lets the ends of jobs be told at this address.

    Raises
    ------
    InputError
        If it is no web address, its host is not allowed, or there is nothing to sign with.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InputError(f"webhook {url!r} is no address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(f"webhook {url!r} is no http or https address")
    if parsed.host not in config.hosts:
        raise InputError(
            f"webhook {url!r}: FACEREC_WEBHOOK__HOSTS names the hosts that may be told, not {parsed.host!r}"
        )
    if config.secret is None:
        raise InputError(f"webhook {url!r}: set FACEREC_WEBHOOK__SECRET, with which messages are signed")
    return config.secret.get_secret_value()


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature header of a message: its time, and the HMAC-SHA256 of ``<time>.<body>`` in hexadecimal.

    The receiver computes the same, compares in constant time, and refuses what is older than it tolerates.
    """
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


class WebhookSender:
    """Delivers the messages that are due.

    Parameters
    ----------
    config : WebhookConfig, optional
        By default nobody may be told.
    redact : callable
        Takes out of errors what is not for others.
    """

    def __init__(self, config: WebhookConfig | None = None, redact: Callable[[str], str] = str) -> None:
        self._config = config or WebhookConfig()
        self._redact = redact

    @property
    def lease_s(self) -> float:
        """How long a delivery may take: the timeout is counted for connecting, for sending and for the answer apart."""
        return 3 * self._config.timeout_s + _LEASE_MARGIN_S

    @property
    def max_attempts(self) -> int:
        """How often a message is delivered before it is given up."""
        return self._config.max_attempts

    def deliver(self, store: Store, claimed: Lease) -> None:
        """Try once to deliver a message that was claimed, and record how it went.

        The first failure is followed by another try after a second, the next after twice as long, and so on up to an hour.
        """
        hook = claimed.job.webhook
        if hook is None:
            raise ValueError(f"job {claimed.job.job_id} has no webhook")
        error = self._post(hook.url, claimed.job)
        if error is None:
            leases.finish_delivery(store, claimed)
            return
        is_last = hook.attempt >= self._config.max_attempts
        retry_at = None if is_last else time.time() + min(2.0 ** (hook.attempt - 1), 3600.0)
        logger.warning("job %s could not be told to %s: %s", claimed.job.job_id, hook.url, error)
        leases.finish_delivery(store, claimed, error, retry_at)

    def _post(self, url: str, job: Job) -> str | None:
        try:
            secret = check_webhook(url, self._config)
        except InputError as error:  # the operator has changed what is allowed
            return str(error)
        body = json.dumps(_message(job, self._redact)).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facerec",
            SIGNATURE_HEADER: sign(secret, int(time.time()), body),
        }
        try:
            # A redirect would lead to a host that nobody allowed.
            # The status is all that counts: a body, which could go on for as long as its sender likes, is not read.
            with httpx.stream(
                "POST",
                url,
                content=body,
                headers=headers,
                timeout=self._config.timeout_s,
                follow_redirects=False,
                trust_env=not is_loopback(url),
            ) as answer:
                return None if answer.is_success else f"it answered {answer.status_code}"
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"


def _message(job: Job, redact: Callable[[str], str]) -> dict[str, Any]:
    return {
        "event": "job.ended",
        "job_id": job.job_id,
        "kind": job.kind,
        "project": job.project,
        "video_id": job.video_id,
        "state": job.state.value,
        "error": job.error and redact(job.error),
        "ended_at": job.updated_at,
    }
