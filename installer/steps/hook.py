"""Puts the first-boot hook on the node and lets systemd run it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from hostlib.errors import StepError
from hostlib.files import write_atomic
from hostlib.paths import STATE
from hostlib.sizes import render_size
from installer.hook import Hook
from installer.steps.base import Context, Preview, Progress

FOLDER: Final = STATE / "hook"
PROGRAM: Final = FOLDER / "first-boot"
PENDING: Final = FOLDER / "pending"
"""There until the hook has ended well."""
UNITS: Final = "usr/lib/systemd/system"
WANTS: Final = "etc/systemd/system/multi-user.target.wants"


@dataclass(frozen=True, slots=True)
class FirstBoot:
    """Step: the node runs the hook when it starts, once."""

    hook: Hook
    name: ClassVar[str] = "first-boot hook"
    weight: ClassVar[int] = 1
    writes: ClassVar[bool] = True

    @property
    def unit(self) -> str:
        """The unit that runs it."""
        return f"slipway-hook-{self.hook.ordering}.service"

    def describe(self) -> list[Preview]:
        """Give the files; the hook itself may hold secrets, so only its size is told."""
        content = self.hook.content
        size = f"{render_size(len(content))} from" if content is not None else "read when it installs, from"
        return [
            Preview(path=str(PROGRAM), content=f"<{size} {self.hook.source}>"),
            Preview(path=str(PENDING)),
            Preview(command=("ln", "-s", f"/{UNITS}/{self.unit}", f"/{WANTS}/{self.unit}")),
        ]

    def run(self, context: Context, progress: Progress) -> None:
        """Write the hook and its flag, readable by root only, and enable the unit."""
        del progress
        if self.hook.content is None:
            raise ValueError("the hook has not been read")
        root = context.target
        if not (root / UNITS / self.unit).is_file():
            raise StepError(f"{self.unit} is not in the system that was copied")
        folder = root / FOLDER.relative_to("/")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        write_atomic(root / PROGRAM.relative_to("/"), self.hook.content, 0o700)
        write_atomic(root / PENDING.relative_to("/"), "", 0o600)
        link = root / WANTS / self.unit
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"/{UNITS}/{self.unit}")
