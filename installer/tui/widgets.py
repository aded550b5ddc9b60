"""The few widgets that urwid lacks: fields with an error line, choices, drawn lines.

Those that show a field of the draft have `field`, its name, and `refresh`, which shows the controller's state again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import urwid

from installer.tui.controller import Controller
from installer.tui.draft import Value
from installer.tui.scrolling import Size

LABEL_COLUMNS: Final = 19
CHOOSE: Final = "Enter or type: choose from a list"
ACTIVATE: Final = frozenset({"enter", " "})
Markup = Any
"""urwid's markup of a text: a str, a tuple of attribute and markup, or a list of these."""


class Part(Protocol):
    """What a page is made of besides plain widgets of urwid."""

    def refresh(self) -> None:
        """Show the controller's state again."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that a terminal may lack."""

    frame: tuple[str, ...]
    """tline, lline, tlcorner, trcorner, blcorner, rline, bline, brcorner."""
    rule: str
    full: str
    empty: str


LINES: Final = Glyphs(("─", "│", "┌", "┐", "└", "│", "─", "┘"), "─", "█", "░")
ASCII: Final = Glyphs(("-", "|", "+", "+", "+", "|", "-", "+"), "-", "#", ".")


def framed(widget: urwid.Widget, title: str, glyphs: Glyphs) -> urwid.Widget:
    """Give a widget with a frame and a title in it."""
    names = ("tline", "lline", "tlcorner", "trcorner", "blcorner", "rline", "bline", "brcorner")
    return urwid.LineBox(
        widget, title=title, title_align="left", **dict(zip(names, glyphs.frame, strict=True))
    )


