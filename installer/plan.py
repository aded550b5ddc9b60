"""The plan: an InstallConfig turned into the ordered list of steps. Pure, and complete before the first write."""

from __future__ import annotations

from typing import Final

from hostlib.paths import IMAGES
from installer.config import InstallConfig
from installer.hook import Hook, describe_hook
from installer.steps.accounts import Accounts
from installer.steps.base import Step
from installer.steps.boot import BootLoader
from installer.steps.chroot import MountVirtual
from installer.steps.copy import Copy
from installer.steps.filesystems import MakeFilesystems
from installer.steps.finish import Finish
from installer.steps.handoff import Handoff
from installer.steps.hook import FirstBoot
from installer.steps.identity import Identity
from installer.steps.lvm import VolumeGroup
from installer.steps.partition import Partition
from installer.steps.release import RELEASE_PROGRAMS, Release
from installer.steps.system import SystemFiles
from installer.steps.verify import Verify
from installer.steps.webhook import WebhookRecord
from installer.steps.wipe import Wipe

ROOT_IMAGES: Final = (IMAGES / "filesystem.squashfs", IMAGES / "slipway.squashfs")
INITRAMFS: Final = IMAGES / "initrd.img"
"""The live system's own; it is not in the root images a second time."""


def plan_install(config: InstallConfig, hook: Hook | None = None) -> list[Step]:
    """Give the steps of an installation, in order. Nothing is read and nothing is changed.

    `hook` is the first-boot hook that the configuration names; a plan that is only printed does without.
    """
    target, layout = config.target, config.layout
    if config.first_boot and hook is None:
        hook = describe_hook(config.first_boot)
    steps: list[Step] = [
        Release(target, config.rename_vgs),
        Wipe(target),
        Partition(target, layout),
        VolumeGroup(target, layout),
        MakeFilesystems(target, config.filesystem, layout),
        Copy(ROOT_IMAGES, INITRAMFS),
        MountVirtual(config.firmware),
        SystemFiles(config),
        Accounts(config),
        Handoff(config),
        Identity(config),
        *([FirstBoot(hook)] if hook else []),
        *([WebhookRecord(config)] if config.webhook else []),
        # Last of all: a disk that the power failed on before must not start half a node.
        BootLoader(config),
        Finish(target),
    ]
    return [Verify(target, (*ROOT_IMAGES, INITRAMFS), plan_programs(steps)), *steps]


def plan_programs(steps: list[Step]) -> tuple[str, ...]:
    """Give the programs that the steps run, so that a missing one is found first.

    Those that run in the new root are looked for in the live system too: both are the same image.
    """
    commands = [preview.command for step in steps for preview in step.describe() if preview.command]
    inner = {command[2] for command in commands if command[0] == "chroot"}
    return tuple(sorted({command[0] for command in commands} | inner | set(RELEASE_PROGRAMS)))
