"""What an administrator should know about an answer file that is right. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from installer.answers.model import Answers, FirstBoot, Network, Report, Webhook
from installer.answers.values import is_locked

KERNEL_NAME = re.compile(r"eth\d+", re.IGNORECASE)
"""The kernel gives out such names itself while the machine starts."""


def advise(answers: Answers, *, bare_address: bool) -> list[str]:
    """Give warnings, each with its place. `bare_address`: the file gives `cidr` without a prefix length."""
    return [
        *_about_global(answers),
        *_about_network(answers.network, bare_address=bare_address),
        *_about_urls(answers),
    ]


def _about_global(answers: Answers) -> Iterator[str]:
    settings = answers.global_
    if settings.subscription_key is not None:
        yield "global.subscription-key: it is ignored, Slipway has no subscriptions; remove it"
    hashed = settings.root_password_hashed
    if hashed is not None and is_locked(hashed):
        yield "global.root-password-hashed: it locks the password; root comes in by ssh key only, not on the console"


def _about_network(network: Network, *, bare_address: bool) -> Iterator[str]:
    if network.cidr:
        yield from _about_address(network, network.cidr, bare_address=bare_address)
    pinning = network.interface_name_pinning
    for name in pinning.mapping.values() if pinning and pinning.enabled else ():
        if KERNEL_NAME.fullmatch(name):
            yield (
                f"network.interface-name-pinning.mapping: the kernel gives out names such as '{name}' itself; "
                "use another, such as 'lan0': with more than one card this one is refused"
            )


def _about_address(network: Network, cidr: str, *, bare_address: bool) -> Iterator[str]:
    interface = ipaddress.ip_interface(cidr)
    subnet = interface.network
    alone = subnet.prefixlen >= subnet.max_prefixlen - 1
    if bare_address:
        yield f"network.cidr: it has no prefix length and stands alone, as {cidr}; add one such as '/24' if it has a subnet"
    if not alone and interface.ip == subnet.network_address:
        yield f"network.cidr: {interface.ip} is the address of the network {subnet} itself; check that a host may have it"
    if interface.ip.is_link_local:
        yield f"network.cidr: {interface.ip} is link-local and cannot be reached from other networks"
    if network.gateway:
        router = ipaddress.ip_address(network.gateway)
        if subnet.prefixlen < subnet.max_prefixlen and router not in subnet and not router.is_link_local:
            yield (
                f"network.gateway: {router} is not in the subnet {subnet} of cidr and is reached over the link; "
                "check the gateway and the prefix length"
            )
        if not alone and router.version == 4 and router == subnet.network_address:
            yield f"network.gateway: {router} is the address of the network {subnet} itself; check it"
    if network.dns and ipaddress.ip_address(network.dns).version != subnet.version:
        yield f"network.dns: {network.dns} is not of the address family of cidr (IPv{subnet.version}); check that it is reached"


def _about_urls(answers: Answers) -> Iterator[str]:
    hook = answers.first_boot
    targets: dict[str, FirstBoot | Webhook | Report | None] = {
        "first-boot": hook,
        "post-installation-webhook": answers.post_installation_webhook,
        "report": answers.report,
    }
    if hook and hook.source == "from-iso":
        for key, value in (("url", hook.url), ("cert-fingerprint", hook.cert_fingerprint)):
            if value is not None:
                yield f"first-boot.{key}: source 'from-iso' does not use it; remove it"
        del targets["first-boot"]
    for section, target in targets.items():
        if target and target.url and target.url.lower().startswith("http:"):
            pinned = ", the fingerprint is of no use there" if target.cert_fingerprint else ""
            yield f"{section}.url: it is http without TLS, which anyone on the way can read and change{pinned}"
