"""From the machine and the configuration to what the screens show. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from pydantic import ValidationError

from hostlib import checks, inventory
from hostlib.errors import UserError
from hostlib.inventory import Content, Inventory, Neighbour
from hostlib.sizes import MIB, render_size
from installer.answers import LvmOptions
from installer.answers.model import Pinning
from installer.config import EnrollmentConfig, InstallConfig
from installer.config import Layout as DiskLayout
from installer.layout import plan_layout
from installer.resolve import VG
from installer.resolve_network import pinned_names
from installer.tui.confirmation import Confirmation, confirmation_of
from installer.tui.controller import Disk, Finding, Intent, Layout, Machine, Nic, Part
from installer.tui.draft import Draft, to_tables
from installer.tui.hardware import view_hardware
from installer.tui.systems import NODE, TYPES, is_member, system_of

WORST_FIRST: Final = ("blocking", "warning", "ok")
NIC_NAMES: Final = ("ID_NET_NAME_MAC", "ID_PATH", "INTERFACE")
"""Properties of udev that name a card, the best first."""


def view_machine(machine: Inventory, clock: str) -> Machine:
    """Give the machine in short; `clock` is its time, as text."""
    dmi, firmware = machine.dmi, machine.firmware
    product = " ".join(part for part in (dmi.vendor, dmi.product) if part) or "unknown"
    facts = [
        ("Machine", f"{product}{f', serial {dmi.serial}' if dmi.serial else ''}"),
        ("Processor", f"{machine.cpu.model or 'unknown'}, threads: {machine.cpu.threads}"),
        ("Firmware", f"{firmware.mode.upper()}, Secure Boot {'on' if firmware.secure_boot else 'off'}"),
        ("Clock", clock),
    ]
    found = [_finding(finding) for finding in checks.run_checks(machine)]
    return Machine(tuple(facts), tuple(sorted(found, key=lambda f: WORST_FIRST.index(f.severity))))


def _finding(finding: checks.Finding) -> Finding:
    check = "" if finding.id in checks.NEVER_ALLOWED else finding.id
    text = f"{finding.text} ({finding.measured})"
    return Finding(finding.severity, finding.device, text, finding.todo, check)


def keep_allowed(allow: str, machine: Inventory | None) -> str:
    """Give what of the field `allow` is about the machine; the rest was for the disk that is not chosen any more."""
    found = checks.run_checks(machine) if machine else []
    blocking = {finding.id for finding in found if finding.severity == "blocking"}
    return " ".join(check for check in allow.split() if check in blocking)


def disk_at(machine: Inventory, path: str) -> inventory.Disk | None:
    """Give the disk that has this path, the kernel's or one of /dev/disk/by-id; None where no disk has."""
    name = path.removeprefix("/dev/disk/by-id/")
    return next((disk for disk in machine.disks if path == disk.path or name in disk.ids), None)


def what_it_is(disk: inventory.Disk | None) -> inventory.Disk | None:
    """Give a disk without how it is: a temperature, or a tool that did not answer in time, makes it no other disk."""
    return disk and disk.model_copy(
        update={"health": None, "raid": None, "kind": "physical", "kind_source": ""}
    )


def view_disks(machine: Inventory) -> tuple[Disk, ...]:
    """Give all disks, those that can be installed on first."""
    disks = [_disk(machine, disk) for disk in machine.disks]
    return tuple(sorted(disks, key=lambda disk: (not disk.selectable, not disk.allowable)))


def _disk(machine: Inventory, disk: inventory.Disk) -> Disk:
    found = [_finding(finding) for finding in checks.check_target(machine, disk) if finding.severity != "ok"]
    return Disk(
        path=disk.stable_path,
        name=disk.stable_path.removeprefix("/dev/disk/by-id/"),
        kernel_name=disk.name,
        size=render_size(disk.size_bytes),
        model=disk.model or "no model",
        serial=disk.serial or "unknown",
        bus=disk.bus or "unknown",
        contents=view_contents(disk.contents),
        held=_held(disk.contents),
        findings=tuple(sorted(found, key=lambda f: WORST_FIRST.index(f.severity))),
        boot_medium=disk.boot_medium,
        hardware=view_hardware(disk, machine.controllers),
    )


