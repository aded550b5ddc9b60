"""A rack that installs itself: machines that start over the network, find their own answer, and report."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.vm.judgement import node_problems
from tests.vm.lab import namespace
from tests.vm.lab.answers import PASSWORD
from tests.vm.lab.bench import KeyPair, Lab
from tests.vm.lab.http import Fault, Site, listen_on_loopback, serve
from tests.vm.lab.installs import TARGET_BYTES, Install, Installed, node_spec, watch_install
from tests.vm.lab.machine import Vm
from tests.vm.lab.media import find_in_disk, make_disk, make_overlay
from tests.vm.lab.namespace import ADDRESS, Namespace
from tests.vm.lab.netboot import SERVER, Identity, netboot_spec, point_bundle, render_dnsmasq
from tests.vm.lab.spec import Disk, DiskFormat, Firmware, GuestProgram, MachineSpec, NetBoot, Nic, Service
from tests.vm.lab.tls import Certificate, make_certificate
from tests.vm.waits import EVENT_SECONDS, NETBOOT_SECONDS, NODE_SECONDS

ONE: Final = Identity("RACK-0001", "52:54:00:aa:00:01")
TWO: Final = Identity("RACK-0002", "52:54:00:aa:00:02")
PXE_BIOS: Final = Install(name="pxe-bios", dhcp=True, memory_mib=2048)
PXE_SECURE: Final = Install(
    name="pxe-secure", firmware=Firmware.UEFI_SECURE, dhcp=True, fqdn="rack2.lab.test"
)
ANSWER_TOKEN: Final = "lab-answer-token-51c07"
REPORT_TOKEN: Final = "lab-report-token-51c08"
WEBHOOK_TOKEN: Final = "lab-webhook-token-51c09"
TOKENS: Final = (ANSWER_TOKEN, REPORT_TOKEN, WEBHOOK_TOKEN)
HASHED: Final = (
    "$6$labsaltlabsalt1$QmceZgTEEVMj5Juv4AdyeJvBhKJvT4xasH0AFSiez"
    "E8HLCwO96XrOK22H4brsmNTykG3TYf39FK1Hg34hoh1z/"
)
HOOK: Final = b'#!/bin/sh\necho "$1 $(id -u) $(ip -4 -o address show vmbr0 | wc -l)" >>/var/lib/lab-hook\n'
HOOK_TRACE: Final = "/var/lib/lab-hook"


def test_pxe_bios(lab: Lab, bundle: Path, site: Site, keys: KeyPair) -> None:
    """1 GiB of memory; the server says 500 twice and breaks off once; everything is reported, and nothing secret."""
    certificate = make_certificate(lab.folder / "server.pem", SERVER)
    _fill_site(site, keys, certificate)
    site.faults = {"/answer": [Fault("error", 2)], "/filesystem.squashfs": [Fault("half", 1)]}
    options = [
        f"slipway.answer=https://{SERVER}/answer",
        f"slipway.answer-fingerprint={certificate.fingerprint}",
        f"slipway.answer-token={ANSWER_TOKEN}",
    ]
    with ExitStack() as stack:
        services = _serve(stack, site, certificate)
        tftp = point_bundle(bundle, lab.folder / "tftp", base=f"http://{SERVER}", options=" ".join(options))
        spec = netboot_spec("install", Firmware.BIOS, ONE, tftp, services)
        vm = _install(lab, spec, site)
    memory = [message for message in vm.report.messages if message["kind"] == "memory"]
    lab.timings.add("install: memory in use at most", _most_used_mib(memory), "MiB")
    _check_requests(site)
    said = "".join(request.body.decode() for request in site.received("/report"))
    said += site.received("/webhook")[0].body.decode().replace(WEBHOOK_TOKEN, "", 1)
    said += vm.console.text + str(vm.report.messages)
    assert [secret for secret in (PASSWORD, *TOKENS) if secret in said] == []
    judge = GuestProgram(
        module="judge_node", parameters={"files": [HOOK_TRACE], "secrets": [PASSWORD, *TOKENS]}
    )
    node = _judge_node(lab, PXE_BIOS, ONE, None, judge)
    assert node["files"] == {HOOK_TRACE: "network-online 0 1\n"}
    assert node["secrets"]["found"] == []
    assert node["secrets"]["hash"] not in said
    found = find_in_disk(lab.folder / "node.qcow2", [PASSWORD, *TOKENS], DiskFormat.QCOW2)
    assert found == [], "on the node's disk"


def test_pxe_secure_boot(lab: Lab, bundle: Path, site: Site, keys: KeyPair) -> None:
    """Another machine of the same rack gets another answer, by its MAC address and over plain http."""
    certificate = make_certificate(lab.folder / "server.pem", SERVER)
    _fill_site(site, keys, certificate)
    site.tokens.clear()
    options = f"slipway.answer=http://{SERVER}/answer/${{mac}} slipway.answer-method=get"
    with ExitStack() as stack:
        services = _serve(stack, site, certificate)
        tftp = point_bundle(bundle, lab.folder / "tftp", base=f"http://{SERVER}", options=options)
        vm = _install(lab, netboot_spec("install", PXE_SECURE.firmware, TWO, tftp, services), site)
    assert [request.method for request in site.received(f"/answer/{TWO.mac}")] == ["GET"]
    judge = GuestProgram(module="judge_node", parameters={"secrets": []})
    node = _judge_node(lab, PXE_SECURE, TWO, vm.vars_path, judge)
    # The answer has the hash, so the installer did not make it: it is the same everywhere.
    assert node["secrets"] == {"hash": HASHED, "found": []}


@pytest.mark.matrix
def test_http_boot(lab: Lab, bundle: Path, site: Site, keys: KeyPair) -> None:
    """UEFI HTTP boot with the bundle's own example for dnsmasq; DHCP tells where the answer is, and the fingerprint."""
    if reason := namespace.missing():
        pytest.skip(reason)
    certificate = make_certificate(lab.folder / "server.pem", ADDRESS)
    report = {"url": f"https://{ADDRESS}:8443/report", "cert-fingerprint": certificate.fingerprint}
    site.answers[ONE.serial.lower()] = PXE_BIOS.answer((keys.public,), sections={"report": report})
    boot = point_bundle(bundle, lab.folder / "bundle", base=f"http://{ADDRESS}", options="")
    site.folders = {"/": boot}
    nic = Nic(mac=ONE.mac, boot=NetBoot.HTTP, tap="tap0")
    with Namespace(lab.folder, [nic.tap]) as network, ExitStack() as stack:
        stack.enter_context(serve(site, network.listen(80)))
        stack.enter_context(serve(site, network.listen(8443), certificate))
        example = (bundle / "dnsmasq.conf").read_text(encoding="utf-8")
        network.start_dnsmasq(render_dnsmasq(example, tftp_root=boot, fingerprint=certificate.fingerprint))
        spec = MachineSpec(
            name="install",
            firmware=Firmware.UEFI_SECURE,
            disks=(_blank_target(lab),),
            nics=(nic,),
            serial=ONE.serial,
            enter=network.enter,
            relay=True,
        )
        with lab.vm(spec) as vm:
            vm.console.wait_for(r"DHCP option 250", NETBOOT_SECONDS)
            vm.report.wait("event", EVENT_SECONDS, event="phase", phase="copy")
            lab.timings.add("install: power-on to copy", vm.seconds)
            started = site.wait("/report", 60)
            # What comes now is the same on every machine.
            vm.kill()
    assert (started.json()["event"], started.json()["machine"]["serial"]) == ("started", ONE.serial)
    assert site.received("/shimx64.efi")
    assert site.received("/grub/grub.cfg")


