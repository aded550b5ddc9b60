"""A screen of the wizard, and the dialogs over it.

How a screen is made: derive from `Screen`, set `title`, `help` and `fields`, give its widgets in `items`, and add it to
the list in `installer.tui.app`. Tab and Enter lead through the widgets in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, Protocol, TypeAlias

import urwid

from installer.tui.controller import Controller
from installer.tui.scrolling import LEAST_ROWS, Lines, Size, Window
from installer.tui.widgets import Button, Glyphs, Line, Markup, Selectable, button_row

FORWARD_KEYS: Final = frozenset({"tab", "enter"})
MOST_INDENT: Final = 8
NOTHING_FITS: Final = "Nothing fits; Backspace takes the last letter away."
Item: TypeAlias = Any | tuple[int, Any]
"""A widget that is as high as it wants to be; or with its share of the height that is left."""


class Host(Protocol):
    """What a screen may ask of the console that shows it."""

    glyphs: Glyphs

    def open(self, dialog: Dialog) -> None:
        """Show a dialog over the screen."""

    def close(self) -> None:
        """Take the last dialog away."""

    def show_log(self) -> None:
        """Show the log, as F3 does."""

    def show_shell(self) -> None:
        """Do what F2 does."""

    def forward(self) -> None:
        """Go to the next screen, if this one is complete."""

    def back(self) -> None:
        """Go to the screen before."""


class Page(urwid.WidgetWrap):
    """Widgets below each other, with Tab, Shift-Tab and Enter leading through them."""

    def __init__(self, items: Sequence[Item]) -> None:
        """Take the widgets; those with `refresh` are refreshed, those with `field` have the cursor by name."""
        self._parts = [item[1] if isinstance(item, tuple) else item for item in items]
        self._pile = urwid.Pile(
            [("weight", *item) if isinstance(item, tuple) else ("pack", item) for item in items]
        )
        super().__init__(Window(self._pile))

    def refresh(self) -> None:
        """Show the controller's state again."""
        for part in self._parts:
            if hasattr(part, "refresh"):
                part.refresh()

    @property
    def field(self) -> str:
        """The field that has the cursor."""
        return str(getattr(self._pile.focus, "field", ""))

    def go_to(self, field: str) -> None:
        """Put the cursor on a field that is on this page."""
        for number, part in enumerate(self._parts):
            if getattr(part, "field", None) == field:
                self._pile.focus_position = number
                self._to_end_of_line()

    def go_to_end(self) -> None:
        """Put the cursor on the buttons."""
        self._pile.focus_position = len(self._parts) - 1

    def keypress(self, size: Size, key: str) -> str | None:
        """Take the keys that lead through the page, after the widget with the cursor."""
        before = self._pile.focus
        rest = self._press(size, key)
        if self._pile.focus is not before:
            self._to_end_of_line()
        return rest

    def paste(self, text: str) -> None:
        """Give a text that has come at once to the widget with the cursor, where it takes one."""
        if hasattr(self._pile.focus, "paste"):
            self._pile.focus.paste(text)

    def _to_end_of_line(self) -> None:
        """Have a line that the cursor has come to go on at its end, wherever it came from."""
        if line := getattr(self._pile.focus, "line", None):
            line.set_edit_pos(len(line.edit_text))

    def _press(self, size: Size, key: str) -> str | None:
        part, options = self._pile.contents[self._pile.focus_position]
        if len(key) == 1 and options[0] == "pack" and part.selectable():
            # The height of the page, which is asked for in vain for each letter of a key that is pasted, is not needed.
            rest: str | None = part.keypress((size[0],), key)
        else:
            rest = super().keypress(size, key) if self._pile.selectable() else key
        if rest in FORWARD_KEYS:
            self.step(1)
        elif rest == "shift tab":
            self.step(-1)
        elif rest in {"up", "down", "left", "right"}:
            # At the end of the page an arrow leads nowhere.
            return None
        else:
            return rest
        return None

    def _stops(self) -> Iterator[tuple[int, int]]:
        for number, part in enumerate(self._parts):
            if isinstance(part, urwid.Columns):
                yield from (
                    (number, column) for column, (inner, _) in enumerate(part.contents) if inner.selectable()
                )
            elif part.selectable():
                yield (number, 0)

    def step(self, step: int) -> None:
        """Put the cursor on the next widget (1), or on the one before (-1)."""
        stops = list(self._stops())
        if not stops:
            return
        part = self._pile.focus
        column = part.focus_position if isinstance(part, urwid.Columns) else 0
        here = (self._pile.focus_position, column)
        place = stops.index(here) + step if here in stops else 0
        number, column = stops[place % len(stops)]
        self._pile.focus_position = number
        if isinstance(self._pile.focus, urwid.Columns):
            self._pile.focus.focus_position = column
        self._to_end_of_line()


