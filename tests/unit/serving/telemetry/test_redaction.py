from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from serving.settings import Settings, WebhookConfig
from serving.telemetry.redaction import Redaction

KEY = f"facerec_{'a' * 12}_{'b-_' * 14}c"


@pytest.fixture
def redaction(tmp_path: Path) -> Redaction:
    settings = Settings(
        home=tmp_path / "home",
        store=SecretStr("mongodb://ann:pa%2Fss@db.example:27018,other.example/faces"),
        webhook=WebhookConfig(hosts=frozenset({"h"}), secret=SecretStr("webhook-secret")),
    )
    return Redaction.of(settings, {"AWS_SECRET_ACCESS_KEY": "aws-key-value", "HOME": "/root", "X_TOKEN": "abc"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open mongodb://ann:pa%2Fss@db.example:27018,other.example/faces", "cannot open <secret>"),
        ("mongodb://eve:x@elsewhere/faces", "mongodb://<secret>@elsewhere/faces"),
        ("db.example:27018: [Errno 111] refused", "<store>: [Errno 111] refused"),
        ("other.example:27017 timed out", "<store> timed out"),
        ("<ServerDescription ('db.example', 27018) Unknown>", "<ServerDescription <store> Unknown>"),
        ("<ServerDescription ('other.example', 27017) Unknown>", "<ServerDescription <store> Unknown>"),
        ("signed with webhook-secret.", "signed with <secret>."),
        ("aws-key-value", "<secret>"),
        # Too short to be told from an ordinary text.
        ("abc", "abc"),
        (f"key {KEY} is refused", "key facerec_aaaaaaaaaaaa_<secret> is refused"),
        ("https://h/v?a=1&X-Amz-Signature=0a1b&token=t H", "https://h/v?a=1&X-Amz-Signature=<secret>&token=<secret> H"),
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer <secret>"),
        ("nothing of that kind: 12:30, a@b, key=", "nothing of that kind: 12:30, a@b, key="),
    ],
)
def test_secrets_are_taken_out(redaction: Redaction, text: str, shown: str) -> None:
    assert redaction.redact(text) == shown


def test_places_are_named_by_what_they_are(redaction: Redaction, tmp_path: Path) -> None:
    temporary = tempfile.gettempdir()
    text = f'"{tmp_path}/home/store.sqlite" {temporary}/x.mp4 {sys.prefix}/lib/a.py {temporary}x https://h{temporary}'
    assert (
        redaction.redact(text)
        == f'"<home>/store.sqlite" <tmp>/x.mp4 <python>/lib/a.py {temporary}x https://h{temporary}'
    )


def test_places_in_a_traceback_are_named(redaction: Redaction) -> None:
    assert redaction.redact(f'  File "{__file__}", line 3').startswith('  File "<code>/tests/unit/')
