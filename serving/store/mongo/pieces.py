"""Rows that are longer than a document of MongoDB may be: each is as many documents as are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from serving.store.mongo.database import MongoDocument

# A document holds 16 MB at most.
PIECE_BYTES = 12_000_000


def pieces(document: MongoDocument, column: str) -> Iterator[MongoDocument]:
    """Yield a document as one or more, none of which has more bytes in a column than fit; all but the last have as many."""
    value = document[column]
    for number, start in enumerate(range(0, max(1, len(value)), PIECE_BYTES)):
        yield {**document, "piece": number, column: value[start : start + PIECE_BYTES]}


def joined(documents: Iterable[MongoDocument], column: str) -> Iterator[MongoDocument]:
    """Yield documents as they were before `pieces`; theirs must come one after the other."""
    whole: MongoDocument = {}
    for document in documents:
        if document["piece"] == 0 and whole:
            yield whole
            whole = {}
        whole = {**document, column: whole.get(column, b"") + document[column]}
    if whole:
        yield whole


def may_continue(document: MongoDocument, column: str) -> bool:
    """Return whether there may be more pieces of a document after its first one."""
    return len(document[column]) >= PIECE_BYTES