class Screen(urwid.WidgetWrap):
    """A screen of the wizard: fills the space between the header and the footer."""

    title: ClassVar[str] = ""
    help: ClassVar[str] = ""
    """One paragraph, shown by F1."""
    fields: ClassVar[tuple[str, ...]] = ()
    """The fields of the draft that are entered here: right, before it goes on."""
    first: ClassVar[bool] = False
    """No way back from it."""
    next_label: ClassVar[str] = "Next"

    def __init__(self, controller: Controller, host: Host) -> None:
        """Take the controller, and the console that shows the screen."""
        self.controller = controller
        self.host = host
        super().__init__(urwid.SolidFill(" "))
        self.make()

    def make(self) -> None:
        """Make the page, with the cursor on the first field, else on the buttons."""
        buttons = self.buttons()
        self.page = Page([*self.items(), urwid.Divider(), *([button_row(*buttons)] if buttons else [])])
        if not self.fields:
            self.page.go_to_end()
        self._w = self.page

    def has_cursor(self, field: str) -> bool:
        """Tell whether a field has the cursor; while the screen is made, it is to have it."""
        return not hasattr(self, "page") or self.page.field == field

    def items(self) -> Sequence[Item]:
        """Give the widgets of the screen, from the top. At least one should take the height that is left."""
        raise NotImplementedError

    def buttons(self) -> Sequence[Button]:
        """Give the buttons below them."""
        back = [] if self.first else [Button("Back", self.host.back)]
        return [Button(self.next_label, self.host.forward), *back]

    def refresh(self) -> None:
        """Show the controller's state again."""
        self.page.refresh()

    def complete(self) -> bool:
        """Tell whether the wizard may go on; if not, show why and put the cursor there."""
        self.controller.leave(self.fields)
        problems = self.controller.problems(self.fields)
        self.refresh()
        if problems:
            self.page.go_to(next(field for field in self.fields if field in problems))
        return not problems

    def keypress(self, size: Size, key: str) -> str | None:
        """Pass the key on; what is wrong with a field is shown as soon as the cursor has left it."""
        before = self.page.field
        rest: str | None = super().keypress(size, key)
        if before and self.page.field != before:
            self.controller.leave([before])
        return rest

    def paste(self, text: str) -> None:
        """Give a text that has come at once to the widget with the cursor."""
        self.page.paste(text)


class Dialog(urwid.WidgetWrap):
    """Something over the screen. Esc takes it away."""

    help: ClassVar[str] = ""
    """One paragraph, shown by F1 in place of the screen's."""

    def __init__(self, host: Host, title: str, items: Sequence[Item], *, columns: int, lines: int) -> None:
        """Take its title, widgets and size; it is never larger than the screen."""
        self.host = host
        self.title = title
        self.columns = columns
        self.lines = lines
        self.page = Page(items)
        super().__init__(self.page)

    def refresh(self) -> None:
        """Show the controller's state again."""
        self.page.refresh()

    def cancel(self) -> None:
        """Be taken away by Esc."""
        self.host.close()

    def paste(self, text: str) -> None:
        """Give a text that has come at once to the widget with the cursor."""
        self.page.paste(text)


