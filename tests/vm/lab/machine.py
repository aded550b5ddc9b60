"""A running virtual machine, as a context manager."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.vm.lab.accel import ARGUMENTS, Accel
from tests.vm.lab.command import VARS_TEMPLATE, plan_command
from tests.vm.lab.console import Console, connect_console
from tests.vm.lab.errors import LabError, LabTimeout, MachineDied
from tests.vm.lab.guest import PORTS, build_archive
from tests.vm.lab.qmp import Qmp
from tests.vm.lab.report import Report
from tests.vm.lab.spec import Firmware, MachineSpec, RunPaths

_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a machine ended.

    Attributes:
        status: exit status of QEMU; negative for the signal that ended it.
        reason: `guest-shutdown` (powered off), `guest-reset` (restarted), `host-signal`, or another of QMP's.
        seconds: from the start of the machine.
    """

    status: int
    reason: str
    seconds: float


class Vm:
    """One machine from a spec. Enter it to start; leaving it ends QEMU whatever happened."""

    qmp: Qmp
    console: Console
    report: Report

    def __init__(self, spec: MachineSpec, folder: Path, accel: Accel) -> None:
        """Prepare a machine.

        Args:
            spec: what it is made of.
            folder: where transcript, report, screenshots and UEFI variables are kept; made anew.
            accel: how it is run.
        """
        self.spec = spec
        self.folder = folder
        self._accel = accel
        self._ending: Ending | None = None
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._screenshots = 0

    def __enter__(self) -> Self:
        """Start the machine.

        Raises:
            LabError: QEMU, its firmware or a guest program is missing, or QEMU refused; the text holds its message.
        """
        with contextlib.ExitStack() as stack:
            sockets = tempfile.mkdtemp(prefix="slipway-vm-")
            stack.callback(shutil.rmtree, sockets, ignore_errors=True)
            paths = RunPaths(folder=self.folder, sockets=Path(sockets))
            self._prepare_files(paths)
            self._start_qemu(stack, paths)
            self._connect(stack, paths)
            self.qmp.execute("cont")
            self._started = time.monotonic()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        """End QEMU; after an error take a screenshot first."""
        if exc_type is not None and not issubclass(exc_type, LabTimeout | MachineDied):
            self._diagnose()
        self._stack.close()

    def _prepare_files(self, paths: RunPaths) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self.spec.firmware is not Firmware.BIOS:
            source = self.spec.firmware_vars or VARS_TEMPLATE[self.spec.firmware]
            if not source.is_file():
                raise LabError(f"{source}: missing; `make deps` installs OVMF")
            shutil.copyfile(source, paths.vars)
        if self.spec.guest is not None or self.spec.relay or self.spec.identity:
            paths.program.write_bytes(build_archive(self.spec.guest, identity=self.spec.identity))

    def _start_qemu(self, stack: contextlib.ExitStack, paths: RunPaths) -> None:
        command = plan_command(self.spec, paths, ARGUMENTS[self._accel])
        (self.folder / "qemu.args").write_text("\n".join(command) + "\n", encoding="utf-8")
        messages = stack.enter_context((self.folder / "qemu.log").open("wb"))
        # The machine must not outlive the test process, however that ends. setpriv asks the kernel for it; a
        # preexec_fn could not, as this process has threads.
        self._process = subprocess.Popen(
            [*self.spec.enter, "setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(self._end)
        deadline = time.monotonic() + _START_SECONDS
        while not paths.qmp.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"QEMU did not start:\n{self._messages()}")
            time.sleep(0.02)

    def _connect(self, stack: contextlib.ExitStack, paths: RunPaths) -> None:
        try:
            self.qmp = self._open_qmp(paths.qmp)
        except (LabError, ConnectionError) as error:
            # The control channel's socket comes first: a bad device only shows after it.
            raise LabError(f"QEMU did not start:\n{self._messages()}") from error
        stack.callback(self.qmp.close)
        self.console = Console(connect_console(paths.console), diagnose=self._diagnose)
        stack.callback(self.console.close)
        self.report = Report([paths.port(name) for name in PORTS], diagnose=self._diagnose_with_console)
        stack.callback(self._keep_report)
        stack.callback(self.report.close)

    def _keep_report(self) -> None:
        """Write down what the guest reported, for whoever looks into a failure."""
        lines = "".join(json.dumps(message) + "\n" for message in self.report.messages)
        (self.folder / "report.jsonl").write_text(lines, encoding="utf-8")

    def _open_qmp(self, path: Path) -> Qmp:
        """Connect; a socket's file is there a moment before QEMU listens on it."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return Qmp(path)
            except ConnectionRefusedError:
                if self._running().poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _messages(self) -> str:
        return (self.folder / "qemu.log").read_text(encoding="utf-8", errors="replace").strip()

    def _diagnose(self) -> str:
        """Say what state the machine is in, for the text of an error."""
        process = self._running()
        if process.poll() is not None:
            return f"QEMU ended with status {process.returncode}; {self._messages() or 'it said nothing'}"
        self._screenshots += 1
        path = self.folder / f"screen-{self._screenshots}.png"
        try:
            self.qmp.screenshot(path)
        except LabError as error:
            return f"no screenshot: {error}"
        return f"screenshot: {path}, transcript: {self.folder / 'console.log'}"

    def _diagnose_with_console(self) -> str:
        return f"{self._diagnose()}\nlast lines of the console:\n{self.console.tail()}"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise LabError(f"{self.spec.name}: this machine was never started")
        return self._process

    @property
    def vars_path(self) -> Path:
        """Its UEFI variables, for `MachineSpec.firmware_vars` of a machine that goes on from here."""
        return self.folder / "vars.fd"

    @property
    def seconds(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic() - self._started

    def screenshot(self) -> Path:
        """Take a picture of the VGA screen.

        Returns:
            A PNG file in the machine's folder.

        Raises:
            LabError: QEMU could not.
        """
        self._screenshots += 1
        path = self.folder / f"screen-{self._screenshots}.png"
        self.qmp.screenshot(path)
        return path

    def forward(self, guest_port: int) -> int:
        """Give the port of 127.0.0.1 that leads to a TCP port of the guest.

        Raises:
            LabError: the spec forwards no such port.
        """
        forwards = self.qmp.forwards()
        if guest_port not in forwards:
            raise LabError(f"port {guest_port} is not forwarded; forwarded are {sorted(forwards)}")
        return forwards[guest_port]

    def wait_exit(self, timeout_seconds: float) -> Ending:
        """Wait until the machine ends by itself: powered off, or restarted when the spec says to stop there.

        Raises:
            LabTimeout: it still runs; the text holds the console's last lines and where a screenshot lies.
        """
        if self._ending is not None:
            return self._ending
        process = self._running()
        deadline = time.monotonic() + timeout_seconds
        try:
            data = self.qmp.wait_event("SHUTDOWN", timeout_seconds)
            process.wait(max(_END_SECONDS, deadline - time.monotonic()))
        except MachineDied:
            data = {"reason": "died"}
            process.wait(_END_SECONDS)
        except (LabTimeout, subprocess.TimeoutExpired) as error:
            text = f"{self.spec.name}: still running after {timeout_seconds:g} s"
            raise LabTimeout(f"{text}\n{self._diagnose_with_console()}") from error
        self._ending = Ending(process.returncode, str(data.get("reason")), self.seconds)
        return self._ending

    def kill(self) -> None:
        """Cut the power: QEMU is killed at once, and nothing that the guest had not sent to a disk is written."""
        process = self._running()
        process.kill()
        process.wait(_END_SECONDS)
        self._ending = Ending(process.returncode, "killed", self.seconds)

    def _end(self) -> None:
        process = self._running()
        if process.poll() is None:
            process.kill()
        process.wait(_END_SECONDS)
