"""From answers and a machine to an InstallConfig, or to all that stands against it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, TypeVar

from hostlib.checks import (
    MINIMUM_TARGET_BYTES,
    Finding,
    allow_findings,
    blocking_problems,
    check_installation,
)
from hostlib.errors import CheckBlocksError, Problem, UserError
from hostlib.inventory import Disk, Inventory
from hostlib.netconfig import NetworkConfig
from installer.answers import Answers, DiskSetup, FirstBoot, LvmOptions, Report, Webhook
from installer.answers.disks import uncarried
from installer.config import DiskTarget, Endpoint, FirstBootHook, InstallConfig, Layout, ReportTarget
from installer.enrollment import resolve_enrollment
from installer.layout import plan_layout
from installer.resolve_disk import choose_disk, choose_disks, render_disk
from installer.resolve_network import (
    check_management,
    resolve_fqdn,
    resolve_network,
    warn_of_management,
    warn_of_names,
)

VG: Final = "pve"
# What the live system, its boot loader or its network boot put on the command line: live-boot's own parameters
# (its script 9990-cmdline-old), and what makes one start differ from the next.
LIVE_ARGS: Final = re.compile(
    r"(boot|BOOT_IMAGE|BOOTIF|initrd|root|live-[a-z-]+|bootfrom|findiso|fromiso|isofrom|fetch|httpfs|ftpfs"
    r"|netboot|nfsroot|nfsopts|nfsoverlay|iscsi|ip|dns|ethdevice|ethdevice-timeout|dm-verity-[a-z-]+|module"
    r"|persistence[a-z-]*|ramdisk[_-]size|overlay-size|union|todisk|toram|splash|vga|md_mod\.start_ro"
    r"|systemd\.unit|slipway\..*?)(=.*)?"
    r"|ro|rw|quiet|components|noeject|nopersistence|dhcp|nodhcp|nofstab|nonetworking|skipconfig|skipunion"
    r"|ignore_uuid|exposedroot|plainroot|quickusbmodules|single|emergency|rescue"
)
T = TypeVar("T")


def resolve(answers: Answers, inventory: Inventory) -> InstallConfig:
    """Decide everything about the installation.

    Raises UserError with every problem of the answers, CheckBlocksError when only checks of the hardware
    stand against it.
    """
    problems: list[Problem] = []
    disk = _disk(answers.disk_setup, inventory, problems)
    findings = _findings(answers, inventory, disk)
    layout = None
    existing: list[Problem] = []
    if disk is not None:
        if answers.disk_setup.on_existing == "refuse":
            existing = check_existing(inventory, disk)
        layout = _layout(answers, inventory, disk, problems)
    fqdn = _collect(problems, lambda: resolve_fqdn(answers, inventory))
    domain = fqdn.partition(".")[2] if fqdn else ""
    network = _collect(problems, lambda: resolve_network(answers.network, inventory, domain))
    mode = resolve_enrollment(answers.enrollment).mode
    if network is not None:
        _collect(problems, lambda: check_management(network, mode))
    blocking = (*blocking_problems(findings), *existing)
    if problems:
        raise UserError((*problems, *blocking))
    if blocking or disk is None or layout is None or fqdn is None or network is None:
        raise CheckBlocksError(blocking)
    return _config(
        answers, inventory, disk, layout, fqdn, network, [found for found in findings if found.allowed]
    )


def check_machine(answers: Answers, inventory: Inventory) -> list[Finding]:
    """Check the machine and the disk that the answers choose, where they choose one. What they allow is marked."""
    return _findings(answers, inventory, _disk(answers.disk_setup, inventory, []))


def _findings(answers: Answers, inventory: Inventory, disk: Disk | None) -> list[Finding]:
    findings = check_installation(inventory, disk)
    return allow_findings(findings, answers.checks.allow if answers.checks else ())


def _render_allowed(allowed: list[Finding]) -> list[str]:
    blocking = (finding for finding in allowed if finding.severity == "blocking")
    return [f"allowed by the answer: {finding.id}: {finding.problem}" for finding in blocking]


def check_existing(inventory: Inventory, target: Disk) -> list[Problem]:
    """Give what `on-existing = "refuse"` stops at: anything on the target, and the VG's name in use elsewhere."""
    todo = "erase it by hand, choose another disk, or set disk-setup.on-existing to 'rename' or 'wipe'"
    problems = []
    if target.contents:
        held = ", ".join(f"{c.device}: {c.type}{f' of VG {c.vg}' if c.vg else ''}" for c in target.contents)
        what = f"on-existing is 'refuse', and this disk is not empty ({held})"
        problems.append(Problem(render_disk(target), what, todo))
    for disk in inventory.disks:
        if disk.name != target.name and any(content.vg == VG for content in disk.contents):
            what = f"on-existing is 'refuse', and this disk holds a VG called {VG}"
            problems.append(Problem(render_disk(disk), what, todo))
    return problems


def check_answers(answers: Answers) -> None:
    """Raise UserError for what no machine can make right: a root file system that this image does not carry."""
    if problem := uncarried(answers.disk_setup.filesystem):
        raise UserError(problem)


