"""The page as Gradio has it: a view for each address, each of which holds one element, which does the rest in the browser.

What an element shows it asks the service for, through `ui.gateway`; Gradio's own events, whose values go through the page's whole
state, carry none of it: two megabytes of tracks took them half a minute.
"""

from __future__ import annotations

import hashlib
from html import escape

import gradio as gr
from gradio.components.navbar import Navbar

from ui.page_addresses import ASSETS, ASSETS_FOLDER, VIEWS

# System fonts: the theme's own would be fetched from elsewhere.
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def build_blocks() -> gr.Blocks:
    """Make the views."""
    blocks = gr.Blocks(title="FaceRec", analytics_enabled=False, fill_width=True)
    for title, path in VIEWS.items():
        with blocks if path == "/" else blocks.route(title, path, show_in_navbar=False):
            # Its links load the page anew; ours do not.
            Navbar(visible=False)
            # The template is constant: Gradio would run what stands in one.
            gr.HTML(html_template="<fr-app></fr-app>", padding=False, apply_default_css=False)
    return blocks


def build_theme() -> gr.themes.Base:
    """Make the theme."""
    return gr.themes.Default(
        primary_hue="teal", neutral_hue="zinc", radius_size="md", font=[*_FONT], font_mono=[*_MONO]
    )


def assets_address() -> str:
    """Return the address below which scripts and styles are: another one as soon as one of them is another."""
    digest = hashlib.sha256()
    for file in sorted(path for path in ASSETS_FOLDER.rglob("*") if path.is_file()):
        digest.update(file.relative_to(ASSETS_FOLDER).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{ASSETS}/{digest.hexdigest()[:16]}"


def build_head(assets: str) -> str:
    """Return what stands in the head of each view: its styles, and its scripts, of which none waits for another to be found."""
    names = sorted(path.relative_to(ASSETS_FOLDER).as_posix() for path in ASSETS_FOLDER.rglob("*.js"))
    styles = sorted(path.relative_to(ASSETS_FOLDER).as_posix() for path in ASSETS_FOLDER.glob("styles/*.css"))
    return "".join(
        [
            f'<link rel="stylesheet" href="{escape(assets)}/page.css">',
            *(f'<link rel="preload" as="style" href="{escape(f"{assets}/{name}")}">' for name in styles),
            *(f'<link rel="modulepreload" href="{escape(f"{assets}/{name}")}">' for name in names),
            f'<script type="module" src="{escape(assets)}/main.js"></script>',
        ]
    )
