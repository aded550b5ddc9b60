"""TXT records, asked from the name servers that DHCP named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hostlib.errors import Problem, StepError, UserError

LIFETIME_SECONDS: Final = 5.0
"""For one name, all servers together."""
PORT: Final = 53


class LookupFailedError(StepError):
    """No server could tell whether there is a record."""


def read_txt(name: str, servers: Sequence[str], port: int = PORT) -> str:
    """Give the text of the TXT record of `name`, empty when there is none.

    Raises LookupFailedError when no server answers, UserError for several records or one that is no text.
    """
    # Only a search that has come this far needs it, and it is slow to load.
    import dns.exception  # noqa: PLC0415  see above
    import dns.rdtypes.ANY.TXT  # noqa: PLC0415  see above
    import dns.resolver  # noqa: PLC0415  see above

    # Not the machine's own settings: the live system has none before its first lease.
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = list(servers)
    resolver.port = port
    try:
        answer = resolver.resolve(f"{name}.", "TXT", search=False, lifetime=LIFETIME_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ""
    except (dns.exception.DNSException, OSError) as error:
        text = f"{name}: {', '.join(servers)} did not tell ({type(error).__name__})"
        raise LookupFailedError(text) from error
    # One record may come in pieces of 255 bytes.
    found = [b"".join(record.strings) for record in answer if isinstance(record, dns.rdtypes.ANY.TXT.TXT)]
    if len(found) > 1:
        raise UserError(Problem(f"DNS TXT {name}", f"there are {len(found)} records", "leave one of them"))
    text = found[0].decode("ascii", errors="replace").strip()
    if not (text.isascii() and text.isprintable()):
        raise UserError(Problem(f"DNS TXT {name}", f"{text!r} is no plain text", "correct the record"))
    return text
