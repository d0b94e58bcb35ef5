"""What the environment says of sources."""

from __future__ import annotations

import pytest

from facerec_models.errors import InputError
from serving.settings import read_settings


def test_hosts_and_buckets_are_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_SOURCES__PRIVATE_HOSTS", "Media.Intranet., [::1]")
    monkeypatch.setenv("FACEREC_SOURCES__BUCKETS", '["masters", "Other/prefix"]')
    monkeypatch.setenv("FACEREC_SOURCES__STREAM_HOSTS", "CAMERA-1")
    sources = read_settings().sources
    assert sources.private_hosts == {"media.intranet", "::1"}
    assert sources.buckets == {"masters", "Other/prefix"}
    assert sources.stream_hosts == {"camera-1"}


def test_nothing_is_opened_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PRIVATE_HOSTS", "BUCKETS", "STREAM_HOSTS", "DOWNGRADE"):
        monkeypatch.delenv(f"FACEREC_SOURCES__{name}", raising=False)
    sources = read_settings().sources
    assert not sources.private_hosts | sources.buckets | sources.stream_hosts
    assert not sources.downgrade


def test_a_limit_out_of_bounds_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_SOURCES__MAX_BYTES", "0")
    with pytest.raises(InputError, match="FACEREC_SOURCES__MAX_BYTES"):
        read_settings()
