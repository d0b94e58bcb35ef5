"""What the page's own process takes."""

from __future__ import annotations

import pytest

from facerec_models.config import LimitsConfig
from serving.bounds import IngressConfig
from ui.page_guard import PageRequests, page_headers

LIMITS = LimitsConfig(max_upload_bytes=2**30, max_pictures_bytes=2**28)


@pytest.mark.parametrize("root", ["", "/faces"])
@pytest.mark.parametrize(
    ("method", "path", "size", "timeout_s"),
    [
        ("POST", "/gradio_api/upload", 2**30 + 2**24, None),
        ("POST", "/gradio_api/queue/join", 2**24, 60.0),
        ("POST", "/gradio_api/upload/more", 2**24, 60.0),
        ("PUT", "/gradio_api/upload", 2**20, 60.0),
        ("GET", "/gradio_api/upload", 0, 60.0),
        ("DELETE", "/", 0, 60.0),
    ],
)
def test_bodies_are_bounded_by_where_they_go(
    root: str, method: str, path: str, size: int, timeout_s: float | None
) -> None:
    scope = {"type": "http", "method": method, "path": root + path, "root_path": root}
    found = PageRequests(IngressConfig(), LIMITS).of(scope, "multipart/form-data")
    assert (found.max_body_bytes, found.body_timeout_s) == (size, timeout_s)


def test_pictures_may_be_larger_than_videos() -> None:
    limits = LimitsConfig(max_upload_bytes=1000, max_picture_bytes=1000, max_pictures_bytes=2**28)
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload"}
    assert PageRequests(IngressConfig(), limits).of(scope, "").max_body_bytes == 2**28 + 2**24


def test_only_scripts_and_styles_are_kept_by_browsers() -> None:
    assert page_headers("/")["Cache-Control"] == "no-store"
    assert page_headers("/gradio_api/file=a.mp4")["Cache-Control"] == "no-store"
    assert "Cache-Control" not in page_headers("/assets/page.js")
    for path in ("/", "/assets/page.js"):
        assert "frame-ancestors 'none'" in page_headers(path)["Content-Security-Policy"]
