from __future__ import annotations

import base64

import pytest

from installer.answers.ssh_keys import check_ssh_keys
from tests.unit.answer_data import ED25519


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


def key(kind: str, *fields: bytes) -> str:
    return f"{kind} {blob(kind.encode(), *fields)}"


KIND, BLOB = ED25519.split()
E = b"\x01\x00\x01"
GOOD = [
    ED25519,
    f"{ED25519} ops@desk, the second one",
    f"{KIND}\t{BLOB}\tops",
    key("ssh-rsa", E, b"\0" + b"\xff" * 128),
    key("ssh-rsa", E, b"\x7f" * 512),
    key("ecdsa-sha2-nistp256", b"nistp256", b"\4" * 65),
    key("ecdsa-sha2-nistp384", b"nistp384", b"\4" * 97),
    key("ecdsa-sha2-nistp521", b"nistp521", b"\4" * 133),
    key("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
    key("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\4" * 65, b"ssh:"),
]


@pytest.mark.parametrize("line", GOOD)
def test_keys_of_every_type(line: str) -> None:
    assert check_ssh_keys(f"  {line}\t\n") == line


@pytest.mark.parametrize(
    "options",
    [
        "restrict",
        "no-pty,No-X11-Forwarding",
        'from="10.0.0.0/8,!10.0.0.1"',
        'command="/bin/sh -c \\"echo a, b\\"",no-pty',
        'environment="A=b c",expiry-time="20300101"',
        'permitopen="192.0.2.1:80",permitopen="[2001:db8::1]:80"',
        'cert-authority,principals="ops"',
    ],
)
def test_options_before_the_key(options: str) -> None:
    assert check_ssh_keys(f"{options} {ED25519}") == f"{options} {ED25519}"


def test_a_text_may_be_a_whole_file() -> None:
    assert check_ssh_keys(f"# team\r\n\r\n{ED25519}\r\n  # old\r\n  {GOOD[2]}\r\n") == f"{ED25519}\n{GOOD[2]}"
    assert check_ssh_keys("") == check_ssh_keys("\n# none") == ""


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ops@desk", "this is no public ssh key; "),
        ("ssh-ed25519", "this is no public ssh key; "),
        (BLOB, "this is no public ssh key; "),
        (f"ssh-ed448 {BLOB}", "the type of this key is not one that OpenSSH takes; "),
        (f"{ED25519} a\x1bb", "this is no public ssh key; "),
        (f'from="192.0.2.1 {ED25519}', "this is no public ssh key; "),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key, "),
        (f"ssh-dss {BLOB}", "this is a DSA key, "),
        (f"restrict ssh-dss {BLOB}", "this is a DSA key, "),
        (f"no-ptty {ED25519}", "the option 'no-ptty' before the key is unknown, .* did you mean 'no-pty'"),
        (f'restrict="yes" {ED25519}', "the option 'restrict' before the key takes no value; "),
        (f"restrict,from {ED25519}", "the option 'from' before the key needs a value in double quotes; "),
        (f"{KIND} {BLOB[:-1]}", "the ssh-ed25519 key is cut off"),
        (f"{KIND} {BLOB[:-4]}", "the ssh-ed25519 key is cut off"),
        (f"{KIND} {BLOB}AAAA", "the ssh-ed25519 key is cut off"),
        (f"{KIND} {BLOB[:20]}…", "the ssh-ed25519 key is cut off"),
        (f"{KIND} AAAA", "the ssh-ed25519 key is cut off"),
        (f"ssh-rsa {BLOB}", "the ssh-rsa key is cut off"),
        (key("ssh-ed25519", b"k" * 31), "the ssh-ed25519 key is cut off"),
        (key("ssh-rsa", E), "the ssh-rsa key is cut off"),
        (key("ssh-rsa", b"", b"\x7f" * 256), "the ssh-rsa key is cut off"),
        (key("ssh-rsa", E, b"\0" + b"\xff" * 96), "the RSA key has 768 bits"),
        (key("ecdsa-sha2-nistp256", b"nistp384", b"\4" * 65), "the ecdsa-sha2-nistp256 key is cut off"),
    ],
)
def test_what_sshd_would_not_take(line: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"^{what}"):
        check_ssh_keys(f"{ED25519}\n{line}\n")
