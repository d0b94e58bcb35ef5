"""Who asks for the numbers while the store does not answer: whoever the store knew lately.

Prometheus could not tell a store that has failed from a service that has, if the store were needed to let Prometheus in. No key can be
revoked meanwhile: that, too, is written into the store.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from facerec_models.errors import StoreError, UnauthenticatedError
from serving.archive.access.callers import Caller

# Less than the ten seconds that Prometheus waits, and that a driver tries to reach its server.
_PATIENCE_S = 2.0
_KEPT_S = 3600.0
# Those who watch a service are few.
_MOST = 64


class RememberedCallers:
    """Identifies a caller; where the store is silent, as it was identified within the last hour."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="callers")
        self._known: dict[str, tuple[float, Caller]] = {}
        self._lock = threading.Lock()

    def identify(self, sent: str, ask: Callable[[], Caller]) -> Caller:
        """Ask who it is that has sent something.

        Parameters
        ----------
        sent : str
            Key, and whatever else decides who it is; a digest of it is kept.
        ask : callable
            Finds it in the store.

        Raises
        ------
        StoreError
            If the store does not answer in time, and this caller was not known lately.
        UnauthenticatedError
            If it is nobody.
        """
        digest = hashlib.sha256(sent.encode()).hexdigest()
        asked = self._threads.submit(copy_context().run, ask)
        try:
            caller = asked.result(_PATIENCE_S)
        except (TimeoutError, StoreError) as error:
            asked.cancel()
            with self._lock:
                at, known = self._known.get(digest, (0.0, None))
            if known is not None and time.monotonic() - at < _KEPT_S:
                return known
            raise StoreError("the store does not answer, and whose key this is cannot be told; try again") from error
        except UnauthenticatedError:
            with self._lock:
                self._known.pop(digest, None)
            raise
        with self._lock:
            self._known.pop(digest, None)
            self._known[digest] = time.monotonic(), caller
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
        return caller
