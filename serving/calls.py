"""Call a deployment from a thread of another replica."""

from __future__ import annotations

import time
from typing import Any

from ray.serve.exceptions import BackPressureError

_REPLY_TIMEOUT_S = 600.0
_PAUSE_S = 0.2


def call(method: Any, *arguments: Any, patience_s: float = 0.0) -> Any:
    """Call a handle's method and wait for the reply.

    Parameters
    ----------
    method
        Such as ``handle.detect``.
    patience_s : float
        How long to wait for room in a full queue: nothing for a request that can be told to come back, minutes for a video whose
        analysis is under way.

    Raises
    ------
    BackPressureError
        If the queue stayed full.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return method.remote(*arguments).result(timeout_s=_REPLY_TIMEOUT_S)
        except BackPressureError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_S)
