"""The management network: card, name, address."""

from __future__ import annotations

from collections.abc import Sequence

import urwid

from installer.tui.controller import Nic
from installer.tui.page import Item, Screen
from installer.tui.table import Column, Row, Table
from installer.tui.widgets import Field, Live, Markup, Switch


class Network(Screen):
    """How the node is reached."""

    title = "Management network"
    fields = ("nic", "fqdn", "cidr", "gateway", "dns", "pin_names")
    help = (
        "Choose the card that the node is reached by: move with the arrows, choose with Enter. The fields below are filled "
        "with what DHCP gave on that card, and can be changed; the node keeps them as fixed settings. The name must be "
        "fully qualified, such as node1.example.test. The line below the table tells the switch and port of a card as soon "
        "as the switch has told them by LLDP. Pinned names keep nic0, nic1 and so on with the cards' MAC addresses, "
        "whatever slot they are in; the table shows which card gets which."
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
            Column("Switch", 28, least=125),
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
        draft = self.controller.draft
        # The network is looked at all the time: the line below tells of the cards that the table has.
        self._nics = {nic.key: nic for nic in self.controller.nics()}
        return [Row(key, _cells(nic, pinned=draft.pin_names)) for key, nic in self._nics.items()], draft.nic

    def _details(self) -> Markup:
        if problem := self.controller.shown_problems(["nic"]).get("nic"):
            return ("error", problem)
        key = self._table.looked_at(has_cursor=self.has_cursor("nic"))
        if not key:
            return ("warning", "There is no network card.")
        nic = self._nics[key]
        note = f" ({nic.port_note})" if nic.port_note else ""
        switch = f"; switch: {nic.switch}{note}" if nic.switch else ""
        return ("hint", f"{nic.name}: {nic.proposal or 'no address by DHCP'}{switch}")


def _cells(nic: Nic, *, pinned: bool) -> tuple[str, ...]:
    name = f"{nic.name} -> {nic.pinned}" if pinned and nic.pinned else nic.name
    return (name, nic.mac, nic.link, nic.speed, nic.driver, ", ".join(nic.addresses), nic.switch)
