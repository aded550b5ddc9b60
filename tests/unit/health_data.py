"""What the programs print on a node (lvm2 2.03.31, systemd 257, Linux 6.12), and a runner that gives it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.health import Health, Trouble
from agent.status import Address, Enrollment, Member, Status
from hostlib.tls import make_self_signed

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CERTIFICATE = make_self_signed("node1", ["node1"], [], NOW).certificate_pem


def lvs(data: str = "41.27", metadata: str = "12.03") -> str:
    rows = [
        ("data", "twi-aotz--", data, metadata),
        ("root", "-wi-ao----", "", ""),
        ("swap", "-wi-ao----", "", ""),
        ("containers_c1", "Vwi-aotz-k", "99.10", ""),
    ]
    fields = ("lv_name", "lv_attr", "data_percent", "metadata_percent")
    lv = [{"vg_name": "pve", **dict(zip(fields, row, strict=True))} for row in rows]
    return json.dumps({"report": [{"lv": lv}], "log": []})


MDSTAT = """\
Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]
md0 : active raid1 sdb1[1] sda1[0]
      104320 blocks [2/2] [UU]
      [=====>...............]  check = 27.3% (28544/104320) finish=0.1min speed=9514K/sec

md1 : active raid1 sdb2[1](F) sda2[0]
      974559 blocks super 1.2 [2/1] [U_]

md2 : active (auto-read-only) raid5 sdd1[3] sdc1[1] sdb3[0]
      39846912 blocks super 1.2 level 5, 512k chunk, algorithm 2 [3/2] [UU_]
      [==>..................]  recovery = 12.6% (2514176/19923456) finish=2.1min speed=132323K/sec

md3 : inactive sde1[1](S)
      10476544 blocks super 1.2

md127 : inactive sdg[1](S) sdf[0](S)
      5552 blocks super external:imsm

md4 : active raid0 sdh1[1] sdi1[0]
      20953088 blocks super 1.2 512k chunks

unused devices: <none>
"""
MEMBER: dict[str, Any] = {
    "roles": ["database"],
    "failure_domain": "default",
    "description": "",
    "config": {},
    "groups": ["default"],
    "database": True,
    "status": "Online",
    "message": "Fully operational",
    "architecture": "x86_64",
}
MEMBERS = json.dumps(
    [
        {
            **MEMBER,
            "server_name": "node1",
            "url": "https://192.0.2.10:8443",
            "roles": ["database-leader", "database"],
        },
        {**MEMBER, "server_name": "node2", "url": "https://192.0.2.11:8443"},
        {
            **MEMBER,
            "server_name": "node3",
            "url": "https://192.0.2.12:8443",
            "status": "Offline",
            "message": "No heartbeat for 1m2.3s (2026-03-01 11:58:58 +0000 UTC)",
        },
    ]
)
ADDRESSES = json.dumps(
    [
        {},
        {
            "ifname": "eno2",
            "addr_info": [{"family": "inet", "local": "198.51.100.7", "prefixlen": 24, "scope": "global"}],
        },
        {
            "ifname": "vmbr0",
            "addr_info": [
                {"family": "inet", "local": "192.0.2.10", "prefixlen": 24, "scope": "global"},
                {"family": "inet6", "local": "2001:db8::10", "prefixlen": 64, "scope": "global"},
            ],
        },
    ]
)
TROUBLES = (
    Trouble(
        "critical",
        "thin pool pve/data",
        "is 96.2 % full, over 95 %",
        "delete guests or snapshots, or grow it: lvextend -L +10G pve/data",
    ),
    Trouble("critical", "/dev/md1", "raid1 is degraded: 1 missing, failed: sdb2", "replace the disk"),
    Trouble("warning", "lldpd.service", "has failed", "look: journalctl -u lldpd.service"),
)
STATUS = Status(
    name="node1.example.com",
    version="Slipway 0.1.0",
    first_boot_done=True,
    addresses=(Address("vmbr0", "192.0.2.10/24"), Address("vmbr0", "2001:db8::10/64")),
    health=Health(int(NOW.timestamp()), ()),
    certificate=":".join(f"{number:02X}" for number in range(32)),
    ssh_key="SHA256:uNiVztksCsDhcc0u9e8BrqqdJqmY2mbmuzBOCnhLOKI",
    enrollment=Enrollment("serving", "", "0123456789abcdef" * 2),
    members=(
        Member("node1", "Online", "https://192.0.2.10:8443", ("database-leader", "database")),
        Member("node2", "Online", "https://192.0.2.11:8443", ("database",)),
        Member("node3", "Online", "https://192.0.2.12:8443", ("database",)),
    ),
    services={
        "ssh": "active",
        "web console": "active",
        "Incus": "active",
        "agent": "active",
        "firewall": "active",
        "time": "active",
        "LLDP": "active",
        "SMART": "inactive",
    },
)


def make_node(root: Path) -> None:
    """Write what a node without troubles has on disk."""
    for path, content in {
        "proc/mdstat": b"Personalities :\nunused devices: <none>\n",
        "etc/cockpit/ws-certs.d/50-slipway.cert": CERTIFICATE,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
