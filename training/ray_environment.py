"""What Ray reads from the environment, set before it is imported."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from facerec_models.files import writing_to

# Ray Serve's process that answers HTTP calls this when it starts, where its environment says so.
INGRESS_VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
INGRESS_HOOK = "serving.api.ingress.proxy.middlewares"

# Some chunks of frames for each of a few videos; what is touched once counts as used memory for ever.
_OBJECT_STORE_BYTES = 256 * 2**20


def prepare_environment(home: Path) -> None:
    """Set what Ray reads when it starts: loopback only, tokens on, no telemetry."""
    token = home / "ray_token"
    with writing_to(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not token.exists() or not token.read_text():  # of a disk that was full
            token.touch(mode=0o600)
            token.write_text(secrets.token_hex(32))
    os.environ.update(
        {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            INGRESS_VARIABLE: INGRESS_HOOK,
            # On busy cores what answers HTTP needs longer to begin than the 5 s after which Serve kills it, and fails.
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
            # A proxy that has died is started again after three checks: some 8 s instead of 40. One that is busy has time to answer.
            "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
            "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
            # Every replica is a process of its own environment: one that is started in advance fits none, and waits for ever.
            "RAY_prestart_worker_first_driver": "0",
            "RAY_enable_worker_prestart": "0",
            # As for the replicas: the proxy, too, takes uploads in many threads.
            "MALLOC_ARENA_MAX": "2",
        }
    )
    # Replicas import this project's packages from where this process has them.
    root = str(Path(__file__).parent.parent)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, paths)])


def start_local_ray(*, worker_setup: str | None = None) -> None:
    """Start a Ray of this process's own on this machine.

    Parameters
    ----------
    worker_setup : str or None
        A function, by its module and name, that every worker calls first.
    """
    # Here and not above: it reads the environment when it is imported.
    import ray

    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        configure_logging=False,
        log_to_driver=False,
        runtime_env={"worker_process_setup_hook": worker_setup} if worker_setup else None,
    )
    # What adds machines, what shows logs on a terminal, and what counts users: nothing here asks for them, they take 170 MiB, and
    # Ray has no setting against them. A Ray that ends them otherwise keeps them: they only take memory.
    node: Any = getattr(ray._private.worker, "_global_node", None)
    for name in ("kill_monitor", "kill_log_monitor", "kill_dashboard"):
        if (end := getattr(node, name, None)) is not None:
            end(check_alive=False)
