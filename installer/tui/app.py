"""What one console shows: the current screen, its frame, the dialogs, and the keys that work everywhere."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final

import urwid

from installer.tui.controller import Controller, State
from installer.tui.flow import Flow, Stop
from installer.tui.page import Dialog, Screen, Scroll, text_dialog
from installer.tui.place import GUEST_RUNNING, HALF_WRITTEN, NOTHING_WRITTEN, OWN, Place
from installer.tui.screens.cluster import Cluster
from installer.tui.screens.disk import TargetDisk
from installer.tui.screens.end import Done, Failure
from installer.tui.screens.locale import Locale
from installer.tui.screens.network import Network
from installer.tui.screens.password import Password
from installer.tui.screens.progress import Progress
from installer.tui.screens.summary import Summary
from installer.tui.screens.welcome import Welcome
from installer.tui.scrolling import Size
from installer.tui.widgets import ASCII, LINES, Button, Drawn, Markup, framed

LOG = logging.getLogger("slipway.tui")
COLUMNS, LINES_LEAST = 80, 24
KEYS: Final = "F1 Help   F2 Shell   F3 Log   F10 Quit        Tab, arrows: move   Enter: choose"
PASTED: Final = {"enter": "\n", "tab": " "}
PASTE_SECONDS: Final = 1.0
"""A terminal sends what is pasted without such a pause: the end of it has been lost."""
EMPTY_LOG: Final = ("The log is empty.",)
LEAVE: Final = frozenset({"f10", "ctrl c", "esc"})
# Backgrounds are those eight that every terminal has: bright ones blink on some.
PALETTE: Final = [
    # name, foreground, background, in monochrome
    ("header", "black", "dark cyan", "standout"),
    ("footer", "black", "light gray", "standout"),
    ("label", "default", "default", "default"),
    ("field", "white", "dark blue", "underline"),
    ("field focus", "black", "light gray", "standout"),
    ("focus", "black", "light gray", "standout"),
    ("button", "light cyan", "default", "bold"),
    ("table head", "light cyan", "default", "bold"),
    ("dim", "dark gray", "default", "default"),
    ("hint", "dark cyan", "default", "default"),
    ("error", "light red", "default", "bold"),
    ("warning", "yellow", "default", "bold"),
    ("good", "light green", "default", "bold"),
    ("title", "white", "default", "bold"),
    ("bar E", "black", "dark magenta", "default"),
    ("bar S", "black", "brown", "default"),
    ("bar R", "white", "dark green", "default"),
    ("bar D", "white", "dark blue", "default"),
    ("bar M", "black", "dark cyan", "default"),
    ("bar full", "white", "dark blue", "standout"),
]
MENDED: Final = (
    "This screen was made anew. Nothing that has been entered is lost, and an installation that runs goes on. "
    "F3 shows the log, which tells more."
)
ScreenClass = type[Screen]


def make_flow(controller: Controller, moved: Callable[[], None]) -> Flow[ScreenClass]:
    """Give the wizard: its screens in their order, each with when it is shown."""

    def when(*states: State) -> Callable[[], bool]:
        return lambda: controller.state in states

    entered = (Welcome, TargetDisk, Locale, Password, Network, Cluster, Summary)
    stops: list[Stop[ScreenClass]] = [
        *(Stop(screen, when(State.EDITING)) for screen in entered),
        Stop(Progress, when(State.CONFIRMED, State.INSTALLING)),
        Stop(Done, when(State.DONE)),
        Stop(Failure, when(State.FAILED)),
    ]
    return Flow(stops, moved)


def _is_small(size: Size) -> bool:
    return size[0] < COLUMNS or size[1] < LINES_LEAST


class App(urwid.WidgetWrap):
    """All that one console shows. Several share a controller and a flow, so that they show one installation."""

    def __init__(
        self,
        controller: Controller,
        flow: Flow[ScreenClass],
        leave: Callable[[], None],
        *,
        ascii_only: bool,
        place: Place = OWN,
        shell: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what is done when a person leaves, and when one asks for the shell that `place` offers.

        `ascii_only` is for terminals without lines and blocks.
        """
        self.glyphs = ASCII if ascii_only else LINES
        self._controller = controller
        self._flow = flow
        self._leave = leave
        self._place = place
        self._to_shell = shell
        self._dialogs: list[Dialog] = []
        self._stale = False
        self._by_key: dict[str, Dialog] = {}
        self._pasted: list[str] | None = None
        self._pasted_at = 0.0
        self._body = urwid.WidgetPlaceholder(urwid.SolidFill(" "))
        header = urwid.AttrMap(Drawn(self._header), "header")
        footer = urwid.AttrMap(urwid.Text(KEYS, align="center", wrap="clip"), "footer")
        padded = urwid.Padding(self._body, left=1, right=1)
        self._frame = urwid.Frame(padded, header=urwid.Pile([header, urwid.Divider()]), footer=footer)
        self._header_line = header.original_widget
        super().__init__(self._frame)
        self.screen: Screen = flow.current(controller, self)
        self._body.original_widget = self.screen

    def refresh(self) -> None:
        """Show the state of controller and flow as it is now."""
        with self._mending():
            self._refresh()

    def _refresh(self) -> None:
        self._stale = False
        if type(self.screen) is not self._flow.current:
            self._make_screen()
        else:
            self.screen.refresh()
        for dialog in self._dialogs:
            dialog.refresh()
        self._header_line.refresh()
        self._show()

    def _make_screen(self) -> None:
        self._dialogs.clear()
        self.screen = self._flow.current(self._controller, self)
        self._show()

    @contextlib.contextmanager
    def _mending(self) -> Iterator[None]:
        """Make the screen anew after a bug: it must end neither an installation nor the work of a person."""
        try:
            yield
        except urwid.ExitMainLoop:
            raise
        except Exception:
            LOG.exception("a bug in the screens")
            self._make_screen()
            self.open(text_dialog(self, "An error of the installer itself", MENDED))

    def render(self, size: Size, focus: bool = False) -> urwid.Canvas:  # noqa: FBT001, FBT002 - urwid's signature
        """Give the picture; a text where there is too little room for one."""
        if _is_small(size):
            what = f"This window has {size[0]}x{size[1]} characters; {COLUMNS}x{LINES_LEAST} are needed."
            return urwid.Filler(urwid.Text(what)).render(size, focus)
        if self._stale:
            self.refresh()
        with self._mending():
            return super().render(size, focus)
        return super().render(size, focus)

    def keypress(self, size: Size, key: str) -> str | None:
        """Take a key. None does anything unseen, in a window that is too small."""
        # What Linux's own console sends for Shift-Tab (Meta_Tab of its keymaps).
        key = "shift tab" if key == "meta tab" else key
        if key == "ctrl l":
            # urwid draws all again.
            return key
        if not _is_small(size):
            with self._mending():
                if not self._collect(key):
                    self._take(size, key)
        return None

    def _collect(self, key: str) -> bool:
        """Keep a key that is a part of what is pasted: it leads nowhere. Give whether it is one."""
        late = monotonic() - self._pasted_at > PASTE_SECONDS
        if key in {"begin paste", "end paste"} or (self._pasted is not None and late):
            self._end_paste()
        if key == "begin paste":
            self._pasted = []
        elif self._pasted is None:
            return key == "end paste"
        else:
            self._pasted.append(PASTED.get(key, key if len(key) == 1 else ""))
        self._pasted_at = monotonic()
        return True

    def _end_paste(self) -> None:
        text, self._pasted = "".join(self._pasted or ()), None
        if text:
            (self._dialogs[-1] if self._dialogs else self.screen).paste(text)
            self._refresh()

    def _take(self, size: Size, key: str) -> None:
        """Take the keys that work everywhere, then those of the dialog or the screen."""
        typed = len(key) == 1 and key != " "
        if self._stale and not typed:
            self._refresh()
        if key in {"f1", "f2", "f3"}:
            self._show_by_key(key)
        elif key in LEAVE and self._dialogs:
            self._dialogs[-1].cancel()
        elif key in LEAVE:
            self._ask_to_leave()
        else:
            super().keypress(size, key)
        if typed:
            # A key that is pasted has hundreds of letters: one look at the end is enough.
            self._stale = True
            self._invalidate()
        else:
            self._refresh()

    def _show_by_key(self, key: str) -> None:
        """Show what a function key is for, over other dialogs too; what it shows already comes to the top."""
        shown = self._by_key.get(key)
        if shown in self._dialogs:
            self._dialogs.remove(shown)
            self.open(shown)
            return
        {"f1": self._help, "f2": self._shell, "f3": self._log}[key]()
        self._by_key[key] = self._dialogs[-1]

    # What screens may ask for, see `page.Host`.

    def open(self, dialog: Dialog) -> None:
        """Show a dialog over the screen."""
        self._dialogs.append(dialog)
        self._show()

    def close(self) -> None:
        """Take the last dialog away."""
        if self._dialogs:
            self._dialogs.pop()
        self._show()

    def show_log(self) -> None:
        """Show the log, as F3 does."""
        self._log()

    def show_shell(self) -> None:
        """Do what F2 does."""
        self._shell()

    def forward(self) -> None:
        """Go to the next screen, if this one is complete."""
        if self.screen.complete():
            self._flow.forward()

    def back(self) -> None:
        """Go to the screen before."""
        self._flow.back()

    def _show(self) -> None:
        top = self.screen
        for dialog in self._dialogs:
            box = framed(urwid.Padding(dialog, left=1, right=1), dialog.title, self.glyphs)
            place = ("center", dialog.columns), ("middle", dialog.lines)
            top = urwid.Overlay(box, top, place[0][0], place[0][1], place[1][0], place[1][1])
        if self._body.original_widget is not top:
            self._body.original_widget = top

    def _header(self, columns: int) -> Markup:
        number, count = self._flow.number
        left = f" Slipway {self._controller.version}  {self.glyphs.rule}  {self._flow.current.title}"
        right = f"{number} of {count} " if count > 1 else ""
        return f"{left:<{columns - len(right)}}{right}"[:columns]

    def _help(self) -> None:
        own = next((dialog for dialog in reversed(self._dialogs) if dialog.help), self.screen)
        self.open(text_dialog(self, own.title, own.help))

    def _shell(self) -> None:
        job = self._controller.job("shell")
        trouble = f"\n\n{job.text}" if job.state == "failed" else ""
        button = [Button(self._place.shell_button, self._go_to_shell)] if self._place.shell_button else []
        buttons = *button, Button("Close", self.close)
        self.open(text_dialog(self, "Shell", f"{self._place.shell_text}{trouble}", *buttons))

    def _go_to_shell(self) -> None:
        self.close()
        self._to_shell()

    def _log(self) -> None:
        lines = Scroll(lambda: self._controller.log() or EMPTY_LOG, end=True)
        close = urwid.Columns([(9, Button("Close", self.close))])
        dialog = Dialog(self, "Log", [(1, lines), urwid.Divider(), close], columns=120, lines=40)
        if not self._controller.log():
            dialog.page.go_to_end()
        self.open(dialog)

    def _ask_to_leave(self) -> None:
        state = self._controller.state
        running = state in {State.CONFIRMED, State.INSTALLING}
        if running and not self._place.guest:
            text = "The installation is running. It cannot be left: the disk would hold half a node."
            self.open(text_dialog(self, "Leave the installer?", text))
            return
        text = GUEST_RUNNING if running else self._place.leaving
        reason = self._controller.outcome().reason.lower()
        if state is State.FAILED and "nothing has been written" not in reason:
            text = text.replace(NOTHING_WRITTEN, HALF_WRITTEN)
        if state is State.DONE:
            text = "The node is installed. The machine is not restarted when you leave."
            if self._place.guest:
                text = "The node is installed. The other terminals go on, and so does a countdown to the restart."
        buttons = Button("Stay", self.close), Button("Leave", self._leave)
        self.open(text_dialog(self, "Leave the installer?", text, *buttons))
