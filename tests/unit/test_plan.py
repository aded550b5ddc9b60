from installer.config import Endpoint, FirstBootHook
from installer.hook import Hook
from installer.plan import INITRAMFS, ROOT_IMAGES, plan_install
from installer.steps.hook import FirstBoot
from installer.steps.verify import Verify
from tests.unit.installer_fakes import PASSWORD, config

NAMES = [
    "verify",
    "release",
    "wipe signatures",
    "partition",
    "volume group",
    "file systems",
    "copy",
    "virtual file systems",
    "system files",
    "accounts",
    "handoff",
    "identity",
    "boot loader",
    "finish",
]


def test_the_order_of_the_steps() -> None:
    plan = plan_install(config())
    assert [step.name for step in plan] == NAMES
    assert [step.name for step in plan if not step.writes] == ["verify", "release"]
    assert all(step.weight > 0 for step in plan)


HOOK = FirstBootHook(source="from-iso", ordering="fully-up", endpoint=None)


def test_hook_and_webhook_come_before_the_disk_can_start() -> None:
    plan = plan_install(config(first_boot=HOOK, webhook=Endpoint(url="https://192.0.2.1/")))
    names = [step.name for step in plan]
    place = NAMES.index("boot loader")
    assert names == [*NAMES[:place], "first-boot hook", "webhook data", *NAMES[place:]]
    read = Hook("fully-up", "the live medium", b"#!/bin/sh")
    assert FirstBoot(read) in plan_install(config(first_boot=HOOK), read)


def test_the_same_configuration_gives_the_same_plan() -> None:
    assert plan_install(config()) == plan_install(config())


def test_a_plan_can_be_shown_and_tells_no_secret() -> None:
    for step in plan_install(config()):
        previews = step.describe()
        assert previews or step.name == "release"
        assert PASSWORD not in str(previews) + repr(step)
    assert any(
        "vgrename" in str(step.describe()) for step in plan_install(config(rename_vgs={"u": "pve-OLD"}))
    )


def test_every_program_is_looked_for_before_anything_is_written() -> None:
    verify = plan_install(config())[0]
    assert isinstance(verify, Verify)
    assert verify.images == (*ROOT_IMAGES, INITRAMFS)
    assert {
        "sfdisk",
        "lvcreate",
        "unsquashfs",
        "cryptsetup",
        "mdadm",
        "mkfs.ext4",
        "blkid",
        "update-grub",
        "ssh-keygen",
    } <= set(verify.programs)
    assert "mkfs.xfs" not in verify.programs
