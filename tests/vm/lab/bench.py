"""What a test works with: its own lab, and disks that are installed once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from tests.vm.lab.accel import Accel
from tests.vm.lab.errors import LabError
from tests.vm.lab.installs import Install, Installed, run_install, start_on
from tests.vm.lab.machine import Vm
from tests.vm.lab.media import make_overlay
from tests.vm.lab.spec import MachineSpec
from tests.vm.lab.timings import Timings

PROJECT: Final = Path(__file__).resolve().parents[3]
OUT: Final = PROJECT / "out" / "test"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ssh key pair: file of the private key, text of the public one."""

    private: Path
    public: str


@dataclass(frozen=True, slots=True)
class Lab:
    """What a test works with.

    Attributes:
        folder: the test's own folder; its disks are removed when the test passed.
        iso: the image under test.
        accel: how machines are run.
        timings: takes the test's durations.
    """

    folder: Path
    iso: Path
    accel: Accel
    timings: Timings

    def vm(self, spec: MachineSpec) -> Vm:
        """Give a machine to enter; its files are kept in a folder of the spec's name."""
        return Vm(spec, self.folder / spec.name, self.accel)


@dataclass(frozen=True, slots=True)
class Shared:
    """Disks that are installed once in a test run, by whichever worker comes first."""

    folder: Path
    iso: Path
    accel: Accel
    keys: KeyPair

    def installed(self, install: Install) -> Installed:
        """Give a disk that was installed in this test run and never started; it must not be written to.

        Raises:
            LabError: the installation failed, now or when another test asked for it.
        """
        folder = self.folder / install.name
        folder.mkdir(parents=True, exist_ok=True)
        done, failed = folder / "installed.json", folder / "failed.txt"
        with FileLock(folder / "lock"):
            if failed.exists():
                raise LabError(failed.read_text(encoding="utf-8"))
            if not done.exists():
                try:
                    start = start_on(folder, self.accel)
                    run_install(install, start, self.iso, folder, (self.keys.public,)).save(done)
                except LabError as error:
                    failed.write_text(str(error), encoding="utf-8")
                    raise
            return Installed.load(done)

    def overlay(self, install: Install, path: Path) -> tuple[Installed, Path]:
        """Give an installed disk and an overlay of it at `path`, to be written to."""
        installed = self.installed(install)
        return installed, make_overlay(path, installed.disk)
