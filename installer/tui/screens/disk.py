"""Target disk: which disk will be erased, and how it will be divided."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from installer.tui.controller import Disk, Finding
from installer.tui.draft import SIZES, Draft
from installer.tui.page import Item, Screen, text_dialog
from installer.tui.screens.allow import MARKS, allow_dialog
from installer.tui.screens.sizes import layout_bar, render_legend, sizes_dialog
from installer.tui.table import Column, Row, Table
from installer.tui.widgets import Button, Drawn, Live, Markup

DETAIL_ROWS: Final = 8
LINE_ROWS: Final = 3
"""How much of one thing is shown beside the table; the dialog shows all."""
Line = tuple[str, str]
"""Style and text."""


class TargetDisk(Screen):
    """The disk that the node is installed on."""

    title = "Target disk"
    fields = ("disk", "filesystem", *SIZES)
    help = (
        "Choose the disk for the node: move with the arrows, choose with Enter. Everything on it will be erased, but not "
        "before the summary asks for it. The lines below the table tell about the disk with the cursor, Details all of it. "
        "Disks marked with a dash cannot be chosen; what blocks others has to be allowed first. Sizes opens the file system and the sizes of swap, "
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
            Live(self._title),
            Drawn(lambda columns: cut_lines(self._details(), columns)),
            Live(lambda: ("error", self.controller.shown_problems(["disk"]).get("disk", ""))),
            Drawn(lambda columns: layout_bar(self.controller.layout(), columns)),
            Drawn(lambda columns: render_legend(self.controller.layout(), columns)),
        ]

    def buttons(self) -> Sequence[Button]:
        """Give the sizes besides the ways on and back."""
        sizes = Button("Sizes", lambda: self.host.open(sizes_dialog(self.controller, self.host)))
        return [*super().buttons(), sizes, Button("Details", lambda: self._tell(self._disk()))]

    def complete(self) -> bool:
        """Open the sizes when what is wrong is there."""
        complete = super().complete()
        if not complete and not self.controller.problems(["disk"]):
            self.host.open(sizes_dialog(self.controller, self.host))
        return complete

    def _choose(self, path: str) -> None:
        disk, draft = self._disks[path], self.controller.draft
        if not disk.allowable:
            self._tell(disk)
        elif disk.selectable:
            self.controller.set("disk", path)
        elif path != draft.disk or any(finding.stops(draft.allow) for finding in disk.findings):

            def choose() -> None:
                self.controller.set("disk", path)

            self.host.open(allow_dialog(self.controller, self.host, disk.findings, choose))

    def _rows(self) -> tuple[list[Row], str]:
        # The machine may be read again between two looks: the lines below tell of the disks that the table has.
        self._disks = {disk.path: disk for disk in self.controller.disks()}
        rows = [
            Row(path, _cells(disk, self.controller.draft), selectable=disk.allowable)
            for path, disk in self._disks.items()
        ]
        return rows, self.controller.draft.disk

    def _disk(self) -> Disk | None:
        """Give the disk that a person looks at."""
        path = self._table.looked_at(has_cursor=self.has_cursor("disk"))
        return self._disks.get(path)

    def _title(self) -> Markup:
        disk = self._disk()
        if disk is None:
            return "There is no disk. Go back and choose Read again when one has been plugged in."
        chosen = disk.path == self.controller.draft.disk
        return ["Chosen: " if chosen else "Not chosen: ", ("title", disk.path)]

    def _details(self) -> list[Line]:
        disk = self._disk()
        return detail_lines(disk, self.controller.draft) if disk else []

    def _tell(self, disk: Disk | None) -> None:
        if disk:
            lines = [text for _, text in detail_lines(disk, self.controller.draft, apart="\n  ")]
            self.host.open(text_dialog(self.host, "Disk", "\n".join([disk.path, *lines])))


def detail_lines(disk: Disk, draft: Draft, apart: str = " ") -> list[Line]:
    """Give all that is known of a disk: what blocks before what is on it, warnings last.

    `apart` stands before each of the things on the disk.
    """
    allow = draft.allow if disk.path == draft.disk else ""
    findings = () if disk.boot_medium else disk.findings
    lines = [
        ("default", _identity(disk)),
        *(("default", line) for line in disk.hardware),
        *(
            ("error" if finding.stops(allow) else "warning", _finding_text(finding, allow))
            for finding in findings
            if finding.severity == "blocking"
        ),
    ]
    if disk.boot_medium:
        lines.append(("warning", "This system was started from it: it cannot be chosen."))
    elif disk.contents:
        lines.append(("warning", f"Holds{apart}{f';{apart}'.join(disk.contents)}"))
    else:
        lines.append(("default", "It is empty."))
    warnings = (finding for finding in findings if finding.severity == "warning")
    return lines + [("warning", _finding_text(finding, allow)) for finding in warnings]


def _finding_text(finding: Finding, allow: str) -> str:
    mark = MARKS[finding.severity]
    if finding.severity == "blocking" and not finding.stops(allow):
        mark = "allowed"
    return f"{mark}: it {finding.text}; {finding.todo}"


def cut_lines(lines: Sequence[Line], columns: int) -> Markup:
    """Give the rows that there is room for beside table and layout; the last one says where the rest is."""
    rows: list[Line] = []
    cut = False
    for style, text in lines:
        if len(rows) > DETAIL_ROWS:
            break
        wrapped = textwrap.wrap(text, max(columns, 1), break_on_hyphens=False)
        cut = cut or len(wrapped) > LINE_ROWS
        rows += [(style, row) for row in wrapped[:LINE_ROWS]]
    if cut or len(rows) > DETAIL_ROWS:
        rows = [*rows[: DETAIL_ROWS - 1], ("hint", "... more: choose Details")]
    ends = ["\n"] * (len(rows) - 1) + [""]
    return [(style, row + end) for (style, row), end in zip(rows, ends, strict=True)] or ""


def _cells(disk: Disk, draft: Draft) -> tuple[str, ...]:
    return (disk.name, disk.size, disk.model, disk.serial, disk.bus, _short(disk, draft))


def _identity(disk: Disk) -> str:
    return f"{disk.size}, model {disk.model}, serial {disk.serial}, {disk.kernel_name}"


def _short(disk: Disk, draft: Draft) -> str:
    if disk.boot_medium:
        return "boot medium"
    if not disk.allowable:
        return "cannot be used"
    allow = draft.allow if disk.path == draft.disk else ""
    return "blocked" if any(finding.stops(allow) for finding in disk.findings) else disk.held
