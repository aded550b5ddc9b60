"""LLDP as systemd-networkd gives it, and as nobody should."""

import json
import socket
import time
from pathlib import Path
from typing import cast

import pytest

from hostlib.inventory import Neighbour
from hostlib.probe.lldp import CALL, LONGEST, ask, parse_neighbours, read_neighbours

REPLY = """\
{"parameters":{"Neighbors":[
 {"InterfaceIndex":2,"InterfaceName":"eno1","InterfaceAlternativeNames":["enp2s0"],"Neighbors":[
  {"ChassisID":"52:54:00:00:00:09","RawChassisID":[82,84,0,0,0,9],"PortID":"eth0","RawPortID":[101,116,104,48],
   "SystemName":"node8.example.test","SystemDescription":"Linux","EnabledCapabilities":128},
  {"ChassisID":"00:1c:73:00:00:01","RawChassisID":[0,28,115,0,0,1],"PortID":"Gi1/0/17","RawPortID":[71,105],
   "PortDescription":"rack4 u12","SystemName":"sw1.rack4","SystemDescription":"","EnabledCapabilities":20}]},
 {"InterfaceIndex":3,"InterfaceName":"eno2","Neighbors":[{"ChassisID":"00:1c:73:00:00:02","PortID":"7"}]},
 {"InterfaceIndex":4,"InterfaceName":"eno3","Neighbors":[]}
]}}
"""


def test_the_switch_is_the_neighbour() -> None:
    here, networkd = socket.socketpair()
    with here, networkd:
        networkd.sendall(REPLY.encode() + b"\0more")
        reply = ask(here, time.monotonic() + 5)
        assert networkd.recv(100) == CALL
    assert parse_neighbours(reply) == {
        2: Neighbour(
            system="sw1.rack4", port="Gi1/0/17", port_description="rack4 u12", chassis="00:1c:73:00:00:01"
        ),
        3: Neighbour(port="7", chassis="00:1c:73:00:00:02"),
    }


def test_a_reply_that_comes_in_drops_is_not_waited_for() -> None:
    class Drops:
        """Gives a byte at a time, each after a while."""

        given = 0

        def sendall(self, _: bytes) -> None:
            pass

        def settimeout(self, seconds: float) -> None:
            assert 0 < seconds <= 0.05

        def recv(self, _: int) -> bytes:
            self.given += 1
            time.sleep(0.02)
            return b" "

    drops = Drops()
    with pytest.raises(TimeoutError):
        ask(cast("socket.socket", drops), time.monotonic() + 0.05)
    assert drops.given <= 3


def test_what_the_network_says_is_harmless() -> None:
    bad = {
        "SystemName": " a\x1b[2J\n\tb\x9b\u202e\N{SNOWMAN}",
        "PortID": "x" * 255,
        "PortDescription": 7,
        "ChassisID": None,
    }
    text = json.dumps({"parameters": {"Neighbors": [{"InterfaceIndex": 2, "Neighbors": [bad]}]}})
    assert parse_neighbours(text)[2] == Neighbour(
        system="a?[2J b???", port="x" * LONGEST, port_description="7"
    )


@pytest.mark.parametrize(
    "found",
    ["null", '[{"InterfaceIndex": 2}]', '[{"InterfaceIndex": "x", "Neighbors": []}]', '[{"InterfaceIndex": 2, "Neighbors": [7]}]',
     '[{"InterfaceIndex": 2, "Neighbors": [{"EnabledCapabilities": "x"}]}]', "7", "["],
)  # fmt: skip
def test_what_is_no_reply_is_refused(found: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_neighbours(f'{{"parameters": {{"Neighbors": {found}}}}}')
    for text in ("", "[]", '{"error": "io.systemd.Network.None"}', found):
        with pytest.raises(ValueError, match=r"."):
            parse_neighbours(text)


def test_a_machine_without_networkd_has_no_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_neighbours(tmp_path / "none") == {}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "networkd"))

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert read_neighbours(tmp_path / "networkd") == {}
    assert "WARNING" not in caplog.text
