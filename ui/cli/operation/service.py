"""``facerec serve``, ``ui``, ``demo`` and ``doctor``."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ui.cli.common import HomeOption, JsonOption, messages, open_home, output, print_json, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
PagePortOption = Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHECK_PERIOD_S = 0.5
_PROBE_PERIOD_S = 5.0
# Longer than Ray takes to start its proxy or a replica again.
_SILENCE_S = 120.0
# The service listens, but all replicas are busy: with long requests, on cores that others use.
_BUSY_S = 900.0
_NOT_READY = 503


def serve(
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the service.")] = 8000,
    page: Annotated[bool, typer.Option("--ui/--no-ui", help="Also run the page.")] = True,
    ui_port: PagePortOption = 7860,
    config: Annotated[Path | None, typer.Option(help="A Serve configuration instead of the shipped one.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the service, and the page, until Ctrl-C; ends with an error if what it needs has died and does not start again."""
    from serving.listening import local_url, require_free
    from serving.local import run_service
    from ui.page_process import running_page

    if page and ui_port == port:
        raise typer.BadParameter(f"--port and --ui-port are both {port}: choose two")
    require_free(host, port)
    if page:
        require_free(host, ui_port, option="--ui-port")
    with open_home(home) as opened:
        root = opened.archive.files.root
        if page:
            _require_allowed(local_url(host, port), opened.settings.allowed_hosts)
    stop = threading.Event()
    messages.print("starting Ray Serve ...")
    answers = sys.stdout
    with ExitStack() as stack:
        # What Ray prints, whenever it does, is no answer.
        stack.enter_context(redirect_stdout(sys.stderr))
        starting = threading.Event()
        starting.set()
        running = run_service(
            root,
            host=host,
            port=port,
            config=config,
            when_ray_runs=lambda: _end_by_signal(stop, starting),
            is_asked_to_end=stop.is_set,
        )
        try:
            service = stack.enter_context(running)
        except BaseException:
            if stop.is_set():  # whatever Ray makes of what broke its start off
                raise SystemExit(0) from None
            raise
        starting.clear()
        url = service.url
        _wait_until_ready(url, stop)
        shown = stack.enter_context(running_page(url, host, ui_port, stop)) if page else None
        if not stop.is_set():
            with redirect_stdout(answers):
                if as_json:
                    print_json({"service": url, "page": shown and shown.url})
                else:
                    output.print(f"service  {url}  (interface: {url}/docs)")
                    if shown is not None:
                        output.print(f"page     {shown.url}")
                    output.print("Ctrl-C stops both." if shown is not None else "Ctrl-C stops it.")
                sys.stdout.flush()
            _watch(url, [service.require_alive, *([shown.keep_alive] if shown else [])], stop)
        messages.print("stopping ...")


def ui(
    service: Annotated[str, typer.Option(help="Address of a running service.")] = "http://127.0.0.1:8000",
    host: HostOption = "127.0.0.1",
    port: PagePortOption = 7860,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the page for a service that runs already, until Ctrl-C."""
    from serving.listening import local_url, require_free
    from ui.page_process import running_page

    require_free(host, port)
    _require_allowed(local_url(host, port), read_settings(home).allowed_hosts)
    stop = threading.Event()
    _end_by_signal(stop)
    with running_page(service, host, port, stop) as shown:
        if shown is None:
            return
        if as_json:
            print_json({"service": service, "page": shown.url})
        else:
            output.print(f"page     {shown.url}")
        sys.stdout.flush()
        while not stop.wait(_CHECK_PERIOD_S):
            shown.keep_alive()


def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where the material and the results go.")] = Path("demo"),
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the main job: sample people and a sample video through the real service."""
    from ui.demo import run_demo

    run_demo(directory, home, as_json=as_json)


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check what FaceRec stands on, and say what it found."""
    from ui.doctor import examine

    findings = examine(home)
    if as_json:
        print_json([{"what": what, "state": state, "detail": detail} for what, state, detail in findings])
    else:
        colours = {"ok": "green", "note": "yellow", "bad": "red"}
        for what, state, detail in findings:
            output.print(Text.assemble((f"{state:4}", colours[state]), f" {what}: {detail}"))
    if any(state == "bad" for _, state, _ in findings):
        raise typer.Exit(1)


def _end_by_signal(stop: threading.Event, starting: threading.Event | None = None) -> None:
    """Let signals ask for the end; what is starting does not go on, and is ended in order."""

    def end(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            if starting is not None and starting.is_set():
                raise SystemExit(0)

    for number in _ENDING:
        signal.signal(number, end)


def _require_allowed(url: str, allowed_hosts: frozenset[str]) -> None:
    """Raise `InputError` if what runs at an address would refuse whoever asks at that address."""
    from facerec_models.errors import InputError
    from serving.api.ingress.guards import hostname

    if hostname(url) not in allowed_hosts:
        raise InputError(f"{url} would refuse every request: FACEREC_ALLOWED_HOSTS must name {hostname(url)!r}, too")


def _wait_until_ready(url: str, stop: threading.Event) -> None:
    """Wait until networks and store answer, or the end is wanted; raise `SourceError` if they do not for long."""
    from facerec_models.errors import SourceError
    from ui.client import FacerecClient, ServiceError

    deadline = time.monotonic() + _SILENCE_S
    with FacerecClient(url) as client:
        while not stop.is_set():
            try:
                client.health()
            except (SourceError, ServiceError) as error:
                if isinstance(error, ServiceError) and error.status != _NOT_READY:
                    return  # to who asks under this name it tells nothing else
                if time.monotonic() > deadline:
                    raise SourceError(f"the service is not ready after {_SILENCE_S:.0f} s: {error}") from error
                stop.wait(_CHECK_PERIOD_S)
            else:
                return


def _watch(url: str, checks: Sequence[Callable[[], None]], stop: threading.Event) -> None:
    """Wait for the end.

    Parameters
    ----------
    checks : sequence of callable
        Called twice a second; each raises when there is no point in going on.

    Raises
    ------
    SourceError
        If a check does, or the service has been silent for long.
    """
    import httpx

    from facerec_models.errors import SourceError
    from ui.client import FacerecClient, ServiceError

    heard_at = asked_at = time.monotonic()
    with FacerecClient(url) as client:
        while not stop.wait(_CHECK_PERIOD_S):
            for check in checks:
                check()
            if time.monotonic() < asked_at + _PROBE_PERIOD_S:
                continue
            try:
                client.health()
            except ServiceError:  # that is an answer: of a store that is away, or to a name that is not allowed
                heard_at = time.monotonic()
            except SourceError as error:
                silent_s = time.monotonic() - heard_at
                if silent_s > (_BUSY_S if isinstance(error.__cause__, httpx.ReadTimeout) else _SILENCE_S):
                    raise SourceError(f"the service has not answered for {silent_s:.0f} s: start it again") from error
            else:
                heard_at = time.monotonic()
            asked_at = time.monotonic()
