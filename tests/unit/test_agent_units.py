"""The units of the agent, of the consoles and of the firewall, as the image has them."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path

from agent.health import KEPT
from agent.status import ENROLLMENT
from hostlib.banner import ISSUE
from hostlib.firewall import render_firewall
from hostlib.incus import INCUS_STATE
from hostlib.paths import FIRSTBOOT_DONE
from hostlib.pools import LOCAL_SOURCE
from hostlib.seed import SEED_PATH
from hostlib.tls import CERTIFICATE
from image.units import NODE_ONLY, render_links

LAYER = Path(__file__).parents[2] / "image/layer"
CONSOLE = LAYER / "usr/lib/slipway/console"


def service(path: str) -> configparser.SectionProxy:
    text = configparser.ConfigParser(interpolation=None, strict=False)
    text.optionxform = str  # type: ignore[assignment,method-assign] # names are case-sensitive
    text.read_string((LAYER / path).read_text())
    return text["Service"]


def test_the_agent_starts_on_a_finished_node() -> None:
    name = "slipway-agent.service"
    text = (LAYER / "usr/lib/systemd/system" / name).read_text()
    assert f"ConditionPathExists={FIRSTBOOT_DONE}\n" in text
    assert "ConditionKernelCommandLine=!boot=live\n" in text
    links = render_links()
    assert links[Path("etc/systemd/system/multi-user.target.wants") / name].endswith(name)


def test_the_agent_starts_when_first_boot_is_finished_by_hand() -> None:
    unit = service("usr/lib/systemd/system/slipway-firstboot.service")
    # Not waited for, and of no weight: the agent itself may be the one who has started first boot again.
    assert unit["ExecStartPost"] == "-/bin/systemctl --no-block start slipway-agent.service"


def test_the_agent_waits_for_no_incus() -> None:
    text = (LAYER / "usr/lib/systemd/system/slipway-agent.service").read_text()
    after = [name for line in re.findall(r"^After=(.*)$", text, re.MULTILINE) for name in line.split()]
    assert after == ["slipway-firstboot.service", "network-online.target"]


def test_the_agent_is_watched_and_can_write_what_it_must() -> None:
    unit = service("usr/lib/systemd/system/slipway-agent.service")
    assert (unit["Type"], unit["NotifyAccess"], unit["Restart"]) == ("notify", "main", "always")
    assert unit["ExecStart"] == "/usr/bin/python3 -m agent serve"
    assert int(unit["WatchdogSec"]) >= 60
    assert (unit["StateDirectory"], unit["RuntimeDirectory"]) == (ENROLLMENT.parent.name, KEPT.parent.name)
    writable = {Path(path.lstrip("-")) for path in unit["ReadWritePaths"].split()}
    assert {CERTIFICATE.parent, ISSUE.parent, Path("/" / SEED_PATH).parent, Path("/run/lock")} <= writable
    # A join that was cut has Incus begin anew.
    assert {INCUS_STATE, Path(LOCAL_SOURCE)} <= writable
    # lvs: the devices of LVM. Drives themselves are the daily check's.
    assert "CAP_SYS_ADMIN" in unit["CapabilityBoundingSet"]
    assert not {"PrivateDevices", "PrivateNetwork", "IPAddressDeny", "ProcSubset"} & set(unit)


def test_consoles_show_the_status_and_always_end_in_a_login_prompt() -> None:
    for name in ("getty@tty1.service", "serial-getty@.service"):
        assert name in NODE_ONLY
        drop_in = (LAYER / f"etc/systemd/system/{name}.d/20-status.conf").read_text()
        first, command = re.findall(r"^ExecStart=(.*)$", drop_in, re.MULTILINE)
        assert first == ""
        assert command.startswith("-/usr/lib/slipway/console ")
        # Without a limit the prompt would stay where nobody has logged in.
        assert "--timeout" in command
    script = CONSOLE.read_text().splitlines()
    assert os.access(CONSOLE, os.X_OK)
    # Nothing stands between the two: a screen that fails must not keep anybody out.
    assert script[-2].endswith("python3 -m agent.lean_screen")
    assert script[-1].startswith("exec /sbin/agetty ")
    assert not [line for line in script if line.startswith("set ")]


def test_what_the_agents_sandbox_lets_through_is_there_before_it_starts() -> None:
    unit = service("usr/lib/systemd/system/slipway-agent.service")
    made = re.findall(r"^d (\S+)", (LAYER / "usr/lib/tmpfiles.d/slipway.conf").read_text(), re.MULTILINE)
    # A path that is not there keeps the service from starting, unless a dash says that it need not be.
    needed = [path for path in unit["ReadWritePaths"].split() if not path.startswith("-")]
    assert set(needed) <= {"/run/lock", *made}


def test_the_image_has_the_firewall_before_the_network_is_there() -> None:
    assert (LAYER / "etc/nftables.conf").read_text() == render_firewall()
    drop_in = (LAYER / "etc/systemd/system/nftables.service.d/20-slipway.conf").read_text()
    assert "Before=networking.service\n" in drop_in
    # The tables and the traffic of guests are left alone.
    stops = re.findall(r"^ExecStop=(.*)$", drop_in, re.MULTILINE)
    assert stops == ["", "-/usr/sbin/nft delete table inet slipway"]
