"""Files of this machine: for requests those in open folders alone; and which source an address belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_models.errors import InputError
from serving.settings import Settings
from serving.sources import registry
from serving.sources.registry import find_source, resolve
from serving.sources.source import Resolved, SourceContext
from tests.unit.serving.sources.web import FILM, context


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file in a folder that is open."""
    file = tmp_path / "open" / "my film.mp4"
    file.parent.mkdir()
    file.write_bytes(FILM)
    return file


def test_a_file_in_an_open_folder_is_used_where_it_is(tmp_path: Path, film: Path) -> None:
    request = context(tmp_path, media_roots=(film.parent,))
    for address in (str(film), film.as_uri()):
        assert resolve(address, request) == Resolved(film, film.as_uri(), "my film.mp4")
    assert not (tmp_path / "media").exists()


def test_a_request_may_name_no_other_file(tmp_path: Path, film: Path) -> None:
    request = context(tmp_path, media_roots=(film.parent,))
    outside = tmp_path / "outside.mp4"
    outside.write_bytes(FILM)
    link = film.parent / "link.mp4"
    link.symlink_to(outside)
    for path in (outside, link, film.parent / ".." / "outside.mp4"):
        for address in (str(path), f"file://{path}"):
            with pytest.raises(InputError, match="FACEREC_MEDIA_ROOTS"):
                resolve(address, request)
    with pytest.raises(InputError, match="FACEREC_MEDIA_ROOTS"):
        resolve(str(film), context(tmp_path))


def test_the_user_of_a_command_may_name_any_file(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(film.parent)
    command = context(tmp_path, trusted=True)
    assert resolve(film.name, command) == Resolved(Path(film.name), film.as_uri(), film.name)
    assert resolve(film.as_uri(), command).file == film


@pytest.mark.parametrize("address", ["a\0b.mp4", "file:///a%00b.mp4", "file:a.mp4"])
def test_what_can_be_no_file_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError):
        resolve(address, context(tmp_path, media_roots=(tmp_path,)))


def test_an_unknown_scheme_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InputError) as failure:
        resolve("ftp://ada:hunter2@example.org/a.mp4", context(tmp_path))
    assert all(
        scheme in str(failure.value) for scheme in ("file://", "http://", "https://", "s3://", "gs://", "rtsp://")
    )
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/media/a.mp4", "LocalFile"),
        ("a:b.mp4", "LocalFile"),
        ("FILE:///media/a.mp4", "LocalFile"),
        ("HTTP://example.org/a.mp4", "MediaUrl"),
        ("https://example.org/a.mp4", "MediaUrl"),
        ("s3://bucket/a.mp4", "BucketFile"),
        ("gs://bucket/a.mp4", "BucketFile"),
        ("rtsp://camera/1#t=0,5", "StreamWindow"),
    ],
)
def test_an_address_belongs_to_the_source_of_its_scheme(address: str, kind: str) -> None:
    assert type(find_source(address, Settings())).__name__ == kind


class CatalogueOfTests:
    """Knows the entries of one catalogue."""

    kinds = ("entries of a catalogue",)

    def claim(self, address: str, settings: Settings) -> str | None:
        return "https://example.org/entry/" if address.startswith("https://example.org/entry/") else None

    def resolve(self, address: str, context: SourceContext) -> Resolved:
        return resolve(str(context.settings.home / "open" / "my film.mp4"), context)


def test_the_source_with_the_longest_claim_is_asked(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = registry._load()
    for sources in ((*known, CatalogueOfTests()), (CatalogueOfTests(), *known)):
        monkeypatch.setattr(registry, "_load", lambda sources=sources: sources)
        found = resolve("https://example.org/entry/7", context(tmp_path, media_roots=(film.parent,)))
        assert found.file == film
        assert type(find_source("https://example.org/entries", Settings())).__name__ == "MediaUrl"
