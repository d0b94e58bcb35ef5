"""Run the whole service on this machine: Ray, Serve and the graph of serve_config.yaml, on the loopback interface."""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from facerec_models.errors import FacerecError, InputError, SourceError
from serving.listening import local_url, require_free
from training.ray_environment import prepare_environment, start_local_ray

if TYPE_CHECKING:
    from training.ray_processes import RayProcesses

logger = logging.getLogger(__name__)

CONFIG_NAME = "serve_config.yaml"
# Together less than the 10 s within which a service manager expects an end. What is under way gets the first part: requests are
# answered, and work on videos is handed back.
_DRAIN_S = 3.5
_SHUTDOWN_S = 3.0
_RAY_S = 1.5


@dataclass(frozen=True, slots=True)
class LocalService:
    """A service that runs on this machine, and the processes that it stands on."""

    url: str
    processes: RayProcesses

    def require_alive(self) -> None:
        """Raise `SourceError` if Ray has died under the service; see `RayProcesses.require_alive`."""
        self.processes.require_alive()


def find_config() -> Path:
    """Return the serve_config.yaml of the checkout, or of the installation.

    Raises
    ------
    InputError
        If there is none.
    """
    for folder in (Path(__file__).parent.parent, Path(sys.prefix) / "share" / "facerec"):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    raise InputError(f"{CONFIG_NAME} is neither in the checkout nor in {sys.prefix}: name it with --config")


def import_serve_lightly() -> None:
    """Import Ray Serve as where pandas is not installed.

    It encodes tables for whoever answers with one, which nobody does here; pandas takes 30 MiB in each process.
    """
    modules: dict[str, Any] = sys.modules
    if "pandas" in modules:
        return
    modules["pandas"] = None  # whoever imports it meanwhile is told that it is not there
    try:
        import ray.serve  # noqa: F401
    finally:
        del modules["pandas"]


def prepare_worker() -> None:
    """Prepare a process that Ray starts for the service: see `import_serve_lightly`; and it listens on this machine alone.

    Each replica has a server for the others, which Ray binds to all addresses whatever address its node has.
    """
    from ray._common import tls_utils

    listen: Callable[[Any, str], int] | None = getattr(tls_utils, "add_port_to_grpc_server", None)
    if listen is not None:  # a Ray without it is found by a test of what listens where

        def listen_here(server: Any, address: str) -> int:
            return listen(server, address.replace("[::]", "127.0.0.1"))

        tls_utils.add_port_to_grpc_server = listen_here
    import_serve_lightly()


@contextmanager
def run_service(
    home: Path,
    *,
    host: str,
    port: int,
    config: Path | None = None,
    when_ray_runs: Callable[[], object] = lambda: None,
    is_asked_to_end: Callable[[], bool] = lambda: False,
) -> Iterator[LocalService]:
    """Run the service until the block ends; yields it when it answers.

    At the end it takes no more requests and jobs, answers what was asked, hands back what it works on, and ends within some 10 s.

    Parameters
    ----------
    when_ray_runs : callable
        Called before Serve starts: Ray has installed handlers of signals by then.
    is_asked_to_end : callable
        Whether what is raised comes of that, and is no failure.

    Raises
    ------
    InputError
        If the configuration cannot be read, or nothing can listen at the host and port.
    """
    path = config or find_config()
    try:
        document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        application = document["applications"][0]
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{str(path)!r} is no Serve configuration with an application: {error}") from error
    require_free(host, port)
    prepare_environment(home)

    import_serve_lightly()
    from ray import serve

    from serving.app import AppArgs, build_graph

    try:
        start_local_ray(worker_setup=f"{__name__}.{prepare_worker.__name__}")
    except Exception as error:  # Ray has no narrower one for its own start, as on a machine whose cores others use
        raise SourceError(f"Ray did not start: {error}") from error
    from training.ray_processes import RayProcesses

    processes, name = RayProcesses(), application["name"]
    has_started = False
    try:
        when_ray_runs()
        logging_config = document.get("logging_config")
        serve.start(
            http_options={**document.get("http_options", {}), "host": host, "port": port},
            logging_config=logging_config,
        )
        # As `serve run` does: of deployments that have none of their own it is the file's.
        inherited = {} if logging_config is None else {"logging_config": logging_config}
        options = {own.pop("name"): {**inherited, **own} for own in application.get("deployments", [])}
        app = build_graph(AppArgs(**{**application.get("args", {}), "home": home}), options)
        serve.run(app, name=name, route_prefix=application["route_prefix"])
        has_started = True
        yield LocalService(local_url(host, port), processes)
    finally:
        _end(
            processes, name if has_started else None, has_failed=sys.exc_info()[0] is not None and not is_asked_to_end()
        )


def _end(processes: RayProcesses, application: str | None, *, has_failed: bool) -> None:
    """End Serve and Ray in order, each within its time; by force what does not, or where Ray is dead already.

    Parameters
    ----------
    application : str or None
        What may be at work; None if it never ran.
    """
    import ray
    from ray import serve

    from training.ray_processes import within

    def is_dead() -> bool:
        try:
            processes.require_alive()
        except FacerecError:
            return True
        return False

    in_order = False
    # Ray prints of each process that is ended on purpose that it died while it had work to do.
    with redirect_stdout(io.StringIO()):
        try:
            if not is_dead():
                if application is not None:
                    within(_DRAIN_S, partial(_drain, application), is_dead)
                in_order = within(_SHUTDOWN_S, serve.shutdown, is_dead)
                in_order = in_order and within(_RAY_S, ray.shutdown, is_dead)
        finally:
            processes.kill()
    if not in_order:
        # Or Ray, whose other half is gone, would wait for it at the end of this process, for a minute.
        atexit.register(_leave, int(has_failed))
        # It would tell the dead one of the error, and wait for its answer.
        sys.excepthook = sys.__excepthook__


def _drain(application: str) -> None:
    """Let all replicas that take requests or jobs take no more of them, and finish or hand back what they have."""
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        asked = [
            serve.get_deployment_handle(name, application).broadcast("drain", _DRAIN_S - 1.0)
            for name in ("Api", "VideoAnalyzer")
        ]
        for answers in asked:
            for problem in answers.results(timeout_s=_DRAIN_S, return_exceptions=True):
                if isinstance(problem, Exception):
                    logger.warning("a replica ends without handing back its work: %s", problem)
    except (RayServeException, TimeoutError) as error:  # it never ran, or starts a replica at this moment
        logger.warning("the service ends without handing back its work: %s", error)


def _leave(status: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
