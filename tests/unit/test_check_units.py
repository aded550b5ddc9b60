"""The units that run `slipway check` on a node."""

from __future__ import annotations

import configparser
from pathlib import Path

from agent.cli import parser
from hostlib.paths import FINDINGS, STATE
from image.units import render_links

UNITS = Path(__file__).parents[2] / "image/layer/usr/lib/systemd/system"


def unit(name: str) -> configparser.ConfigParser:
    text = configparser.ConfigParser(interpolation=None)
    text.optionxform = str  # type: ignore[assignment,method-assign] # names are case-sensitive; configparser's own way
    text.read_string((UNITS / name).read_text())
    return text


def test_the_timer_runs_on_the_node_after_each_start_and_daily() -> None:
    links = render_links()
    timer = "slipway-check.timer"
    assert links[Path("etc/systemd/system/timers.target.wants") / timer] == f"/usr/lib/systemd/system/{timer}"
    assert not [path for path in links if path.name == "slipway-check.service"]
    for name in (timer, "slipway-check.service"):
        assert unit(name)["Unit"]["ConditionKernelCommandLine"] == "!boot=live"
    assert {"OnBootSec", "OnCalendar", "Persistent", "RandomizedDelaySec"} <= set(unit(timer)["Timer"])
    assert unit(timer)["Install"]["WantedBy"] == "timers.target"


def test_the_service_saves_and_can_reach_drives() -> None:
    service = unit("slipway-check.service")["Service"]
    program, *arguments = service["ExecStart"].split(" -m agent ")
    assert program == "/usr/bin/python3"
    options = parser().parse_args(arguments[0].split())
    assert (options.verb, options.save, options.purpose, options.allow) == ("check", True, "system", [])
    assert service["Type"] == "oneshot"
    # The file's folder and that of LVM's locks are all that may be written to.
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == "/run/lock"
    assert service["StateDirectory"] == STATE.name == FINDINGS.parent.name
    assert set(service["CapabilityBoundingSet"].split()) == {"CAP_SYS_ADMIN", "CAP_SYS_RAWIO", "CAP_MKNOD"}
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_UNIX", "AF_NETLINK", "AF_INET", "AF_INET6"}
    # Each of these hides drives, the way to them, or the clock.
    hiding = {"PrivateDevices", "DeviceAllow", "DevicePolicy", "ProtectClock", "PrivateNetwork", "ProcSubset"}
    assert not hiding & set(service)
    # What is mounted below /home stays in /proc/self/mountinfo: that disk is in use.
    assert service["ProtectHome"] == "read-only"
