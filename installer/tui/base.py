"""What the real controller and the demonstration have in common: the draft, its checks, the state, jobs on the side."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import RLock
from typing import Any, Final, TypeVar

from hostlib.errors import SlipwayError
from hostlib.inventory import Inventory
from installer.config import InstallConfig
from installer.tui import places, views
from installer.tui.agreement import Agreement, make_agreement
from installer.tui.check import MACHINE, problems_of
from installer.tui.confirmation import is_confirmed
from installer.tui.controller import (
    Choice,
    Disk,
    Finding,
    Intent,
    Job,
    JobName,
    Layout,
    Machine,
    Nic,
    Outcome,
    Progress,
    State,
)
from installer.tui.draft import PLACES, Draft, Value, render_answer
from installer.tui.installation import Installation
from installer.tui.jobs import Jobs, Spawn, in_thread, render_bug

LOG = logging.getLogger("slipway.tui")
T = TypeVar("T")
REBOOT_SECONDS: Final = 30
OTHER: Final = "this is not what the summary showed a moment ago; look at it again"


class BaseController:
    """A controller but for what touches the machine: `_read`, `_install`, `_reboot` and the jobs."""

    version = ""

    def __init__(self, spawn: Spawn = in_thread, clock: Callable[[], float] = time.monotonic) -> None:
        """Take what does something beside the screens, and the clock."""
        self._spawn = spawn
        self._clock = clock
        self._lock = RLock()
        self._wakers: list[Callable[[], None]] = []
        self._draft = Draft()
        self._left: set[str] = set()
        self._typed: set[str] = set()
        self._inventory: Inventory | None = None
        self._disk_changes = 0
        self._reading = True
        """From the start: the first reading is about to begin."""
        self._learning = False
        self._trouble = ""
        self._made: dict[str, tuple[tuple[object, ...], Any]] = {}
        self._jobs = Jobs(self._changed, spawn)
        self._reboot_at: float | None = None
        self.installation = Installation(self._changed, clock)

    def _changed(self) -> None:
        for wake in self._wakers:
            wake()

    @property
    def draft(self) -> Draft:
        """What has been entered."""
        return self._draft

    @property
    def state(self) -> State:
        """Where the installation is."""
        return self.installation.state

    def watch(self, wake: Callable[[], None]) -> None:
        """Have `wake` called after every change."""
        self._wakers.append(wake)

    def tick(self) -> None:
        """Restart the machine when it is time."""
        if self.reboot_seconds() == 0:
            self.reboot()

    # What has been entered.

    def set(self, field: str, value: Value) -> None:
        """Enter something, and what follows from it."""
        with self._lock:
            self._typed.add(field)
            if value == "":
                self._typed.discard(field)
            self._put({field: value})
            if field == "country":
                country = str(value)
                self._propose(
                    {
                        "timezone": places.default_timezone(country),
                        "keyboard": places.default_keyboard(country),
                    }
                )
            elif field == "nic" and self._inventory:
                self._propose(views.propose(self._inventory, str(value)))
            elif field == "disk":
                self._forget_disk(self._inventory)
        self._changed()

    def _propose(self, values: dict[str, str], keep: Collection[str] = ()) -> None:
        """Enter what nobody has typed."""
        self._put({name: value for name, value in values.items() if name not in {*self._typed, *keep}})

    def _put(self, values: dict[str, Any]) -> None:
        self._draft = replace(self._draft, **values)

    def leave(self, fields: Iterable[str]) -> None:
        """Show from now on what is wrong with these fields."""
        self._left |= set(fields)
        self._changed()

    def problems(self, fields: Iterable[str]) -> dict[str, str]:
        """Give what is wrong with these fields."""
        asked = list(fields)
        found = self._all_problems() if asked else {}
        return {field: found[field] for field in asked if field in found}

    def shown_problems(self, fields: Iterable[str]) -> dict[str, str]:
        """Give what is wrong with those that have been left."""
        return self.problems(field for field in fields if field in self._left)

    def _all_problems(self) -> dict[str, str]:
        with self._lock:
            draft, inventory = self._draft, self._inventory
            if inventory is None:
                return {}
            return self._once("problems", (draft, inventory), lambda: problems_of(draft, inventory))

    def _once(self, name: str, made_of: tuple[object, ...], make: Callable[[], T]) -> T:
        """Make something again only when what it is made of has changed: every console asks after every key."""
        with self._lock:
            known = self._made.get(name)
            if known is None or known[0] != made_of:
                known = self._made[name] = (made_of, make())
            found: T = known[1]
            return found

    # The machine.

    def _now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")

    def _read(self) -> Inventory:
        """Read the machine. Takes its time. Raises SlipwayError."""
        raise NotImplementedError

    def rescan(self) -> None:
        """Begin to read the machine; what is known of it stays until then."""
        with self._lock:
            # A reading asks each disk and takes seconds: a key that is held down must not begin many.
            if self._learning:
                return
            self._learning = self._reading = True
        self._changed()
        self._spawn(self._learn)

    def _learn(self) -> None:
        try:
            self._know(self._read())
            self._trouble = ""
        except (SlipwayError, OSError, ValueError) as error:
            LOG.warning("the machine cannot be read: %s", error)
            self._trouble = str(error) or type(error).__name__
        except Exception as error:
            LOG.exception("the machine cannot be read")
            self._trouble = render_bug(error)
        finally:
            self._learning = self._reading = False
            self._changed()

    def _know(self, inventory: Inventory) -> None:
        """Take what the machine is; what it suggests is entered where nobody has typed."""
        with self._lock:
            before = views.propose(self._inventory, self._draft.nic) if self._inventory else {}
            nic_before = self._draft.nic
            self._follow_disk(inventory)
            self._inventory = inventory
            known = {nic.key for nic in views.view_nics(inventory)}
            seen = {name for name in self._left if getattr(self._draft, name) != ""}
            if "nic" not in self._typed | seen or self._draft.nic not in known:
                self._put({"nic": views.default_nic(inventory)})
            if self._draft.nic != nic_before:
                before = {}
            found = views.propose(inventory, self._draft.nic)
            # What a person has looked at and gone on from does not change unseen, nor does a field that has just been
            # emptied fill itself again.
            self._propose({name: text for name, text in found.items() if text != before.get(name)}, seen)
        self._changed()

    def _follow_disk(self, inventory: Inventory) -> None:
        """Keep the chosen disk under its best name; what was typed to erase it was for the disk as it was then."""
        path = self._draft.disk
        before = views.disk_at(self._inventory, path) if self._inventory else None
        disk = views.disk_at(inventory, path)
        if views.what_it_is(disk) != views.what_it_is(before):
            self._disk_changes += 1
            self._put({"disk": disk.stable_path if disk else path})
            self._forget_disk(inventory)

    def _forget_disk(self, inventory: Inventory | None) -> None:
        """Take back what was typed and allowed for the disk that was chosen so far."""
        self._put({"confirmation": "", "allow": views.keep_allowed(self._draft.allow, inventory)})

    def machine(self) -> Machine | None:
        """Give the machine; None while it is being read."""
        if self._reading:
            return None
        if self._trouble or self._inventory is None:
            trouble = f"it cannot be read: {self._trouble}"
            return Machine(
                (), (Finding("blocking", "machine", trouble, "choose Read again; F3 shows the log"),)
            )
        inventory, now = self._inventory, self._now()
        return self._once("machine", (inventory, now), lambda: views.view_machine(inventory, now))

    def disks(self) -> Sequence[Disk]:
        """Give all disks."""
        inventory = self._inventory
        return self._once("disks", (inventory,), lambda: views.view_disks(inventory)) if inventory else ()

    def nics(self) -> Sequence[Nic]:
        """Give the physical network cards."""
        inventory = self._inventory
        return self._once("nics", (inventory,), lambda: views.view_nics(inventory)) if inventory else ()

    def layout(self) -> Layout:
        """Give how the chosen disk will be divided."""
        draft, inventory = self._draft, self._inventory
        if inventory is None:
            return Layout()
        return self._once("layout", (draft, inventory), lambda: views.view_layout(draft, inventory))

    def choices(self, field: str) -> Sequence[Choice]:
        """Give what can be chosen."""
        lists: dict[str, Callable[[], Sequence[Choice]]] = {
            "country": places.countries,
            "timezone": lambda: places.timezones(self._draft.country),
            "keyboard": places.keyboards,
        }
        return lists[field]()

    def remote(self) -> Sequence[tuple[str, str]]:
        """Give how to log in over the network: not at all."""
        return ()

    # The installation.

    def intent(self) -> Intent | None:
        """Give what will be done; None while something is wrong, or what is known of the machine is old."""
        agreement = self._agreement()
        return replace(agreement.intent, disk_changes=self._disk_changes) if agreement else None

    def _agreement(self) -> Agreement | None:
        """Give what can be agreed to now."""
        with self._lock:
            draft, inventory = self._draft, self._inventory
            if inventory is None or self._reading or self._trouble or self._all_problems():
                return None
            return self._once("agreement", (draft, inventory), lambda: make_agreement(draft, inventory))

    def open_problems(self) -> tuple[str, ...]:
        """Give what stands against the installation."""
        if self._reading or self._inventory is None:
            return ("the machine is being read; wait a moment",)
        if self._trouble:
            return (f"the machine cannot be read: {self._trouble}; choose Read again on the first screen",)
        found = self._all_problems().items()
        return tuple(
            f"{PLACES.get(field, field)}: {text}" if field != MACHINE else text for field, text in found
        )

    def start_install(self, shown: Intent | None) -> str:
        """Begin what has been shown; give why not."""
        # What is looked at here and what is installed then must be one: nothing may be entered in between.
        with self._lock:
            intent, agreed = self.intent(), self._agreement()
            if intent is None or agreed is None:
                return next(iter(self.open_problems()), "something is missing; go back and look")
            if intent != shown:
                return OTHER
            typed, hint = agreed.draft.confirmation.strip(), intent.confirmation_hint
            if intent.confirmation and not is_confirmed(intent.confirmation, typed):
                wrong = f"'{typed}' is not {hint}" if typed else "the disk is not empty"
                return f"{wrong}; type {hint} to erase it"
            if self.installation.confirm():
                self._spawn(lambda: self._run(agreed))
            return ""

    def _run(self, agreed: Agreement) -> None:
        try:
            config = self._install(agreed)
        except SlipwayError as error:
            self._fail(str(error))
        except Exception as error:
            LOG.exception("a bug")
            written = "\nWhat has been written to the disk is not known; the log tells."
            known = "" if self.state is State.CONFIRMED else written
            self._fail(f"{render_bug(error)}{known}")
        else:
            # What has been warned of is read by a person first: it may be to be done before the restart.
            if not self.progress().warnings:
                self._reboot_at = self._clock() + REBOOT_SECONDS
            self.installation.succeed(Outcome(url=config.url, node=config.fqdn))

    def _fail(self, reason: str) -> None:
        # What has been typed to erase the disk was for this time.
        with self._lock:
            self._put({"confirmation": ""})
        if self.state is State.CONFIRMED:
            reason += "\nNothing has been written to a disk."
        self.installation.fail(reason)

    def _install(self, agreed: Agreement) -> InstallConfig:
        """Install what was agreed to, or nothing, telling `self.installation`. Raises SlipwayError."""
        raise NotImplementedError

    def progress(self) -> Progress:
        """Give how far it is."""
        return self.installation.progress

    def outcome(self) -> Outcome:
        """Give how it ended."""
        return self.installation.outcome

    def retry(self) -> None:
        """Go back to what has been entered; the machine is read again, and nothing can be agreed to before."""
        if self.state is State.FAILED:
            self.rescan()
            self.installation.retry()

    def reboot_seconds(self) -> int | None:
        """Give the seconds until the machine is restarted."""
        if self._reboot_at is None:
            return None
        return max(0, round(self._reboot_at - self._clock()))

    def stop_reboot(self) -> None:
        """Stop the countdown."""
        self._reboot_at = None
        self._changed()

    def reboot(self) -> None:
        """Restart or switch off the machine."""
        self._reboot_at = None
        self._begin("reboot", "One moment ...", self._reboot)

    def _reboot(self) -> str:
        """Do it; give what is told. Raises SlipwayError."""
        raise NotImplementedError

    # Things on the side.

    def answer_text(self) -> str:
        """Give the answer file for reading it off the screen."""
        return render_answer(self._draft, password_hash="")

    def job(self, name: JobName) -> Job:
        """Give how something is going."""
        return self._jobs.state(name)

    def _begin(self, name: JobName, doing: str, work: Callable[[], str]) -> None:
        """Begin something beside the screens; `work` gives what was done, or raises SlipwayError or OSError."""
        self._jobs.begin(name, doing, work)
