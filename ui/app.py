"""The page: a process of its own, and a client of the service like any other (``python -m ui.app --service URL``)."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

# Gradio reads it when it is imported: nothing is told to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from facerec_models.proxies import keep_loopback_direct, without_proxies

with without_proxies():
    import gradio as gr

import uvicorn
from fastapi import FastAPI

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
from ui.page_files import page_folder
from ui.page_guard import PageRequests, RouteGuard, page_headers
from ui.page_process import READY
from ui.pages.analyse import AnalysePage
from ui.sign_in import SignInGuard, Visits

# Uploads go to the service at once; what it played to a visitor is made again where it is missed.
_CACHE_CHECK_S = 300
_CACHE_KEEP_S = 3600
_VISITORS_AT_ONCE = 32
# An open tab holds a connection for ever.
_CLOSING_S = 2
# System fonts: the theme's own would be fetched from elsewhere.
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def build_page(client: FacerecClient) -> gr.Blocks:
    """Make the page for a service."""
    blocks = gr.Blocks(
        title="FaceRec", analytics_enabled=False, fill_width=True, delete_cache=(_CACHE_CHECK_S, _CACHE_KEEP_S)
    )
    with blocks:
        AnalysePage(client, blocks)
    return blocks


def build_theme() -> gr.themes.Base:
    """Make the theme."""
    return gr.themes.Default(
        primary_hue="teal",
        neutral_hue="zinc",
        radius_size="md",
        font=[*_FONT],
        font_mono=[*_MONO],
    ).set(
        # Gradio's gray has a contrast of 2.6 on white: too little to read.
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_600",
    )


def build_app(
    client: FacerecClient, allowed_hosts: frozenset[str], bounds: IngressConfig, limits: LimitsConfig
) -> FastAPI:
    """Make the whole application of the page: foreign hosts and origins, and what is too large, are refused whatever is asked."""
    app = FastAPI(title="FaceRec", openapi_url=None, docs_url=None, redoc_url=None)
    visits = Visits()
    app.add_middleware(RouteGuard)
    app.add_middleware(SignInGuard, client=client, visits=visits)
    app.add_middleware(BodyGuard, classes=PageRequests(bounds, limits), bounds=bounds)
    app.add_middleware(HostGuard, allowed_hosts=allowed_hosts, headers=page_headers)
    blocks = build_page(client)
    blocks.max_threads = 2 * _VISITORS_AT_ONCE
    gr.mount_gradio_app(
        app,
        blocks.queue(default_concurrency_limit=_VISITORS_AT_ONCE, api_open=False),
        path="/",
        show_error=False,
        max_file_size=max(limits.max_upload_bytes, limits.max_picture_bytes),
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        theme=build_theme(),
        css_paths=Path(__file__).parent / "assets" / "page.css",
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
