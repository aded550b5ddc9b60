"""A headless Chromium that shows pages of a guest, told what to do over its DevTools pipe."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.vm.lab.devtools import DevTools, Refused, describe
from tests.vm.lab.errors import LabError, LabTimeout

_POLL_SECONDS: Final = 0.25
_FLAGS: Final = (
    "--headless",
    "--remote-debugging-pipe",
    # It shows nothing but the lab's own node, and root has no sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--no-first-run",
    "--window-size=1280,900",
    "--lang=en-US",
    # Nothing but the node is asked for anything.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
)
_IN_FRAME: Final = """\
(() => {
  const frame = %s;
  const document = frame
    ? [...window.document.querySelectorAll("iframe")].find(one => one.name === frame)?.contentDocument
    : window.document;
  return document ? (%s) : null;
})()
"""
_TEXT: Final = """\
[document, ...[...document.querySelectorAll("iframe")].map(one => one.contentDocument)]
  .map(one => one?.body?.innerText ?? "").join("\\n--- frame\\n")
"""


def public_key_digest(certificate_pem: str) -> str:
    """Give the SHA-256 of a certificate's SubjectPublicKeyInfo in base64, as Chromium's switch wants it."""
    key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Browser:
    """One window. Enter it to start Chromium; leaving it ends it whatever happened.

    `frame` is everywhere the name of an iframe of the page's own origin; empty for the page itself. Whatever does not
    appear in time ends the test by itself, with a screenshot and the page's text.
    """

    def __init__(self, folder: Path, certificate_pem: str) -> None:
        """Prepare the browser.

        Args:
            folder: where its messages and the screenshots of failures are put; exists.
            certificate_pem: the certificate that is trusted, whoever signed it and whatever name it is for.
        """
        self._folder = folder
        self._trusted = public_key_digest(certificate_pem)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start Chromium with an empty page.

        Raises:
            LabError: it is not installed, or did not start.
        """
        if shutil.which("chromium") is None:
            raise LabError("chromium: not installed; `make deps` installs what the VM lab needs")
        with contextlib.ExitStack() as stack:
            # Its processes may still write there while it is removed.
            profile = tempfile.TemporaryDirectory(prefix="slipway-browser-", ignore_cleanup_errors=True)
            home = Path(stack.enter_context(profile))
            own = (f"--user-data-dir={home}", f"--ignore-certificate-errors-spki-list={self._trusted}")
            self._tools = DevTools(["chromium", *_FLAGS, *own], home, self._folder / "browser.log")
            stack.callback(self._tools.close)
            page = self._tools.call("Target.createTarget", url="about:blank")["targetId"]
            attached = self._tools.call("Target.attachToTarget", targetId=page, flatten=True)
            self._tools.session = attached["sessionId"]
            self._tools.call("Runtime.enable")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End Chromium and remove what it kept."""
        self._stack.close()

    def open(self, url: str, timeout_seconds: float) -> None:
        """Go to a page; what it shows has to be waited for.

        Raises:
            LabTimeout: the server did not answer in time.
            LabError: it refused, or shows another certificate.
        """
        try:
            done = self._tools.call("Page.navigate", timeout_seconds, url=url)
        except LabTimeout as error:
            raise LabTimeout(f"{url}: {error}\n{self._diagnose()}") from error
        if "errorText" in done:
            raise LabError(f"{url}: {done['errorText']}\n{self._diagnose()}")

    def wait_for(self, expression: str, timeout_seconds: float, frame: str = "") -> Any:
        """Wait until an expression of JavaScript is true; a reference to what is not there yet counts as false.

        Args:
            expression: its `document` is that of the frame; its value is one that JSON has, not an element.
            timeout_seconds: how long to wait.
            frame: the iframe.

        Returns:
            Its value, as JSON has it.

        Raises:
            LabTimeout: it did not become true.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            value, complaint = self._evaluate(expression, frame)
            if value:
                return value
            if complaint.startswith("SyntaxError"):
                raise LabError(f"{expression}: {complaint}")
            if time.monotonic() > deadline:
                what = f"{expression}\nin frame {frame!r}: not true after {timeout_seconds:g} s"
                raise LabTimeout(f"{what}; {complaint or repr(value)}\n{self._diagnose()}")
            time.sleep(_POLL_SECONDS)

    def fill(self, selector: str, text: str, timeout_seconds: float, frame: str = "") -> None:
        """Type into the field that a CSS selector names, once it is there, in place of what it holds."""
        self._act(selector, "element.focus(), element.select?.()", timeout_seconds, frame)
        self.type(text)

    def click(self, selector: str, timeout_seconds: float, frame: str = "") -> None:
        """Click what a CSS selector names, once it is there and is not switched off."""
        self._act(selector, "element.click()", timeout_seconds, frame)

    def _act(self, selector: str, action: str, timeout_seconds: float, frame: str) -> None:
        found = f"document.querySelector({json.dumps(selector)})"
        shown = "element?.checkVisibility() && !element.disabled"
        self.wait_for(f"(element => {shown} && ({action}, true))({found})", timeout_seconds, frame)

    def type(self, text: str) -> None:
        """Type into what has the focus; `\\n` is the Enter key."""
        for character in text:
            enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            key = enter if character == "\n" else {"key": character, "text": character}
            self._tools.call("Input.dispatchKeyEvent", type="keyDown", **key)
            self._tools.call("Input.dispatchKeyEvent", type="keyUp", **key)

    @property
    def text(self) -> str:
        """What the page and its frames say, hidden frames too."""
        return str(self._evaluate(_TEXT, "")[0] or "")

    def screenshot(self, path: Path) -> Path:
        """Take a picture of the window, as PNG."""
        picture = self._tools.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(picture["data"]))
        return path

    def _diagnose(self) -> str:
        """Say what the page shows, for the text of an error."""
        told = "".join(f"exception in the page: {one}\n" for one in self._tools.exceptions)
        try:
            picture = self.screenshot(self._folder / "browser-failure.png")
            told += f"text of the page:\n{self.text}"
        except LabError as error:
            return f"{told}no screenshot: {error}"
        return f"screenshot: {picture}\n{told}"

    def _evaluate(self, expression: str, frame: str) -> tuple[Any, str]:
        """Give the value of an expression, and what is wrong where it has none."""
        source = _IN_FRAME % (json.dumps(frame), expression)
        try:
            done = self._tools.call("Runtime.evaluate", expression=source, returnByValue=True)
        except Refused as error:
            # The page has just made room for another one.
            return None, str(error)
        return done["result"].get("value"), describe(done.get("exceptionDetails", {}))
