"""Ray tasks that never wait for CPUs that others have reserved."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from training.ray_environment import prepare_environment, start_local_ray

Out = TypeVar("Out")

_POLL_S = 0.2
# Tasks compute on one core each; threads that wait must not spin.
_QUIET = {"env_vars": {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}}


class TrainingStoppedError(Exception):
    """The training, or other work that takes long, was asked to stop."""


class Workers:
    """Runs functions as tasks of a Ray that is connected to when there is the first task.

    A service's replicas may have reserved every CPU, while they use them little: a task that asked for one would wait for ever. So
    tasks ask for none, and as many run at a time as CPUs are free, but at least one.

    Parameters
    ----------
    home : Path
        Where a Ray of our own keeps its token.
    address : str, optional
        Of a cluster whose nodes have this version of FaceRec installed; by default the Ray that this process is part of already, or
        one of its own on this machine.
    """

    def __init__(self, home: Path, address: str | None = None) -> None:
        self._home = home
        self._address = address
        self._owns_connection = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._owns_connection:
            import ray

            ray.shutdown()
            self._owns_connection = False

    @property
    def is_at_hand(self) -> bool:
        """Whether a task needs no new Ray: this process is connected, or was told to what."""
        return self._address is not None or _is_connected()

    def has_room(self, tasks: int) -> bool:
        """Whether so many tasks can run at a time in a Ray that is at hand."""
        if not self.is_at_hand:
            return False
        self._connect()
        return _free_cpus() >= tasks

    def map(
        self,
        function: Callable[..., Out],
        batches: Iterable[Any],
        *shared: Any,
        on_done: Callable[[int, Out], None],
        should_stop: Callable[[], bool],
        most: int | None = None,
    ) -> list[Out]:
        """Call ``function(batch, *shared)`` for each batch in a task; `shared` is sent once.

        Parameters
        ----------
        batches : iterable
            Asked for the next one when there is room for it.
        on_done : callable
            Gets the number of a batch that is done and what came out; not in order.
        should_stop : callable
            Asked several times a second.
        most : int, optional
            So many batches are under way at once, where there is room for them.

        Returns
        -------
        list
            In the order of `batches`.

        Raises
        ------
        TrainingStoppedError
            If `should_stop` returned true; tasks under way are killed.
        """
        waiting = enumerate(batches)
        following = next(waiting, None)
        if following is None:
            return []
        self._connect()
        import ray
        from ray.exceptions import RayTaskError

        task = ray.remote(num_cpus=0, max_retries=2, scheduling_strategy="SPREAD", runtime_env=_QUIET)(function)
        arguments = [ray.put(value) for value in shared]
        results: dict[int, Out] = {}
        pending: dict[Any, int] = {}
        try:
            while pending or following is not None:
                if should_stop():
                    raise TrainingStoppedError("the training was stopped")
                while following is not None and len(pending) < min(_free_cpus(), most or len(pending) + 1):
                    number, batch = following
                    pending[task.remote(batch, *arguments)] = number
                    following = next(waiting, None)
                done, _ = ray.wait(list(pending), timeout=_POLL_S)
                for reference in done:
                    number = pending.pop(reference)
                    try:
                        results[number] = ray.get(reference)
                    except RayTaskError as error:  # its text is a traceback
                        raise error.cause from error
                    on_done(number, results[number])
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)
        return [results[number] for number in sorted(results)]

    def _connect(self) -> None:
        if _is_connected():
            return
        # Here and not above: most trainings need no Ray, and it reads the environment when it is imported.
        if self._address is None:
            if "ray" not in sys.modules:
                prepare_environment(self._home)
            start_local_ray()
        else:
            import ray

            ray.init(address=self._address, configure_logging=False, log_to_driver=False)
        self._owns_connection = True


def _is_connected() -> bool:
    if "ray" not in sys.modules:
        return False
    import ray

    return ray.is_initialized()


def _free_cpus() -> int:
    import ray

    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    return max(1, math.floor(free.get("CPU", 0.0)))