def _disk(setup: DiskSetup, inventory: Inventory, problems: list[Problem]) -> Disk | None:
    """Give the disk to install on, or None when there is none; what stands against it goes to `problems`."""
    if problem := uncarried(setup.filesystem):
        _collect(problems, lambda: choose_disks(setup, inventory))
        problems.append(problem)
        return None
    return _collect(problems, lambda: choose_disk(setup, inventory))


def _collect(problems: list[Problem], decide: Callable[[], T]) -> T | None:
    """Give a decision, or None when it cannot be made; what stands against it goes to `problems`."""
    try:
        return decide()
    except UserError as error:
        problems += error.problems
        return None


def _config(  # noqa: PLR0917 - one parameter a decision
    answers: Answers,
    inventory: Inventory,
    disk: Disk,
    layout: Layout,
    fqdn: str,
    network: NetworkConfig,
    allowed: list[Finding],
) -> InstallConfig:
    settings = answers.global_
    return InstallConfig(
        target=_target(disk),
        # `check_answers` and `resolve` let no other through.
        filesystem="xfs" if answers.disk_setup.filesystem == "xfs" else "ext4",
        layout=layout,
        rename_vgs=plan_renames(inventory, disk),
        fqdn=fqdn,
        mailto=settings.mailto,
        country=settings.country,
        timezone=settings.timezone,
        keyboard=settings.keyboard,
        root_password=settings.root_password,
        root_password_hash=settings.root_password_hashed,
        root_ssh_keys=settings.root_ssh_keys,
        network=network,
        firmware=inventory.firmware.mode,
        secure_boot=inventory.firmware.secure_boot,
        kernel_args=parse_kernel_args(inventory.kernel_cmdline),
        reboot_mode=settings.reboot_mode,
        reboot_on_error=settings.reboot_on_error,
        on_existing=answers.disk_setup.on_existing,
        enrollment=resolve_enrollment(answers.enrollment),
        first_boot=_first_boot(answers.first_boot),
        webhook=_endpoint(answers.post_installation_webhook),
        report=_report(answers.report),
        allowed_checks=tuple(dict.fromkeys(finding.id for finding in allowed)),
        warnings=(*_render_allowed(allowed), *_warn_of_network(answers, inventory, network)),
    )


def _warn_of_network(answers: Answers, inventory: Inventory, network: NetworkConfig) -> list[str]:
    mode = resolve_enrollment(answers.enrollment).mode
    return [*warn_of_names(answers.network, inventory), *warn_of_management(network, mode)]


def _endpoint(target: Webhook | Report | None) -> Endpoint | None:
    if target is None:
        return None
    fingerprint = target.cert_fingerprint or ""
    return Endpoint(url=target.url, cert_fingerprint=fingerprint, auth_token=target.auth_token)


def _report(report: Report | None) -> ReportTarget | None:
    endpoint = _endpoint(report)
    return ReportTarget(endpoint=endpoint, events=report.events) if report and endpoint else None


def _first_boot(hook: FirstBoot | None) -> FirstBootHook | None:
    if hook is None:
        return None
    endpoint = None
    if hook.source == "from-url" and hook.url:
        endpoint = Endpoint(url=hook.url, cert_fingerprint=hook.cert_fingerprint or "")
    return FirstBootHook(source=hook.source, ordering=hook.ordering, endpoint=endpoint)


def parse_kernel_args(cmdline: str) -> tuple[str, ...]:
    """Give the kernel parameters that the node takes over: all but the live system's own."""
    return tuple(word for word in cmdline.split() if not LIVE_ARGS.fullmatch(word))


def plan_renames(inventory: Inventory, target: Disk) -> dict[str, str]:
    """Give new names for VGs called `pve` that have a PV on another disk: VG's UUID -> name.

    The name follows from the UUID, so that a repeated installation finds nothing to do.
    """
    uuids = {
        content.vg_uuid
        for disk in inventory.disks
        if disk.name != target.name
        for content in disk.contents
        if content.vg == VG and content.vg_uuid
    }
    return {
        uuid: f"{VG}-OLD-{hashlib.sha256(uuid.encode()).hexdigest()[:8].upper()}" for uuid in sorted(uuids)
    }


def _layout(answers: Answers, inventory: Inventory, disk: Disk, problems: list[Problem]) -> Layout | None:
    if disk.size_bytes < MINIMUM_TARGET_BYTES:
        # A check says so, and no answer helps.
        return None
    options = answers.disk_setup.lvm or LvmOptions()
    sizes = (disk.size_bytes, disk.logical_sector_bytes, inventory.memory_bytes)
    return _collect(problems, lambda: plan_layout(*sizes, options))


def _target(disk: Disk) -> DiskTarget:
    return DiskTarget(
        path=disk.stable_path,
        kernel_name=disk.name,
        size_bytes=disk.size_bytes,
        logical_sector_bytes=disk.logical_sector_bytes,
        model=disk.model,
        serial=disk.serial,
    )
