"""First boot of a node that is a copy of another, and of one that is to join a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostlib.dmi import is_other_machine
from hostlib.errors import ExitStatus
from hostlib.paths import SSH_HOST_KEYS
from hostlib.record import Dmi
from hostlib.seed import read_seed
from hostlib.tls import CERTIFICATE, KEY
from tests.unit.firstboot_fakes import (
    FakeNode,
    Moment,
    PowerCut,
    assert_complete,
    cut_file_writes,
    first_boot,
)

HERE = Dmi(serial="SRV0002", uuid="4c4c4544-0032-3010-8053-b4c04f4e4e32")
THERE = Dmi(serial="SRV0001", uuid="4c4c4544-0031-3010-8053-b4c04f4e4e32")
QEMU = Dmi(serial="Not Specified", uuid="00000000-0000-0000-0000-000000000000")
KEYS = [path.relative_to("/") for path in (*SSH_HOST_KEYS.values(), CERTIFICATE, KEY)]


def put_into(node: FakeNode, machine: Dmi) -> None:
    folder = node.root / "sys/class/dmi/id"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "product_serial").write_text(f"{machine.serial}\n")
    (folder / "product_uuid").write_text(f"{machine.uuid.upper()}\n")


def installed(folder: Path, machine: Dmi, *, there: Dmi = THERE) -> FakeNode:
    """A node whose keys and certificate the installer has made on another machine."""
    made = FakeNode(folder, machine=there)
    put_into(made, there)
    first_boot(made)
    (folder / "var/lib/slipway/firstboot-done").unlink()
    made.warnings.clear()
    put_into(made, machine)
    made.boot()
    return made


def identity(node: FakeNode) -> list[bytes]:
    return [(node.root / path).read_bytes() for path in KEYS]


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (THERE, HERE, True),
        (THERE, THERE, False),
        (THERE, Dmi(), False),
        (THERE, QEMU, False),
        (Dmi(), HERE, False),
        (THERE, Dmi(serial=THERE.serial), False),
        (THERE, Dmi(serial="Default string", uuid=THERE.uuid.upper()), False),
        # Boards of one kind may all have the same UUID.
        (THERE, Dmi(serial="SRV0002", uuid=THERE.uuid), True),
        (Dmi(serial="0", uuid=THERE.uuid), Dmi(serial="0", uuid=HERE.uuid), True),
    ],
)
def test_which_machines_are_two(one: Dmi, other: Dmi, differ: bool) -> None:  # noqa: FBT001 - a column
    assert is_other_machine(one, other) is differ
    assert is_other_machine(other, one) is differ


def test_a_copy_gets_keys_and_certificate_of_its_own_once(tmp_path: Path) -> None:
    node = installed(tmp_path, HERE)
    before = identity(node)
    assert first_boot(node) is ExitStatus.DONE
    after = identity(node)
    assert [path for path, old, new in zip(KEYS, before, after, strict=True) if old == new] == []
    assert node.warnings == [
        "this disk was installed in another machine (serial SRV0001, this one has SRV0002): ssh host keys and "
        "certificate are made anew, with other fingerprints"
    ]
    assert read_seed(tmp_path).machine.serial == "SRV0002"
    assert_complete(node)
    node.boot()
    first_boot(node)
    assert (identity(node), len(node.warnings)) == (after, 1)


@pytest.mark.parametrize("machine", [THERE, QEMU])
def test_the_machine_of_the_installation_keeps_what_was_made_there(tmp_path: Path, machine: Dmi) -> None:
    node = installed(tmp_path, machine)
    before = identity(node)
    assert first_boot(node) is ExitStatus.DONE
    assert (identity(node), node.warnings) == (before, [])


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_power_may_go_while_a_copy_gets_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    for number in range(9):
        node = installed(tmp_path / f"node{number}", HERE)
        before = identity(node)
        node.cut = (number, moment)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", cut_file_writes(node))
            with pytest.raises(PowerCut):
                first_boot(node)
        node.boot()
        assert first_boot(node) is ExitStatus.DONE
        assert not set(before) & set(identity(node)), f"cut {moment} effect {number}"


def test_a_node_that_is_to_join_leaves_pools_and_profile_to_the_cluster(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, mode="join")
    assert first_boot(node) is ExitStatus.DONE
    assert (node.pools, node.devices) == ({}, {})
    assert node.config == {"core.https_address": ":8443"}


@pytest.mark.parametrize("mode", ["bootstrap", "none"])
def test_every_other_node_has_its_pools(tmp_path: Path, mode: str) -> None:
    node = FakeNode(tmp_path, mode="none" if mode == "none" else "bootstrap")
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)
