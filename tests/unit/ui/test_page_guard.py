"""What the page's own process takes."""

from __future__ import annotations

import pytest

from facerec_models.config import LimitsConfig
from serving.bounds import IngressConfig
from ui.page_addresses import ASSETS
from ui.page_guard import PageRequests, page_headers

LIMITS = LimitsConfig(max_upload_bytes=2**30, max_pictures_bytes=2**28)


@pytest.mark.parametrize("root", ["", "/faces"])
@pytest.mark.parametrize(
    ("method", "path", "size", "timeout_s"),
    [
        ("POST", "/fr/v1/projects/p/videos", 2**30 + 2**20, None),
        ("POST", "/fr/v1/projects/p/people/Ada/pictures", 2**28 + 2**20, 300.0),
        ("POST", "/fr/v1/projects/p/training", 2**20, 60.0),
        ("GET", "/fr/v1/projects/p/videos/v/file", 0, 60.0),
        ("POST", "/gradio_api/queue/join", 2**24, 60.0),
        ("POST", "/gradio_api/upload", 2**24, 60.0),
        ("PUT", "/gradio_api/upload", 2**20, 60.0),
        ("DELETE", "/", 0, 60.0),
    ],
)
def test_bodies_are_bounded_by_where_they_go(
    root: str, method: str, path: str, size: int, timeout_s: float | None
) -> None:
    scope = {"type": "http", "method": method, "path": root + path, "root_path": root}
    found = PageRequests(IngressConfig(), LIMITS).of(scope, "multipart/form-data")
    assert (found.max_body_bytes, found.body_timeout_s) == (size, timeout_s)


def test_only_scripts_and_styles_are_kept_by_browsers() -> None:
    assert page_headers("/")["Cache-Control"] == "no-store"
    assert page_headers("/fr/v1/projects")["Cache-Control"] == "no-store"
    assert "Cache-Control" not in page_headers("/assets/page.js")
    assert "immutable" in page_headers(f"{ASSETS}/0123/main.js")["Cache-Control"]
    for path in ("/", "/assets/page.js", "/fr/v1/projects"):
        assert "frame-ancestors 'none'" in page_headers(path)["Content-Security-Policy"]
