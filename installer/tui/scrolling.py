"""What may be longer than its place: lists, and whole pages. Both show a line that tells when there is more."""

from __future__ import annotations

import urwid

Size = tuple[int, ...]
LEAST_ROWS = 4
"""Of what scrolls, so that it is of use."""
PAGE_KEYS = {"up": -1, "down": 1, "page up": -10, "page down": 10}


def _with_sign(canvas: urwid.Canvas, columns: int, *, above: bool, below: bool) -> urwid.Canvas:
    """Put a line under a picture that tells on which side there is more."""
    sides = " and ".join(name for name, more in (("above", above), ("below", below)) if more)
    text = urwid.AttrMap(urwid.Text(f"--- more {sides}: arrows ---", align="center", wrap="clip"), "hint")
    return urwid.CanvasCombine([(canvas, None, True), (text.render((columns,)), None, False)])


class Lines(urwid.ListBox):
    """A list of widgets that scrolls."""

    def render(self, size: Size, focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002 - urwid's signature
        """Give the lines that there is room for."""
        inner = self._inner(size)
        canvas = super().render(inner, focus)
        if inner == size:
            return canvas
        ends = self.ends_visible(inner, focus)
        return _with_sign(canvas, size[0], above="top" not in ends, below="bottom" not in ends)

    def keypress(self, size: Size, key: str) -> str | None:
        """Take the arrows, and the Page keys in our own way: urwid's fail after some changes of size."""
        inner = self._inner(size)
        if key in {"home", "end"} and len(self.body):
            self.set_focus(0 if key == "home" else len(self.body) - 1)
            return None
        if key in {"page up", "page down"} and len(self.body):
            self._turn(inner, down=key == "page down")
            return None
        rest: str | None = super().keypress(inner, key)
        return rest

    def _turn(self, inner: Size, *, down: bool) -> None:
        """Go to the last widget in sight, which may be cut off there, and show what follows it."""
        _, above, below = self.calculate_visible(inner, focus=True)
        fill = (below if down else above)[1]
        place = fill[-1][1] if fill else self.focus_position + (1 if down else -1)
        self.set_focus(min(max(place, 0), len(self.body) - 1))
        self.set_focus_valign("top" if down else "bottom")

    def _inner(self, size: Size) -> Size:
        """Give the size without the line that tells that there is more."""
        rows = 0
        for widget in self.body:
            rows += widget.rows((size[0],))
            if rows > size[1] > 1:
                return (size[0], size[1] - 1)
        return size


class Window(urwid.WidgetWrap):
    """A pile that may be higher than its place: then it shows the part with the cursor.

    A widget of the pile that takes a share of the height may say in `least_rows` how many lines it needs.
    """

    def __init__(self, pile: urwid.Pile) -> None:
        """Take the pile."""
        self._pile = pile
        self._top = 0
        self._follows = True
        super().__init__(pile)

    def render(self, size: Size, focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002 - urwid's signature
        """Give all of it, or the part with the cursor."""
        heights = self._heights(size)
        inner, shown = (size[0], sum(heights)), size[1] - 1
        if inner[1] <= size[1]:
            return self._pile.render(size, focus)
        if self._follows:
            first = sum(heights[: self._pile.focus_position])
            last = first + heights[self._pile.focus_position]
            self._top = min(max(self._top, last - shown), first)
        self._top = max(0, min(self._top, inner[1] - shown))
        canvas = urwid.CompositeCanvas(self._pile.render(inner, focus))
        canvas.trim(self._top, shown)
        return _with_sign(canvas, size[0], above=self._top > 0, below=self._top + shown < inner[1])

    def keypress(self, size: Size, key: str) -> str | None:
        """Pass the key on; an arrow that nothing takes shows what is above or below."""
        self._follows = True
        heights = self._heights(size)
        rest: str | None = self._pile.keypress((size[0], max(size[1], sum(heights))), key)
        if rest in PAGE_KEYS and sum(heights) > size[1]:
            self._follows = False
            self._top += PAGE_KEYS[rest]
            self._invalidate()
            return None
        return rest

    def _heights(self, size: Size) -> list[int]:
        return [
            part.rows((size[0],)) if kind == "pack" else getattr(part, "least_rows", 0)
            for part, (kind, _) in self._pile.contents
        ]
