"""The Incus of a node that joins or makes a cluster, and that of a member: the commands that `agent.cluster` runs.

Answers are those of Incus 6.0.4. `FakeNode.cut` takes the power away at one effect; `FakeNode.boot` is what comes
up again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from agent.cluster import NodeIncus
from hostlib.errors import CommandError
from hostlib.run import Completed, render_command
from hostlib.seed import NodeSeed

Moment = Literal["before", "during", "after"]
SEED = NodeSeed(
    install_id="3f0c8f0e-1c2d-4a5b-8e9f-000000000001",
    installed_at="2026-03-01T11:55:00Z",
    version="0.1.0",
    fqdn="node2.example.com",
    address="192.0.2.12/24",
)
ADDRESS = "192.0.2.12:8443"


class PowerCut(BaseException):
    """Nothing may catch it."""


class FakeRunner:
    """Finds `run_PROGRAM` for a command; each gives (exit status, output), or None for success without output."""

    commands: list[str]

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
        self.commands.append(" ".join(argv))
        if input_text is not None:
            assert json.loads(input_text)["cluster"]["cluster_token"] in secrets
        handler = getattr(self, f"run_{argv[0].replace('-', '_')}")
        words = list(argv[1:])
        status, output = (handler(words, input_text) if input_text else handler(words)) or (0, "")
        if status not in ok:
            raise CommandError(render_command(argv, secrets), f"exit status {status}", output)
        return Completed(status, output, "")


@dataclass
class FakeNode(FakeRunner):
    """A node, first boot of which has made the pools."""

    root: Path
    pools: set[str] = field(default_factory=lambda: {"local", "local-lvm"})
    clustered: Literal["no", "half", "yes"] = "no"
    starts: bool = True
    """Whether the daemon finds a database that it can start with."""
    active: bool = True
    config: dict[str, str] = field(default_factory=lambda: {"core.https_address": ":8443"})
    volumes: tuple[str, ...] = ()
    thin_pool: str = "twi-aotz--"
    joins: list[dict[str, Any]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    cut: tuple[int, Moment] | None = None
    effects: int = 0
    first_boot_fails: bool = False
    synced: bool = True
    """Whether Incus's files of the cluster would outlive a power cut: it does not wait for the disk."""

    def __post_init__(self) -> None:
        self.state = self.root / "var/lib/incus"
        (self.state / "database/global").mkdir(parents=True)
        (self.state / "containers").mkdir()
        for name in self.pools:
            (self.state / "storage-pools" / name / "images").mkdir(parents=True)
        (self.root / "var/lib/vz/images").mkdir(parents=True)
        (self.root / "var/lib/slipway").mkdir()
        (self.root / "var/lib/slipway/firstboot-done").touch()

    @property
    def node(self) -> NodeIncus:
        return NodeIncus(self, SEED, self.root)

    def boot(self) -> None:
        self.cut, self.effects, self.active = None, 0, True
        if not self.synced:
            self.lose_files()
        self.start()
        done = self.root / "var/lib/slipway/firstboot-done"
        if not done.exists():
            assert self.starts, "first boot fails for good, and the agent starts only after it"
            self.pools.update({"local", "local-lvm"})
            done.touch()

    def lose_files(self) -> None:
        for name in ("cluster.crt", "cluster.key"):
            if (self.state / name).exists():
                (self.state / name).write_text("")
                self.clustered, self.starts = "half", False

    def sync(self) -> None:
        self.synced = True

    def effect(self, act: Callable[[], None], half: Callable[[], None] = lambda: None) -> None:
        number, moment = self.cut or (-1, "before")
        hit = number == self.effects
        self.effects += 1
        if hit and moment != "after":
            if moment == "during":
                half()
            raise PowerCut
        act()
        if hit:
            raise PowerCut

    def start(self) -> None:
        if (self.state / "database").exists():
            return
        (self.state / "database").mkdir()
        self.pools.clear()
        self.config.clear()
        self.clustered, self.starts = "no", True

    def half_start(self) -> None:
        self.start()
        self.starts = False

    def run_systemctl(self, argv: list[str]) -> tuple[int, str] | None:
        match argv:
            case ["stop", *_]:
                self.effect(lambda: setattr(self, "active", False))
            case ["start", *_]:
                self.effect(self.start, self.half_start)
                self.active = True
            case ["restart", "slipway-firstboot.service"]:
                assert not (self.root / "var/lib/slipway/firstboot-done").exists()
                if self.first_boot_fails:
                    self.pools.add("local")
                    return 1, "Job for slipway-firstboot.service failed"
                self.effect(lambda: self.pools.update({"local", "local-lvm"}))
                (self.root / "var/lib/slipway/firstboot-done").touch()
            case _:
                assert argv[0] == "reset-failed"
        return None

    def run_lvs(self, _argv: list[str]) -> tuple[int, str]:
        volumes = "".join(f"  {name},Vwi-a-tz--,data\n" for name in self.volumes)
        return 0, f"  data,{self.thin_pool},\n  root,-wi-ao----,\n{volumes}"

    def run_systemd_run(self, argv: list[str]) -> None:
        assert argv[-2] == "umount"
        Path(argv[-1]).unlink()
        Path(argv[-1]).mkdir()

    def run_incus(self, argv: list[str], given: str = "") -> tuple[int, str] | None:
        if not (self.active and self.starts):
            return 1, "Error: Daemon still not running after 300s timeout"
        match argv:
            case ["admin", "waitready", _]:
                return None
            case ["admin", "init", "--preseed"]:
                return self.join(json.loads(given)["cluster"])
            case ["cluster", "enable", name]:
                return self.enable(name)
            case ["query", "--request", "PATCH", "--data", data, "/1.0"]:
                self.effect(lambda: self.config.update(json.loads(data)["config"]))
                return None
            case ["query", path]:
                return 0, self.get(path)
            case _:
                raise AssertionError(argv)

    def get(self, path: str) -> str:
        name = "node2" if self.clustered != "no" else ""
        if path == "/1.0/cluster":
            return json.dumps({"server_name": name, "enabled": bool(name), "member_config": []})
        if path == "/1.0/cluster/members?recursion=1":
            return members("node1", *(["node2"] if self.clustered == "yes" else []))
        assert path == "/1.0/storage-pools?recursion=1"
        pools = [{"name": pool, "driver": "dir", "config": {}, "status": "Created"} for pool in self.pools]
        return json.dumps(pools) if pools else ""

    def change(self, cluster: Literal["half", "yes"]) -> None:
        (self.state / "cluster.crt").write_text("PEM")
        (self.state / "cluster.key").write_text("PEM")
        self.clustered, self.synced = cluster, False

    def join(self, request: dict[str, Any]) -> tuple[int, str] | None:
        self.joins.append(request)
        if self.pools:
            return 1, 'Error: Config key "source" is cluster member specific'
        assert self.config["core.https_address"] == request["server_address"] == ADDRESS

        def act() -> None:
            self.pools.update({"local", "local-lvm"})
            self.change("yes")

        def half() -> None:
            self.pools.update({"local", "local-lvm"})
            self.change("half")
            self.starts = False

        self.effect(act, half)
        return None

    def enable(self, name: str) -> tuple[int, str] | None:
        assert name == "node2"
        if (self.state / "cluster.crt").exists():
            return 1, "Error: Inconsistent state: found leftover cluster certificate"
        assert self.config["core.https_address"] == ADDRESS

        def half() -> None:
            self.change("half")
            self.starts = False

        self.effect(lambda: self.change("yes"), half)
        return None


