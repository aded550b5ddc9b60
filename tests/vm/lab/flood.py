"""Asks a node's enrolment service far more than it allows, as a program of its own: `flood.py ADDRESS PORT SECONDS RATE`.

Prints how many requests were begun, answered by HTTP status, and cut, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter

BODY = b"x" * 200
REQUEST = (
    b"POST /v1/enroll HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n"
    + BODY
)
ANSWER_SECONDS = 20.0


async def ask(address: str, port: int, trust: ssl.SSLContext, counts: Counter[str]) -> None:
    """Send one request and count what comes of it."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(address, port, ssl=trust)
            writer.write(REQUEST)
            line = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        counts["cut"] += 1
    else:
        counts[line.split(b" ")[1].decode() if line else "cut"] += 1


async def flood(address: str, port: int, seconds: float, rate: float) -> Counter[str]:
    """Begin `rate` requests a second for so long, and wait for the end of all."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    counts: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * rate)):
            group.create_task(ask(address, port, trust, counts))
            await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
    counts["begun"] = int(seconds * rate)
    counts["milliseconds"] = int(1000 * (loop.time() - start))
    return counts


if __name__ == "__main__":
    found = asyncio.run(flood(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
    sys.stdout.write(json.dumps(found) + "\n")
