"""A table with a cursor row, one row of which is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import urwid

from installer.tui.scrolling import LEAST_ROWS, Lines, Size
from installer.tui.widgets import ACTIVATE, Drawn, Selectable


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    width: int = 0
    """0: what is left; a text that is too long loses its middle, for its end may be what tells it apart."""
    least: int = 0
    """It is left out where the table has fewer columns of characters."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table."""

    key: str
    cells: tuple[str, ...]
    selectable: bool = True
    """False: it is drawn as one that cannot be chosen; what takes the choice says why."""


class Table(urwid.WidgetWrap):
    """Rows with a cursor. Enter or the space bar chooses the row below it, which is marked `(*)`.

    A box widget: give it a share of the page.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        give: Callable[[], tuple[Sequence[Row], str]],
        choose: Callable[[str], None],
        *,
        field: str = "",
    ) -> None:
        """Take the columns, what gives the rows and the chosen key, and what is done with the one that is chosen."""
        self.field = field
        self._columns = columns
        self._give = give
        self._choose = choose
        self._rows: list[Row] = []
        self._chosen = ""
        self._walker = urwid.SimpleFocusListWalker([])
        header = urwid.AttrMap(self._line("", [column.title for column in columns]), "table head")
        super().__init__(urwid.Frame(Lines(self._walker), header=header))
        self.refresh()

    @property
    def least_rows(self) -> int:
        """Lines to be of use: the head and some rows."""
        return 1 + min(len(self._rows), LEAST_ROWS)

    @property
    def row(self) -> Row | None:
        """The row with the cursor."""
        return self._rows[self._walker.focus] if self._rows else None

    def looked_at(self, *, has_cursor: bool) -> str:
        """Give the key of the row that a person looks at, or nothing.

        It is the one with the cursor while that is in the table, else the chosen one.
        """
        if not has_cursor and any(row.key == self._chosen for row in self._rows):
            return self._chosen
        return self.row.key if self.row else ""

    def refresh(self) -> None:
        """Show the rows as they are now; the cursor stays on its row."""
        before = self.row
        rows, chosen = self._give()
        if (list(rows), chosen) == (self._rows, self._chosen):
            return
        self._rows, self._chosen = list(rows), chosen
        lines = []
        for row in rows:
            mark = ("(*)" if row.key == chosen else "( )") if row.selectable else " - "
            line = Selectable(self._line(mark, row.cells))
            lines.append(urwid.AttrMap(line, None if row.selectable else "dim", "focus"))
        self._walker[:] = lines
        keys = [row.key for row in rows]
        wanted = before.key if before and before.key in keys else chosen
        if rows:
            self._walker.set_focus(keys.index(wanted) if wanted in keys else 0)

    def keypress(self, size: Size, key: str) -> str | None:
        """Take the arrows while there are rows, and what chooses one."""
        if key in ACTIVATE and (row := self.row):
            self._choose(row.key)
            # A choice that a dialog asks about first is none yet.
            return key if key != " " and self._give()[1] == row.key else None
        rest: str | None = super().keypress(size, key)
        return rest

    def _line(self, mark: str, cells: Sequence[str]) -> Drawn:
        return Drawn(lambda columns: self._render(mark, cells, columns))

    def _render(self, mark: str, cells: Sequence[str], columns: int) -> str:
        shown = [
            (column, cell)
            for column, cell in zip(self._columns, cells, strict=True)
            if columns >= column.least
        ]
        rest = columns - 3 - sum(column.width + 1 for column, _ in shown)
        texts = (shorten(cell, column.width or rest) for column, cell in shown)
        return f"{mark:<3} {' '.join(texts)}"


def shorten(text: str, columns: int) -> str:
    """Give a text with exactly so many columns; where it is too long, its middle is left out."""
    if len(text) <= columns:
        return f"{text:<{columns}}"
    end = (columns - 2) * 2 // 3
    return f"{text[: columns - 2 - end]}..{text[len(text) - end :]}"
