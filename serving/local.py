"""Run the whole service on this machine: Ray, Serve and the graph of serve_config.yaml, on the loopback interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from facerec_models.errors import InputError
from serving.listening import local_url, require_free
from training.ray_environment import prepare_environment, start_local_ray

CONFIG_NAME = "serve_config.yaml"


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


@contextmanager
def run_service(home: Path, *, host: str, port: int, config: Path | None = None) -> Iterator[str]:
    """Run the service until the block ends; yields its address for this machine when it answers.

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
    import ray
    from ray import serve

    from serving.app import AppArgs, build_graph

    start_local_ray(worker_setup=f"{__name__}.{import_serve_lightly.__name__}")
    try:
        logging_config = document.get("logging_config")
        serve.start(
            http_options={**document.get("http_options", {}), "host": host, "port": port},
            logging_config=logging_config,
        )
        # As `serve run` does: of deployments that have none of their own it is the file's.
        inherited = {} if logging_config is None else {"logging_config": logging_config}
        options = {own.pop("name"): {**inherited, **own} for own in application.get("deployments", [])}
        app = build_graph(AppArgs(**{**application.get("args", {}), "home": home}), options)
        serve.run(app, name=application["name"], route_prefix=application["route_prefix"])
        yield local_url(host, port)
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()
