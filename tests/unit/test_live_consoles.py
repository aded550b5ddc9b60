import os
import select
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import live_consoles
from installer.live_consoles import Console, Consoles, is_key, open_console, parse_consoles

TEXT = "Starts in {seconds:2d} s, press any key to stop"


@pytest.mark.parametrize(
    ("active", "cmdline", "expected"),
    [
        ("tty0", "boot=live quiet", ("tty1",)),
        ("", "", ("tty1",)),
        ("tty0 ttyS0", "console=tty0 console=ttyS0,115200n8", ("tty1", "ttyS0")),
        ("ttyS0", "console=ttyS1,9600 xconsole=ttyS9", ("tty1", "ttyS0", "ttyS1")),
        ("hvc0 tty2", "console=null console=ttynull", ("tty1", "hvc0")),
    ],
)
def test_parse_consoles(active: str, cmdline: str, expected: tuple[str, ...]) -> None:
    assert parse_consoles(active, cmdline) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b" ", True),
        (b"\r", True),
        (b"\x1b", True),
        (b"\x1b[A", True),
        (b"\x03", True),
        (b"", False),
        (b"\x00\x00", False),
        (b"\x1b[24;80R", False),
        (b"\x1b[?62;1c", False),
        (b"\x1b[24;80Rq", True),
    ],
)
def test_is_key(data: bytes, expected: bool) -> None:  # noqa: FBT001 - a row of a table
    assert is_key(data) is expected


class Terminal:
    """The far end of a console."""

    def __init__(self) -> None:
        self.far, self.near = os.openpty()
        tty.setraw(self.near)
        os.set_blocking(self.far, False)
        self.path = Path(os.ttyname(self.near))
        opened = open_console(self.path.name, self.path.parent)
        assert opened is not None
        self.console: Console = opened

    def seen(self, end: str = "\n") -> str:
        """Give what has arrived, up to `end` at least: the kernel hands it over in pieces."""
        text = ""
        while end not in text and select.select([self.far], [], [], 5)[0]:
            text += os.read(self.far, 65536).decode()
        return text


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    os.close(made.near)
    os.close(made.far)


def test_a_console_is_given_back_as_it_was(terminal: Terminal) -> None:
    before = terminal.console.settings
    during = termios.tcgetattr(terminal.near)
    assert not during[3] & (termios.ECHO | termios.ICANON)
    terminal.console.write("line\n")
    assert terminal.seen() == "line\r\n"
    terminal.console.close()
    assert termios.tcgetattr(terminal.near) == before


def test_what_is_no_terminal_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "ttyS3").touch()
    assert open_console("ttyS3", tmp_path) is None
    assert open_console("ttyS4", tmp_path) is None


class WithTypist(Consoles):
    """Someone answers each text: first a terminal by itself, then a person."""

    text = ""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__([terminal.console])
        self.terminal = terminal
        self.typed = [b"\x1b[24;80R", b"x", b""]

    def say(self, text: str) -> None:
        self.text += text
        os.write(self.terminal.far, self.typed.pop(0))


def test_a_key_stops_the_countdown_and_a_report_does_not(terminal: Terminal) -> None:
    consoles = WithTypist(terminal)
    started = time.monotonic()
    assert consoles.countdown(3, TEXT)
    assert 0.9 < time.monotonic() - started < 1.9
    assert consoles.text == f"\r{TEXT.format(seconds=3)}  \r{TEXT.format(seconds=2)}  \n"


def test_what_was_typed_before_does_not_count(terminal: Terminal) -> None:
    os.write(terminal.far, b"typed in the boot menu")
    time.sleep(0.05)
    assert not Consoles([terminal.console]).countdown(1, TEXT)
    assert "Starts in  1 s" in terminal.seen("Starts in  1 s")


def test_without_any_console_the_countdown_ends() -> None:
    assert not Consoles([]).countdown(1, TEXT)


def test_a_console_that_hangs_up_does_not_stop_anything(terminal: Terminal) -> None:
    far, near = os.openpty()
    os.set_blocking(near, False)
    os.close(far)
    gone = Console("ttyS0", near, None)
    consoles = Consoles([gone, terminal.console])
    consoles.say("text\n")
    assert terminal.seen() == "text\r\n"
    assert not consoles.countdown(1, TEXT)
    assert consoles.serial == ["ttyS0", terminal.path.name]
    consoles.close()


def test_a_console_that_takes_nothing_loses_text_and_time_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_consoles, "STALL_SECONDS", 0.1)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    console = Console("ttyS0", write_end, None)
    started = time.monotonic()
    for _ in range(20):
        console.write("x" * 65536)
    assert time.monotonic() - started < 1
    assert console.stalled
    while select.select([read_end], [], [], 0)[0]:
        os.read(read_end, 65536)
    console.write("after")
    assert os.read(read_end, 65536) == b"after"
    os.close(read_end)
    console.close()
