"""A node in memory and in a folder: enough of systemd, ssh-keygen, LVM and Incus for first boot.

Its answers are those of the real programs on Debian 13 (Incus 6.0.4, systemd 257, OpenSSH 10), also to a power cut:
`FakeNode.cut` stops everything at a given moment, `FakeNode.boot` is what the machine looks like after it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from firstboot import __main__ as program
from firstboot.context import Context, Page
from firstboot.services import SERVICES
from hostlib.errors import CommandError, ExitStatus
from hostlib.firewall import render_firewall
from hostlib.incus import UNITS
from hostlib.record import Dmi
from hostlib.run import Completed, render_command
from hostlib.seed import Mode, NodeSeed, SeedEnrollment, write_seed
from hostlib.tls import CERTIFICATE, KEY, make_self_signed

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OTHER = make_self_signed("other", ["other"], [], NOW).certificate_pem
SSH_KINDS = ("rsa", "ecdsa", "ed25519")
POOL_FOLDERS = ("containers", "images", "virtual-machines")
MARKER = "var/lib/slipway/firstboot-done"
ISSUE = "etc/issue.d/50-slipway.issue"
LOCAL_LVM = {"source": "pve", "lvm.thinpool_name": "data", "lvm.vg.force_reuse": "true"}
Moment = Literal["before", "during", "after"]


class PowerCut(BaseException):
    """Nothing may catch it."""


@dataclass
class Pool:
    driver: str
    config: dict[str, str]
    finished: bool
    status: str = "Created"


@dataclass
class FakeNode:
    """State of the machine, and the runner that works on it."""

    root: Path
    thin_pool: str | None = "data"
    machine: Dmi = field(default_factory=Dmi)
    """That the disk was installed in."""
    mode: Mode = "bootstrap"
    active: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    """Unit that does not start -> what it logs."""
    failed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    pools: dict[str, Pool] = field(default_factory=dict)
    devices: dict[str, dict[str, str]] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    lv_attributes: str | None = "twi-a-tz--"
    shown_certificate: bytes = b""
    page_status: int = 200
    rules: str = ""
    """Of the firewall, since the start."""
    commands: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    cut: tuple[int, Moment] | None = None
    """Number of the effect (from 0) at which the power goes."""
    effects: int = 0

    def __post_init__(self) -> None:
        (self.root / "etc/ssh").mkdir(parents=True)
        (self.root / "etc/machine-id").write_text("")
        (self.root / "var/lib/incus/storage-pools").mkdir(parents=True)
        write_seed(
            NodeSeed(
                install_id="3f0c8f0e-1c2d-4a5b-8e9f-000000000001",
                installed_at="2026-03-01T11:55:00Z",
                version="0.1.0",
                fqdn="node1.example.com",
                address="192.0.2.10/24",
                thin_pool=self.thin_pool,
                machine=self.machine,
                enrollment=SeedEnrollment(mode=self.mode),
            ),
            self.root,
        )
        self.boot()

    def boot(self) -> None:
        """Start the machine anew: what was only in memory is gone, units are as systemd brings them up."""
        self.cut = None
        self.effects = 0
        self.failed.clear()
        self.active = {service.unit for service in SERVICES} - set(self.broken) - self.skipped
        self.shown_certificate = b""
        rules = self.root / "etc/nftables.conf"
        self.rules = rules.read_text() if rules.exists() else ""
        for pool in self.pools.values():
            # A bind mount can be made for a directory pool; the LVM driver misses its own settings.
            pool.status = (
                "Created" if pool.finished else {"dir": "Pending", "lvm": "Unavailable"}[pool.driver]
            )

    @property
    def context(self) -> Context:
        return Context(
            runner=self,
            warn=self.warnings.append,
            read_page=self.read_page,
            now=lambda: NOW,
            root=self.root,
        )

    def effect(self, act: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        """Change something; `half` is what is left when the power goes in the middle."""
        number, moment = self.cut or (-1, "before")
        hit = number == self.effects
        self.effects += 1
        if hit and moment == "before":
            raise PowerCut
        if hit and moment == "during":
            half()
            raise PowerCut
        act()
        if hit:
            raise PowerCut

    def read_page(self) -> Page:
        if "cockpit.socket" not in self.active:
            raise ConnectionRefusedError(111, "Connection refused")
        if not self.shown_certificate:
            self.start_cockpit()
        return Page(self.page_status, self.shown_certificate)

    def start_cockpit(self) -> None:
        path = self.root / CERTIFICATE.relative_to("/")
        self.shown_certificate = path.read_bytes() if path.exists() else OTHER

    def run(
        self,
        argv: Sequence[str],
        *,
        input_text: str | None = None,
        secrets: Sequence[str] = (),
        ok: Collection[int] = (0,),
        timeout_seconds: float = 300,
        chroot: Path | None = None,
        on_output: Callable[[str], None] | None = None,
    ) -> Completed:
        assert input_text is None or argv == ["nft", "-f", "-"]
        assert not secrets
        assert chroot is None
        assert on_output is None
        assert timeout_seconds <= 330
        self.commands.append(" ".join(argv))
        if input_text is not None:
            self.effect(lambda: setattr(self, "rules", input_text))
            return Completed(0, "", "")
        handler = getattr(self, "run_" + argv[0].replace("-", "_"))
        status, output = handler(list(argv[1:])) or (0, "")
        if status not in ok:
            raise CommandError(render_command(argv), f"exit status {status}", output)
        return Completed(status, output, "")

    # Each of these gives (exit status, output), or None for success without output.

    def run_systemd_machine_id_setup(self, _argv: list[str]) -> None:
        path = self.root / "etc/machine-id"
        if path.read_text() == "uninitialized":
            return
        self.effect(lambda: write(path, "0123456789abcdef" * 2 + "\n"), lambda: write(path, "0123"))

    def run_ssh_keygen(self, argv: list[str]) -> tuple[int, str] | None:
        if argv == ["-A"]:
            for kind in SSH_KINDS:
                self.make_host_key(self.root / f"etc/ssh/ssh_host_{kind}_key", kind)
            return None
        assert argv[:4] == ["-y", "-P", "", "-f"]
        text = Path(argv[4]).read_text()
        return (0, text.removeprefix("private ")) if text.startswith("private ") else (255, "invalid format")

    def make_host_key(self, path: Path, kind: str) -> None:
        if path.exists() and path.stat().st_size:
            return
        line = f"ssh-{kind} key{self.effects} root@node1\n"

        def make() -> None:
            write(path, f"private {line}")
            write(path.with_name(f"{path.name}.pub"), line)

        self.effect(make, lambda: write(path, "priv"))

    def run_agetty(self, argv: list[str]) -> None:
        assert argv == ["--reload"]

    def run_systemd_run(self, argv: list[str]) -> None:
        assert argv[-2] == "umount"
        Path(argv[-1]).unlink()
        Path(argv[-1]).mkdir()

    def run_lvs(self, argv: list[str]) -> tuple[int, str]:
        assert argv == ["--noheadings", "--options=lv_attr", "pve/data"]
        return (
            (5, "Failed to find logical volume pve/data")
            if self.lv_attributes is None
            else (0, f"  {self.lv_attributes}\n")
        )

    def run_journalctl(self, argv: list[str]) -> tuple[int, str]:
        unit = next(word.removeprefix("--unit=") for word in argv if word.startswith("--unit="))
        return 0, self.broken.get(unit, "")

    def run_systemctl(self, argv: list[str]) -> tuple[int, str] | None:
        verb, units = argv[0], [word for word in argv[1:] if not word.startswith("--")]
        if verb == "show":
            return 0, "\n".join(self.show(unit) for unit in units)
        for unit in units:
            if verb in {"start", "restart"} and unit in self.broken:
                self.failed.add(unit)
                return 1, f"Job for {unit} failed."
            self.effect(lambda unit=unit: self.change(verb, unit))  # type: ignore[misc]
        return None

    def show(self, unit: str) -> str:
        state = "active" if unit in self.active else "failed" if unit in self.failed else "inactive"
        enabled = "disabled" if unit in self.disabled else "enabled"
        condition = "no" if unit in self.skipped or state == "inactive" else "yes"
        looked_at = "0" if state == "inactive" and unit not in self.skipped else "3445128270"
        values = ["loaded", state, enabled, condition, looked_at]
        names = [
            "LoadState",
            "ActiveState",
            "UnitFileState",
            "ConditionResult",
            "ConditionTimestampMonotonic",
        ]
        return "".join(f"{name}={value}\n" for name, value in zip(names, values, strict=True))

    def change(self, verb: str, unit: str) -> None:
        if verb == "reset-failed":
            self.failed.discard(unit)
        elif verb == "enable":
            self.disabled.discard(unit)
        elif verb == "stop":
            self.active.discard(unit)
        elif verb in {"start", "restart"} and unit not in self.skipped:
            if unit == "cockpit.service":
                self.start_cockpit()
            if unit == "incus.service":
                self.start_incus()
            self.active.add(unit)

    def start_incus(self) -> None:
        database = self.root / "var/lib/incus/database"
        half = database / "half-made"
        assert not half.exists(), 'Failed applying patch "snapshots_rename"'
        if not database.exists():
            self.effect(database.mkdir, lambda: half.mkdir(parents=True))
        for name in ("server.crt", "server.key"):
            path = self.root / "var/lib/incus" / name
            if path.exists():
                assert path.read_text(), "tls: failed to find any PEM data in key input"
            else:
                self.effect(lambda path=path: write(path, "PEM"), lambda path=path: write(path, ""))  # type: ignore[misc]

    def run_incus(self, argv: list[str]) -> tuple[int, str] | None:
        assert set(UNITS) <= self.active, "incus was asked while it was down"
        if argv[:2] == ["admin", "waitready"]:
            return None
        if argv[:2] == ["admin", "sql"]:
            return self.sql(argv[-1])
        assert argv[0] == "query"
        if len(argv) == 2:
            return 0, self.get(argv[1])
        assert [argv[1], argv[3]] == ["--request", "--data"]
        return self.send(argv[2], argv[5], json.loads(argv[4]))

    def sql(self, query: str) -> tuple[int, str]:
        unfinished = [name for name, pool in self.pools.items() if not pool.finished]
        assert query.endswith("id IN (SELECT storage_pool_id FROM storage_pools_nodes WHERE state = 0)")
        if query.startswith("SELECT"):
            rows = [[name] for name in unfinished]
            return 0, json.dumps({"type": "select", "columns": ["name"], "rows": rows, "rows_affected": 0})

        def forget() -> None:
            for name in unfinished:
                del self.pools[name]

        self.effect(forget)
        return 0, f"Rows affected: {len(unfinished)}"

    def get(self, path: str) -> str:
        if path == "/1.0/storage-pools?recursion=1":
            pools = [
                {
                    "name": name,
                    "driver": p.driver,
                    "config": p.config,
                    "status": p.status,
                    "locations": ["none"],
                }
                for name, p in self.pools.items()
            ]
            return json.dumps(pools) if pools else ""
        if path == "/1.0/profiles/default":
            return json.dumps({"name": "default", "config": {}, "devices": self.devices, "used_by": []})
        assert path == "/1.0"
        return json.dumps({"config": self.config, "environment": {"server_version": "6.0.4"}})

    def send(self, method: str, path: str, data: dict[str, Any]) -> tuple[int, str] | None:
        if (method, path) == ("POST", "/1.0/storage-pools"):
            return self.create_pool(data["name"], data["driver"], data["config"])
        if (method, path) == ("PATCH", "/1.0/profiles/default"):
            self.effect(lambda: self.devices.update(data["devices"]))
        else:
            assert (method, path) == ("PATCH", "/1.0")
            self.effect(lambda: self.config.update(data["config"]))
        return None

    def create_pool(self, name: str, driver: str, config: dict[str, str]) -> tuple[int, str] | None:
        folder = self.root / "var/lib/incus/storage-pools" / name
        source = self.root / config["source"].removeprefix("/") if driver == "dir" else folder
        if name in self.pools:
            return 1, "Error: The storage pool already exists"
        if folder.exists():
            return 1, f'Error: Storage pool directory "{folder}" already exists'
        if driver == "dir" and any(source.iterdir()):
            return 1, f"Error: Source path '{source}' isn't empty"

        def make(*, finished: bool) -> None:
            self.pools[name] = Pool(driver, config, finished)
            folder.mkdir()
            for entry in POOL_FOLDERS:
                (source / entry).mkdir()

        self.effect(lambda: make(finished=True), lambda: make(finished=False))
        return None


def write(path: Path, text: str) -> None:
    path.write_text(text)


def cut_file_writes(node: FakeNode) -> Callable[[Path, Path], Path]:
    """Give a `Path.replace` that counts as an effect of `node`: the moment at which a written file appears."""
    replace = os.replace

    def replaced(self: Path, target: Path) -> Path:
        node.effect(lambda: replace(self, target))
        return target

    return replaced


def first_boot(node: FakeNode, *, early: bool = False) -> ExitStatus:
    # Waiting for the disk of the machine that runs the tests would only cost time.
    with patch.object(os, "sync"), patch.object(os, "fsync"):
        return program.run_first_boot(node.context, node.console.append, early=early)


def assert_complete(node: FakeNode) -> None:
    root = node.root
    assert (root / MARKER).read_text().startswith("unreleased 2026-03-01T12:00:00")
    assert (root / "etc/machine-id").read_text().strip() == "0123456789abcdef" * 2
    for kind in SSH_KINDS:
        public = (root / f"etc/ssh/ssh_host_{kind}_key.pub").read_text()
        assert (root / f"etc/ssh/ssh_host_{kind}_key").read_text() == f"private {public}"
    assert {name: (pool.driver, pool.config, pool.status) for name, pool in node.pools.items()} == {
        "local": ("dir", {"source": "/var/lib/vz"}, "Created"),
        "local-lvm": ("lvm", LOCAL_LVM, "Created"),
    }
    assert all(pool.finished for pool in node.pools.values())
    assert node.devices == {
        "eth0": {"type": "nic", "nictype": "bridged", "parent": "vmbr0", "name": "eth0"},
        "root": {"type": "disk", "path": "/", "pool": "local-lvm"},
    }
    assert node.config == {"core.https_address": ":8443"}
    assert node.shown_certificate == (root / CERTIFICATE.relative_to("/")).read_bytes()
    assert stat.S_IMODE((root / KEY.relative_to("/")).stat().st_mode) == 0o600
    assert node.rules == (root / "etc/nftables.conf").read_text() == render_firewall()
    assert "FIRST BOOT" not in (root / ISSUE).read_text()
