"""What a person at the screens fell over."""

from __future__ import annotations

import pytest

from installer.tui import app as app_module
from installer.tui.join import is_plain
from tests.tui.harness import (
    TO_DISK,
    TO_LOCALE,
    TO_NETWORK,
    TO_PASSWORD,
    TO_SUMMARY,
    Console,
    Demo,
    machine,
)

TO_SIZES = TO_DISK + "down enter tab tab enter "
TO_KEYS = TO_PASSWORD + "tab tab tab "
URL = "https://example.test/me.keys"


def start(fail_at: str = "") -> Console:
    demo = Demo(machine("nvme-server"), fail_at=fail_at)
    demo.rescan()
    return Console(demo).work()


def failed() -> Console:
    return start("copy").keys(TO_SUMMARY + "enter tab enter").work()


# Lists.


def test_a_choice_leads_on_to_the_next_field() -> None:
    console = start().keys(TO_LOCALE + "'germany' enter")
    assert console.app.screen.page.field == "timezone"
    console.keys("enter enter enter enter 'x'")
    draft = console.controller.draft
    assert (draft.country, draft.timezone, draft.keyboard) == ("de", "Europe/Berlin", "de")
    assert "Try the keyboard    x" in console.text


def test_a_list_opens_on_what_is_chosen_and_a_search_begins_at_its_top() -> None:
    console = start().keys(TO_LOCALE + "'germany' enter shift-tab enter")
    assert "Germany (de)" in console.focus
    assert "Afghanistan" not in console.text
    console.keys("enter")
    assert console.controller.draft.country == "de"
    console.keys("shift-tab enter 'austr'")
    assert "Australia (au)" in console.focus


def test_a_search_that_finds_nothing_says_so() -> None:
    console = start().keys(TO_LOCALE + "'zzz' down enter")
    assert "Nothing fits; Backspace takes the last letter away." in console.words
    assert "Nothing fits" not in console.keys("backspace backspace").words


# Fields.


def test_every_hint_of_the_sizes_is_whole() -> None:
    words = start().keys(TO_SIZES).words
    for hint in ("GiB, empty: disk/4, at most 96", "in the volume group, for snapshots", "0: none"):
        assert hint in words
    edge = [line.split("│")[1] for line in start().keys(TO_SIZES).text.splitlines() if "GiB" in line]
    assert [line for line in edge if not line.endswith("  ")] == []


def test_a_field_is_entered_at_its_end() -> None:
    console = start().keys(TO_NETWORK + "tab tab backspace backspace '16' up down '9'")
    assert console.controller.draft.cidr.endswith("/169")
    console = start().keys(TO_PASSWORD + "'one' tab up '2' tab tab '@' up down 'b'")
    assert (console.controller.draft.password, console.controller.draft.mailto) == ("one2", "@b")


def test_a_url_in_place_of_a_key_says_what_to_do_and_enter_fetches_it() -> None:
    console = start().keys(TO_KEYS + f"'{URL}' tab")
    assert "this is a URL; choose Fetch key" in console.words
    console.keys("shift-tab enter").work()
    assert console.controller.draft.ssh_keys.startswith("ssh-ed25519 ")
    assert console.app.screen.page.field == "ssh_keys"
    assert console.keys("enter").focus == "[ Next ]"


# Pasting.


def test_pasted_lines_stay_in_their_field() -> None:
    console = start().keys(
        TO_KEYS + "begin-paste 'ssh-rsa AA one' enter 'ssh-rsa BB two' enter up esc tab enter end-paste"
    )
    assert console.controller.draft.ssh_keys == "ssh-rsa AA one\nssh-rsa BB two"
    assert console.app.screen.page.field == "ssh_keys"
    console.keys("tab shift-tab begin-paste 'ssh-rsa CC' enter end-paste begin-paste 'D' end-paste")
    assert console.controller.draft.ssh_keys.splitlines()[1:] == ["ssh-rsa BB two", "ssh-rsa CCD"]


def test_pasted_lines_of_another_field_are_one_line() -> None:
    console = start().keys(TO_PASSWORD + "begin-paste 'long' enter up 'enough' enter end-paste tab 'b'")
    draft = console.controller.draft
    assert (draft.password, draft.password_again) == ("long enough", "b")


def test_what_is_pasted_elsewhere_does_nothing() -> None:
    console = start().keys("begin-paste 'a' enter enter f10 end-paste")
    assert console.title == "Welcome"
    console.keys(TO_LOCALE + "begin-paste 'germany' enter end-paste")
    assert console.controller.draft.country == ""
    assert "Search:" not in console.text
    console.keys("'g' begin-paste 'erm' enter end-paste")
    assert "Search: germ" in console.text
    console.keys("esc esc enter " + "tab " * 3 + "begin-paste 'yz' enter end-paste")
    assert "Try the keyboard    yz" in console.text
    sizes = start().keys(TO_SIZES + "tab begin-paste 'a6' enter '4' end-paste")
    assert sizes.controller.draft.hdsize == "64"


