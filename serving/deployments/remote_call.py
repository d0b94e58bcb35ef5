"""Call a deployment from a thread of another replica."""

from __future__ import annotations

import logging
import time
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

logger = logging.getLogger(__name__)

_REPLY_TIMEOUT_S = 600.0
_PAUSE_S = 0.2
# A replica that dies is no fault of what was asked; one after the other that dies may be.
_MAX_DEATHS = 3


def call(method: Any, *arguments: Any, patience_s: float = 0.0) -> Any:
    """Call a handle's method, which may be done twice, and wait for the reply.

    Parameters
    ----------
    method
        Such as ``handle.detect``.
    patience_s : float
        How long to wait for room in a full queue, or for a replica in the place of one that died: nothing for a request
        that can be told to come back, minutes for a video whose analysis is under way.

    Raises
    ------
    BackPressureError
        If the queue stayed full.
    RayActorError
        If replicas died one after the other.
    """
    deadline = time.monotonic() + patience_s
    deaths = 0
    while True:
        try:
            return method.remote(*arguments).result(timeout_s=_REPLY_TIMEOUT_S)
        except BackPressureError:
            if time.monotonic() >= deadline:
                raise
        except RayActorError as error:
            deaths += 1
            if deaths > _MAX_DEATHS or time.monotonic() >= deadline:
                raise
            logger.warning("a replica died and is asked again: %s", type(error).__name__)
        time.sleep(_PAUSE_S)
