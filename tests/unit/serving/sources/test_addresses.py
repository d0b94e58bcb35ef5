"""What of an address others may see, and what it is called."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from serving.sources.addresses import shown


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://ada:secret@example.org/a.mp4", "https://example.org/a.mp4"),
        ("https://ada@example.org", "https://example.org"),
        ("https://ada:se@cret@example.org/a.mp4", "https://example.org/a.mp4"),
        ("https://ada:se/cret@example.org/a.mp4", "https://example.org/a.mp4"),
        ("https://ada:se?cret@example.org/a.mp4", "https://example.org/a.mp4"),
        ("https://example.org/@ada/a.mp4", "https://example.org/@ada/a.mp4"),
        ("https://example.org:8080/@ada/a.mp4", "https://example.org:8080/@ada/a.mp4"),
        (
            "https://example.org/a.mp4?Expires=1&Signature=x&Key-Pair-Id=y&part=2",
            "https://example.org/a.mp4?Expires=1&part=2",
        ),
        ("https://example.org/a.mp4?X%2DAmz%2DSecurity%2DToken=x", "https://example.org/a.mp4"),
        (
            "https://example.org/a.mp4?ticket=x&jwt=x&hmac=x&code=x&accesskey=x&hash=x&id=7",
            "https://example.org/a.mp4?hash=x&id=7",
        ),
        (
            "https://example.org/a.mp4?hdnts=exp=1~hmac=x&hdnea=x&AWSAccessKeyId=x&part=2",
            "https://example.org/a.mp4?part=2",
        ),
        ("https://example.org/guarded;v=1;token=x/a.mp4", "https://example.org/guarded;v=1/a.mp4"),
        ("https://example.org/a.mp4?a=1;token=x&b=2;c=3", "https://example.org/a.mp4?a=1&b=2;c=3"),
        ("https://example.org/a.mp4?token=x;a=1", "https://example.org/a.mp4?a=1"),
        (
            "https://example.org/a.mp4?zipcode=1&keyframe=2#token",
            "https://example.org/a.mp4?zipcode=1&keyframe=2#token",
        ),
        ("https://example.org/a.mp4#access_token=x&t=1,2", "https://example.org/a.mp4#t=1,2"),
        ("file:///media/a;key=1.mp4", "file:///media/a;key=1.mp4"),
        ("https://example.org/a.mp4?author=Ada&key=x&sig=y&api_key=z#t=1", "https://example.org/a.mp4?author=Ada#t=1"),
        ("s3://id:secret@bucket/a.mp4", "s3://bucket/a.mp4"),
        ("/media/a?b@c.mp4", "/media/a?b@c.mp4"),
    ],
)
def test_an_address_is_shown_without_what_opens_doors(address: str, expected: str) -> None:
    assert shown(address) == expected


@pytest.mark.parametrize("module", ["addresses", "config", "content_kinds"])
def test_the_examples_hold(module: str) -> None:
    found = doctest.testmod(import_module(f"serving.sources.{module}"), optionflags=doctest.ELLIPSIS)
    assert found.attempted
    assert not found.failed