def text_dialog(host: Host, title: str, text: Markup, *buttons: Button, lines: int = 0) -> Dialog:
    """Give a dialog with a text and buttons, `Close` where there are none. Long texts scroll."""
    row = button_row(*(buttons or [Button("Close", host.close)]))
    count = lines or (2 + sum(1 + len(line) // 66 for line in str(text).splitlines()))
    if count <= 14:
        items: list[Item] = [urwid.Text(text), (1, urwid.SolidFill(" ")), row]
    else:
        items = [(1, Scroll(lambda: str(text).splitlines())), urwid.Divider(), row]
    return Dialog(host, title, items, columns=72, lines=min(count + 4, 20))


class Scroll(urwid.WidgetWrap):
    """Lines of text that scroll with the arrows and Page Up, Page Down; shows the end while it grows."""

    def __init__(self, give: Callable[[], Iterable[str]], *, end: bool = False) -> None:
        """Take what gives the lines. `end`: begin at the last one."""
        self._give = give
        self._walker = urwid.SimpleFocusListWalker([])
        self._follow = end
        self._lines: list[str] = []
        super().__init__(Lines(self._walker))
        self.refresh()

    @property
    def least_rows(self) -> int:
        """Lines to be of use."""
        return min(len(self._lines), LEAST_ROWS)

    def refresh(self) -> None:
        """Show the lines as they are now."""
        lines = list(self._give())
        if lines == self._lines:
            return
        at_end = not self._walker or self._walker.focus >= len(self._walker) - 1
        focus = self._walker.focus if self._walker else 0
        # A log grows at its end and loses lines at its start; to make all of them anew takes long.
        gone = self._lines.index(lines[0]) if lines and lines[0] in self._lines else len(self._lines)
        if self._lines[gone:] != lines[: len(self._lines) - gone]:
            gone = len(self._lines)
        new = lines[len(self._lines) - gone :]
        self._lines = lines
        del self._walker[:gone]
        self._walker += [urwid.AttrMap(Selectable(_indented(line)), None, "focus") for line in new]
        if self._walker:
            last = len(self._walker) - 1
            self._walker.set_focus(last if self._follow and at_end else min(max(focus - gone, 0), last))


def _indented(line: str) -> urwid.Widget:
    """Give a line that keeps its indent where it is broken."""
    indent = min(len(line) - len(line.lstrip(" ")), MOST_INDENT)
    return urwid.Padding(urwid.Text(line[indent:]), left=indent)


class Search(Dialog):
    """A list that is searched by typing."""

    def __init__(
        self,
        host: Host,
        title: str,
        choices: Sequence[tuple[str, str]],
        typed: str,
        take: Callable[[str], None],
        *,
        chosen: str = "",
    ) -> None:
        """Take the choices (key and label), the letters that have been typed, and who gets the chosen key.

        Without letters it begins at `chosen`, a key.
        """
        self._choices = choices
        self._take = take
        self._walker = urwid.SimpleFocusListWalker([])
        self._edit = Line("Search: ", typed)
        self._found: list[str] = []
        urwid.connect_signal(self._edit, "postchange", lambda *_: self._search())
        hint = urwid.Text(
            ("hint", "Type to search, arrows to move, Enter to choose, Esc to leave it as it is.")
        )
        items = [urwid.AttrMap(self._edit, "field"), urwid.Divider(), (1, urwid.ListBox(self._walker)), hint]
        super().__init__(host, title, items, columns=60, lines=20)
        self._search()
        if not typed and chosen in self._found:
            self._walker.set_focus(self._found.index(chosen))
            self._mark()

    def paste(self, text: str) -> None:
        """Search for a text that has come at once."""
        self._edit.paste(text)

    def keypress(self, size: Size, key: str) -> str | None:
        """Take the arrows for the list and all else for the search."""
        if key == "enter":
            if self._found:
                self.host.close()
                self._take(self._found[self._walker.focus])
        elif key in {"up", "down", "page up", "page down"}:
            step = {"up": -1, "down": 1, "page up": -10, "page down": 10}[key]
            if self._found:
                self._walker.set_focus(min(max(self._walker.focus + step, 0), len(self._found) - 1))
                self._mark()
        else:
            self._edit.keypress((size[0],), key)
        return None

    def _search(self) -> None:
        words = self._edit.edit_text.lower().split()
        found = [(key, label) for key, label in self._choices if all(word in label.lower() for word in words)]
        if words:
            # What begins with it is meant rather than what holds it.
            found.sort(key=lambda choice: not choice[1].lower().startswith(words[0]))
        self._found = [key for key, _ in found]
        self._walker[:] = [urwid.AttrMap(urwid.Text(label, wrap="clip"), None) for _, label in found]
        if not found:
            self._walker[:] = [urwid.Text(("hint", NOTHING_FITS))]
        self._walker.set_focus(0)
        self._mark()

    def _mark(self) -> None:
        for number, line in enumerate(self._walker if self._found else ()):
            line.set_attr_map({None: "focus" if number == self._walker.focus else None})
