"""The management network: card, name, address."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.controller import Nic
from installer.tui.page import Item, Screen
from installer.tui.widgets import Column, Field, Live, Markup, Row, Switch, Table


class Network(Screen):
    """How the node is reached."""

    title = "Management network"
    fields = ("nic", "fqdn", "cidr", "gateway", "dns", "pin_names")
    help = (
        "Choose the card that the node is reached by: move with the arrows, choose with Enter. The fields below are filled "
        "with what DHCP gave on that card, and can be changed; the node keeps them as fixed settings. The name must be "
        "fully qualified, such as node1.example.test. Pinned names keep nic0, nic1 and so on with the cards' MAC "
        "addresses, whatever slot they are in."
    )

    def items(self) -> Sequence[Item]:
        """Give the cards, then the fields."""
        columns = [
            Column("Card"),
            Column("MAC address", 17),
            Column("Link", 7),
            Column("Speed", 12),
            Column("Driver", 12),
            Column("Address", 24, least=110),
        ]
        self._table = Table(columns, self._rows, self._choose, field="nic")
        pinning = [(False, "as the kernel gives them"), (True, "pinned to MAC addresses")]
        names = {"fqdn": "Name (FQDN)", "cidr": "Address/prefix", "gateway": "Gateway", "dns": "DNS server"}
        return [
            (1, self._table),
            Live(self._details),
            urwid.Divider(),
            *(Field(self.controller, field, label) for field, label in names.items()),
            Switch(self.controller, "pin_names", "Card names", pinning),
        ]

    def _choose(self, key: str) -> None:
        self.controller.set("nic", key)

    def _rows(self) -> tuple[list[Row], str]:
        return [Row(nic.key, _cells(nic)) for nic in self.controller.nics()], self.controller.draft.nic

    def _details(self) -> Markup:
        if problem := self.controller.shown_problems(["nic"]).get("nic"):
            return ("error", problem)
        nics = {nic.key: nic for nic in self.controller.nics()}
        row = self._table.row
        if row is None:
            return ("warning", "There is no network card.")
        nic = nics[row.key]
        return ("hint", f"{nic.name}: {nic.proposal or 'no address by DHCP'}")


def _cells(nic: Nic) -> tuple[str, ...]:
    return (nic.name, nic.mac, nic.link, nic.speed, nic.driver, ", ".join(nic.addresses))
