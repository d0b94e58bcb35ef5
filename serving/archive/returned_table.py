"""Corrections that come back in a table: what was changed in an exported one, or a list of decisions about tracks."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from facerec_models.errors import ConflictError, InputError, LimitExceededError, NotFoundError
from facerec_models.names import identity_of, means_stranger, number_of, person_id_of
from serving.archive.former_names import name_now
from serving.archive.handle import Archive
from serving.archive.naming.aliases import find_stranger
from serving.archive.naming.correct import TrackCorrection
from serving.exports.table import FORMULA
from serving.store.naming_rows import CorrectionKind

if TYPE_CHECKING:
    from openpyxl import Workbook

_LISTED = frozenset({"video", "track", "decision", "person"})
_EXPORTED = frozenset({"video_id", "analysis_id", "track_ids", "exported_person_id"})
_CHANGED = ("person_id", "identity", "label")
_KNOWN = _LISTED | _EXPORTED | {*_CHANGED, "stranger"}
_MOST_COLUMNS = 256
_MOST_UNPACKED_BYTES = 1 << 30
# Workbooks hold no longer cells: one of this length has lost its end.
_MOST_CELL = 32_767
# What people write where nobody is meant, and what is no name.
_NOBODY = frozenset({"-", "?", "unknown", "nobody", "none", "n/a"})
# What programs that correct spelling put in the place of what was typed.
_TYPED = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'", "\u2018": "'", "\u2010": "-", "\u2011": "-"})

Line = Mapping[str, str]


def read_corrections(
    archive: Archive, project: str, name: str, data: bytes, video_id_of: Callable[[str], str]
) -> list[TrackCorrection]:
    """Return what a table corrects.

    Of a table that `facerec export` wrote, as CSV or as a workbook, these are the lines whose ``person_id``, ``identity`` or ``label``
    were changed: all tracks of the line are then that person, or, where the name was deleted, not the one that was exported.
    Lines may be missing, moved or sorted. People who were renamed since keep their present names. A list has the columns
    ``video,track,decision,person``.

    Parameters
    ----------
    name : str
        The file's name, for errors.
    video_id_of : callable
        Finds the video that a line of a list means.

    Raises
    ------
    InputError
        If it is no such table, a line cannot be understood, or nothing in it was changed.
    LimitExceededError
        If a workbook would be larger than a gigabyte unpacked.
    ConflictError
        If a changed line is about an analysis that another one has replaced since: its track numbers mean other tracks.
    """
    columns, lines = _read_workbook(name, data) if data.startswith(b"PK") else _read_csv(name, data)
    numbered = ((f"{name}, line {number}", line) for number, line in enumerate(lines, 2) if any(line.values()))
    if columns >= _EXPORTED and not columns.isdisjoint(_CHANGED):
        table = _ExportedTable(archive, project)
        found = [one for where, line in numbered for one in table.corrections(where, line)]
        if not found:
            raise InputError(
                f"nothing was changed in {name}: change person_id, identity or label of the lines that are wrong"
            )
        return found
    listed = [_of_listed(where, line, video_id_of) for where, line in numbered] if columns >= _LISTED else []
    if not listed:
        raise InputError(
            f"{name} is no table of corrections: change one that 'facerec export --format csv' or xlsx wrote, or begin with the line "
            "video,track,decision,person and have at least one more"
        )
    return listed


def _of_listed(where: str, line: Line, video_id_of: Callable[[str], str]) -> TrackCorrection:
    track = _track(line["track"])
    if not line["video"] or not line["person"] or track is None or line["decision"] not in {"is", "is_not"}:
        raise InputError(f"{where}: needs video, track (a number), decision (is or is_not) and person")
    return TrackCorrection(video_id_of(line["video"]), track, CorrectionKind(line["decision"]), line["person"])


class _ExportedTable:
    """Reads lines of a project's exported table."""

    def __init__(self, archive: Archive, project: str) -> None:
        self._archive = archive
        self._project = project
        self._latest: dict[str, str] = {}

    @cached_property
    def _people(self) -> set[str]:
        """Whom the project knows."""
        store = self._archive.store
        confirmed = {row.person_id for row in store.list_corrections(self._project)}
        return confirmed | {person.person_id for person in store.list_people(self._project)}

    def corrections(self, where: str, line: Line) -> Iterator[TrackCorrection]:
        """Yield what a line corrects: nothing where it is as it was exported."""
        exported = line["exported_person_id"] or None
        wishes = {
            column: person
            for column in _CHANGED
            if column in line
            and line[column] != _as_exported(column, exported)
            and (person := self._person(f"{where}, {column}", line, line[column], exported)) != exported
        }
        if len(set(wishes.values())) > 1:
            told = ", ".join(f"{column} {line[column]!r}" for column in wishes)
            raise InputError(f"{where} was changed to two different people, {told}: change one of them")
        if not wishes:
            return
        (wanted,) = set(wishes.values())
        video_id, tracks = line["video_id"], [_track(one) for one in line["track_ids"].split()]
        if not video_id or not tracks or None in tracks:
            raise InputError(
                f"{where}: its video_id or track_ids are missing: leave these columns as they were exported"
            )
        if self._analysis_of(video_id) != line["analysis_id"]:
            raise ConflictError(f"{where}: video {video_id} was analysed again since the export: export it anew")
        for track in tracks:
            if track is not None and wanted is not None:
                yield TrackCorrection(video_id, track, CorrectionKind.IS, wanted)
            elif track is not None and exported is not None:
                yield TrackCorrection(video_id, track, CorrectionKind.IS_NOT, self._now(exported))

    def _analysis_of(self, video_id: str) -> str:
        if video_id not in self._latest:
            self._latest[video_id] = self._archive.store.latest_analysis(self._project, video_id).analysis_id
        return self._latest[video_id]

    def _person(self, where: str, line: Line, text: str, exported: str | None) -> str | None:
        """Return the person that a changed cell names, or None for nobody."""
        if not text or text.casefold() == "undecidable":
            return None
        if means_stranger(text):
            if exported is None and self._is_own_stranger(line, text):
                return None
            raise InputError(
                f"{where}: {text!r} is a stranger: delete the name if it is wrong; 'facerec unknowns merge' makes two strangers one"
            )
        if text.casefold() in _NOBODY:
            raise InputError(f"{where}: {text!r} is no name: delete the name if it is wrong, or write the right one")
        try:
            return self._now(person_id_of(text))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error

    def _is_own_stranger(self, line: Line, text: str) -> bool:
        try:
            found = find_stranger(self._archive.store, self._project, text)
            own = find_stranger(self._archive.store, self._project, line["stranger"])
        except (NotFoundError, KeyError):
            return False
        return found.stranger_id == own.stranger_id

    def _now(self, person_id: str) -> str:
        """Return what a person is called: as typed, without what a program made of it, or since a renaming."""
        if person_id in self._people:
            return person_id
        typed = person_id_of(person_id.translate(_TYPED))
        now = name_now(self._archive.store, self._project, typed, 0.0)
        return next((one for one in (typed, now) if one in self._people), person_id)


