"""The network interfaces of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hostlib.inventory import Nic
from hostlib.probe.attempt import attempt
from hostlib.probe.netlink import Message, Netlink
from hostlib.probe.netlink import attribute as link_attribute
from hostlib.probe.udev import Device

_ETHERNET = 1
_UP = 0x1
_NO_MAC = "00:00:00:00:00:00"


def read_nics(netlink: Netlink, devices: Iterable[Device], firmware: Callable[[str], str]) -> dict[int, Nic]:
    """Give index -> interface for every Ethernet-like link with a MAC, in the order of the index.

    `devices` are udev's of the subsystem `net`; `firmware` gives the firmware's version of an interface by its name.
    One that cannot be read is left out with a warning.
    """
    by_name = {device.name: device for device in devices}
    found: dict[int, Nic] = {}
    for link in netlink.links:
        name = str(link_attribute(link, "IFLA_IFNAME"))
        mac = link_attribute(link, "IFLA_ADDRESS") or _NO_MAC
        if link["ifi_type"] != _ETHERNET or mac == _NO_MAC or name not in by_name:
            continue
        addresses = netlink.addresses.get(int(link["index"]), ())
        what = f"network interface {name}"
        if nic := attempt(what, _read_nic, link, by_name[name], addresses, firmware):
            found[int(link["index"])] = nic
    return found


def _read_nic(
    link: Message, device: Device, addresses: tuple[str, ...], firmware: Callable[[str], str]
) -> Nic:
    physical = _is_physical(link, device)
    up = bool(link["flags"] & _UP)
    carrier = link_attribute(link, "IFLA_CARRIER")
    return Nic(
        name=device.name,
        mac=str(link_attribute(link, "IFLA_ADDRESS")).lower(),
        permanent_mac=str(link_attribute(link, "IFLA_PERM_ADDRESS") or "").lower(),
        driver=device.udev.get("ID_NET_DRIVER") or _driver(device),
        pci_path=device.udev.get("ID_PATH", ""),
        physical=physical,
        link=bool(carrier) if up and carrier is not None else None,
        # The kernel says -1 or refuses to answer where there is no link or none is known.
        speed_mbit=_number(device, "speed") or None,
        firmware=firmware(device.name) if physical else "",
        sriov_vfs=_number(device, "device/sriov_totalvfs"),
        sriov_active_vfs=_number(device, "device/sriov_numvfs") or 0,
        addresses=addresses,
        udev=dict(device.udev),
    )


def _is_physical(link: Message, device: Device) -> bool:
    """Say whether an interface can be the port of a bridge on its own: hardware, no VF, no wireless card."""
    info = link_attribute(link, "IFLA_LINKINFO")
    kind = link_attribute(info, "IFLA_INFO_KIND") if info else None
    sysfs = device.sysfs
    return (
        kind is None
        and (sysfs / "device").exists()
        and not (sysfs / "device/physfn").exists()
        and not (sysfs / "phy80211").exists()
    )


def _driver(device: Device) -> str:
    driver = device.sysfs / "device/driver"
    return driver.resolve().name if driver.exists() else ""


def _number(device: Device, attribute: str) -> int | None:
    text = device.attribute(attribute)
    return int(text) if text.isdecimal() else None
