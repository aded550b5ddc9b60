"""The controller of the live system: reads this machine and installs on it, as the unattended way does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hostlib.errors import Problem, SlipwayError, UserError
from hostlib.http import Request, send
from hostlib.inventory import Inventory, Lease, Nic
from hostlib.paths import INSTALL_LOG
from hostlib.probe import read_inventory, read_network
from hostlib.probe.attempt import attempt
from hostlib.release import read_release
from hostlib.run import Runner
from hostlib.sizes import KIB
from installer.answers.ssh_keys import check_ssh_keys
from installer.answers.tables import KEYBOARDS
from installer.answers.urls import check_url
from installer.config import InstallConfig
from installer.execute import unmount_leftovers
from installer.leases import apply_resolver
from installer.live_session import Session
from installer.live_ssh import LiveSsh, addresses_of
from installer.tui.agreement import Agreement, check_agreed
from installer.tui.base import BaseController
from installer.tui.check import SOURCE
from installer.tui.controller import Choice, State
from installer.tui.draft import Value, render_answer, render_tables, to_tables
from installer.tui.jobs import Spawn, in_thread
from installer.tui.sticks import find_sticks, write_to_stick
from installer.volumes import Answer

LOG = logging.getLogger("slipway.tui")
LOG_BYTES: Final = 128 * KIB
"""How much of the log's end is shown."""
KEYS_LIMIT_BYTES: Final = 64 * KIB
LOOK_SECONDS: Final = 5
"""How often the network is looked at: a cable that is plugged in, DHCP and LLDP show by themselves."""
SCREEN: Final = "/dev/tty1"
SWITCH_SECONDS: Final = 10


