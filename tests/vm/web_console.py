"""The web console as an administrator sees it: a real browser logs in as root and looks at its pages."""

from __future__ import annotations

import hashlib
import ssl
import time
from pathlib import Path
from typing import Final

from tests.vm.lab.answers import FQDN, PASSWORD
from tests.vm.lab.browser import Browser
from tests.vm.lab.machine import Vm
from tests.vm.waits import PAGE_SECONDS

FRAME: Final = "cockpit1:localhost"
"""Cockpit puts each page into an iframe of this name and the page's path."""
TERMINAL: Final = "/system/terminal"
HOSTNAME: Final = FQDN.split(".", maxsplit=1)[0]
REAL: Final = {
    "/system": f"document.querySelector('#system_information_hostname_text').innerText.includes('{HOSTNAME}')"
    " && document.querySelector('#system_information_systime_button').innerText",
    "/system/services": "document.querySelector('[id=\"cockpit.service\"]').innerText.includes('Running')",
    "/storage": "document.body.innerText.includes('/boot/efi')",
    # Errors alone are shown at first, and a node should have none.
    "/system/logs#/?priority=info": "document.querySelector('.cockpit-logline').innerText",
    TERMINAL: "document.querySelector('.xterm-accessibility-tree').innerText.includes('root@')",
}
"""By the page's address: what it can only show when it has asked the node."""
CALM_SECONDS: Final = 5.0
"""For what is so at once or never."""
OFFERED: Final = "[...document.querySelectorAll('#host-apps a')].map(link => link.getAttribute('href'))"


def visit_web_console(vm: Vm, sha256: str, folder: Path) -> dict[str, float]:
    """Look at the web console of a node that forwards its port; give how long each page took, in seconds.

    `sha256` is what the certificate must have as its fingerprint: the browser trusts that one alone.
    """
    address = ("127.0.0.1", vm.forward(8006))
    shown = ssl.get_server_certificate(address, timeout=PAGE_SECONDS)
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest() == sha256
    with Browser(folder, shown) as browser:
        return look_around(browser, f"https://127.0.0.1:{address[1]}", folder)


def look_around(browser: Browser, url: str, folder: Path) -> dict[str, float]:
    """Log in and look at every page; give how long each took, in seconds. Pictures of all are put into the folder."""
    seconds = {}
    started = time.monotonic()
    browser.open(url, PAGE_SECONDS)
    browser.fill("#login-user-input", "root", PAGE_SECONDS)
    browser.screenshot(folder / "console-login.png")
    seconds["login page"] = time.monotonic() - started
    browser.fill("#login-password-input", PASSWORD, PAGE_SECONDS)
    started = time.monotonic()
    browser.click("#login-button", PAGE_SECONDS)
    offered = browser.wait_for(OFFERED, PAGE_SECONDS)
    seconds["login"] = time.monotonic() - started
    assert "/network" not in offered, "the network is the business of `slipway network`"
    for page, real in REAL.items():
        path = page.split("#", maxsplit=1)[0]
        started = time.monotonic()
        if path != page:
            browser.open(url + page, PAGE_SECONDS)
        else:
            browser.click(f"#host-apps a[href='{path}']", PAGE_SECONDS)
        browser.wait_for(real, PAGE_SECONDS, FRAME + path)
        seconds[path] = time.monotonic() - started
        if path == TERMINAL:
            _ask_version(browser)
        # Text is not shown before its font is there.
        browser.wait_for("document.fonts.status === 'loaded'", PAGE_SECONDS, FRAME + path)
        browser.screenshot(folder / f"console{path.replace('/', '-')}.png")
        browser.wait_for("document.querySelector('#navbar-oops') === null", CALM_SECONDS)
    return seconds


def _ask_version(browser: Browser) -> None:
    browser.fill(".xterm-helper-textarea", "slipway version\n", PAGE_SECONDS, FRAME + TERMINAL)
    answer = "/^Slipway /m.test(document.querySelector('.xterm-accessibility-tree').innerText)"
    browser.wait_for(answer, PAGE_SECONDS, FRAME + TERMINAL)