def members(*names: str, status: str = "Online") -> str:
    return json.dumps(
        [
            {"server_name": name, "url": f"https://192.0.2.1{name[-1]}:8443", "status": status, "roles": []}
            for name in names
        ]
    )


def cut_files(node: FakeNode, patched: pytest.MonkeyPatch) -> None:
    """Count each renamed, removed and emptied file as an effect of `node`."""
    replace, unlink, rmtree = os.replace, os.unlink, shutil.rmtree

    def replaced(self: Path, target: Path) -> Path:
        node.effect(lambda: replace(self, target))
        return target

    def removed(path: Path) -> None:
        first = next(path.iterdir(), None)
        node.effect(lambda: rmtree(path), lambda: first.rmdir() if first else None)

    def unlinked(self: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002  as pathlib has it
        if self.exists() or self.is_symlink() or not missing_ok:
            node.effect(lambda: unlink(self))

    patched.setattr(Path, "replace", replaced)
    patched.setattr(Path, "unlink", unlinked)
    patched.setattr(shutil, "rmtree", removed)
    patched.setattr(os, "fsync", lambda _: None)
    patched.setattr(os, "sync", node.sync)


@dataclass
class FakeMember(FakeRunner):
    """A member of a cluster that others join."""

    statuses: dict[str, str] = field(default_factory=lambda: {"node1": "Online"})
    joining: dict[str, str] = field(default_factory=dict)
    voters: set[str] = field(default_factory=lambda: {"192.0.2.11:8443"})
    guests: dict[str, str] = field(default_factory=dict)
    """Guest -> member."""
    token: str = "eyJzZXJ2ZXJfbmFtZSI6Im5vZGUyIn0="
    tokens: set[str] = field(default_factory=set)
    """Names of servers that could join."""
    commands: list[str] = field(default_factory=list)

    @property
    def changes(self) -> list[str]:
        return [line for line in self.commands if "DELETE" in line or "remove" in line]

    def run_incus(self, argv: list[str]) -> tuple[int, str] | None:
        match argv:
            case ["--quiet", "cluster", "add", _]:
                return 0, f"{self.token}\n"
            case ["--quiet", "cluster", "revoke-token", name]:
                return self.revoke(name)
            case ["admin", "cluster", "remove-raft-node", "--quiet", address]:
                self.voters.remove(address)
                return None
            case ["admin", "sql", *words]:
                return self.sql(words)
            case ["query", "--request", "DELETE", path]:
                name, _, force = path.removeprefix("/1.0/cluster/members/").partition("?force=")
                assert (force == "1") == (self.statuses.pop(name) == "Offline")
                return None
            case ["query", path]:
                return 0, self.get(path)
            case _:
                raise AssertionError(argv)

    def get(self, path: str) -> str:
        if path == "/1.0/cluster/members?recursion=1":
            found = [json.loads(members(name, status=status))[0] for name, status in self.statuses.items()]
            return json.dumps(found)
        if path == "/1.0/instances?recursion=1&all-projects=true":
            return json.dumps([{"name": name, "location": where} for name, where in self.guests.items()])
        assert path == "/1.0"
        config = {"cluster.https_address": "192.0.2.11:8443"}
        return json.dumps({"config": config, "environment": {"certificate": "PEM", "server": "incus"}})

    def revoke(self, name: str) -> tuple[int, str] | None:
        if name not in self.tokens:
            return 1, f"Error: No cluster join token for member {name} on remote: local"
        self.tokens.remove(name)
        return None

    def sql(self, words: list[str]) -> tuple[int, str] | None:
        match words:
            case ["--format=json", "global", "SELECT name, address FROM nodes WHERE state = 1"]:
                rows = [[name, address] for name, address in self.joining.items()]
            case ["--format=json", "local", "SELECT address FROM raft_nodes"]:
                rows = [[address] for address in sorted(self.voters)]
            case ["global", query]:
                name = query.removeprefix("DELETE FROM nodes WHERE state = 1 AND name = '").removesuffix("'")
                del self.joining[name]
                return None
            case _:
                raise AssertionError(words)
        return 0, json.dumps({"type": "select", "rows": rows or None})
