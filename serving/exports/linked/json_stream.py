"""JSON documents with a long list, written piece by piece."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# Characters that are in memory at a time.
_PIECE = 1 << 16


def stream_list(document: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield a document with these items, one a line, in the empty list that is the last thing in it.

    Examples
    --------
    >>> b"".join(stream_list({"name": "[]", "found": {"all": []}}, [{"a": 1}, {"a": 2}])).split()
    [b'{"name":', b'"[]",', b'"found":', b'{"all":', b'[', b'{"a":', b'1},', b'{"a":', b'2}', b']}}']
    """
    head, tail = json.dumps(document, ensure_ascii=False).rsplit("[]", 1)
    text = io.StringIO()
    text.write(f"{head}[")
    separator = "\n"
    for item in items:
        text.write(f"{separator}{json.dumps(item, ensure_ascii=False)}")
        separator = ",\n"
        if text.tell() >= _PIECE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    text.write(f"\n]{tail}\n")
    yield text.getvalue().encode()