def view_contents(contents: Sequence[Content]) -> tuple[str, ...]:
    """Give what is on a disk, each thing once; a partition table only where it is all there is."""
    things = [content for content in contents if content.type not in {"gpt", "dos"}] or contents
    return tuple(dict.fromkeys(_content(content) for content in things))


def _held(contents: Sequence[Content]) -> str:
    if system := system_of(contents):
        return system
    # The EFI system partition comes first and tells least.
    contents = sorted(contents, key=lambda content: content.type == "vfat")
    names = [f"VG {content.vg}" for content in contents if content.vg]
    # A part of something that spans disks: its name alone would look like a label.
    names += [f"{TYPES[content.type]} {content.label}" for content in contents if is_member(content.type)]
    names += [content.label for content in contents if content.label]
    names += [
        TYPES.get(content.type, content.type) for content in contents if content.type not in {"gpt", "dos"}
    ]
    return next((name.strip() for name in names), TYPES["gpt"] if contents else "empty")


def _content(content: Content) -> str:
    kind = TYPES.get(content.type, content.type)
    system = system_of([content])
    if system == NODE:
        return f"{content.device}: a node installed by Slipway (volume group {content.vg})"
    name = f"volume group {content.vg}" if content.vg else content.label
    return f"{content.device}: {kind}{f', {name}' if name else ''}{f' ({system})' if system else ''}"


def view_nics(machine: Inventory) -> tuple[Nic, ...]:
    """Give the physical network cards."""
    physical = [nic for nic in machine.nics if nic.physical]
    try:
        pinned = pinned_names(Pinning(enabled=True), machine)
    except UserError:
        # The resolver says why when it is asked for.
        pinned = {}
    return tuple(replace(_nic(machine, nic, physical), pinned=pinned.get(nic.mac, "")) for nic in physical)


def _nic(machine: Inventory, nic: inventory.Nic, physical: Sequence[inventory.Nic]) -> Nic:
    lease = next((lease for lease in machine.leases if lease.nic == nic.name), None)
    links: dict[bool | None, Literal["link", "no link", "down"]] = {True: "link", False: "no link"}
    speed = f"{nic.speed_mbit} Mbit/s" if nic.speed_mbit else ""
    return Nic(
        key=nic_key(nic, physical),
        name=nic.name,
        mac=nic.mac,
        driver=nic.driver or "no driver",
        speed=speed,
        link=links.get(nic.link, "down"),
        addresses=nic.addresses,
        proposal=f"{lease.address} by {'DHCP' if lease.dhcp else 'the network'}" if lease else "",
        switch=_switch(nic.neighbour),
        port_note=nic.neighbour.port_description if nic.neighbour else "",
    )


def _switch(neighbour: Neighbour | None) -> str:
    if neighbour is None:
        return ""
    port = f"port {neighbour.port or neighbour.port_description}"
    return f"{neighbour.system or neighbour.chassis} {port}"


def nic_key(nic: inventory.Nic, physical: Sequence[inventory.Nic]) -> str:
    """Give a property of a card, as NAME=VALUE, that no other card of the machine has."""
    for name in NIC_NAMES:
        value = nic.udev.get(name, "")
        alone = sum(other.udev.get(name) == value for other in physical) == 1
        if value and alone and not set(value) & set("*?["):
            return f"{name}={value}"
    return f"INTERFACE={nic.name}"


def propose(machine: Inventory, key: str) -> dict[str, str]:
    """Give the values of fields that DHCP or a router suggests for a card, by field; empty where it does not."""
    physical = [nic for nic in machine.nics if nic.physical]
    names = [nic.name for nic in physical if nic_key(nic, physical) == key]
    lease = next((lease for lease in machine.leases if lease.nic in names), None)
    if lease is None:
        return {"cidr": "", "gateway": "", "dns": ""}
    fqdn = f"{lease.hostname}.{lease.domain}" if lease.hostname and lease.domain else ""
    if lease.domain and lease.hostname.endswith(f".{lease.domain}"):
        fqdn = lease.hostname
    found = {"cidr": lease.address, "gateway": lease.gateway, "dns": next(iter(lease.dns), "")}
    return found | ({"fqdn": fqdn} if fqdn else {})


def default_nic(machine: Inventory) -> str:
    """Give the card that is most likely meant: with an address by DHCP, else with a link."""
    physical = [nic for nic in machine.nics if nic.physical]
    leased = [lease.nic for lease in machine.leases if lease.gateway]
    ranked = sorted(physical, key=lambda nic: (nic.name not in leased, not nic.link))
    return nic_key(ranked[0], physical) if ranked else ""