def _fill_site(site: Site, keys: KeyPair, certificate: Certificate) -> None:
    """Put the answers of the rack's two machines on the server: they differ."""
    server = f"https://{SERVER}"
    pinned = {"cert-fingerprint": certificate.fingerprint}
    sections = {
        "report": {"url": f"{server}/report", "auth-token": REPORT_TOKEN, **pinned},
        "post-installation-webhook": {"url": f"{server}/webhook", "auth-token": WEBHOOK_TOKEN, **pinned},
        "first-boot": {"source": "from-url", "ordering": "network-online", "url": f"{server}/hook", **pinned},
    }
    password = {"root-password": None, "root-password-hashed": HASHED}
    site.answers = {
        ONE.serial.lower(): PXE_BIOS.answer((keys.public,), sections=sections),
        TWO.mac: PXE_SECURE.answer((keys.public,), password),
    }
    site.texts = {"/hook": HOOK}
    site.tokens = {"/answer": ANSWER_TOKEN, "/report": REPORT_TOKEN}


def _serve(stack: ExitStack, site: Site, certificate: Certificate) -> list[Service]:
    """Serve over http and https until the stack ends; give what the guest calls."""
    return [
        Service(SERVER, 80, stack.enter_context(serve(site, listen_on_loopback()))),
        Service(SERVER, 443, stack.enter_context(serve(site, listen_on_loopback(), certificate))),
    ]


