"""Videos in buckets."""

from __future__ import annotations

from collections.abc import Iterator

from facerec_models.errors import InputError, SourceError, StoreError
from facerec_models.files import RemoteFacts, RemotePath, open_files
from serving.settings import Settings
from serving.sources.addresses import CONTROLS, name_in, scheme_of, shown
from serving.sources.content_kinds import ending_of
from serving.sources.fetching import begin, receive, with_retries
from serving.sources.media_store import FetchNote, FetchSlot
from serving.sources.source import Resolved, SourceContext
from serving.sources.watch import Watch
from serving.sources.web_client import PassingError


class BucketFile:
    """Addresses of s3 and gs; who asks is in the environment, so requests may name only the buckets that are listed."""

    kinds = ("s3://", "gs://")

    def claim(self, address: str, settings: Settings) -> str | None:
        """Return ``s3:`` or ``gs:``."""
        scheme = scheme_of(address)
        return f"{scheme}:" if scheme in ("s3", "gs") else None

    def check(self, address: str, settings: Settings) -> None:
        """Refuse what names no file in a bucket that is listed."""
        _key(address, settings, is_trusted=False)

    def resolve(self, address: str, context: SourceContext) -> Resolved:
        """Return the kept file of a bucket's file."""
        key = _key(address, context.settings, is_trusted=context.is_trusted)
        path = open_files(f"{scheme_of(address)}://{key}")
        if not isinstance(path, RemotePath):
            raise InputError(f"{shown(address)!r} is no address of a bucket")
        shown_address = path.as_uri()

        def attempt(slot: FetchSlot, watch: Watch) -> Resolved:
            facts = _facts(path, shown_address)
            kept = slot.kept()
            is_same = slot.note is not None and facts.etag is not None and slot.note.etag == facts.etag
            if kept is not None and is_same:
                context.on_progress(1.0)
                return Resolved(kept, shown_address, path.name)
            if not (is_same and slot.can_continue() and slot.size <= facts.size):
                begin(slot, _note(path, facts), shown_address, context.settings.sources.max_bytes)
            if slot.size < facts.size:
                receive(slot, _chunks(path, slot.size, facts.size, watch), shown_address, context)
            if _facts(path, shown_address) != facts:
                slot.forget()
                raise PassingError(f"{shown_address!r} was changed meanwhile: try again later")
            return Resolved(slot.finish(), shown_address, path.name)

        return with_retries(shown_address, shown_address, context, attempt)


def _key(address: str, settings: Settings, *, is_trusted: bool) -> str:
    """Return the bucket and the file's name in it; only of what is listed, unless who asks may name any."""
    key = address.partition("://")[2].strip("/")
    if not is_trusted and not _is_listed(key, settings.sources.buckets):
        raise InputError(f"{shown(address)!r} is in none of the buckets that FACEREC_SOURCES__BUCKETS names")
    if set("*?[]#@") & set(key) or "/" not in key or CONTROLS.search(key):
        raise InputError(
            f"{shown(address)!r} names no file in a bucket: write it as in {scheme_of(address)}://bucket/folder/film.mp4"
        )
    return key


def _is_listed(key: str, listed: frozenset[str]) -> bool:
    """Whether a file is in a listed bucket, or below a listed prefix of one; no part of the name leads upwards."""
    is_plain = not {".", ".."} & set(key.split("/"))
    return is_plain and any(key.startswith(f"{one.strip('/')}/") for one in listed if one.strip("/"))


def _facts(path: RemotePath, shown_address: str) -> RemoteFacts:
    try:
        return path.facts()
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {shown_address!r}: check its name") from error
    except StoreError as error:
        raise PassingError(str(error)) from error


def _note(path: RemotePath, facts: RemoteFacts) -> FetchNote:
    return FetchNote(
        total=facts.size,
        etag=facts.etag,
        last_modified=None,
        name=name_in(path.as_uri()),
        ending=ending_of([path.name], ""),
    )


def _chunks(path: RemotePath, start: int, end: int, watch: Watch) -> Iterator[bytes]:
    try:
        for chunk in path.chunks(start, end):
            watch.check()
            yield chunk
    except FileNotFoundError as error:
        raise SourceError(f"{path} was removed meanwhile: check its name") from error
    except StoreError as error:
        raise PassingError(str(error)) from error
