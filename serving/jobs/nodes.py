"""What must be shared before more than one node works on the same archive, and where that is."""

from __future__ import annotations

import ray

from facerec_models.errors import InputError
from serving.archive.handle import Archive
from serving.settings import Settings


def open_shared_archive(settings: Settings) -> Archive:
    """Open the archive in a process that may run on any node, unless it would be another one there.

    Raises
    ------
    InputError
        As `require_shared_places` does: nodes may have joined since the graph was built.
    """
    require_shared_places(settings, count_nodes())
    return Archive.of(settings)


def count_nodes() -> int:
    """Return how many nodes the Ray cluster has that this process is connected to; 1 where there is no cluster."""
    if not ray.is_initialized():
        return 1
    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]


def require_shared_places(settings: Settings, nodes: int) -> None:
    """Refuse to run on several nodes that would each see files and rows of their own.

    Raises
    ------
    InputError
        If there is more than one node, and the store is an SQLite file or the home is a folder that is not declared as shared.
    """
    if nodes <= 1:
        return
    lacking = []
    if settings.store is None:
        lacking.append(
            "the store is an SQLite file, which one machine alone can use: set FACEREC_STORE=mongodb://HOST:27017/NAME"
        )
    if not settings.shared_home:
        lacking.append(
            f"the home {settings.home} may be another folder on each node: put it on a file system that all nodes have "
            "mounted there, and set FACEREC_SHARED_HOME=true"
        )
    if lacking:
        raise InputError(f"the Ray cluster has {nodes} nodes, but {'; and '.join(lacking)}; or use one node")