def _blank_target(lab: Lab) -> Disk:
    path = make_disk(lab.folder / "target.qcow2", TARGET_BYTES, DiskFormat.QCOW2)
    return Disk(path=path, format=DiskFormat.QCOW2, serial=PXE_BIOS.target_serial, boot_index=9)


def _install(lab: Lab, spec: MachineSpec, site: Site) -> Vm:
    """Install up to power-off; keep the times, and those of the boot by what the server was asked for."""
    memory = GuestProgram(module="memory", after="basic.target")
    with lab.vm(replace(spec, disks=(_blank_target(lab),), guest=memory)) as vm:
        start = time.monotonic() - vm.seconds
        for name, seconds in watch_install(vm, NETBOOT_SECONDS).items():
            lab.timings.add(f"install: {name}", seconds)
    fetched = site.received("/filesystem.squashfs")[0].seconds - start
    lab.timings.add("install: power-on to the first byte of the root image", fetched)
    return vm


def _most_used_mib(memory: list[dict[str, Any]]) -> float:
    """Give how much of the machine's memory was in use at the worst moment, all that firmware and kernel took included."""
    assert memory, "the guest measured nothing"
    return 1024 - min(int(message["available_kib"]) for message in memory) / 1024


def _check_requests(site: Site) -> None:
    """Compare what the server was asked and told in `test_pxe_bios` with what must be."""
    asked = site.received("/answer")
    assert [request.method for request in asked] == ["POST"] * 3
    identity = asked[-1].json()
    assert identity["dmi"]["system"]["serial"] == ONE.serial
    assert ONE.mac in {interface["mac"].lower() for interface in identity["network_interfaces"]}
    reports = [request.json() for request in site.received("/report")]
    events = [report["event"] for report in reports]
    assert (events[0], events[-1], set(events[1:-1])) == ("started", "succeeded", {"phase"})
    percents = [report["percent"] for report in reports[1:-1]]
    assert percents == sorted(percents)
    assert {report["machine"]["serial"] for report in reports} == {ONE.serial}
    assert {report["fqdn"] for report in reports} == {PXE_BIOS.fqdn}
    webhook = [request.json() for request in site.received("/webhook")]
    assert [(body["fqdn"], body["token"]) for body in webhook] == [(PXE_BIOS.fqdn, WEBHOOK_TOKEN)]
    # It broke off once, and the machine went on from there.
    assert [request.headers.get("range", "") != "" for request in site.received("/filesystem.squashfs")] == [
        False,
        True,
    ]


def _judge_node(
    lab: Lab, install: Install, identity: Identity, firmware_vars: Path | None, judge: GuestProgram
) -> dict[str, Any]:
    """Start the installed disk without a network boot, and give what its judge reports, which is compared here."""
    installed = Installed(lab.folder / "target.qcow2", firmware_vars, {}, (), "")
    overlay = make_overlay(lab.folder / "node.qcow2", installed.disk)
    spec = node_spec(install, installed, overlay, judge)
    spec = replace(spec, nics=(Nic(mac=identity.mac),), serial=identity.serial)
    with lab.vm(spec) as vm:
        node = vm.report.wait("node", NODE_SECONDS)
        lab.timings.add("node: power-on to judged", vm.seconds)
        # All that the node has written is to be on its disk.
        vm.qmp.power_button()
        vm.wait_exit(180)
    problems = node_problems(node, install, installed)
    assert not problems, "\n".join(problems)
    return node
