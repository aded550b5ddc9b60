"""`slipway network`: shows the node's network configuration, and applies a changed one on trial.

The administrator may be on ssh over the bridge that changes. So the new configuration is in effect for a while only:
unless it is confirmed, a timer of systemd puts the one before back, whatever became of the ssh session. Once applied
the file on disk is the one before again, until `confirm`: a power cut ends the trial, too. One rename decides between
`confirm` and the return, so that never both happen.

ifupdown2 3.0.0 (Debian trixie): `ifreload --syntax-check` finds values that cannot be, but neither an unknown key nor
an unknown first word of a section; `ifquery --check` exits with 1 when something is not in effect.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, Final

from agent.member import check_root
from hostlib.errors import CommandError, ExitStatus, Problem, StepError, UserError
from hostlib.files import write_atomic
from hostlib.paths import STATE
from hostlib.run import Runner
from hostlib.seed import read_seed

INTERFACES: Final = Path("/etc/network/interfaces")
PARTS: Final = Path("/etc/network/interfaces.d")
FOLDER: Final = STATE / "network"
GOOD: Final = FOLDER / "interfaces.good"
"""What is in effect: written after each start of the network (networking.service) and by `confirm`."""
TRIAL: Final = FOLDER / "interfaces.trial"
RETURNED: Final = FOLDER / "interfaces.returned"
UNIT: Final = "slipway-network-return"
APPLY_UNIT: Final = "slipway-network-apply"
SLIPWAY: Final = "/usr/bin/slipway"
SHORTEST_SECONDS, LONGEST_SECONDS = 10, 3600
IFRELOAD: Final = ("ifreload", "--all")
RETURN_TRIES: Final = 30
RETURN_SECONDS: Final = 2.0
"""Between two tries."""
BUSY: Final = "already running"
"""What ifreload says while another one runs."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network of the system at `root`."""

    runner: Runner
    root: Path = Path("/")
    sleep: Callable[[float], None] = time.sleep

    def path(self, absolute: Path) -> Path:
        """Give where `absolute` is below the root."""
        return self.root / absolute.relative_to("/")

    def read(self, absolute: Path) -> str | None:
        """Give the text of a file, None where there is none. Raises StepError."""
        try:
            return self.path(absolute).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StepError(f"{absolute}: cannot be read ({error})") from error

    def write(self, absolute: Path, text: str) -> None:
        """Replace a file. Raises StepError; what was there is there then."""
        try:
            write_atomic(self.path(absolute), text)
        except OSError as error:
            raise StepError(
                f"{absolute}: cannot be written ({error.strerror}); free some space in {absolute.parent}"
            ) from error

    def is_on_trial(self) -> bool:
        """Tell whether a return is to come."""
        argv = ["systemctl", "is-active", "--quiet", f"{UNIT}.timer"]
        return self.runner.run(argv, ok=range(256), timeout_seconds=30).status == 0


def parse_check(text: str) -> list[str]:
    """Give what `ifquery --check --format=json` finds not to be in effect, a line each. Raises ValueError. Pure."""
    lines = []
    for row in json.loads(text or "[]"):
        wrong = [
            f"{row['name']}: {f'{key} {value}'.strip()} is not in effect"
            for key, value, status in _settings(row)
            if status == "fail"
        ]
        if row.get("status") == "fail" and not wrong:
            wrong = [f"{row['name']}: is not there, or not up"]
        lines += wrong
    return lines