class LiveController(BaseController):
    """A controller over this machine."""

    def __init__(
        self,
        runner: Runner,
        *,
        spawn: Spawn = in_thread,
        clock: Callable[[], float] = time.monotonic,
        log: Path = INSTALL_LOG,
        ssh: LiveSsh | None = None,
    ) -> None:
        """Take the door for subprocesses, the log that is shown, and the live system's ssh where it is on."""
        super().__init__(spawn, clock)
        self._ssh = ssh
        self._runner = runner
        self._look_at: float | None = None
        self._keyboard = ""
        self._log_path = log
        self.version = read_release().version

    # The machine.

    def _read(self) -> Inventory:
        try:
            unmount_leftovers(self._runner)
        except (SlipwayError, OSError) as error:
            # Another installation runs, or something holds the mount: the check of the disk tells what is in use.
            LOG.warning("what an installation has left stays mounted: %s", error)
        inventory = read_inventory(self._runner)
        apply_resolver(inventory)
        return inventory

    def _learn(self) -> None:
        self._look_at = None
        super()._learn()
        self._look_at = self._clock()

    def tick(self) -> None:
        """Look at the network too, while something is entered: DHCP and LLDP take their time."""
        super().tick()
        self._follow_keyboard()
        due = self._look_at is not None and self._clock() >= self._look_at + LOOK_SECONDS
        if due and self.state is State.EDITING:
            self._look_at = None
            self._spawn(self._look)

    def _look(self) -> None:
        try:
            if found := attempt("the network", read_network):
                self._know_network(*found)
        finally:
            self._look_at = self._clock()

    def _know_network(self, nics: tuple[Nic, ...], leases: tuple[Lease, ...]) -> None:
        with self._lock:
            known = self._inventory
            # A reading of the whole machine that was begun meanwhile tells more.
            if known is None or self._reading or self.state is not State.EDITING:
                return
            now = known.model_copy(update={"nics": nics, "leases": leases})
            if now != known:
                self._know(now)
        apply_resolver(now)

    def set(self, field: str, value: Value) -> None:
        """Enter something; a keyboard layout is used at once."""
        super().set(field, value)
        self._follow_keyboard()

    def _follow_keyboard(self) -> None:
        """Use the layout that is chosen. One that is chosen while another is being loaded has its turn then."""
        with self._lock:
            layout = self.draft.keyboard
            if layout in KEYBOARDS and layout != self._keyboard and self.job("keyboard").state != "running":
                self._keyboard = layout
                self._begin("keyboard", "", lambda: self._use_keyboard(layout))

    def _use_keyboard(self, key: str) -> str:
        layout, variant = KEYBOARDS[key]
        keymap = self._runner.run(["ckbcomp", "-model", "pc105", layout, *([variant] if variant else [])])
        self._runner.run(["loadkeys", f"--console={SCREEN}", "-"], input_text=keymap.stdout)
        return "The layout is in use on this machine's screen."

    # The installation.

    def _install(self, agreed: Agreement) -> InstallConfig:
        session = Session(
            self._runner,
            lambda text: LOG.info("%s", text.strip()),
            moving=False,
            watch=[self.installation.take],
        )
        draft = agreed.draft
        secrets = {draft.password} | (self._ssh.secrets if self._ssh else set())
        try:
            prepared = session.prepare(Answer(render_tables(to_tables(draft)), SOURCE), secrets)
            check_agreed(agreed, prepared.config, prepared.inventory)
            self.installation.begin()
            session.install(prepared)
        except SlipwayError as error:
            session.fail(str(error), error.exit_status)
            raise
        finally:
            session.close()
        return prepared.config

    def log(self) -> Sequence[str]:
        """Give the end of the log."""
        try:
            with self._log_path.open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(max(0, size - LOG_BYTES))
                lines = stream.read().decode(errors="replace").splitlines()
                # The first is cut off.
                return lines[1:] if size > LOG_BYTES else lines
        except OSError as error:
            return [f"{self._log_path}: {error.strerror}"]

    def _reboot(self) -> str:
        how = {"reboot": "reboot", "power-off": "poweroff"}[self.draft.reboot_mode]
        self._runner.run(["systemctl", "--no-block", how])
        return "The machine goes down now."

    # Things on the side.

    def targets(self) -> Sequence[Choice]:
        """Give the sticks that a file can be saved to, as they were when the machine was read."""
        return find_sticks(self._inventory) if self._inventory else ()

    def save_answer(self, target: str) -> None:
        """Begin to write the answer file, with the password as a hash."""
        draft = self.draft

        def save() -> str:
            secret = f"{draft.password}\n"
            # From its standard input, where no list of processes shows it.
            command = ["openssl", "passwd", "-6", "-stdin"]
            hashed = self._runner.run(command, input_text=secret, secrets=[draft.password]).stdout.strip()
            text = render_answer(draft, password_hash=hashed)
            return f"{write_to_stick(self._runner, target, 'answer.toml', text)} is on the stick."

        self._begin("save-answer", "writing ...", save)

    def save_log(self, target: str) -> None:
        """Begin to write the log to a stick, or to send it."""
        if target.startswith("/dev/"):
            self._begin("save-log", "writing ...", lambda: self._write_log(target))
        else:
            self._begin("save-log", "sending ...", lambda: self._send_log(target))

    def _write_log(self, device: str) -> str:
        text = self._log_path.read_text(encoding="utf-8", errors="replace")
        return f"{write_to_stick(self._runner, device, 'slipway-install.log', text)} is on the stick."

    def _send_log(self, url: str) -> str:
        body = self._log_path.read_bytes()
        send(Request(url=_checked(url), method="POST", body=body, content_type="text/plain; charset=utf-8"))
        return "The log has been sent."

    def fetch_ssh_key(self, url: str) -> None:
        """Begin to fetch ssh keys."""

        def fetch() -> str:
            body = send(Request(url=_checked(url), limit_bytes=KEYS_LIMIT_BYTES)).body
            try:
                keys = check_ssh_keys(body.decode(errors="replace"))
            except ValueError as error:
                what, _, todo = str(error).rpartition("; ")
                raise UserError(
                    Problem("ssh_keys", f"what came back is no list of keys: {what}", todo)
                ) from None
            self.set("ssh_keys", keys)
            return f"Keys that were fetched: {len(keys.splitlines())}"

        self._begin("fetch-key", "fetching ...", fetch)

    def show_shell(self) -> None:
        """Begin to show the second virtual terminal."""
        self._begin("shell", "", self._show_shell)

    def _show_shell(self) -> str:
        self._runner.run(["chvt", "2"], timeout_seconds=SWITCH_SECONDS)
        return "The second screen is shown."

    def remote(self) -> Sequence[tuple[str, str]]:
        """Give how to log in by ssh, at all addresses that were read."""
        nics = self._inventory.nics if self._inventory else ()
        return self._ssh.rows(addresses_of(nics)) if self._ssh else ()


def _checked(url: str) -> str:
    try:
        return check_url(url)
    except ValueError as error:
        what, _, todo = str(error).rpartition("; ")
        raise UserError(Problem("url", what, todo)) from None
