"""A table that was exported, changed and taken back: what was changed is corrected, as one edit that can be undone."""

from __future__ import annotations

import csv
import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from serving.archive.handle import open_archive
from serving.settings import Settings
from tests.archive import fill
from tests.ui.command import ask_p, run

P = ("--project", "p")
Row = dict[str, str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_archive(Settings(home=tmp_path / "home")) as archive:
        fill(archive)
    return tmp_path / "home"


def exported(home: Path) -> str:
    return run(home, "export", "--format", "csv", *P).stdout


def changed(text: str, change: Callable[[Row], object], *, delimiter: str = ",") -> str:
    """Return a table whose rows were changed in place."""
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        change(row)
    written = io.StringIO()
    writer = csv.DictWriter(written, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def names(home: Path) -> dict[tuple[str, str], str]:
    """Return who each track is, by video and track."""
    rows = csv.DictReader(io.StringIO(exported(home)))
    return {(row["video_id"], track): row["person_id"] for row in rows for track in row["track_ids"].split()}


def a_named_and_an_unknown(home: Path) -> tuple[Row, Row]:
    rows = list(csv.DictReader(io.StringIO(exported(home))))
    named = next(row for row in rows if row["person_id"] == "Bob")
    return named, next(row for row in rows if row["stranger"])


def test_three_changed_names_are_shown_applied_and_undone(home: Path, tmp_path: Path) -> None:
    before = exported(home)
    rows = list(csv.DictReader(io.StringIO(before)))
    one, two = a_named_and_an_unknown(home)
    three = next(row for row in rows if row["person_id"] and row["track_ids"] != one["track_ids"])
    wishes = [(one, "person_id", "Grace_Hopper"), (two, "identity", "Ada Lovelace"), (three, "label", "Grace Hopper")]

    def edit(row: Row) -> None:
        for wanted, column, name in wishes:
            if (row["video_id"], row["track_ids"]) == (wanted["video_id"], wanted["track_ids"]):
                row[column] = name

    table = tmp_path / "back.csv"
    table.write_text(changed(before, edit))
    preview = ask_p(home, "import-corrections", table, "--preview")
    assert not preview["applied"]
    assert exported(home) == before
    applied = ask_p(home, "import-corrections", table, "--expect", preview["version"])
    assert applied["people"] == preview["people"]
    now = names(home)
    for row, _, name in wishes:
        for track in row["track_ids"].split():
            assert now[row["video_id"], track] == name.replace(" ", "_")
    run(home, "history", "undo", *P)
    assert exported(home) == before


def test_a_deleted_name_says_who_it_is_not(home: Path, tmp_path: Path) -> None:
    named, _ = a_named_and_an_unknown(home)
    table = tmp_path / "back.csv"

    def edit(row: Row) -> None:
        if row["video_id"] == named["video_id"] and row["track_ids"] == named["track_ids"]:
            row["person_id"] = ""

    table.write_text(changed(exported(home), edit))
    ask_p(home, "import-corrections", table)
    now = names(home)
    assert all(now[named["video_id"], track] != "Bob" for track in named["track_ids"].split())


def test_a_table_of_another_spreadsheet_is_read(home: Path, tmp_path: Path) -> None:
    named, _ = a_named_and_an_unknown(home)

    def edit(row: Row) -> None:
        if row["video_id"] == named["video_id"] and row["track_ids"] == named["track_ids"]:
            row["person_id"] = "Grace Hopper"

    table = tmp_path / "back.csv"
    table.write_text("\ufeff" + changed(exported(home), edit, delimiter=";"))
    ask_p(home, "import-corrections", table)
    assert names(home)[named["video_id"], named["track_ids"].split()[0]] == "Grace_Hopper"


def test_a_workbook_comes_back(home: Path, tmp_path: Path) -> None:
    named, _ = a_named_and_an_unknown(home)
    run(home, "export", "--format", "xlsx", "--out", tmp_path / "all.xlsx", *P)
    book = load_workbook(tmp_path / "all.xlsx")
    sheet = book["Appearances"]
    header = [cell.value for cell in sheet[1]]
    for row in sheet.iter_rows(min_row=2):
        of = dict(zip(header, row, strict=True))
        if (of["video_id"].value, of["track_ids"].value) == (named["video_id"], named["track_ids"]):
            of["identity"].value = "Grace Hopper"
            if " " not in named["track_ids"]:
                of["track_ids"].value = float(named["track_ids"])
    book.save(tmp_path / "all.xlsx")
    ask_p(home, "import-corrections", tmp_path / "all.xlsx")
    assert names(home)[named["video_id"], named["track_ids"].split()[0]] == "Grace_Hopper"


def refusal(home: Path, table: Path, text: str) -> str:
    table.write_text(text)
    return run(home, "import-corrections", table, *P, code=1).error


def test_a_stranger_is_no_name_and_a_spelling_is_no_new_person(home: Path, tmp_path: Path) -> None:
    named, unknown = a_named_and_an_unknown(home)
    before, table = exported(home), tmp_path / "back.csv"

    def change(of: Row, column: str, text: str) -> str:
        def edit(row: Row) -> None:
            if (row["video_id"], row["track_ids"]) == (of["video_id"], of["track_ids"]):
                row[column] = text

        return changed(before, edit)

    for of, text in ((unknown, "Unknown 99"), (named, unknown["label"]), (unknown, "unknown"), (named, "-")):
        assert "line" in refusal(home, table, change(of, "label", text)), text
    # What a program that corrects spelling makes of a name is that name.
    table.write_text(change(unknown, "identity", "Ann\u00a0Lee"))
    assert ask_p(home, "import-corrections", table, "--preview")["new_people"] == []
    table.write_text(change(unknown, "identity", "Grace Hopper"))
    assert ask_p(home, "import-corrections", table, "--preview")["new_people"] == ["Grace_Hopper"]
    assert (
        "New, nobody was called so before: Grace_Hopper"
        in run(home, "import-corrections", table, "--preview", *P).stdout
    )


def test_who_was_renamed_since_keeps_the_present_name(home: Path, tmp_path: Path) -> None:
    named, unknown = a_named_and_an_unknown(home)
    table = tmp_path / "back.csv"

    def edit(row: Row) -> None:
        if (row["video_id"], row["track_ids"]) == (unknown["video_id"], unknown["track_ids"]):
            row["label"] = "Bob"
        if (row["video_id"], row["track_ids"]) == (named["video_id"], named["track_ids"]):
            row["label"] = ""

    table.write_text(changed(exported(home), edit))
    run(home, "people", "rename", "Bob", "Robert", *P)
    assert ask_p(home, "import-corrections", table)["new_people"] == []
    now = names(home)
    assert now[unknown["video_id"], unknown["track_ids"].split()[0]] == "Robert"
    assert now[named["video_id"], named["track_ids"].split()[0]] != "Robert"


def test_a_small_file_takes_little_memory(home: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(f"c{i}" for i in range(200_000)) + "\na" * 2_000)
    assert "has 200000 columns" in run(home, "import-corrections", wide, *P, code=1).error
    book = Workbook()
    book.active["XFD1048576"] = 1
    book.save(tmp_path / "far.xlsx")
    tracemalloc.start()
    assert "is no table of corrections" in run(home, "import-corrections", tmp_path / "far.xlsx", *P, code=1).error
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def test_a_workbook_is_read_whatever_a_spreadsheet_did_to_it(home: Path, tmp_path: Path) -> None:
    named, _ = a_named_and_an_unknown(home)
    file = tmp_path / "all.xlsx"
    run(home, "export", "--format", "xlsx", "--out", file, *P)
    book = load_workbook(file)
    book.move_sheet("About", -1)
    sheet = book["Appearances"]
    header = [cell.value for cell in sheet[1]]
    for row in sheet.iter_rows(min_row=2):
        of = dict(zip(header, row, strict=True))
        if (of["video_id"].value, of["track_ids"].value) == (named["video_id"], named["track_ids"]):
            of["identity"].value = "=A1"
    book.save(tmp_path / "formula.xlsm")
    assert (
        "formula '=A1' without its result"
        in run(home, "import-corrections", tmp_path / "formula.xlsm", *P, code=1).error
    )
    with zipfile.ZipFile(file) as packed, zipfile.ZipFile(tmp_path / "broken.xlsx", "w") as broken:
        for entry in packed.namelist():
            content = packed.read(entry)
            broken.writestr(entry, content[:200] if entry.endswith("sheet1.xml") else content)
    assert "cannot be read as a workbook" in run(home, "import-corrections", tmp_path / "broken.xlsx", *P, code=1).error


def test_what_cannot_be_meant_is_refused_and_changes_nothing(home: Path, tmp_path: Path) -> None:
    before, table = exported(home), tmp_path / "back.csv"
    assert "nothing was changed" in refusal(home, table, before)
    twice = changed(before, lambda row: row.update(person_id="Ada_Lovelace", identity="Grace Hopper"))
    assert "line 2 was changed to two different people" in refusal(home, table, twice)
    nowhere = changed(before, lambda row: row.update(person_id="Ada_Lovelace", track_ids=""))
    assert "line 2: its video_id or track_ids are missing" in refusal(home, table, nowhere)
    older = changed(before, lambda row: row.update(person_id="Ada_Lovelace", analysis_id="a-other"))
    assert "was analysed again since the export" in refusal(home, table, older)
    cut = changed(before, lambda row: row.update(person_id="Ada_Lovelace", track_ids="1 " * 20_000))
    assert "may have lost its end" in refusal(home, table, cut)
    assert "is no table of corrections" in refusal(home, table, "a,b\n1,2\n")
    table.write_bytes("video,label\nfilm,Zoë\n".encode("cp1252"))
    assert "is not in UTF-8" in run(home, "import-corrections", table, *P, code=1).error
    (tmp_path / "no.xlsx").write_bytes(b"PK no workbook")
    assert "cannot be read as a workbook" in run(home, "import-corrections", tmp_path / "no.xlsx", *P, code=1).error
    empty = Workbook()
    empty.save(tmp_path / "empty.xlsx")
    assert "is no table of corrections" in run(home, "import-corrections", tmp_path / "empty.xlsx", *P, code=1).error
    assert exported(home) == before
