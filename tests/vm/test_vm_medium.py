"""The medium disappears while the system is copied from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.vm.lab.bench import KeyPair, Lab
from tests.vm.lab.errors import LabTimeout
from tests.vm.lab.installs import Install, install_spec
from tests.vm.lab.machine import Vm
from tests.vm.lab.spec import Attach
from tests.vm.waits import EVENT_SECONDS

STAYS_SECONDS = 30.0
"""A machine that restarts by itself does so well within this time."""


@pytest.mark.matrix
def test_stick_pulled_during_copy(lab: Lab, keys: KeyPair) -> None:
    install = Install(name="pulled", attach=Attach.USB_STICK)
    _lose_medium(lab, keys, install, lambda vm: vm.qmp.unplug("iso-drive"))


@pytest.mark.matrix
def test_cd_ejected_during_copy(lab: Lab, keys: KeyPair) -> None:
    _lose_medium(lab, keys, Install(name="ejected"), lambda vm: vm.qmp.eject("iso-drive"))


def _lose_medium(lab: Lab, keys: KeyPair, install: Install, lose: Callable[[Vm], None]) -> None:
    spec = install_spec(install, lab.iso, lab.folder, (keys.public,))
    with lab.vm(replace(spec, name="lost")) as vm:
        vm.report.wait("event", EVENT_SECONDS, event="progress", phase="copy")
        lose(vm)
        pulled = vm.seconds
        vm.console.wait_for(r"Installation failed \(exit status 4\)", EVENT_SECONDS)
        lab.timings.add("medium lost to message", vm.seconds - pulled)
        said = vm.console.text
        # No restart into half a node: the machine is still there, with the message.
        with pytest.raises(LabTimeout):
            vm.wait_exit(STAYS_SECONDS)
    assert re.search(r"copy: .* the medium cannot be read", said), said[-2000:]
