from installer.live_text import (
    render_failure,
    render_intent,
    render_machine,
    render_success,
    render_url,
    render_welcome,
)
from tests.unit.installer_fakes import config
from tests.unit.live_fakes import FOUR_DISKS, WHERE


def test_renames_on_other_disks_are_announced() -> None:
    assert "VG pve on another disk (UUID u1) is renamed to pve-OLD-1" in render_intent(
        config(rename_vgs={"u1": "pve-OLD-1"}), WHERE
    )


def test_the_machine_in_short() -> None:
    text = render_machine(FOUR_DISKS)
    assert text.startswith(
        "Machine: QEMU Standard PC (i440FX + PIIX, 1996), BIOS, 3.8 GiB of memory\nDisks:\n"
    )
    assert (
        "  /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_DISKA\n      16.0 GiB, QEMU HARDDISK, serial DISKA, sda\n"
        in text
    )
    assert len([line for line in text.splitlines() if line.startswith("  /dev/")]) == len(FOUR_DISKS.disks)
    for nic in FOUR_DISKS.nics:
        assert nic.mac in text


def test_the_welcome_says_what_to_do() -> None:
    text = render_welcome(FOUR_DISKS, "1.2.3")
    assert "Slipway 1.2.3" in text
    assert "volume labelled SLIPWAY or PROXMOX-AIS" in text
    assert "slipway-install install --auto" in text


def test_the_address_of_the_node() -> None:
    network = config().network
    assert render_url(config()) == "https://192.0.2.10:8006/"
    six = network.model_copy(update={"address": "2001:db8::4/64"})
    assert render_url(config(network=six)) == "https://[2001:db8::4]:8006/"
    assert "Restart the machine" in render_success(config(), restarts=False)


def test_the_intent_names_node_and_disk() -> None:
    text = render_intent(config(), WHERE)
    assert "node1.example.test, 192.0.2.10/24 on ens3 (52:54:00:12:34:56)" in text


def test_a_failure_without_a_log() -> None:
    assert "Last lines" not in render_failure("disk: too small; choose another", 3, [])