def view_layout(draft: Draft, machine: Inventory) -> Layout:
    """Give how the chosen disk will be divided."""
    disk = disk_at(machine, draft.disk)
    if disk is None:
        return Layout(problem="no disk is chosen")
    try:
        options = LvmOptions.model_validate(to_tables(draft)["disk-setup"].get("lvm", {}))
        plan = plan_layout(disk.size_bytes, disk.logical_sector_bytes, machine.memory_bytes, options)
    except UserError as error:
        problem = error.problems[0]
        return Layout(problem=f"{problem.what}; {problem.todo}")
    except ValidationError:
        return Layout(problem="the sizes are not right yet")
    end_bytes = plan.disk_end_bytes or disk.size_bytes
    # LVM keeps a spare of the metadata.
    used_bytes = plan.swap_bytes + plan.root_bytes + plan.data_bytes + 2 * plan.metadata_bytes
    parts = [
        ("E", "EFI", plan.esp_bytes),
        ("S", "swap", plan.swap_bytes),
        ("R", "root", plan.root_bytes),
        ("D", "data for guests", plan.data_bytes),
        ("M", "its metadata", 2 * plan.metadata_bytes),
        (".", "free in the volume group", end_bytes - plan.esp_bytes - MIB - used_bytes),
        ("-", "not used", disk.size_bytes - end_bytes),
    ]
    return Layout(
        tuple(Part(mark, name, size, render_size(size)) for mark, name, size in parts if size >= MIB)
    )


def _sizes(layout: DiskLayout, disk_bytes: int) -> str:
    parts = [("swap", layout.swap_bytes), ("root", layout.root_bytes), ("data", layout.data_bytes)]
    texts = [f"{name} {render_size(size_bytes) if size_bytes else 'none'}" for name, size_bytes in parts]
    if layout.disk_end_bytes:
        texts.append(f"{render_size(disk_bytes - layout.disk_end_bytes)} of the disk not used")
    return ", ".join(texts)


def view_cluster(enrollment: EnrollmentConfig) -> str:
    """Give the cluster that a node makes or joins, in a line."""
    if enrollment.mode == "none":
        return "none, the node stays alone"
    if enrollment.mode == "bootstrap":
        return f"a new one, {enrollment.cluster_name}"
    first, *others = enrollment.urls
    more = f" and {len(others)} more" if others else ""
    return (
        f"joins {first.removeprefix('https://')}{more}, fingerprint {enrollment.fingerprint[:16].upper()}..."
    )


def view_intent(config: InstallConfig, machine: Inventory, warnings: Sequence[str]) -> Intent:
    """Give what will be done. `warnings` are those about the answers."""
    target, network = config.target, config.network
    disk = next(disk for disk in machine.disks if disk.stable_path == target.path)
    found = [finding for finding in checks.check_target(machine, disk) if finding.severity == "warning"]
    lost = view_contents(disk.contents)
    renames = (
        f"volume group {VG} on another disk is renamed to {name}" for name in config.rename_vgs.values()
    )
    asked = confirmation_of(disk, machine) if lost else Confirmation("", "")
    identity = (
        f"model {target.model or 'unknown'}",
        f"serial {target.serial or 'unknown'}",
        render_size(target.size_bytes),
        asked.note,
    )
    return Intent(
        rows=(
            ("Node", config.fqdn),
            ("Network", f"{network.address} on {network.nic} ({network.mac})"),
            ("Gateway, DNS", f"{network.gateway}, {', '.join(network.dns)}"),
            ("Country", f"{config.country}, {config.timezone}, keyboard {config.keyboard}"),
            ("Root", f"mail to {config.mailto}, ssh keys: {len(config.root_ssh_keys)}"),
            ("Cluster", view_cluster(config.enrollment)),
            ("File system", config.filesystem),
            ("Sizes", _sizes(config.layout, target.size_bytes)),
        ),
        disk=f"{target.path}\n{', '.join(part for part in identity if part)}",
        lost=lost,
        also=(*renames, *warnings, *config.warnings, *(str(finding.problem) for finding in found)),
        confirmation=asked.text,
        confirmation_hint=asked.hint,
    )
