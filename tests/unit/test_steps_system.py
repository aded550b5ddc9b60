"""The steps that make the copied system this node."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from hostlib.errors import CommandError, StepError
from hostlib.firewall import render_firewall
from hostlib.netconfig import NetworkConfig
from hostlib.seed import read_seed
from installer.steps import handoff
from installer.steps.accounts import Accounts
from installer.steps.boot import BootLoader, render_grub_defaults
from installer.steps.chroot import MountVirtual
from installer.steps.finish import Finish
from installer.steps.handoff import Handoff
from installer.steps.system import SystemFiles, render_files, render_fstab
from tests.unit.installer_fakes import DISK, PASSWORD, FakeRunner, config, context, layout

FSTAB_EXT4 = """\
# <file system> <mount point> <type> <options> <dump> <pass>
UUID=r00t / ext4 errors=remount-ro 0 1
UUID=ABCD-1234 /boot/efi vfat umask=0077,nofail 0 1
UUID=5wap none swap sw 0 0
"""
FSTAB_XFS = """\
# <file system> <mount point> <type> <options> <dump> <pass>
UUID=r00t / xfs defaults 0 1
UUID=ABCD-1234 /boot/efi vfat umask=0077,nofail 0 1
"""
GRUB_PLAIN = """\
# Written by the installer. Add files beside this one to change something; later names win.
GRUB_DISTRIBUTOR="Slipway"
GRUB_TIMEOUT=3
GRUB_CMDLINE_LINUX_DEFAULT="loglevel=4"
GRUB_CMDLINE_LINUX=''
"""
GRUB_SERIAL = """\
# Written by the installer. Add files beside this one to change something; later names win.
GRUB_DISTRIBUTOR="Slipway"
GRUB_TIMEOUT=3
GRUB_CMDLINE_LINUX_DEFAULT="loglevel=4"
GRUB_CMDLINE_LINUX='console=tty0 console=ttyS1,57600n8 dyndbg="file x +p; $y"'
GRUB_TERMINAL_INPUT="console serial"
GRUB_TERMINAL_OUTPUT="gfxterm serial"
GRUB_SERIAL_COMMAND="serial --unit=1 --speed=57600"
"""


def test_fstab() -> None:
    assert render_fstab("ext4", "r00t", "ABCD-1234", "5wap") == FSTAB_EXT4
    assert render_fstab("xfs", "r00t", "ABCD-1234", None) == FSTAB_XFS


def test_grub_defaults() -> None:
    assert render_grub_defaults(()) == GRUB_PLAIN
    args = ("console=tty0", "console=ttyS1,57600n8", 'dyndbg="file x +p; $y"')
    assert render_grub_defaults(args) == GRUB_SERIAL


def test_a_serial_console_without_a_speed_has_the_kernel_s_speed() -> None:
    assert 'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=9600"' in render_grub_defaults(("console=ttyS0",))


def test_pinned_names_become_link_files() -> None:
    network = config().network.model_copy(update={"pinned": {"52:54:00:12:34:56": "nic0"}})
    files = render_files(config(network=network))
    assert "52:54:00:12:34:56" in files["etc/systemd/network/50-slipway-nic0.link"]
    assert isinstance(network, NetworkConfig)


def test_the_management_networks_count_from_the_first_start_on() -> None:
    network = config().network.model_copy(update={"management": ("192.0.2.0/24",)})
    assert render_files(config(network=network))["etc/nftables.conf"] == render_firewall(["192.0.2.0/24"])


def copied_root(tmp_path: Path) -> Path:
    """What the copy leaves, as far as the later steps look at it."""
    root = tmp_path / "target"
    for name in (
        "usr/share/zoneinfo/Europe/Vienna",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_config",
        "boot/vmlinuz-6.12.1",
        "boot/initrd.img-6.12.1",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("from the image")
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    (root / "var/lib/dbus").mkdir(parents=True)
    (root / "var/lib/dbus/machine-id").write_text("0123")
    return root


def test_system_files(tmp_path: Path) -> None:
    root = copied_root(tmp_path)
    outputs = {"/dev/pve/root": "r00t", f"{DISK}-part2": "ABCD-1234", "/dev/pve/swap": "5wap"}
    runner = FakeRunner(
        {f"blkid -p -s UUID -o value {device}": f"{uuid}\n" for device, uuid in outputs.items()}
    )
    SystemFiles(config()).run(context(runner, tmp_path), lambda _: None)
    assert (root / "etc/fstab").read_text() == FSTAB_EXT4
    assert (root / "etc/hostname").read_text() == "node1\n"
    assert 'XKBLAYOUT="ch"\nXKBVARIANT="de_nodeadkeys"\n' in (root / "etc/default/keyboard").read_text()
    assert (root / "etc/default/locale").read_text() == "LANG=C.UTF-8\n"
    assert str((root / "etc/localtime").readlink()) == "/usr/share/zoneinfo/Europe/Vienna"
    assert (root / "etc/machine-id").read_bytes() == b""
    assert not (root / "var/lib/dbus/machine-id").exists()
    assert sorted(path.name for path in (root / "etc/ssh").iterdir()) == ["ssh_config"]
    assert runner.lines[-1] == "in target: setupcon --keyboard-only --save-only"


def test_a_time_zone_that_the_image_lacks_is_an_error(tmp_path: Path) -> None:
    copied_root(tmp_path)
    step = SystemFiles(config(timezone="Mars/Olympus"))
    with pytest.raises(StepError, match="time zone Mars/Olympus is not in the system"):
        step.run(context(FakeRunner({"blkid": "u"}), tmp_path), lambda _: None)


@pytest.mark.parametrize(
    ("update", "command", "given"),
    [
        ({}, "in target: chpasswd -c YESCRYPT", PASSWORD),
        (
            {"root_password": None, "root_password_hash": SecretStr("$y$j9T$x$y")},
            "in target: chpasswd --encrypted",
            "$y$j9T$x$y",
        ),
    ],
)
def test_the_password_goes_by_standard_input(
    tmp_path: Path, update: dict[str, SecretStr | None], command: str, given: str
) -> None:
    runner = FakeRunner()
    step = Accounts(config(**update))
    step.run(context(runner, tmp_path), lambda _: None)
    assert runner.lines == [command]
    assert runner.inputs == [f"root:{given}\n"]
    assert given not in str(step.describe()) + repr(step)
    assert (tmp_path / "target/etc/ssh/sshd_config.d/10-slipway.conf").read_text() == "PermitRootLogin yes\n"
    assert not (tmp_path / "target/root/.ssh").exists()


def test_a_failing_chpasswd_does_not_tell_the_password(tmp_path: Path) -> None:
    runner = FakeRunner(failures={"in target: chpasswd": f"cannot set {PASSWORD}"})
    with pytest.raises(CommandError) as caught:
        Accounts(config()).run(context(runner, tmp_path), lambda _: None)
    assert "cannot set <redacted>" in str(caught.value)


def test_ssh_keys_close_the_door_for_passwords(tmp_path: Path) -> None:
    Accounts(config(root_ssh_keys=("ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b"))).run(
        context(FakeRunner(), tmp_path), lambda _: None
    )
    keys = tmp_path / "target/root/.ssh/authorized_keys"
    assert keys.read_text() == "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert keys.parent.stat().st_mode & 0o777 == 0o700
    sshd = tmp_path / "target/etc/ssh/sshd_config.d/10-slipway.conf"
    assert sshd.read_text() == "PermitRootLogin prohibit-password\n"


UEFI = (
    "in target: grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=debian "
    "--force-extra-removable --uefi-secure-boot"
)
BIOS = f"in target: grub-install --target=i386-pc {DISK}"


def run_boot_loader(tmp_path: Path, runner: FakeRunner, **update: object) -> list[str]:
    copied_root(tmp_path)
    warnings: list[str] = []
    BootLoader(config(**update)).run(context(runner, tmp_path, warnings), lambda _: None)
    assert runner.lines.pop(0) == f"sync --file-system {tmp_path}/target"
    return warnings


def test_both_boot_loaders_on_a_uefi_machine(tmp_path: Path) -> None:
    runner = FakeRunner()
    assert run_boot_loader(tmp_path, runner) == []
    assert runner.lines == [BIOS, UEFI, "in target: update-grub"]
    assert (tmp_path / "target/etc/default/grub.d/slipway.cfg").read_text() == GRUB_PLAIN


def test_a_machine_started_by_bios_keeps_its_firmware_alone(tmp_path: Path) -> None:
    runner = FakeRunner()
    run_boot_loader(tmp_path, runner, firmware="bios")
    assert runner.lines == [BIOS, f"{UEFI} --no-nvram", "in target: update-grub"]


def test_no_bios_loader_without_a_partition_for_it(tmp_path: Path) -> None:
    runner = FakeRunner()
    run_boot_loader(tmp_path, runner, layout=layout(bios_boot=False))
    assert runner.lines == [UEFI, "in target: update-grub"]


def test_firmware_that_refuses_an_entry_is_a_warning(tmp_path: Path) -> None:
    runner = FakeRunner()

    def refuse(line: str) -> None:
        runner.failures = {UEFI: "error: cannot write\nNo space left on device"} if line == UEFI else {}

    runner.before = refuse
    warnings = run_boot_loader(tmp_path, runner)
    assert runner.lines == [BIOS, UEFI, f"{UEFI} --no-nvram", "in target: update-grub"]
    assert len(warnings) == 1
    assert "fallback path EFI/BOOT/BOOTX64.EFI" in warnings[0]
    assert "(No space left on device)" in warnings[0]


def test_a_boot_loader_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        run_boot_loader(tmp_path, FakeRunner(failures={UEFI: "no such directory"}))


def test_firmware_variables_that_are_missing_are_a_warning(tmp_path: Path) -> None:
    runner = FakeRunner(failures={"mount -t efivarfs": "unknown filesystem type"})
    warnings: list[str] = []
    MountVirtual("uefi").run(context(runner, tmp_path, warnings), lambda _: None)
    assert len(runner.lines) == 6
    assert warnings == ["the firmware's variables cannot be reached (exit status 1)"]


def test_handoff_leaves_no_secret_on_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoff, "INSTALL_LOG", tmp_path / "install.log")
    monkeypatch.setattr(handoff, "EVENTS", tmp_path / "events.jsonl")
    (tmp_path / "install.log").write_text("the log of s3cret")
    root = tmp_path / "target"
    (root / "usr/lib/slipway").mkdir(parents=True)
    (root / "usr/lib/slipway/release.json").write_text('{"version": "1.2.3"}')
    here = context(FakeRunner(), tmp_path, secrets=frozenset({"s3cret"}))
    Handoff(config()).run(here, lambda _: None)
    seed = read_seed(root)
    assert (seed.install_id, seed.version, seed.thin_pool) == ("7f1c", "1.2.3", "data")
    logs = root / "var/log/slipway"
    assert logs.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in logs.iterdir()) == ["config.json", "install.log"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in logs.iterdir())
    assert json.loads((logs / "config.json").read_text())["root_password"] == "**********"
    assert (logs / "install.log").read_text() == "the log of <redacted>"
    assert not any(PASSWORD in path.read_text() for path in root.rglob("*") if path.is_file())


def test_finish_unmounts_from_the_top_and_flushes(tmp_path: Path) -> None:
    runner = FakeRunner()
    here = context(runner, tmp_path)
    root = here.target
    lines = [
        f"40 1 253:1 / {root} rw - ext4 /dev/pve/root rw",
        f"41 40 8:2 / {root}/boot/efi rw - vfat /dev/sda2 rw",
        f"42 40 0:5 / {root}/dev rw - devtmpfs udev rw",
    ]
    mountinfo = here.proc / "self/mountinfo"
    mountinfo.write_text("\n".join(lines) + "\n")

    def follow(line: str) -> None:
        """Do as the kernel does: what is unmounted leaves the list."""
        if line == f"umount {root}":
            mountinfo.write_text("")

    runner.before = follow
    Finish(config().target).run(here, lambda _: None)
    assert runner.lines == [
        f"sync --file-system {root}",
        f"vgchange --devices {DISK}-part3 --addtag slipway-installed pve",
        f"umount {root}/dev",
        f"umount {root}/boot/efi",
        f"umount {root}",
        "udevadm settle --timeout=30",
        f"blockdev --flushbufs {DISK}",
    ]
