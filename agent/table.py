"""Tables for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hostlib.errors import printable


def render_table(rows: Sequence[Sequence[str]]) -> str:
    """Give rows of as many cells each in columns, the first row being their headings."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "".join(f"{line.rstrip()}\n" for line in lines)
