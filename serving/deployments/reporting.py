"""What each replica does first: its log lines and its numbers go where those of the whole service are."""

from __future__ import annotations

from collections.abc import Callable

from ray import serve
from ray.serve.exceptions import RayServeException

from serving.settings import Settings
from serving.telemetry.logs import log_in_replica
from serving.telemetry.metrics import GPU_MEMORY
from serving.telemetry.publishing import LocalBoard, ProcessName, Publisher, RayBoard
from serving.telemetry.redaction import Redaction
from serving.telemetry.traces import start_tracing


def begin_reporting(settings: Settings | None, refresh: Callable[[], None] | None = None) -> Publisher:
    """Let this replica's log lines and numbers be seen; return what publishes its numbers.

    A replica that is made without Serve, in one process with others, keeps its numbers to itself and logs as the process does.

    Parameters
    ----------
    settings : Settings or None
        Whose secrets are kept out of log lines.
    refresh : callable, optional
        Sets numbers that nobody counts, see `Publisher`.
    """
    try:
        context = serve.get_replica_context()
    except RayServeException:
        return Publisher(ProcessName("process", "0"), LocalBoard(), refresh=refresh)
    log_in_replica(Redaction() if settings is None else Redaction.of(settings))
    if settings is not None:
        process = {"service.instance.id": context.replica_id.unique_id, "facerec.deployment": context.deployment}
        start_tracing(settings.traces, process)
    name = ProcessName(context.deployment, context.replica_id.unique_id)
    publisher = Publisher(name, RayBoard(), refresh=refresh)
    publisher.start()
    return publisher


def gpu_memory() -> None:
    """Measure the memory of this replica's CUDA device."""
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return
    for device in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        GPU_MEMORY.labels(f"{device} {name}", "used").set(total - free)
        GPU_MEMORY.labels(f"{device} {name}", "total").set(total)
