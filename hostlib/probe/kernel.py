"""What only a system call tells."""

from __future__ import annotations

import array
import ctypes
import fcntl
import socket
import struct
from typing import Final

# linux/sockios.h, linux/ethtool.h (struct ethtool_drvinfo) and linux/if.h (struct ifreq).
_SIOCETHTOOL: Final = 0x8946
_GDRVINFO: Final = 3
_DRVINFO: Final = struct.Struct("I 32s 32s 32s 32s 32s 12s 5I")
_FIRMWARE_FIELD: Final = 3
_IFREQ: Final = struct.Struct("16s P 16x")

# struct timex of adjtimex(2): 208 bytes; `modes`, which 0 makes a mere question, comes first, `maxerror` fourth.
_TIMEX_LONGS: Final = 26
_MAXERROR: Final = 3
_LARGEST_ERROR_MICROSECONDS: Final = 16_000_000


def read_nic_firmware(name: str) -> str:
    """Give the firmware's version of a network interface, as `ethtool -i` does; empty where its driver gives none."""
    answer = array.array("B", _DRVINFO.pack(_GDRVINFO, *[b""] * 6, *[0] * 5))
    request = _IFREQ.pack(name.encode(), answer.buffer_info()[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            fcntl.ioctl(door, _SIOCETHTOOL, request)
    except OSError:
        return ""
    return parse_drvinfo(answer.tobytes())


def parse_drvinfo(answer: bytes) -> str:
    """Give the firmware's version in a struct ethtool_drvinfo. Drivers that know of none write `N/A`."""
    text: bytes = _DRVINFO.unpack(answer)[_FIRMWARE_FIELD]
    version = text.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
    return "" if version == "N/A" else version


def read_synchronised() -> bool:
    """Say whether a time server keeps the system's clock right, as `timedatectl` does.

    The kernel's bound of the error grows to 16 s without a server. STA_UNSYNC says less: chrony leaves it set where the
    hardware clock is not to follow (systemd, src/timedate/timedated.c; chrony.conf(5), rtcsync).
    """
    timex = (ctypes.c_long * _TIMEX_LONGS)()
    asked: int = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    return asked >= 0 and timex[_MAXERROR] < _LARGEST_ERROR_MICROSECONDS
