"""The page: a process of its own, and a client of the service like any other (``python -m ui.app --service URL``)."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

# Gradio reads it when it is imported: nothing is told to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from facerec_models.proxies import keep_loopback_direct, without_proxies

with without_proxies():
    import gradio as gr

import uvicorn
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from facerec_models.config import LimitsConfig
from facerec_models.errors import FacerecError
from serving.api.ingress.body_guard import BodyGuard
from serving.api.ingress.connections import guarded_protocol
from serving.api.ingress.guards import HostGuard
from serving.bounds import IngressConfig
from serving.listening import listen
from serving.settings import Settings, read_settings
from serving.telemetry.logs import log_to_stderr
from serving.telemetry.redaction import Redaction
from ui.client import FacerecClient
from ui.gateway import Gateway
from ui.page_addresses import ASSETS_FOLDER, GATEWAY
from ui.page_files import page_folder
from ui.page_guard import PageRequests, RouteGuard, page_headers
from ui.page_process import READY
from ui.pages.blocks import assets_address, build_blocks, build_head, build_theme
from ui.sign_in import SignInGuard, Visits

# The page's own process does little for a visitor: it passes on.
_VISITORS_AT_ONCE = 32
_CLOSING_S = 2


def build_app(
    client: FacerecClient, allowed_hosts: frozenset[str], bounds: IngressConfig, limits: LimitsConfig
) -> FastAPI:
    """Make the whole application of the page: foreign hosts and origins, and what is too large, are refused whatever is asked."""
    gateway, assets = Gateway(client.base_url), assets_address()

    @asynccontextmanager
    async def closing_gateway(_: FastAPI) -> AsyncIterator[None]:
        yield
        await gateway.close()

    app = FastAPI(title="FaceRec", openapi_url=None, docs_url=None, redoc_url=None, lifespan=closing_gateway)
    app.add_middleware(RouteGuard)
    app.add_middleware(SignInGuard, client=client, visits=Visits())
    app.add_middleware(BodyGuard, classes=PageRequests(bounds, limits), bounds=bounds)
    app.add_middleware(HostGuard, allowed_hosts=allowed_hosts, headers=page_headers)
    app.mount(assets, StaticFiles(directory=ASSETS_FOLDER))
    app.mount(GATEWAY, gateway)
    gr.mount_gradio_app(
        app,
        build_blocks().queue(default_concurrency_limit=_VISITORS_AT_ONCE, api_open=False),
        path="/",
        show_error=False,
        max_file_size=0,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        theme=build_theme(),
        head=build_head(assets),
    )
    return app


class _Server(uvicorn.Server):
    """A server that tells a parent when it answers, and ends with it."""

    def __init__(self, config: uvicorn.Config, parent: socket.socket | None) -> None:
        super().__init__(config)
        self._parent = parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._parent is not None:
            self._parent.sendall(READY)
            threading.Thread(target=self._end_with_parent, args=[self._parent], daemon=True).start()

    def _end_with_parent(self, parent: socket.socket) -> None:
        with suppress(OSError):  # a parent that was killed
            parent.recv(1)
        self.should_exit = True


def main() -> None:
    """Serve the page until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m ui.app", description=__doc__)
    parser.add_argument("--service", default="http://127.0.0.1:8000", help="address of the running service")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="port of the page")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    keep_loopback_direct()
    try:
        client = FacerecClient(args.service)
        settings = read_settings()
        listener = listen(args.host, args.port)
    except FacerecError as error:
        sys.exit(f"facerec: {error}")
    log_to_stderr(Redaction.of(settings))
    # The server passes the signal on when it has ended: what is left to do then is done.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with page_folder() as folder:
        # Gradio's own would be readable for all users of the machine, and outlive a page that is killed.
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        _serve(args.parent, listener, client, settings)


def _serve(parent_fd: int | None, listener: socket.socket, client: FacerecClient, settings: Settings) -> None:
    parent = None if parent_fd is None else socket.socket(fileno=parent_fd)
    with listener, client:
        config = uvicorn.Config(
            build_app(client, settings.allowed_hosts, settings.ingress, settings.analysis.limits),
            http=guarded_protocol(settings.ingress),
            log_level="warning",
            log_config=None,
            timeout_graceful_shutdown=_CLOSING_S,
            server_header=False,
        )
        _Server(config, parent).run([listener])


if __name__ == "__main__":
    main()
