"""Videos on the web: files, and the first video of a IIIF manifest."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from facerec_models.errors import InputError, LimitExceededError, SourceError
from facerec_models.names import file_name_of, number_of
from serving.settings import Settings
from serving.sources.addresses import name_in, parse_address, printable, scheme_of, shown
from serving.sources.content_kinds import HEAD_BYTES, check_is_file, ending_of, is_document
from serving.sources.fetching import begin, receive, with_retries
from serving.sources.iiif_manifest import PaintedVideo, read_manifest
from serving.sources.media_store import FetchNote, FetchSlot
from serving.sources.source import Resolved, SourceContext
from serving.sources.watch import Watch
from serving.sources.web_client import Answer, PassingError, ask, check_status

_SCHEMES = ("http", "https")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class MediaUrl:
    """Addresses of http and https, each fetched by `serving.sources.web_client`."""

    kinds = ("http://", "https://")

    def claim(self, address: str, settings: Settings) -> str | None:
        """Return ``http:`` or ``https:``."""
        scheme = scheme_of(address)
        return f"{scheme}:" if scheme in ("http", "https") else None

    def check(self, address: str, settings: Settings) -> None:
        """Refuse what is no address, or carries a name or password."""
        parse_address(address, *_SCHEMES)

    def resolve(self, address: str, context: SourceContext, *, hidden: Mapping[str, str] | None = None) -> Resolved:
        """Return the kept file of an address; of a IIIF manifest that of the first video that it paints.

        Parameters
        ----------
        hidden : mapping of str to str, optional
            Parameters that are sent with the address and shown nowhere. The file is the same without them.
        """
        fetched = _fetch(address, context, hidden or {})
        return (
            _first_readable(read_manifest(fetched, shown(address)), context) if isinstance(fetched, bytes) else fetched
        )


def _first_readable(painted: PaintedVideo, context: SourceContext) -> Resolved:
    failure: Exception | None = None
    for address in painted.addresses:
        try:
            found = _fetch(address, context, {})
        except (InputError, SourceError) as error:
            failure = error
            continue
        if not isinstance(found, bytes):
            return Resolved(found.file, found.uri, painted.name or found.name, painted.catalogue)
        failure = InputError(
            f"{shown(address)!r} is a document, not a video: the manifest should name the video's file"
        )
    raise failure or InputError(f"the manifest {painted.catalogue.uri!r} paints no video that is a file")


def _fetch(address: str, context: SourceContext, hidden: Mapping[str, str]) -> Resolved | bytes:
    """Return a kept file, or the whole of a document in JSON."""
    url = parse_address(address, *_SCHEMES)._replace(fragment=None).url

    def attempt(slot: FetchSlot, watch: Watch) -> Resolved | bytes:
        kept = slot.kept()
        conditions = _conditions(slot, kept)
        with ask(url, context.settings.sources, watch, conditions, hidden=hidden) as answer:
            if answer.status == 304 and kept is not None and slot.note is not None:
                context.on_progress(1.0)
                return Resolved(kept, shown(url), slot.note.name)
            document = _take(slot, answer, url, context)
        return Resolved(slot.finish(), shown(url), _name(slot)) if document is None else document

    return with_retries(url, shown(url), context, attempt)


def _conditions(slot: FetchSlot, kept: Path | None) -> Mapping[str, str]:
    """Return the headers that ask for what is missing alone."""
    note = slot.note
    if note is None or not (kept is not None or slot.can_continue()):
        return {}
    if kept is None and not _is_whole(slot):
        return {"Range": f"bytes={slot.size}-", "If-Range": note.etag or note.last_modified or ""}
    if note.etag is not None:
        return {"If-None-Match": note.etag}
    return {} if note.last_modified is None else {"If-Modified-Since": note.last_modified}


def _is_whole(slot: FetchSlot) -> bool:
    """Whether all is here, but not yet kept."""
    return slot.can_continue() and slot.note is not None and slot.size == slot.note.total


def _take(slot: FetchSlot, answer: Answer, url: str, context: SourceContext) -> bytes | None:
    """Bring the part to its end; of a document in JSON return all, and keep nothing."""
    if answer.status == 304 and _is_whole(slot):  # the process ended that fetched it, before it was kept
        return None
    if answer.status == 416 or (answer.status == 206 and not _continues(slot, answer)):
        slot.forget()
        raise PassingError(f"{shown(url)!r} gave another part than was asked for: try again later")
    check_status(answer)
    chunks = answer.chunks()
    if answer.status == 200:
        head = _head(chunks)
        if is_document(head):
            return _whole(head, chunks, url, context.settings.sources.max_manifest_bytes)
        media_type = answer.header("Content-Type")
        for seen in (shown(url), answer.shown):
            check_is_file(head, media_type, seen)
        begin(slot, _note(url, answer), shown(url), context.settings.sources.max_bytes)
        chunks = itertools.chain([head], chunks)
    receive(slot, chunks, shown(url), context)
    return None


def _continues(slot: FetchSlot, answer: Answer) -> bool:
    """Whether an answer is the rest of what is here, and of the same content."""
    found = _RANGE.fullmatch(answer.header("Content-Range"))
    note = slot.note
    if found is None or note is None or not slot.can_continue():
        return False
    first, last, total = (number_of(text) for text in found.groups())
    is_rest = first == slot.size and total is not None and last == total - 1 and note.total in (None, total)
    # Without a total of the first answer, this one must say how long it is: nothing else would tell that it broke off.
    is_bounded = total is not None and (note.total if answer.length is None else answer.length == total - slot.size)
    tag = answer.header("ETag")
    return is_rest and bool(is_bounded) and (not tag or note.etag is None or tag == note.etag)


def _note(url: str, answer: Answer) -> FetchNote:
    given = printable(answer.headers.get_filename() or "")
    names = [*([given] if given else []), name_in(answer.shown), name_in(url)]
    tag = answer.header("ETag")
    return FetchNote(
        total=answer.length,
        # A weak tag promises no equal bytes (RFC 9110, 8.8.1).
        etag=tag if tag and not tag.startswith("W/") else None,
        last_modified=answer.header("Last-Modified") or None,
        name=file_name_of(given, name_in(url)),
        ending=ending_of(names, answer.header("Content-Type")),
    )


def _name(slot: FetchSlot) -> str:
    return "video" if slot.note is None else slot.note.name


def _head(chunks: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head


def _whole(head: bytes, chunks: Iterator[bytes], url: str, max_bytes: int) -> bytes:
    content = bytearray(head)
    for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            break
    if len(content) > max_bytes:
        raise LimitExceededError(
            f"{shown(url)!r} is a document of more than {max_bytes} bytes: raise FACEREC_SOURCES__MAX_MANIFEST_BYTES if it is a "
            "IIIF manifest"
        )
    return bytes(content)