class Drawn(urwid.Widget):
    """A text that depends on the width it has."""

    _sizing = frozenset([urwid.FLOW])

    def __init__(self, draw: Callable[[int], Markup]) -> None:
        """Take what gives the markup for a number of columns."""
        super().__init__()
        self._draw = draw
        self._drawn: tuple[int, Markup] | None = None

    def refresh(self) -> None:
        """Draw it again if it has changed."""
        if self._drawn and self._draw(self._drawn[0]) != self._drawn[1]:
            self._invalidate()

    def rows(self, size: Size, focus: bool = False) -> int:  # noqa: FBT001, FBT002, ARG002 - urwid's signature
        """Give the number of lines."""
        return int(self._text(size).rows((size[0],)))

    def render(self, size: Size, focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002, ARG002 - urwid's signature
        """Give the lines."""
        return urwid.CompositeCanvas(self._text(size).render((size[0],)))

    def _text(self, size: Size) -> urwid.Text:
        self._drawn = (size[0], self._draw(size[0]))
        return urwid.Text(self._drawn[1])


class Live(urwid.WidgetWrap):
    """A text that follows the controller's state."""

    def __init__(self, give: Callable[[], Markup]) -> None:
        """Take what gives the markup now."""
        self._give = give
        self._shown = give()
        self._text = urwid.Text(self._shown)
        super().__init__(self._text)

    def refresh(self) -> None:
        """Show the text as it is now."""
        if (now := self._give()) != self._shown:
            self._shown = now
            self._text.set_text(now)


class Button(urwid.WidgetWrap):
    """`[ Label ]`, pressed by Enter or the space bar."""

    def __init__(self, label: str, press: Callable[[], None]) -> None:
        """Take what is done when it is pressed."""
        self._press = press
        self.columns = len(label) + 4
        super().__init__(urwid.AttrMap(urwid.Text(f"[ {label} ]", wrap="clip"), "button", "focus"))

    def selectable(self) -> bool:
        """It can have the cursor."""
        return True

    def keypress(self, _size: Size, key: str) -> str | None:
        """Take Enter and the space bar."""
        if key not in ACTIVATE:
            return key
        self._press()
        return None


def button_row(*buttons: Button) -> urwid.Widget:
    """Give buttons in a row, the last ones of which are reached by Tab or the arrows."""
    return urwid.Columns([(button.columns, button) for button in buttons], dividechars=2)


def labelled(label: str, control: urwid.Widget) -> urwid.Widget:
    """Give a line `Label   control`."""
    text = urwid.Text(("label", label), wrap="clip")
    return urwid.Columns([(LABEL_COLUMNS, text), control], 1)


class _Labelled(urwid.WidgetWrap):
    """A line `Label   control`, and below it what is wrong with the field."""

    def __init__(self, controller: Controller, field: str, label: str, control: urwid.Widget) -> None:
        self.controller = controller
        self.field = field
        self._problem = urwid.Text("")
        self._row = labelled(label, control)
        self._pile = urwid.Pile([("pack", self._row)])
        super().__init__(self._pile)

    @property
    def value(self) -> Value:
        """What the draft holds."""
        value: Value = getattr(self.controller.draft, self.field)
        return value

    def refresh(self) -> None:
        """Show what the draft holds and what is wrong with it."""
        problem = self.controller.shown_problems([self.field]).get(self.field, "")
        if problem == self._problem.text:
            return
        line = urwid.Padding(self._problem, left=2)
        self._problem.set_text(("error", problem))
        row = (self._row, self._pile.options("pack"))
        self._pile.contents = [row, (line, self._pile.options("pack"))] if problem else [row]


class Line(urwid.Edit):
    """One line of text that takes only some characters; longer than its place, it scrolls."""

    def __init__(
        self, caption: str = "", text: str = "", *, mask: str | None = None, allowed: str = ""
    ) -> None:
        """Take the character that is shown for all others, and those that may be typed (empty: all)."""
        super().__init__(caption, text, mask=mask, wrap="clip")
        self._allowed = allowed

    def valid_char(self, ch: str) -> bool:
        """Tell whether a key is a character that may be typed."""
        return bool(super().valid_char(ch)) and (not self._allowed or ch in self._allowed)

    def paste(self, text: str, *, lines: bool = False) -> None:
        """Take a text that has come at once. Empty lines are left out; `lines`: the others stay lines."""
        taken = ["".join(ch for ch in line if self.valid_char(ch)) for line in text.split("\n")]
        kept = [line for line in taken if line.strip()]
        before = self.edit_text[: self.edit_pos]
        # One more key does not become the comment of the one before it.
        if lines and before.strip() and not before.endswith("\n") and any(" " in line for line in kept):
            kept.insert(0, "")
        space = " " if self.valid_char(" ") else ""
        self.insert_text(("\n" if lines else space).join(kept))


class LineRow(urwid.WidgetWrap):
    """A line `Label   text` that is no field of the draft."""

    def __init__(
        self, label: str, line: Line, enter: Callable[[], None] | None = None, field: str = ""
    ) -> None:
        """Take the line, what Enter does when something stands in it, and a name for `Page.go_to`."""
        self.line = line
        self.field = field
        self._enter = enter
        super().__init__(labelled(label, urwid.AttrMap(line, "field", "field focus")))

    def keypress(self, size: Size, key: str) -> str | None:
        """Take Enter where it does something."""
        if key == "enter" and self._enter and self.line.edit_text.strip():
            self._enter()
            return None
        rest: str | None = super().keypress(size, key)
        return rest

    def paste(self, text: str) -> None:
        """Take a text that has come at once."""
        self.line.paste(text)


class Field(_Labelled):
    """A text of the draft."""

    def __init__(  # a field is what it is called, what it takes and how it looks
        self,
        controller: Controller,
        field: str,
        label: str,
        *,
        mask: str | None = None,
        allowed: str = "",
        columns: int = 0,
        hint: str = "",
        lines: bool = False,
    ) -> None:
        """Take its name in the draft and on the screen; `columns`: its width (0: all); `hint` stands behind it.

        `lines`: several may be pasted.
        """
        self.line = Line(mask=mask, allowed=allowed)
        self._lines = lines
        box = urwid.AttrMap(self.line, "field", "field focus")
        control: urwid.Widget = box
        if columns:
            control = urwid.Columns([(columns, box), urwid.Text(("hint", hint), wrap="clip")], 1)
        super().__init__(controller, field, label, control)
        urwid.connect_signal(self.line, "postchange", self._enter)
        self.refresh()

    def refresh(self) -> None:
        """Show what the draft holds: another console may have changed it."""
        if self.line.edit_text != self.value:
            self.line.set_edit_text(self.value)
            self.line.set_edit_pos(len(self.line.edit_text))
        super().refresh()

    def keypress(self, size: Size, key: str) -> str | None:
        """Take a letter on a short way: a key that is pasted has hundreds of them."""
        if self.line.valid_char(key):
            self.line.keypress((size[0],), key)
            return None
        rest: str | None = super().keypress(size, key)
        return rest

    def paste(self, text: str) -> None:
        """Take a text that has come at once."""
        self.line.paste(text, lines=self._lines)

    def _enter(self, *_: object) -> None:
        if self.line.edit_text != self.value:
            self.controller.set(self.field, self.line.edit_text)


class Switch(_Labelled):
    """One of a few values of the draft, all in sight; the space bar and the arrows change it."""

    def __init__(
        self, controller: Controller, field: str, label: str, values: Sequence[tuple[Value, str]]
    ) -> None:
        """Take the values with their names."""
        self._values = values
        self._text = urwid.Text("", wrap="clip")
        super().__init__(controller, field, label, urwid.AttrMap(Selectable(self._text), None, "focus"))
        self.refresh()

    def refresh(self) -> None:
        """Show what the draft holds."""
        marks = "  ".join(f"({'*' if value == self.value else ' '}) {name}" for value, name in self._values)
        if marks != self._text.text:
            self._text.set_text(marks)
        super().refresh()

    def keypress(self, _size: Size, key: str) -> str | None:
        """Take the space bar and the arrows."""
        steps = {" ": 1, "right": 1, "left": -1}
        if key not in steps:
            return key
        values = [value for value, _ in self._values]
        self.controller.set(self.field, values[(values.index(self.value) + steps[key]) % len(values)])
        return None


class Pick(_Labelled):
    """One of many values of the draft; Enter or the first letter opens the list."""

    def __init__(
        self, controller: Controller, field: str, label: str, open_list: Callable[[str, str], None]
    ) -> None:
        """Take what opens the list, given the field and the letters that have been typed."""
        self._open = open_list
        self._text = urwid.Text("", wrap="clip")
        focused = {None: "field focus", "hint": "field focus"}
        control = urwid.AttrMap(Selectable(self._text), {None: "field"}, focused)
        super().__init__(controller, field, label, control)
        self.refresh()

    def refresh(self) -> None:
        """Show what the draft holds."""
        value = str(self.value)
        choices = self.controller.choices(self.field)
        label = next((choice.label for choice in choices if choice.key == value), value)
        if (label or CHOOSE) != self._text.text:
            self._text.set_text(label or ("hint", CHOOSE))
        super().refresh()

    def keypress(self, _size: Size, key: str) -> str | None:
        """Take Enter, the space bar and every letter."""
        if key in ACTIVATE:
            self._open(self.field, "")
        elif len(key) == 1 and key.isprintable():
            self._open(self.field, key)
        else:
            return key
        return None


class Selectable(urwid.WidgetWrap):
    """Something that can have the cursor but leaves the keys to what it is a part of."""

    def selectable(self) -> bool:
        """It can have the cursor."""
        return True

    def keypress(self, _size: Size, key: str) -> str | None:
        """Take none."""
        return key
