from __future__ import annotations

from pathlib import Path

from hostlib.errors import ExitStatus
from tests.unit.firstboot_fakes import OTHER, FakeNode, assert_complete, first_boot


def test_a_running_service_that_is_disabled_is_enabled(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, disabled={"lldpd.service"})
    assert first_boot(node) is ExitStatus.DONE
    assert node.disabled == set()


def test_a_service_that_does_not_start(tmp_path: Path) -> None:
    noise = 'time="…" level=warning msg="no KVM"\n'
    node = FakeNode(tmp_path, broken={"chrony.service": f"{noise}Fatal error : Invalid directive at line 1"})
    node.disabled.add("chrony.service")
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert node.console[0] == (
        "first boot: services failed: chrony.service does not start: Fatal error : Invalid directive at line 1"
    )
    assert "systemctl enable chrony.service" in node.commands


def test_a_silent_service_is_reported_in_the_words_of_systemctl(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, broken={"ssh.service": ""})
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert node.console[0].endswith("ssh.service does not start: Job for ssh.service failed.")


def test_a_helper_that_does_not_start_is_a_warning(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, broken={"smartmontools.service": "No devices found to scan"})
    assert first_boot(node) is ExitStatus.DONE
    assert node.warnings == ["smartmontools.service does not start: No devices found to scan"]


def test_a_service_that_has_no_business_here_is_not_missed(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, skipped={"smartmontools.service"})
    node.boot()
    assert first_boot(node) is ExitStatus.DONE
    assert "systemctl start smartmontools.service" not in node.commands


def test_cockpit_is_restarted_when_it_shows_another_certificate(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, shown_certificate=b"")
    node.shown_certificate = OTHER
    assert first_boot(node) is ExitStatus.DONE
    assert_complete(node)
    assert "systemctl restart cockpit.service" in node.commands


def test_a_web_console_that_answers_wrongly(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, page_status=500)
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert "https://127.0.0.1:8006/: answers with HTTP status 500" in node.console[0]


def test_a_web_console_that_does_not_listen(tmp_path: Path) -> None:
    node = FakeNode(tmp_path, broken={"cockpit.socket": "Address already in use"})
    assert first_boot(node) is ExitStatus.STEP_FAILED
    assert "cockpit.socket does not start: Address already in use" in node.console[0]
    assert "https://127.0.0.1:8006/: no answer: Connection refused" in node.console[1]
