"""Tables: on a terminal as wide as it is, elsewhere as wide as their content; ids are never cut."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from ui.cli.common import output

# As they are made, see `short_id`, `stranger_id` and `serving.jobs.runner`.
_ID = re.compile(r"(?:[a-z]|stranger)-[a-z0-9-]+")
_ENDLESS = 1_000_000
# Words up to this length are not divided either.
_READABLE = 12
_BETWEEN = 3  # what separates two columns


def print_table(table: Table) -> None:
    """Print a table to standard output.

    On a terminal, long cells go on in the next line, but ids stay in one, so that they can be copied. If there is no room for
    that, each row is a block of lines. Elsewhere every row is one line, however long.
    """
    if not output.is_terminal:
        Console(file=output.file, width=_ENDLESS, highlight=False, markup=False, emoji=False).print(table)
        return
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    least, wide = [], []
    for column, below in zip(table.columns, cells, strict=True):
        texts = [str(column.header), *below]
        least.append(max((_least(word) for text in texts for word in text.split()), default=1))
        wide.append(max((cell_len(line) for text in texts for line in text.splitlines()), default=1))
    room = output.width - _BETWEEN * len(least) - 1
    if sum(least) > room:
        _print_blocks(table, cells)
        return
    for column, width in zip(table.columns, _fit(least, wide, room), strict=True):
        column.overflow, column.width = "fold", width
    output.print(table)


def _fit(least: list[int], wide: list[int], room: int) -> list[int]:
    """Return the widths of columns in this room: as wide as their content, or the widest ones as narrow as it takes."""
    widths = [max(one, other) for one, other in zip(least, wide, strict=True)]
    while sum(widths) > room:
        widest = max((i for i, width in enumerate(widths) if width > least[i]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _least(word: str) -> int:
    return len(word) if _ID.fullmatch(word) else min(len(word), _READABLE)


def _print_blocks(table: Table, cells: list[list[str]]) -> None:
    if table.title:
        output.print(table.title)
    names = [str(column.header) for column in table.columns]
    wide = max(map(len, names), default=0)
    for row in zip(*cells, strict=True):
        for name, cell in zip(names, row, strict=True):
            lines = cell.splitlines() or [""]
            output.print(f"{name:{wide}}  {lines[0]}")
            for line in lines[1:]:
                output.print(f"{'':{wide}}  {line}")
        output.print()
