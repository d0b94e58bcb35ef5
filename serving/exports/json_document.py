"""A result as it is published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from facerec_models.result import Result
from serving.exports.export_format import ExportContext


def to_json(results: Iterable[Result], _: ExportContext) -> Iterator[bytes]:
    """Yield a result by the schema ``facerec.result/1``."""
    for result in results:
        yield f"{result.to_json(indent=1)}\n".encode()
