from hostlib.checks import Finding, allow_findings, render_findings


def finding(**update: str) -> Finding:
    row = {
        "id": "target-size",
        "severity": "blocking",
        "device": "/dev/disk/by-id/wwn-0x6d0946606f1e9a0029a1c3d41b5e7f20",
    }
    row |= {
        "measured": "4.0 GiB, 4294967296 bytes",
        "text": "is smaller than 8 GiB",
        "todo": "choose another",
    }
    return Finding.model_validate({**row, **update})


FINE = finding(
    severity="ok", device="memory", id="memory-minimum", text="enough", measured="8 GiB usable", todo=""
)
WORN = finding(
    severity="warning", id="disk-worn", text="is worn", measured="95 % used", todo="plan its replacement"
)


def test_the_worst_comes_first_and_what_to_do_on_the_next_line_within_80_columns() -> None:
    text = render_findings([FINE, WORN, finding()])
    assert text.splitlines() == [
        "BLOCKING  target-size",
        "          /dev/disk/by-id/wwn-0x6d0946606f1e9a0029a1c3d41b5e7f20: is smaller",
        "          than 8 GiB (4.0 GiB, 4294967296 bytes)",
        "          -> choose another",
        "warning   disk-worn",
        "          /dev/disk/by-id/wwn-0x6d0946606f1e9a0029a1c3d41b5e7f20: is worn (95 %",
        "          used)",
        "          -> plan its replacement",
        "ok        memory: enough (8 GiB usable)",
    ]
    assert not render_findings([])


def test_many_disks_with_one_complaint_share_its_text() -> None:
    disks = [
        WORN.model_copy(update={"device": f"sd{letter}", "measured": f"{ord(letter)} %"}) for letter in "abc"
    ]
    assert render_findings(disks).splitlines() == [
        "warning   disk-worn",
        "          each of these 3 is worn:",
        "            sda (97 %)",
        "            sdb (98 %)",
        "            sdc (99 %)",
        "          -> plan its replacement",
    ]


def test_what_is_allowed_says_so_after_what_still_blocks() -> None:
    findings = allow_findings([finding(id="target-worn"), finding()], ["target-worn"])
    marks = [line for line in render_findings(findings).splitlines() if not line.startswith(" ")]
    assert marks == ["BLOCKING  target-size", "allowed   target-worn"]


def test_what_hardware_says_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in render_findings([finding(measured="model \x1b[2J")])
