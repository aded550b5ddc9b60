"""Unattended installations: from power-on with an answer to a node that was judged from inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.vm.judgement import node_problems
from tests.vm.lab.answers import FQDN
from tests.vm.lab.bench import KeyPair, Lab, Shared
from tests.vm.lab.installs import Install, node_spec
from tests.vm.lab.machine import Vm
from tests.vm.lab.programs import run_program
from tests.vm.lab.spec import Attach, Bus, Firmware, GuestProgram
from tests.vm.scenarios import BIOS_CD, SECURE_USB
from tests.vm.waits import NODE_SECONDS
from tests.vm.web_console import visit_web_console

MORE: Final = [
    # The installation at the screen, and the one by its saved answer, are of this kind too.
    Install(name="uefi-cd", firmware=Firmware.UEFI),
    Install(name="bios-ide", attach=Attach.IDE_CD, bus=Bus.SCSI, volume="iso"),
    Install(name="bios-usb", attach=Attach.USB_STICK, bus=Bus.SATA),
    Install(
        name="uefi-nvme-4k", firmware=Firmware.UEFI, attach=Attach.SATA_CD, bus=Bus.NVME, sector_bytes=4096
    ),
    Install(name="secure-cd", firmware=Firmware.UEFI_SECURE, volume="iso", label="PROXMOX-AIS"),
    Install(name="bios-xfs-1g", filesystem="xfs", memory_mib=1024, volume="ext4", label="slipway"),
]


def _name(install: Install) -> str:
    return install.name


@pytest.mark.parametrize(
    "install",
    [BIOS_CD, *(pytest.param(install, marks=pytest.mark.matrix) for install in (SECURE_USB, *MORE))],
    ids=_name,
)
def test_install(install: Install, lab: Lab, shared: Shared, keys: KeyPair) -> None:
    installed, overlay = shared.overlay(install, lab.folder / "node.qcow2")
    for name, seconds in installed.seconds.items():
        lab.timings.add(f"install: {name}", seconds)
    judge = GuestProgram(module="judge_node", parameters={"container": True})
    with lab.vm(node_spec(install, installed, overlay, judge)) as vm:
        node: dict[str, Any] = vm.report.wait("node", NODE_SECONDS)
        lab.timings.add("node: power-on to judged", vm.seconds)
        vm.screenshot()
        problems = node_problems(node, install, installed)
        assert not problems, "\n".join(problems)
        assert _ssh_problems(vm, keys) == []
        if install is BIOS_CD:
            for name, seconds in visit_web_console(vm, node["web_console"]["sha256"], lab.folder).items():
                lab.timings.add(f"web console: {name}", seconds)
    lab.timings.add("node: container launched", node["container"]["seconds"])


def _ssh_problems(vm: Vm, keys: KeyPair) -> list[str]:
    """Log in by the key from the host; a password must not be asked for."""
    options = {
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "BatchMode": "yes",
        "ConnectTimeout": "60",
        "LogLevel": "ERROR",
    }
    arguments = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    port = ["-p", str(vm.forward(22))]
    said = run_program(
        ["ssh", *arguments, "-i", Path(keys.private), *port, "root@127.0.0.1", "hostname"],
        timeout_seconds=120,
    )
    return [] if said.strip() == FQDN.split(".", maxsplit=1)[0] else [f"ssh: the node calls itself {said!r}"]
