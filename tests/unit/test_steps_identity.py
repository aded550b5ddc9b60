"""The keys and the certificate that the installer makes are those that the node keeps."""

import dataclasses
import stat
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from firstboot.identity import ensure_certificate, lacks_certificate, lacks_ssh_host_keys
from hostlib.seed import write_seed
from hostlib.tls import CERTIFICATE, KEY, fingerprint
from installer.steps.handoff import plan_seed
from installer.steps.identity import Identity
from tests.unit.firstboot_fakes import NOW, SSH_KINDS, FakeNode, write
from tests.unit.installer_fakes import FakeRunner, config, context


class Installed:
    """A node as the installer leaves it, and what was told meanwhile."""

    def __init__(self, folder: Path, address: str = "192.0.2.10/24") -> None:
        folder.mkdir()
        self.node = FakeNode(folder / "target")
        self.root = self.node.root
        self.runner = FakeRunner()
        self.runner.before = self._make_key
        self.told: list[str] = []
        network = config().network.model_copy(update={"address": address})
        resolved = config(network=network, root_password=SecretStr("x"))
        seed = plan_seed(resolved, install_id="7f1c", installed_at="2026-03-01T11:55:00Z", version="1.2.3")
        write_seed(seed, self.root)
        self.step = Identity(resolved)
        here = context(self.runner, folder, tell_fingerprint=self.told.append)
        self.step.run(here, lambda _: None)

    def _make_key(self, line: str) -> None:
        """Do as ssh-keygen does."""
        path = self.root / line.rpartition(" -f /")[2]
        assert not path.exists(), "ssh-keygen would ask whether to overwrite it"
        public = f"ssh-{path.name} AAAA root@node1\n"
        write(path, f"private {public}")
        write(path.with_name(f"{path.name}.pub"), public)

    def read(self, path: Path) -> bytes:
        return (self.root / path.relative_to("/")).read_bytes()


@pytest.mark.parametrize("address", ["192.0.2.10/24", "2001:db8::4/64"])
def test_first_boot_keeps_them(tmp_path: Path, address: str) -> None:
    made = Installed(tmp_path / "a", address)
    assert made.runner.lines == [
        f"in target: ssh-keygen -q -t {kind} -N  -C root@node1 -f /etc/ssh/ssh_host_{kind}_key"
        for kind in SSH_KINDS
    ]
    # The clocks of the two may be far apart.
    for days in (-9000, 0, 3000):
        now = NOW + timedelta(days=days)
        assert not lacks_certificate(
            dataclasses.replace(made.node.context, now=partial(datetime.fromtimestamp, now.timestamp(), UTC))
        )
    assert not lacks_ssh_host_keys(made.node.context)
    assert made.told == [fingerprint(made.read(CERTIFICATE))]
    modes = [stat.S_IMODE((made.root / path.relative_to("/")).stat().st_mode) for path in (KEY, CERTIFICATE)]
    assert modes == [0o600, 0o644]


def test_no_two_installations_share_a_key(tmp_path: Path) -> None:
    first, second = Installed(tmp_path / "a"), Installed(tmp_path / "b")
    assert first.told != second.told
    assert first.read(KEY) != second.read(KEY)


def test_the_private_key_is_in_its_file_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        made = Installed(tmp_path / "a")
    secret = made.read(KEY).splitlines()[1]
    holders = [path.name for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert holders == [KEY.name]
    shown = f"{made.step.describe()} {made.step} {made.runner.lines} {made.runner.inputs} {caplog.text}"
    assert secret.decode() not in shown


def test_a_node_that_got_another_name_gets_another_certificate(tmp_path: Path) -> None:
    made = Installed(tmp_path / "a")
    renamed = made.node.context.seed.model_copy(update={"fqdn": "node2.example.test"})
    write_seed(renamed, made.root)
    assert lacks_certificate(made.node.context)
    ensure_certificate(made.node.context)
    assert not lacks_certificate(made.node.context)
    assert fingerprint(made.read(CERTIFICATE)) not in made.told