def test_a_paste_without_an_end_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [100.0]
    monkeypatch.setattr(app_module, "monotonic", lambda: seconds[0])
    console = start().keys(TO_PASSWORD + "begin-paste 'long enough' enter")
    seconds[0] += 2
    console.keys("tab 'b'")
    draft = console.controller.draft
    assert (draft.password, draft.password_again) == ("long enough", "b")


# Keys over dialogs, the log.


def test_the_function_keys_work_over_a_dialog() -> None:
    console = start().keys(TO_SIZES + "tab '64' f1")
    assert "Disk to use" in console.text
    for wanted in ("minfree", "Free, at least"):
        assert (wanted in console.words) is (wanted != "minfree")
    assert "snapshots" in console.words
    assert "thin pool" in console.words
    console.keys("f1 f1 esc f2")
    assert "Another login, or Alt+F2" in console.words
    console.keys("f2 esc f3")
    assert "┌ Log ─" in console.text
    console.keys("f3 esc")
    assert "Disk to use         64" in console.text
    assert "Another login" not in console.words
    assert "Country" in start().keys(TO_LOCALE + "'g' f1").text


def test_an_empty_log_says_so_and_begins_on_close() -> None:
    console = start().keys("f3")
    assert "The log is empty." in console.text
    assert console.focus == "[ Close ]"
    console.keys("enter")
    assert "The log is empty." not in console.text


# The log and a URL.


def test_enter_on_the_url_sends_the_log() -> None:
    console = failed().keys("tab enter tab enter")
    assert console.controller.job("save-log").state == "idle"
    assert console.focus == "[ Send ]"
    console.keys(f"shift-tab '{URL}' enter").work()
    assert console.controller.job("save-log").state == "done"
    assert "Save log" in console.text


def test_a_url_that_was_typed_is_there_again() -> None:
    console = failed().keys(f"tab enter tab '{URL}' esc enter")
    assert URL in console.text
    console.controller.targets = list
    console.app.refresh()
    assert URL in console.text
    console.keys("tab enter").work()
    assert console.controller.job("save-log").state == "done"


# Words.


def test_next_before_the_machine_is_read_says_so() -> None:
    demo = Demo(machine("nvme-server"))
    demo.rescan()
    console = Console(demo)
    assert "is still being read" not in console.text
    assert "is still being read" in console.keys("enter").words
    assert "is still being read" not in console.work().words
    assert "nothing is written before Install is chosen on the last one." in console.words


def test_leaving_after_a_failure_tells_the_truth() -> None:
    assert "The disk that failed stays half-written." in failed().keys("f10").words
    console = start().keys(TO_SUMMARY + "enter tab enter")
    console.controller.installation.fail("the disk has changed\nNothing has been written to a disk.")
    console.app.refresh()
    assert "Nothing is written to a disk by leaving." in console.keys("f10").words
    assert "half-written" not in console.words


# Terminals.


@pytest.mark.parametrize(
    ("environment", "terminal", "plain"),
    [
        ({"LANG": "C.UTF-8", "TERM": "xterm"}, "/dev/pts/0", False),
        ({"LANG": "de_AT.utf8@euro", "TERM": "linux"}, "/dev/tty2", False),
        ({"LC_ALL": "C", "LANG": "C.UTF-8", "TERM": "xterm"}, "/dev/pts/0", True),
        ({"LC_ALL": "", "LC_CTYPE": "POSIX", "LANG": "C.UTF-8", "TERM": "xterm"}, "/dev/pts/0", True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C", "TERM": "xterm"}, "/dev/pts/0", False),
        ({"TERM": "xterm"}, "/dev/pts/0", True),
        ({"LANG": "C.UTF-8", "TERM": "dumb"}, "/dev/pts/0", True),
        ({"LANG": "C.UTF-8", "TERM": "vt100"}, "/dev/pts/0", True),
        ({"LANG": "C.UTF-8"}, "/dev/pts/0", True),
        ({"LANG": "C.UTF-8", "TERM": "xterm"}, "/dev/ttyS0", True),
        ({"LANG": "C.UTF-8", "TERM": "xterm"}, "/dev/hvc0", True),
        ({"LANG": "C.UTF-8", "TERM": "xterm"}, "/dev/ttyAMA0", True),
    ],
)
def test_which_terminals_get_ascii(environment: dict[str, str], terminal: str, plain: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_plain(environment, terminal) is plain
