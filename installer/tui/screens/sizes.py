"""The dialog for file system and sizes, and the picture of the layout that follows from them."""

from __future__ import annotations

import urwid

from installer.tui.controller import Controller, Layout
from installer.tui.draft import SIZES
from installer.tui.page import Dialog, Host
from installer.tui.widgets import Button, Drawn, Field, Markup, Switch, button_row

LABELS = {
    "hdsize": ("Disk to use", "GiB, empty: all of the disk"),
    "swapsize": ("Swap", "GiB, empty: by the memory; 0: none"),
    "maxroot": ("Root, at most", "GiB, empty: disk/4, at most 96"),
    "minfree": ("Free, at least", "GiB in the volume group, for snapshots"),
    "maxvz": ("Data, at most", "GiB, empty: all that is left; 0: none"),
}


class SizesDialog(Dialog):
    """File system and sizes, with the layout as it is typed."""

    help = (
        "All sizes are in GiB, such as 64 or 7.5; what is empty follows from disk and memory. Disk to use: the rest of the "
        "disk stays unused. Swap: as much as memory, but 8 at most; 0 makes none. Root, at most: the system and what is "
        "stored beside the guests. Free, at least: stays free in the volume group, for snapshots. Data, at most: the thin "
        "pool with the guests' disks, which takes what is left; 4 or less makes none. The bar shows what comes of it."
    )

    def cancel(self) -> None:
        """Close; what is wrong is asked for again by the screen below."""
        self.host.close()

    def keypress(self, size: tuple[int, ...], key: str) -> str | None:
        """Show what is wrong as soon as a field has been left."""
        before = self.page.field
        rest: str | None = super().keypress(size, key)
        if before and self.page.field != before:
            self.controller.leave([before])
        return rest

    def __init__(self, controller: Controller, host: Host) -> None:
        """Take the controller, and the console that shows the dialog."""
        self.controller = controller
        names = [("ext4", "ext4"), ("xfs", "xfs")]
        fields = [
            Field(controller, name, LABELS[name][0], allowed="0123456789.,", columns=9, hint=LABELS[name][1])
            for name in SIZES
        ]
        items = [
            Switch(controller, "filesystem", "File system", names),
            *fields,
            urwid.Divider(),
            Drawn(lambda columns: layout_bar(controller.layout(), columns)),
            Drawn(lambda columns: render_legend(controller.layout(), columns)),
            (1, urwid.SolidFill(" ")),
            button_row(Button("Close", host.close)),
        ]
        super().__init__(host, "File system and sizes", items, columns=76, lines=20)


def sizes_dialog(controller: Controller, host: Host) -> Dialog:
    """Give the dialog."""
    return SizesDialog(controller, host)


def layout_bar(layout: Layout, columns: int) -> Markup:
    """Give the disk as a bar to scale; a part that is there has one character at least."""
    total = sum(part.size_bytes for part in layout.parts)
    if not total:
        return ""
    widths = [max(1, round(part.size_bytes * columns / total)) for part in layout.parts]
    # What rounding and the smallest parts took is the largest part's.
    widths[widths.index(max(widths))] += columns - sum(widths)
    parts = zip(layout.parts, widths, strict=True)
    return [(f"bar {part.mark}", part.mark * width) for part, width in parts]


def render_legend(layout: Layout, columns: int) -> Markup:
    """Give what the letters of the bar stand for; or why there is no bar."""
    if layout.problem:
        return ("hint", f"The layout: {layout.problem}")
    lines = [""]
    for part in layout.parts:
        text = f"{part.mark} {part.name} {part.size}"
        if lines[-1] and len(lines[-1]) + 3 + len(text) > columns:
            lines.append("")
        lines[-1] += f"   {text}" if lines[-1] else text
    return "\n".join(lines)
