"""LLDP as systemd-networkd gives it, and as nobody should."""

import json

import pytest

from hostlib.inventory import Neighbour
from hostlib.probe.lldp import LONGEST, parse_neighbours, read_neighbours
from tests.unit.installer_fakes import FakeRunner

REPLY = """\
{"Neighbors":[
 {"InterfaceIndex":2,"InterfaceName":"eno1","InterfaceAlternativeNames":["enp2s0"],"Neighbors":[
  {"ChassisID":"52:54:00:00:00:09","RawChassisID":[82,84,0,0,0,9],"PortID":"eth0","RawPortID":[101,116,104,48],
   "SystemName":"node8.example.test","SystemDescription":"Linux","EnabledCapabilities":128},
  {"ChassisID":"00:1c:73:00:00:01","RawChassisID":[0,28,115,0,0,1],"PortID":"Gi1/0/17","RawPortID":[71,105],
   "PortDescription":"rack4 u12","SystemName":"sw1.rack4","SystemDescription":"","EnabledCapabilities":20}]},
 {"InterfaceIndex":3,"InterfaceName":"eno2","Neighbors":[{"ChassisID":"00:1c:73:00:00:02","PortID":"7"}]},
 {"InterfaceIndex":4,"InterfaceName":"eno3","Neighbors":[]}
]}
"""


def test_the_switch_is_the_neighbour() -> None:
    assert read_neighbours(FakeRunner({"networkctl --json=short": REPLY})) == {
        2: Neighbour(
            system="sw1.rack4", port="Gi1/0/17", port_description="rack4 u12", chassis="00:1c:73:00:00:01"
        ),
        3: Neighbour(port="7", chassis="00:1c:73:00:00:02"),
    }


def test_what_the_network_says_is_harmless() -> None:
    bad = {
        "SystemName": " a\x1b[2J\n\tb\x9b\u202e\N{SNOWMAN}",
        "PortID": "x" * 255,
        "PortDescription": 7,
        "ChassisID": None,
    }
    text = json.dumps({"Neighbors": [{"InterfaceIndex": 2, "Neighbors": [bad]}]})
    assert parse_neighbours(text)[2] == Neighbour(
        system="a?[2J b???", port="x" * LONGEST, port_description="7"
    )


@pytest.mark.parametrize(
    "text",
    ["", "LINK CHASSIS-ID\n", "[]", "{}", '{"Neighbors": null}', '{"Neighbors": [{"InterfaceIndex": 2}]}',
     '{"Neighbors": [{"InterfaceIndex": "x", "Neighbors": []}]}', '{"Neighbors": [{"InterfaceIndex": 2, "Neighbors": [7]}]}',
     '{"Neighbors": [{"InterfaceIndex": 2, "Neighbors": [{"EnabledCapabilities": "x"}]}]}'],
)  # fmt: skip
def test_another_text_is_refused_and_tells_nothing(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_neighbours(text)
    assert read_neighbours(FakeRunner({"networkctl": text})) == {}
    assert "WARNING" not in caplog.text


def test_a_machine_without_networkd_has_no_neighbours() -> None:
    assert read_neighbours(FakeRunner(failures={"networkctl": "cannot be started"})) == {}