def _as_exported(column: str, exported: str | None) -> str | None:
    """Return what a cell was when it was exported; None where that is not known: the label of who is no person."""
    if exported is not None:
        return exported if column == "person_id" else identity_of(exported).strip()
    return None if column == "label" else ""


def _track(text: str) -> int | None:
    return number_of(text.removesuffix(".0"))


def _read_csv(name: str, data: bytes) -> tuple[set[str], Iterator[Line]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not in UTF-8: save it as 'CSV UTF-8', or as a workbook (.xlsx)") from error
    # Spreadsheets of many countries write semicolons.
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))

    def checked() -> Iterator[Sequence[str]]:
        try:
            yield from rows
        except csv.Error as error:
            raise InputError(f"{name} cannot be read as CSV: {error}") from error

    return _lines(name, checked())


def _read_workbook(name: str, data: bytes) -> tuple[set[str], Iterator[Line]]:
    """Read the sheet that has the columns of a table, whichever it is."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    failures = (
        InvalidFileException,
        zipfile.BadZipFile,
        zlib.error,
        ParseError,
        KeyError,
        ValueError,
        IndexError,
        TypeError,
        # Of archives that are packed, locked or damaged in ways that nobody foresaw.
        RuntimeError,
        AttributeError,
        ArithmeticError,
        EOFError,
        struct.error,
    )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _MOST_UNPACKED_BYTES:
                raise LimitExceededError(f"{name} is larger than {_MOST_UNPACKED_BYTES} bytes unpacked: divide it")
        # Twice: with the formulas, and with what they gave when the workbook was last saved.
        books = [load_workbook(io.BytesIO(data), read_only=True, data_only=computed) for computed in (False, True)]
        number = next(filter(lambda i: _has_table(books[0], i), range(len(books[0].worksheets))), 0)
        rows = zip(*(_rows_of(book, number) for book in books), strict=True)
        first = next(rows, ((), ()))

        def checked() -> Iterator[Sequence[str]]:
            try:
                for formulas, values in chain([first], rows):
                    yield [_text(name, *cells) for cells in zip(formulas, values, strict=True)]
            except failures as error:
                raise InputError(f"{name} cannot be read as a workbook: {error}") from error

        return _lines(name, checked())
    except failures as error:
        raise InputError(f"{name} cannot be read as a workbook: {error}") from error


def _has_table(book: Workbook, number: int) -> bool:
    header = {str(cell) for cell in next(_rows_of(book, number), ())}
    return header >= _EXPORTED or header >= _LISTED


def _rows_of(book: Workbook, number: int) -> Iterator[tuple[object, ...]]:
    sheet = book.worksheets[number]
    sheet.reset_dimensions()  # what it says of its size may be anything
    return sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS)


def _text(name: str, formula: object, value: object) -> str:
    if value is None and isinstance(formula, str) and formula.startswith("="):
        raise InputError(
            f"{name} has the formula {formula[:40]!r} without its result: open and save it in a spreadsheet"
        )
    if isinstance(value, float) and value.is_integer():  # a whole number that was typed or pasted
        return str(int(value))
    return "" if value is None else str(value)


def _lines(name: str, rows: Iterator[Sequence[str]]) -> tuple[set[str], Iterator[Line]]:
    """Return the known columns of a table, and its lines with these alone; empty ones are passed over."""
    header = [cell.strip() for cell in next(rows, [])]
    while header and not header[-1]:
        header.pop()
    if len(header) > _MOST_COLUMNS:
        raise InputError(f"{name} has {len(header)} columns: leave those of the export alone")
    places = {column: place for place, column in enumerate(header) if column in _KNOWN}
    return set(places), ({column: _cell(name, row, place) for column, place in places.items()} for row in rows)


def _cell(name: str, row: Sequence[str], place: int) -> str:
    cell = row[place].strip() if place < len(row) else ""
    if len(cell) >= _MOST_CELL:
        raise InputError(
            f"{name} has a cell of {len(cell)} characters, {cell[:20]!r}..., which may have lost its end: "
            "delete its line, and correct that with 'facerec correct'"
        )
    # An apostrophe was put before what begins as a formula does.
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell
