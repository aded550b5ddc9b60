from installer.config import EnrollmentConfig
from installer.live_text import (
    render_failure,
    render_intent,
    render_success,
)
from tests.unit.installer_fakes import config
from tests.unit.live_fakes import WHERE


def test_renames_on_other_disks_are_announced() -> None:
    assert "VG pve on another disk (UUID u1) is renamed to pve-OLD-1" in render_intent(
        config(rename_vgs={"u1": "pve-OLD-1"}), WHERE
    )


SUCCESS = """
node1.example.test is installed. Restart the machine to start the node.
The first boot takes a few minutes. Then the node is at

  Web console  https://192.0.2.10:8006/  (user root)
  Certificate  SHA-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:
                       10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F

Once the node is in its cluster it shows another certificate, whose
fingerprint is on the node's own console.

If the machine starts this medium again, remove it or choose the disk in the firmware.
"""


def test_the_end_names_the_web_console_and_its_certificate() -> None:
    fingerprint = bytes(range(32)).hex(":").upper()
    assert render_success(config(), fingerprint, restarts=False) == SUCCESS
    assert "The machine restarts now." in render_success(config(), fingerprint, restarts=True)
    alone = config(enrollment=EnrollmentConfig(mode="none"))
    assert "another certificate" not in render_success(alone, fingerprint, restarts=True)
    six = config().network.model_copy(update={"address": "2001:db8::4/64"})
    assert config(network=six).url == "https://[2001:db8::4]:8006/"


def test_the_intent_names_node_and_disk() -> None:
    text = render_intent(config(), WHERE)
    assert "node1.example.test, 192.0.2.10/24 on ens3 (52:54:00:12:34:56)" in text


def test_a_failure_without_a_log() -> None:
    assert "Last lines" not in render_failure("disk: too small; choose another", 3, [])
