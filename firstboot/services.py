"""Services of the node, and its web console."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass

from firstboot.context import Context, Page
from firstboot.units import UnitState, ensure_unit, read_last_words, read_unit_states
from hostlib.errors import StepError
from hostlib.ports import WEB_CONSOLE
from hostlib.tls import CERTIFICATE, fingerprint

CONSOLE_SECONDS = 180.0
"""The first answer starts three services; under software emulation that takes a minute."""


@dataclass(frozen=True, slots=True)
class Service:
    """A unit that a node runs."""

    unit: str
    required: bool = True
    """False: when it does not start, the administrator is told, and the node counts as complete."""


SERVICES = (
    Service("ssh.service"),
    Service("chrony.service"),
    Service("nftables.service"),
    Service("cockpit.socket"),
    Service("lldpd.service", required=False),
    # Ends with an error on a machine whose disks all hide behind a RAID controller.
    Service("smartmontools.service", required=False),
)


def lacks_services(context: Context) -> bool:
    """Tell whether a service is down that should and could be up."""
    states = _read_states(context)
    return any(_is_missing(service, states[service.unit]) for service in SERVICES)


def ensure_services(context: Context) -> None:
    """Enable and start the services; report all that do not start. Raises StepError."""
    states = _read_states(context)
    errors = []
    for service in SERVICES:
        state = states[service.unit]
        if not _is_missing(service, state):
            continue
        try:
            ensure_unit(context, service.unit, state)
        except StepError as error:
            if service.required:
                errors.append(str(error))
            else:
                context.warn(str(error))
    if errors:
        raise StepError("\n".join(errors))


def _read_states(context: Context) -> dict[str, UnitState]:
    return read_unit_states(context.runner, [service.unit for service in SERVICES])


def _is_missing(service: Service, state: UnitState) -> bool:
    if state.broken and not service.required:
        return False
    return state.disabled or not (state.active or state.skipped)


def read_page() -> Page:
    """Ask this machine's web console for its first page. Raises OSError."""
    # No verification: what is wanted is the certificate itself, to be compared with the file.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", WEB_CONSOLE, timeout=CONSOLE_SECONDS, context=tls)
    try:
        connection.connect()
        der = connection.sock.getpeercert(binary_form=True) or b""
        connection.request("GET", "/")
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(f"the web console gave no HTTP answer: {error!r}") from error
    finally:
        connection.close()
    return Page(status, ssl.DER_cert_to_PEM_cert(der).encode())


def lacks_web_console(context: Context) -> bool:
    """Tell whether port 8006 does not answer with the login page and this node's certificate."""
    return _complain(context) is not None


def ensure_web_console(context: Context) -> None:
    """Have Cockpit take up the certificate, and see that it answers. Raises StepError."""
    # It may have started before there was a certificate; it looks for one only when it starts.
    context.runner.run(["systemctl", "restart", "cockpit.service"], timeout_seconds=CONSOLE_SECONDS)
    complaint = _complain(context)
    if complaint:
        raise StepError(
            f"https://127.0.0.1:{WEB_CONSOLE}/: {complaint}\n{read_last_words(context, 'cockpit.service')}"
        )


def _complain(context: Context) -> str | None:
    try:
        page = context.read_page()
    except OSError as error:
        return f"no answer: {error.strerror or error}"
    if page.status != http.client.OK:
        return f"answers with HTTP status {page.status} instead of its login page"
    shown, ours = fingerprint(page.certificate_pem), fingerprint(context.path(CERTIFICATE).read_bytes())
    return None if shown == ours else f"shows the certificate {shown}, not this node's {ours}"
