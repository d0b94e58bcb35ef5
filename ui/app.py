"""The page: a process of its own, and a client of the service like any other (``python -m ui.app --service URL``)."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

# Gradio reads it when it is imported: nothing is told to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr

from ui.client import FacerecClient
from ui.pages.analyse import AnalysePage

_CACHE_CHECK_S = 3600
_CACHE_KEEP_S = 24 * 3600
_VISITORS_AT_ONCE = 32
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
    """Make the look."""
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


def main() -> None:
    """Serve the page until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m ui.app", description=__doc__)
    parser.add_argument("--service", default="http://127.0.0.1:8000", help="address of the running service")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="port of the page")
    args = parser.parse_args()
    with FacerecClient(args.service) as client:
        blocks = build_page(client).queue(default_concurrency_limit=_VISITORS_AT_ONCE, api_open=False)
        blocks.launch(
            server_name=args.host,
            server_port=args.port,
            share=False,
            quiet=True,
            ssr_mode=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            max_threads=2 * _VISITORS_AT_ONCE,
            theme=build_theme(),
            css_paths=Path(__file__).parent / "assets" / "page.css",
        )


if __name__ == "__main__":
    main()
