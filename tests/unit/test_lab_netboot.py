from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.lab.errors import LabError
from tests.vm.lab.namespace import plan_links
from tests.vm.lab.netboot import point_bundle, render_dnsmasq, shrink_bundle

TEMPLATES = Path(__file__).parents[2] / "image" / "netboot"
OPTIONS = "slipway.answer=https://10.0.2.100/answer/${mac} slipway.answer-method=get"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "grub").mkdir(parents=True)
    for name in ("boot.ipxe", "grub/grub.cfg"):
        text = (TEMPLATES / f"{Path(name).name}.in").read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    for name in ("filesystem.squashfs", "slipway.squashfs", "initrd.img", "netboot.img"):
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


def changed_lines(before: Path, after: Path) -> list[str]:
    old = before.read_text(encoding="utf-8").splitlines()
    return [line for line in after.read_text(encoding="utf-8").splitlines() if line not in old]


def test_settings_of_the_boot_scripts(bundle: Path, tmp_path: Path) -> None:
    folder = point_bundle(bundle, tmp_path / "tftp", base="http://10.0.2.100", options=OPTIONS)
    assert changed_lines(bundle / "boot.ipxe", folder / "boot.ipxe") == [
        "set base http://10.0.2.100",
        f"set options {OPTIONS}",
    ]
    assert changed_lines(bundle / "grub/grub.cfg", folder / "grub/grub.cfg") == [
        "set base='http://10.0.2.100'",
        f"set options='{OPTIONS}'",
    ]
    assert (folder / "initrd.img").read_bytes() == (bundle / "initrd.img").read_bytes()


def test_boot_script_without_a_setting(bundle: Path, tmp_path: Path) -> None:
    (bundle / "boot.ipxe").write_text("#!ipxe\nset base x\n")
    with pytest.raises(LabError, match="0 lines `set options`"):
        point_bundle(bundle, tmp_path / "tftp", base="b", options="o")


def test_small_bundle_fits_its_own_list(bundle: Path, tmp_path: Path) -> None:
    small = shrink_bundle(bundle, tmp_path / "small", 10)
    assert (small / "filesystem.squashfs").read_bytes() == b"filesystem"
    assert b" 10 filesystem.squashfs\n" in (small / "netboot.img").read_bytes()
    assert (bundle / "filesystem.squashfs").stat().st_size == 19000


def test_example_for_dnsmasq_becomes_a_configuration() -> None:
    example = (TEMPLATES / "dnsmasq.conf.in").read_text(encoding="utf-8")
    config = render_dnsmasq(example, tftp_root=Path("/bundle"), fingerprint="ab" * 32).splitlines()
    assert [line for line in config if line not in example.splitlines()] == [
        "tftp-root=/bundle",
        "dhcp-option=250,https://192.0.2.1:8443/answer",
        f"dhcp-option=251,{'ab' * 32}",
    ]
    with pytest.raises(LabError, match="tftp-root"):
        render_dnsmasq("", tftp_root=Path("/bundle"), fingerprint="")


def test_links_of_a_namespace() -> None:
    assert plan_links(["tap0"]).splitlines() == [
        "link set lo up",
        "link add eth1 type bridge",
        "address add 192.0.2.1/24 dev eth1",
        "tuntap add tap0 mode tap",
        "link set tap0 master eth1 up",
        "link set eth1 up",
    ]
