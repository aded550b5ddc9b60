"""What a node must be after its first boot, compared with what the judge reported from inside."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.vm.lab.installs import SWAP_GIB, TARGET_BYTES, Install, Installed
from tests.vm.lab.sizing import expect_volumes
from tests.vm.lab.spec import Firmware

OPEN_PORTS: Final = {22, 8006, 8007, 8443}
"""What is reached from the network on a node that is in a cluster, such as one of itself alone."""
MOST_OWN_KIB: Final = 120 * 1024
"""Of all our own processes together."""
OK_EXPOSURE: Final = 5.0
"""Below it `systemd-analyze security` says OK or better."""
DHCP_CLIENT: Final = 68


def node_problems(node: dict[str, Any], install: Install, installed: Installed) -> list[str]:
    """Compare what the judge reported with what must be.

    Args:
        node: the judge's message; the container is looked at when it was asked for.
        install: how the node was installed.
        installed: what came out.

    Returns:
        Every difference as one line.
    """
    broken = [f"{name}: {value['error']}" for name, value in node.items() if _is_error(value)]
    if broken:
        return broken
    checks = [
        *_storage_checks(node, install, installed),
        *_network_checks(node, install),
        *_service_checks(node),
        *(_container_checks(node["container"]) if "container" in node else []),
        ("Secure Boot", node["secure_boot"], _SECURE[install.firmware]),
    ]
    return [f"{what}: {found!r} instead of {wanted!r}" for what, found, wanted in checks if found != wanted]


def _is_error(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"error"}


_SECURE: Final = {Firmware.BIOS: None, Firmware.UEFI: False, Firmware.UEFI_SECURE: True}

Check = tuple[str, object, object]
"""What was looked at, what was found, what must be."""


def _storage_checks(node: dict[str, Any], install: Install, installed: Installed) -> list[Check]:
    volumes = {lv["lv_name"]: lv for lv in node["lvs"]["report"][0]["lv"] if lv["vg_name"] == "pve"}
    sizes = {
        name: int(lv["lv_size"]) >> 20 for name, lv in volumes.items() if name in {"swap", "root", "data"}
    }
    wanted = expect_volumes(TARGET_BYTES, SWAP_GIB)
    mounts = {mount["target"]: mount for mount in _tree(node["mounts"]["filesystems"])}
    blocks = _tree(node["blocks"]["blockdevices"])
    disk = next(block for block in blocks if block["type"] == "disk" and block["children"])
    return [
        ("sizes of the volumes", sizes, {"swap": wanted.swap, "root": wanted.root, "data": wanted.data}),
        ("metadata of the pool", int(volumes["data"]["lv_metadata_size"] or 0) >> 20, wanted.metadata),
        ("the data volume is a thin pool", volumes["data"]["lv_attr"][0], "t"),
        ("partition table", disk["pttype"], "gpt"),
        ("partitions", len(disk["children"]), 2 if install.sector_bytes == 4096 else 3),
        ("sector size", disk["log-sec"], install.sector_bytes),
        ("root", mounts["/"]["fstype"], install.filesystem),
        ("/boot/efi", mounts["/boot/efi"]["fstype"], "vfat"),
        ("disks changed beside the target", () if install.old_vgs else installed.changed, ()),
        ("swap in fstab", bool(re.search(r"^\S+\s+\S+\s+swap\s", node["fstab"], re.MULTILINE)), True),
    ]


def _tree(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flatten lsblk's and findmnt's trees; every node gets a list of children."""
    found = []
    for node in nodes:
        node.setdefault("children", [])
        found += [node, *_tree(node["children"])]
    return found


def _network_checks(node: dict[str, Any], install: Install) -> list[Check]:
    links = {link["ifname"]: link for link in node["addresses"]}
    addresses = [
        f"{address['local']}/{address['prefixlen']}"
        for address in links.get("vmbr0", {}).get("addr_info", ())
        if address["family"] == "inet"
    ]
    ports = [name for name, link in links.items() if link.get("master") == "vmbr0"]
    gateways = [route.get("gateway") for route in node["routes"] if route["dst"] == "default"]
    open_ports = {
        socket["port"]
        for socket in node["listening"]
        if not socket["address"].startswith(("127.", "[::1]")) and "%lo" not in socket["address"]
    }
    return [
        ("address of vmbr0", addresses, ["10.0.2.15/24"]),
        ("network cards in vmbr0", len(ports), 1),
        ("gateway", gateways, [] if install.dhcp else ["10.0.2.2"]),
        ("host name", node["hostname"], install.fqdn),
        ("open ports that must not be", sorted(open_ports - OPEN_PORTS - {DHCP_CLIENT}), []),
        ("closed ports that must be open", sorted(OPEN_PORTS - open_ports), []),
    ]


def _service_checks(node: dict[str, Any]) -> list[Check]:
    pools = {pool["name"]: (pool["driver"], pool["status"]) for pool in node["pools"]}
    issue = "".join(node["issue"].values())
    # The banner prints the fingerprint with colons, over two lines.
    shown = re.sub(r"[^0-9a-f]", "", issue.lower())
    web = node["web_console"]
    return [
        ("state of the system", node["state"], "running"),
        ("failed units", node["failed_units"], []),
        ("units that were dropped", node["dropped_units"], ""),
        ("login prompts on screen and serial line", node["prompts"], ["active", "active"]),
        ("first boot is finished", node["firstboot_done"], True),
        ("storage pools", pools, {"local": ("dir", "Created"), "local-lvm": ("lvm", "Created")}),
        ("bridge of the default profile", _nic_parent(node["profile"]), "vmbr0"),
        ("web console", (web["status"], web["login_page"]), (200, True)),
        ("fingerprint on the console", web["sha256"] in shown, True),
        ("version", node["version"].startswith("Slipway "), True),
        ("daily check of the hardware", node["check"]["timer"], "active"),
        ("what the check could not read", node["check"]["unread"], []),
        ("what blocks the node", node["check"]["counts"]["blocking"], 0),
        ("enrolment", (node["enrollment"]["state"], node["enrollment"]["reason"]), ("serving", "")),
        ("memory of our processes", _too_much(node["own_memory_kib"]), {}),
        (
            "services that are too exposed",
            {u: e for u, e in node["exposure"].items() if e >= OK_EXPOSURE},
            {},
        ),
    ]


def _too_much(own: dict[str, int]) -> dict[str, int]:
    return own if sum(own.values()) > MOST_OWN_KIB or not own else {}


def _exposed(services: dict[str, float]) -> dict[str, float]:
    return {unit: exposure for unit, exposure in services.items() if exposure >= OK_EXPOSURE}


def _container_checks(container: dict[str, Any]) -> list[Check]:
    return [
        ("container", container["status"], "Running"),
        ("volume of the container", [lv["pool_lv"] for lv in container["volumes"]], ["data"]),
        ("network of the container", list(container["ports"].values()), ["vmbr0"]),
        ("program in the container", container["inside"]["status"], 0),
    ]


def _nic_parent(profile: dict[str, Any]) -> object:
    nics = [device for device in profile["devices"].values() if device["type"] == "nic"]
    return nics[0].get("parent") if len(nics) == 1 else nics
