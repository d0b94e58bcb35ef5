"""The report as a page of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]
Row = Mapping[str, Any]


def lines(report: Report) -> Iterator[str]:
    """Yield what `tests.gpu_check` found, line by line."""
    of = report["machine"]
    yield f"{of['device']}, driver {of['driver']}; {of['processor']}, {of['cores']} cores; torch {of['versions']['torch']}"
    yield f"commit {of['commit']}; pictures: {report['material']['source']}; {report['wall_s']:.0f} s"
    yield from _table(
        "Networks against the CPU in float32: largest difference, and 1 - cosine of embeddings",
        report.get("networks", ()),
        lambda row: (
            f"{row['network']:24} {row['precision']:22} {row['output']:10} {row['max_abs']:9.2g} of "
            f"{row['largest']:8.3g}" + _optional("  cosine {:.2g}", row["max_cosine_distance"])
        ),
    )
    yield from _table(
        "Answers against the CPU's: pictures with other faces, boxes and landmarks in px, scores; other names",
        report.get("decisions", ()),
        lambda row: (
            f"{row['precision']:12} {row['pictures_that_differ']} of {row['pictures']} pictures; box "
            f"{row['max_box_px']:.3g}, landmark {row['max_landmark_px']:.3g}, score {row['max_score']:.2g}, cosine "
            f"{row['max_cosine_distance']:.2g}; names differ {row['named_by_the_cpus_gallery']['faces_that_differ']} of "
            f"{row['named_by_the_cpus_gallery']['faces']} (own gallery {row['named_by_its_own_gallery']['faces_that_differ']}), "
            f"rate {row['named_by_the_cpus_gallery']['max_false_name_rate']:.2g}, probability "
            f"{row['named_by_the_cpus_gallery']['max_probability']:.2g}"
        ),
    )
    yield from _table(
        "Detection: frames a second",
        (*report.get("detection", ()), *report.get("library_detection", ())),
        lambda row: (
            f"{row['frames']:6} {row['batch']:4} at once  {row['way']:28} {row['frames_per_s']:8.1f}/s, first "
            f"{row['first_s']:.2f} s" + _optional(", {:.0f} MB", row["peak_mb"])
        ),
    )
    yield from _table(
        "Parts of detection: milliseconds a frame",
        report.get("stages", ()),
        lambda row: (
            f"{row['frames']:6} {row['batch']:4} at once  {row['stage']:42} "
            f"{1000 * row['median_s'] / row['batch']:9.3f}"
        ),
    )
    yield from _table(
        "Embedding: faces a second",
        report.get("embedding", ()),
        lambda row: (
            f"{row['network']:24} {row['crops']:5} crops  {row['way']:36} {row['faces_per_s']:9.1f}/s"
            + _optional(", {:.0f} MB", row["peak_mb"])
        ),
    )
    yield from _table("Videos", report.get("videos", ()), _video)
    yield from (f"skipped: {name}" for name in report["skipped"])
    yield from (f"failed: {name}: {error.splitlines()[-1]}" for name, error in report["failed"].items())


def _table(title: str, rows: Sequence[Row], line: Any) -> Iterator[str]:
    if rows:
        yield ""
        yield title
        yield from (line(row) for row in rows)


def _optional(text: str, value: float | None) -> str:
    return "" if value is None else text.format(value)


def _video(row: Row) -> str:
    text = (
        f"{row['clip']} {row['size']} {row['length_s']:.0f} s: {row['wall_s']:.2f} s (first {row['first_wall_s']:.2f}), decode "
        f"{row['decode_s']:.2f}, detect {row['detect_s']:.2f} of {row['frames_detected']} frames, embed {row['embed_s']:.2f} "
        f"of {row['faces_embedded']} faces"
    )
    if "on_the_cpu" in row:
        text += f"; on the CPU {row['on_the_cpu']['wall_s']:.2f} s"
    if "against_the_cpu" in row:
        differs = row["against_the_cpu"]
        text += (
            f"; {differs['same_frames']} of {differs['tracks']} tracks on the same frames, box {differs['max_box_px']:.3g} px, "
            f"cosine {differs['max_cosine_distance']:.2g}"
        )
    return text