def _settings(row: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for key, value in row.get("config", {}).items():
        statuses = row.get("config_status", {}).get(key)
        values = value if isinstance(value, list) else [value]
        judged = statuses if isinstance(statuses, list) else [statuses] * len(values)
        found += [(key, str(one), str(status)) for one, status in zip(values, judged, strict=False)]
    return found


def run_network_show(network: Network) -> ExitStatus:
    """Print the configuration, and on standard error what of it is not in effect. Raises StepError."""
    check_root()
    sys.stdout.write(_read_wanted(network))
    sys.stdout.flush()
    argv = ["ifquery", "--check", "--all", "--format=json"]
    done = network.runner.run(argv, ok=(0, 1), timeout_seconds=60)
    try:
        lines = parse_check(done.stdout)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StepError(f"{' '.join(argv)}: not understood; {' '.join(done.stderr.split())}") from None
    good = network.read(GOOD)
    if network.is_on_trial():
        lines.append(f"{TRIAL} is in effect on trial; slipway network confirm, or slipway network return")
    elif good is not None and good != network.read(INTERFACES):
        lines.append(f"{INTERFACES}: was changed and not applied; slipway network apply")
    sys.stderr.write("".join(f"{line}\n" for line in lines) or "All of it is in effect.\n")
    return ExitStatus.DONE


def run_network_apply(network: Network, seconds: int) -> ExitStatus:
    """Put /etc/network/interfaces into effect until `confirm`, at most for `seconds`. Raises UserError, StepError."""
    check_root()
    wanted, good = _check_apply(network, seconds)
    if wanted == good:
        sys.stdout.write(f"{INTERFACES}: is in effect; what differs from it: slipway network show\n")
        return ExitStatus.DONE
    try:
        network.runner.run([*IFRELOAD, "--syntax-check"], timeout_seconds=60)
    except CommandError as error:
        said = " ".join(error.output.split()) or error.reason
        raise UserError(Problem(str(INTERFACES), said, "correct it; nothing was changed")) from error
    _warn_of_address(network, wanted)
    network.write(TRIAL, wanted)
    # First, so that nothing that goes wrong from here on stays.
    timer = [f"--on-active={seconds}s", "--timer-property=AccuracySec=1s"]
    network.runner.run([*_systemd_run(UNIT), *timer, SLIPWAY, "network", "return"], timeout_seconds=30)
    sys.stdout.write(
        f"In effect until {seconds} s from now. Can you still reach the node? Then: slipway network confirm\n"
    )
    sys.stdout.flush()
    try:
        network.runner.run([*_systemd_run(APPLY_UNIT), "--wait", *IFRELOAD], timeout_seconds=seconds)
        network.write(INTERFACES, good)
    except StepError as error:
        run_network_return(network)
        what = f"it could not be applied; the configuration before is back, yours is {RETURNED}"
        raise StepError(str(Problem(str(INTERFACES), what, f"look: journalctl -u {APPLY_UNIT}"))) from error
    if network.read(TRIAL) is None:
        # Confirmed or taken back from another session; that one may have written the file before this one did.
        network.write(INTERFACES, network.read(GOOD) or good)
        sys.stdout.write("The trial is over already; what is in effect: slipway network show\n")
        return ExitStatus.DONE
    sys.stdout.write(f"Until then {INTERFACES} is the one before; yours is {TRIAL}.\n")
    return ExitStatus.DONE


def _warn_of_address(network: Network, wanted: str) -> None:
    try:
        address = str(ip_interface(read_seed(network.root).address).ip)
    except (OSError, ValueError):
        return
    if not re.search(rf"(?<![\w.:]){re.escape(address)}(?![\w.:])", wanted):
        what = f"this node's address {address} is not in it"
        todo = "a cluster knows the node by it: keep it, or remove the node and install it again"
        sys.stderr.write(f"warning: {Problem(str(INTERFACES), what, todo)}\n")


def _systemd_run(unit: str) -> Sequence[str]:
    return ("systemd-run", "--quiet", "--collect", f"--unit={unit}")


def _read_wanted(network: Network) -> str:
    text = network.read(INTERFACES)
    if text is None:
        raise UserError(
            Problem(str(INTERFACES), "there is none", f"take the last one: cp {GOOD} {INTERFACES}")
        )
    return text


def _check_apply(network: Network, seconds: int) -> tuple[str, str]:
    """Give the configuration that is wanted, and the one before."""
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        what = f"{seconds} s is out of range"
        raise UserError(Problem("--confirm-within", what, f"give {SHORTEST_SECONDS} to {LONGEST_SECONDS}"))
    if network.is_on_trial():
        todo = "slipway network confirm, or slipway network return"
        raise UserError(Problem("network", "one is on trial already", todo))
    wanted, good = _read_wanted(network), network.read(GOOD)
    if good is None:
        todo = f"put there what is in effect now; or apply by hand, on the console: {' '.join(IFRELOAD)}"
        raise UserError(Problem(str(GOOD), "there is none, so nothing to return to", todo))
    if changed := _changed_parts(network):
        what = f"{', '.join(changed)} changed since the network was started; such a change is not taken back"
        todo = f"put it into {INTERFACES} itself; or apply by hand, on the console: {' '.join(IFRELOAD)}"
        raise UserError(Problem(str(PARTS), what, todo))
    return wanted, good


def _changed_parts(network: Network) -> list[str]:
    """Give the names of what was changed, added or removed (`.`) in interfaces.d since the last good configuration."""
    folder = network.path(PARTS)
    if not folder.is_dir():
        return []
    since = network.path(GOOD).stat().st_mtime
    found = [entry.name for entry in sorted(folder.iterdir()) if entry.stat().st_mtime > since]
    return found or (["."] if folder.stat().st_mtime > since else [])


def run_network_confirm(network: Network) -> ExitStatus:
    """Keep the configuration that is on trial. Raises UserError when none is."""
    check_root()
    late = Problem(
        "network", "nothing is on trial: never applied, or taken back already", f"look: {RETURNED}"
    )
    if not network.is_on_trial():
        raise UserError(late)
    try:
        network.path(TRIAL).replace(network.path(GOOD))
    except FileNotFoundError:
        raise UserError(late) from None
    network.write(INTERFACES, network.read(GOOD) or "")
    network.runner.run(["systemctl", "stop", f"{UNIT}.timer"], ok=range(256), timeout_seconds=30)
    sys.stdout.write(f"{INTERFACES}: confirmed; it stays in effect\n")
    return ExitStatus.DONE


def run_network_return(network: Network) -> ExitStatus:
    """Put the configuration before back, as the timer does it. Nothing to do when none is on trial. Raises StepError."""
    check_root()
    try:
        network.path(TRIAL).replace(network.path(RETURNED))
    except FileNotFoundError:
        sys.stdout.write("network: nothing is on trial\n")
        return ExitStatus.DONE
    good = network.read(GOOD)
    if good is not None:
        network.write(INTERFACES, good)
    # Where that hangs it would hold the lock that the way back needs.
    network.runner.run(["systemctl", "stop", f"{APPLY_UNIT}.service"], ok=range(256), timeout_seconds=120)
    _reload(network)
    network.runner.run(["systemctl", "stop", f"{UNIT}.timer"], ok=range(256), timeout_seconds=30)
    sys.stdout.write(f"network: the configuration before is back in effect; the other one is {RETURNED}\n")
    return ExitStatus.DONE


def _reload(network: Network) -> None:
    for left in reversed(range(RETURN_TRIES)):
        try:
            network.runner.run(list(IFRELOAD), timeout_seconds=120)
        except CommandError as error:
            if not (left and BUSY in error.output):
                raise
            network.sleep(RETURN_SECONDS)
        else:
            return
