"""``facerec serve``, ``ui``, ``demo`` and ``doctor``."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ui.cli.common import HomeOption, JsonOption, messages, open_home, output, print_json

HostOption = Annotated[str, typer.Option(help="Address to listen on.")]


def serve(
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the service.")] = 8000,
    page: Annotated[bool, typer.Option("--ui/--no-ui", help="Also run the page.")] = True,
    ui_port: Annotated[int, typer.Option(help="Port of the page.")] = 7860,
    config: Annotated[Path | None, typer.Option(help="A Serve configuration instead of the shipped one.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the service, and the page, until Ctrl-C."""
    from serving.run import run_service

    with open_home(home) as opened:
        root = opened.home.root
    stop = threading.Event()
    messages.print("starting Ray Serve ...")
    with run_service(root, host=host, port=port, config=config) as url:
        # Ray installs handlers of its own when it starts: these must come after.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        child = _start_page(url, host, ui_port) if page else None
        page_url = f"http://{host}:{ui_port}" if page else None
        if as_json:
            print_json({"service": url, "page": page_url})
        else:
            output.print(f"service  {url}  (interface: {url}/docs)")
            if page_url:
                output.print(f"page     {page_url}")
            output.print("Ctrl-C stops both.")
        sys.stdout.flush()
        stop.wait()
        messages.print("stopping ...")
        if child is not None:
            child.terminate()
            child.wait(timeout=10)


def ui(
    service: Annotated[str, typer.Option(help="Address of a running service.")] = "http://127.0.0.1:8000",
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page.")] = 7860,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the page for a service that runs already."""
    if as_json:
        print_json({"service": service, "page": f"http://{host}:{port}"})
        sys.stdout.flush()
    child = _start_page(service, host, port)
    try:
        child.wait()
    finally:
        child.terminate()


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


def _start_page(service: str, host: str, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "ui.app", "--service", service, "--host", host, "--port", str(port)])
