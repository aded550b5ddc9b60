"""Target disk: which disk will be erased, and how it will be divided."""

from __future__ import annotations

from collections.abc import Sequence

from installer.tui.controller import Disk
from installer.tui.draft import SIZES
from installer.tui.page import Item, Screen
from installer.tui.screens.sizes import layout_bar, render_legend, sizes_dialog
from installer.tui.screens.welcome import MARKS
from installer.tui.table import Column, Row, Table
from installer.tui.widgets import Button, Drawn, Live, Markup


class TargetDisk(Screen):
    """The disk that the node is installed on."""

    title = "Target disk"
    fields = ("disk", "filesystem", *SIZES)
    help = (
        "Choose the disk for the node: move with the arrows, choose with Enter. Everything on it will be erased, but not "
        "before the summary asks for it. The lines below the table tell what is on the disk with the cursor. Disks "
        "marked with a dash cannot be chosen, and the lines say why. Sizes opens the file system and the sizes of swap, "
        "root and data; without it, they follow the size of the disk."
    )

    def items(self) -> Sequence[Item]:
        """Give the table, the disk with the cursor, and the layout."""
        columns = [
            Column("Disk"),
            Column("Size", 10),
            Column("Model", 24, least=120),
            Column("Serial", 20, least=120),
            Column("Bus", 6),
            Column("On it", 14),
        ]
        self._table = Table(columns, self._rows, self._choose, field="disk")
        return [
            (1, self._table),
            Live(self._details),
            Live(lambda: ("error", self.controller.shown_problems(["disk"]).get("disk", ""))),
            Drawn(lambda columns: layout_bar(self.controller.layout(), columns)),
            Drawn(lambda columns: render_legend(self.controller.layout(), columns)),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give the sizes besides the ways on and back."""
        sizes = Button("Sizes", lambda: self.host.open(sizes_dialog(self.controller, self.host)))
        return [*super().buttons(), sizes]

    def complete(self) -> bool:
        """Open the sizes when what is wrong is there."""
        complete = super().complete()
        if not complete and not self.controller.problems(["disk"]):
            self.host.open(sizes_dialog(self.controller, self.host))
        return complete

    def _choose(self, path: str) -> None:
        self.controller.set("disk", path)

    def _rows(self) -> tuple[list[Row], str]:
        # The machine may be read again between two looks: the lines below tell of the disks that the table has.
        self._disks = {disk.path: disk for disk in self.controller.disks()}
        rows = [Row(path, _cells(disk), selectable=disk.selectable) for path, disk in self._disks.items()]
        return rows, self.controller.draft.disk

    def _details(self) -> Markup:
        chosen = self.controller.draft.disk
        path = self._table.looked_at(has_cursor=self.has_cursor("disk"))
        if not path:
            return "There is no disk. Go back and choose Read again when one has been plugged in."
        disk = self._disks[path]
        mark = "Chosen: " if path == chosen else "Not chosen: "
        lines: list[Markup] = [mark, ("title", f"{disk.path}\n"), _identity(disk)]
        if disk.boot_medium:
            lines.append(("warning", "This system was started from it: it cannot be chosen.\n"))
        elif disk.contents:
            lines.append(("warning", f"Holds {'; '.join(disk.contents)}\n"))
        else:
            lines.append("It is empty.\n")
        for finding in disk.findings if not disk.boot_medium else ():
            style = "error" if finding.severity == "blocking" else "warning"
            lines.append((style, f"{MARKS[finding.severity]}: it {finding.text}; {finding.todo}\n"))
        return [*lines[:-1], _without_end(lines[-1])]


def _cells(disk: Disk) -> tuple[str, ...]:
    return (disk.name, disk.size, disk.model, disk.serial, disk.bus, _short(disk))


def _identity(disk: Disk) -> str:
    return f"{disk.size}, model {disk.model}, serial {disk.serial}, {disk.kernel_name}\n"


def _without_end(markup: Markup) -> Markup:
    return markup.rstrip("\n") if isinstance(markup, str) else (markup[0], markup[1].rstrip("\n"))


def _short(disk: Disk) -> str:
    if disk.boot_medium:
        return "boot medium"
    if not disk.selectable:
        return "cannot be used"
    return disk.held
