"""Machines of a rack whose servers are out of order: a clear reason, and every disk as it was."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import pytest

from tests.vm.lab.answers import PASSWORD, make_answer
from tests.vm.lab.bench import Lab
from tests.vm.lab.http import Fault, Site, listen_on_loopback, serve
from tests.vm.lab.media import GIB, MIB, content_digest, make_dirty_disk
from tests.vm.lab.netboot import SERVER, Identity, netboot_spec, point_bundle, shrink_bundle
from tests.vm.lab.spec import Disk, Firmware, GuestProgram, Service
from tests.vm.lab.tls import Certificate, make_certificate
from tests.vm.waits import EVENT_SECONDS, NETBOOT_SECONDS

BROKEN: Final = Identity("RACK-0003", "52:54:00:aa:00:03")
TOKEN: Final = "lab-report-token-51c0a"
PATIENCE_SECONDS: Final = 15
REASONS: Final = {"half": r"bytes missing", "flip": r"with the SHA-256 [0-9a-f]{64} came"}


@pytest.mark.matrix
@pytest.mark.parametrize("fault", ["half", "flip"])
def test_broken_root_image(fault: Literal["half", "flip"], lab: Lab, bundle: Path, site: Site) -> None:
    """Half a root image, or one with a wrong bit, every time: the network boot fails before anything is started."""
    disk = make_dirty_disk(lab.folder / "disk.raw", 20 * GIB, 11)
    before = content_digest(disk)
    small = shrink_bundle(bundle, lab.folder / "bundle", 8 * MIB)
    site.folders = {"/": small}
    site.faults = {"/filesystem.squashfs": [Fault(fault)]}
    with serve(site, listen_on_loopback()) as port:
        tftp = point_bundle(small, lab.folder / "tftp", base=f"http://{SERVER}", options="")
        spec = netboot_spec("broken", Firmware.BIOS, BROKEN, tftp, [Service(SERVER, 80, port)])
        with lab.vm(replace(spec, disks=(Disk(path=disk),), relay=False)) as vm:
            vm.console.wait_for(rf"slipway-netboot: .*{REASONS[fault]}.*attempt 6 of 6", NETBOOT_SECONDS)
            vm.console.wait_for(r"Network boot failed \(exit status 4\)", 60)
            lab.timings.add("power-on to failure", vm.seconds)
            vm.screenshot()
            vm.console.send("\r")
            vm.console.wait_for(r"\(initramfs\)", 60)
    assert len(site.received("/filesystem.squashfs")) == 6
    assert content_digest(disk) == before


@pytest.mark.matrix
def test_answer_server_out_of_order(lab: Lab, bundle: Path, site: Site) -> None:
    """An answer that is refused is reported, log and all; a wrong fingerprint or a server that hangs ends with a reason."""
    disk = make_dirty_disk(lab.folder / "disk.raw", 20 * GIB, 12)
    before = content_digest(disk)
    certificate = make_certificate(lab.folder / "server.pem", SERVER)
    _refuse(site, certificate)
    url = f"slipway.answer=https://{SERVER}/answer"
    pinned = f"slipway.answer-fingerprint={certificate.fingerprint}"
    attempts = {
        "wrong fingerprint": [url, f"slipway.answer-fingerprint={'ab' * 32}"],
        "hangs": [f"{url}/${{mac}}", "slipway.answer-method=get", pinned],
    }
    program = GuestProgram(
        module="fetch_faults", parameters={"attempts": attempts, "limit_seconds": PATIENCE_SECONDS}
    )
    with ExitStack() as stack:
        plain = stack.enter_context(serve(site, listen_on_loopback()))
        secure = stack.enter_context(serve(site, listen_on_loopback(), certificate))
        tftp = point_bundle(bundle, lab.folder / "tftp", base=f"http://{SERVER}", options=f"{url} {pinned}")
        services = [Service(SERVER, 80, plain), Service(SERVER, 443, secure)]
        spec = netboot_spec("refused", Firmware.BIOS, BROKEN, tftp, services)
        with lab.vm(replace(spec, disks=(Disk(path=disk),), guest=program)) as vm:
            vm.console.wait_for(r"Installation failed \(exit status 2\)", NETBOOT_SECONDS)
            lab.timings.add("power-on to refusal", vm.seconds)
            vm.report.wait("refusals-done", EVENT_SECONDS)
            refused = {str(m["name"]): m for m in vm.report.messages if m["kind"] == "refusal"}
            said = vm.console.text
            vm.kill()
    _check_failure(site, said)
    assert {name: (m["status"], SERVER in str(m["stderr"])) for name, m in refused.items()} == dict.fromkeys(
        attempts, (2, True)
    ), refused
    assert "fingerprint" in str(refused["wrong fingerprint"]["stderr"])
    assert float(str(refused["hangs"]["seconds"])) >= PATIENCE_SECONDS
    assert content_digest(disk) == before


def _refuse(site: Site, certificate: Certificate) -> None:
    """Give the machine an answer that it must refuse; the same one by GET never comes."""
    report = {
        "url": f"https://{SERVER}/report",
        "cert-fingerprint": certificate.fingerprint,
        "auth-token": TOKEN,
    }
    answer = make_answer(disk={"filesystem": "ext4", "disk-list": ["sdz"]}, sections={"report": report})
    site.answers = {BROKEN.serial.lower(): answer, BROKEN.mac: answer}
    site.tokens = {"/report": TOKEN}
    site.faults = {f"/answer/{BROKEN.mac}": [Fault("hang")]}


def _check_failure(site: Site, said: str) -> None:
    """Compare what the report's server got, and the console said, about the refused answer with what must be."""
    requests = site.received("/report")
    assert [request.json()["event"] for request in requests] == ["failed"]
    body = requests[0].json()
    assert (body["status"], body["machine"]["serial"]) == (2, BROKEN.serial)
    assert "sdz" in body["reason"]
    assert "sdz" in body["attachments"][0]["text"]
    everything = requests[0].body.decode() + said
    assert [secret for secret in (PASSWORD, TOKEN) if secret in everything] == []
