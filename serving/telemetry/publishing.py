"""The numbers of all processes, read together by one who asks any of them.

Every process of a service writes what it has counted to a board that all share, every few seconds and before it is asked itself; who
asks gets all of them, each with the name of its process. In a Ray cluster the board is the key-value table of its head: it is there on
every node, needs no port of its own, and forgets what a dead process wrote.

Ray's own exporter was the alternative. It puts ``ray_`` before every name, listens on all addresses where nodes are not on loopback,
and has a port a node.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Metric, generate_latest

from serving.telemetry.metrics import REGISTRY

logger = logging.getLogger(__name__)

PERIOD_S = 5.0
# Longer than a process is ever silent that lives; its last numbers are shown for so long.
SILENT_S = 60.0
_FORGOTTEN_S = 3600.0
_NAMESPACE = b"facerec_metrics"


class Board(Protocol):
    """Texts by key, which all processes share."""

    def put(self, key: str, text: bytes) -> None:
        """Write a text, in place of what was there."""

    def read(self) -> dict[str, bytes]:
        """Return all that was written."""

    def remove(self, key: str) -> None:
        """Forget a text."""


class LocalBoard:
    """A board of one process."""

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}

    def put(self, key: str, text: bytes) -> None:
        """See `Board.put`."""
        self._texts[key] = text

    def read(self) -> dict[str, bytes]:
        """See `Board.read`."""
        return dict(self._texts)

    def remove(self, key: str) -> None:
        """See `Board.remove`."""
        del self._texts[key]


class RayBoard:
    """The board of the Ray cluster that this process belongs to."""

    def put(self, key: str, text: bytes) -> None:
        """See `Board.put`."""
        from ray.experimental.internal_kv import _internal_kv_put

        _internal_kv_put(key, text, overwrite=True, namespace=_NAMESPACE)

    def read(self) -> dict[str, bytes]:
        """See `Board.read`."""
        from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_list

        found = {
            key.decode(): _internal_kv_get(key, namespace=_NAMESPACE)
            for key in _internal_kv_list("", namespace=_NAMESPACE)
        }
        return {key: text for key, text in found.items() if text is not None}

    def remove(self, key: str) -> None:
        """See `Board.remove`."""
        from ray.experimental.internal_kv import _internal_kv_del

        _internal_kv_del(key, namespace=_NAMESPACE)


@dataclass(frozen=True, slots=True)
class ProcessName:
    """Which process numbers are of.

    Parameters
    ----------
    deployment : str
        What it does, such as ``FaceDetector``.
    replica : str
        Which of those that do the same; another one after each start.
    """

    deployment: str
    replica: str

    @property
    def key(self) -> str:
        """Its place on the board."""
        return f"{self.deployment}/{self.replica}"


class Publisher:
    """Writes this process's numbers to a board until it ends.

    Parameters
    ----------
    refresh : callable, optional
        Is called before numbers are read: it sets those that nobody counts.
    """

    def __init__(
        self,
        name: ProcessName,
        board: Board,
        registry: CollectorRegistry = REGISTRY,
        refresh: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.board = board
        self._registry = registry
        self._refresh = refresh
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to write, in a thread that ends with the process."""
        threading.Thread(target=self._loop, name="metrics", daemon=True).start()

    def publish(self) -> None:
        """Write now."""
        # Of two who write, the last one must have read last: numbers never go back.
        with self._lock:
            if self._refresh is not None:
                self._refresh()
            self.board.put(self.name.key, dump(self.name, self._registry, time.time()))

    def _loop(self) -> None:
        while True:
            try:
                self.publish()
            except Exception:  # whatever Ray raises while its head is away; it is tried again
                logger.warning("this process's numbers cannot be published; trying again", exc_info=True)
                time.sleep(SILENT_S)
            time.sleep(PERIOD_S)


def dump(name: ProcessName, registry: CollectorRegistry, at: float) -> bytes:
    """Return what a process has counted, as JSON."""
    families = [
        [family.name, family.documentation, family.type, [[one.name, one.labels, one.value] for one in family.samples]]
        for family in registry.collect()
    ]
    return json.dumps({"at": at, "deployment": name.deployment, "replica": name.replica, "families": families}).encode()


class _Merged:
    """Families of several processes, each of which is in one place as Prometheus wants it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def exposition(publisher: Publisher, own: Iterable[Metric] = ()) -> bytes:
    """Return the numbers of all processes in Prometheus' text format.

    Parameters
    ----------
    publisher : Publisher
        This process's. Its numbers are written first: others who are asked next must not know older ones.
    own : iterable of Metric
        Families that are of no process.
    """
    publisher.publish()
    now = time.time()
    families: dict[str, Metric] = {}
    for key, text in sorted(publisher.board.read().items()):
        document: dict[str, Any] = json.loads(text)
        silent_s = now - document["at"]
        if silent_s > _FORGOTTEN_S:
            publisher.board.remove(key)
        if silent_s > SILENT_S:
            continue
        labels = {"deployment": document["deployment"], "replica": document["replica"]}
        for name, documentation, kind, samples in document["families"]:
            family = families.setdefault(name, Metric(name, documentation, kind))
            for sample, given, value in samples:
                family.add_sample(sample, {**given, **labels}, value)
    merged = _Merged([*families.values(), *own])
    return generate_latest(merged)
