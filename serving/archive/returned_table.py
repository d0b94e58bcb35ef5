"""Corrections that come back in a table: what somebody changed in an exported one, or a list of decisions about tracks."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from facerec_models.errors import ConflictError, InputError
from facerec_models.names import means_stranger, number_of, person_id_of
from serving.archive.handle import Archive
from serving.archive.naming.correct import TrackCorrection
from serving.exports.table import FORMULA
from serving.store.naming_rows import CorrectionKind

_LISTED = frozenset({"video", "track", "decision", "person"})
_EXPORTED = frozenset({"video_id", "analysis_id", "track_ids", "exported_person_id"})
_CHANGED = ("person_id", "identity", "label")
_MOST_LINES = 1_000_000

Line = Mapping[str, str]


def read_corrections(
    archive: Archive, project: str, name: str, data: bytes, video_id_of: Callable[[str], str]
) -> list[TrackCorrection]:
    """Return what a table corrects.

    Of a table that `facerec export` wrote, as CSV or as a workbook, these are the lines whose ``person_id``, ``identity`` or ``label``
    somebody changed: all tracks of the line are then that person, or, where the name was deleted, not the one that was exported.
    Lines may be missing, moved or sorted. A list has the columns ``video,track,decision,person``.

    Parameters
    ----------
    name : str
        The file's name, for errors; a workbook's ends in ``.xlsx``.
    video_id_of : callable
        Finds the video that a line of a list means.

    Raises
    ------
    InputError
        If it is no such table, a line cannot be understood, or nothing in it was changed.
    ConflictError
        If a changed line is about an analysis that another one has replaced since: its track numbers mean other tracks.
    """
    columns, lines = _read_workbook(name, data) if name.lower().endswith(".xlsx") else _read_csv(name, data)
    numbered = [(f"{name}, line {number}", line) for number, line in enumerate(lines, 2) if any(line.values())]
    if columns >= _EXPORTED and not columns.isdisjoint(_CHANGED):
        found = [one for where, line in numbered for one in _of_exported(archive, project, where, line)]
        if not found:
            raise InputError(
                f"nothing was changed in {name}: change person_id, identity or label of the lines that are wrong"
            )
        return found
    if not columns >= _LISTED or not numbered:
        raise InputError(
            f"{name} is no table of corrections: change one that 'facerec export --format csv' or xlsx wrote, or begin with the line "
            "video,track,decision,person and have at least one more"
        )
    return [_of_listed(where, line, video_id_of) for where, line in numbered]


def _of_listed(where: str, line: Line, video_id_of: Callable[[str], str]) -> TrackCorrection:
    track = number_of(line["track"])
    if not line["video"] or not line["person"] or track is None or line["decision"] not in {"is", "is_not"}:
        raise InputError(f"{where}: needs video, track (a number), decision (is or is_not) and person")
    return TrackCorrection(video_id_of(line["video"]), track, CorrectionKind(line["decision"]), line["person"])


def _of_exported(archive: Archive, project: str, where: str, line: Line) -> Iterator[TrackCorrection]:
    exported = line["exported_person_id"] or None
    wanted = _wanted(where, line, exported)
    if wanted == exported:
        return
    video_id, tracks = line["video_id"], [number_of(one) for one in line["track_ids"].split()]
    if not video_id or not tracks or None in tracks:
        raise InputError(f"{where}: its video_id or track_ids are missing: leave these columns as they were exported")
    if archive.store.latest_analysis(project, video_id).analysis_id != line["analysis_id"]:
        raise ConflictError(f"{where}: video {video_id} was analysed again since the export: export it anew")
    for track in tracks:
        if track is not None and wanted is not None:
            yield TrackCorrection(video_id, track, CorrectionKind.IS, wanted)
        elif track is not None and exported is not None:
            yield TrackCorrection(video_id, track, CorrectionKind.IS_NOT, exported)


def _wanted(where: str, line: Line, exported: str | None) -> str | None:
    """Return whom a line shows now: the exported person unless a name was changed."""
    wishes = {
        column: person for column in _CHANGED if column in line and (person := _person(where, line[column])) != exported
    }
    if len(set(wishes.values())) > 1:
        told = ", ".join(f"{column} {line[column]!r}" for column in wishes)
        raise InputError(f"{where} was changed to two different people, {told}: change one of them")
    return next(iter(wishes.values()), exported)


def _person(where: str, text: str) -> str | None:
    """Return the person that a cell names, or None for nobody: empty, a stranger, or what cannot be decided."""
    if not text or means_stranger(text) or text.casefold() == "undecidable":
        return None
    try:
        return person_id_of(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _read_csv(name: str, data: bytes) -> tuple[set[str], Iterator[Line]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not in UTF-8: save it as 'CSV UTF-8', or as a workbook (.xlsx)") from error
    # Spreadsheets of many countries write semicolons.
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        return _lines(list(islice(rows, _MOST_LINES)))
    except csv.Error as error:
        raise InputError(f"{name} cannot be read as CSV: {error}") from error


def _read_workbook(name: str, data: bytes) -> tuple[set[str], Iterator[Line]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        rows = list(islice(book.worksheets[0].iter_rows(values_only=True), _MOST_LINES))
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, IndexError) as error:
        raise InputError(f"{name} cannot be read as a workbook: {error}") from error
    return _lines([[_text(value) for value in row] for row in rows])


def _lines(rows: Sequence[Sequence[str]]) -> tuple[set[str], Iterator[Line]]:
    header = [cell.strip() for cell in rows[0]] if rows else []
    return set(header) - {""}, (dict(zip(header, _cells(row, len(header)), strict=True)) for row in rows[1:])


def _cells(row: Sequence[str], count: int) -> Iterable[str]:
    cells = [cell.strip() for cell in row[:count]]
    # An apostrophe was put before what begins as a formula does.
    cells = [cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell for cell in cells]
    return cells + [""] * (count - len(cells))


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():  # a whole number that was typed or pasted
        return str(int(value))
    return "" if value is None else str(value)
