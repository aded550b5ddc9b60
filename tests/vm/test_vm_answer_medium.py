"""An answer on the medium itself, put there by `python3 -m image answer`: the ISO still starts, and is whole."""

from __future__ import annotations

import sys

import pytest

from tests.vm.lab.bench import PROJECT, KeyPair, Lab
from tests.vm.lab.installs import LIVE_SECONDS, TARGET_BYTES, Install
from tests.vm.lab.media import make_disk
from tests.vm.lab.programs import run_program
from tests.vm.lab.spec import Attach, Disk, DiskFormat, Firmware, MachineSpec
from tests.vm.waits import EVENT_SECONDS


def _spec(lab: Lab, keys: KeyPair, firmware: Firmware, attach: Attach) -> MachineSpec:
    """Give a machine with the ISO that carries its answer, a blank disk, and no other volume."""
    answer, iso = lab.folder / "answer.toml", lab.folder / "with-answer.img"
    answer.write_text(Install(name="medium").answer((keys.public,)), encoding="utf-8")
    tool = ["env", f"--chdir={PROJECT}", sys.executable, "-m", "image", "answer"]
    said = run_program([*tool, lab.iso, answer, "--output", iso])
    assert "was not checked" not in said, said
    disk = make_disk(lab.folder / "target.qcow2", TARGET_BYTES, DiskFormat.QCOW2)
    target = Disk(path=disk, format=DiskFormat.QCOW2, serial="TARGET", boot_index=9)
    return MachineSpec(firmware=firmware, iso=iso, attach=attach, disks=(target,), relay=True)


def test_stick_with_its_own_answer_installs(lab: Lab, keys: KeyPair) -> None:
    """UEFI starts a stick from the EFI system partition, which the GPT must still name."""
    with lab.vm(_spec(lab, keys, Firmware.UEFI, Attach.USB_STICK)) as vm:
        vm.console.wait_for(r"Automatic installation starts in", LIVE_SECONDS)
        # The images have been compared with their checksums. What comes now is the same on every medium.
        vm.report.wait("event", EVENT_SECONDS, event="phase", phase="copy")
        lab.timings.add("power-on to copy", vm.seconds)


@pytest.mark.matrix
def test_cd_with_its_own_answer_starts_on_bios(lab: Lab, keys: KeyPair) -> None:
    with lab.vm(_spec(lab, keys, Firmware.BIOS, Attach.SCSI_CD)) as vm:
        vm.console.wait_for(r"Automatic installation starts in", LIVE_SECONDS)
        lab.timings.add("power-on to countdown", vm.seconds)
