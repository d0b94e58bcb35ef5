"""Ten thousand appearances leave in seconds, and no more than a part of them is in memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import pytest

from facerec_models.result import Result
from serving.exports.export_format import ExportFormat
from serving.exports.formats import FORMATS
from tests.results import CONTEXT, Seen, make_result

APPEARANCES = 100


def results(count: int) -> Iterator[Result]:
    for number in range(count):
        seen = [
            Seen(
                f"Unknown {number * APPEARANCES + i}" if i % 3 else f"Ann Lee {i}",
                i,
                i + 0.9,
                [(i + 0.5, (10, 20, 110, 140))],
            )
            for i in range(APPEARANCES)
        ]
        yield make_result(*seen, duration_s=APPEARANCES, uri=f"file:///videos/{number}.mp4", video_id=f"v-{number}")


def measure(form: ExportFormat, count: int) -> tuple[int, int, float]:
    """Return the bytes of a document, the most that Python held while it was written, and the seconds."""
    tracemalloc.start()
    started = time.perf_counter()
    size = sum(map(len, FORMATS[form].write(results(count), CONTEXT)))
    elapsed_s = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size, peak, elapsed_s


@pytest.mark.parametrize("form", [form for form in FORMATS if FORMATS[form].holds_many])
def test_many_videos_are_written_in_seconds_and_in_flat_memory(form: ExportFormat) -> None:
    measure(form, 2)  # what is loaded once
    size, peak, elapsed_s = measure(form, 10_000 // APPEARANCES)
    small_size, small_peak, _ = measure(form, 1_000 // APPEARANCES)
    assert size > 8 * small_size
    # A tenth of a document that is ten times as large, at most.
    assert peak - small_peak < 4 << 20, f"{form}: {peak} and {small_peak} bytes"
    assert elapsed_s < 60  # traced, on a busy machine
