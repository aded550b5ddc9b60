import pytest
from pydantic import SecretStr

from installer.config import Endpoint, ReportTarget
from installer.redaction import collect_secrets, find_secrets
from tests.unit.installer_fakes import PASSWORD, config


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ('root-password = "abcd1234"', {"abcd1234"}),
        ('root_password_hashed="$y$j9T$x"', {"$y$j9T$x"}),
        ("[report]\nauth-token = '''t0ken'''", {"t0ken"}),
        ('{"root-password": "abcd1234", "auth-token": "t0ken"}', {"abcd1234", "t0ken"}),
        ('url = "https://user:pa%20ss@example.test/?token=q1&x=2"', {"pa%20ss", "pa ss", "q1"}),
        ('url = "https://onlyuser@example.test/"', {"onlyuser"}),
        ("[enrollment]\ntoken = slipway1.eyJ1Ijpb-_0", {"slipway1.eyJ1Ijpb-_0"}),
        ('[enrollment]\ntoken-file = "rack4.txt"', set()),
        ('fqdn = "token.example.test"\nmailto = "a@example.test"', set()),
    ],
)
def test_secrets_in_a_text_that_is_no_answer(text: str, secrets: set[str]) -> None:
    assert find_secrets(text) == secrets


def test_secrets_of_a_configuration() -> None:
    found = collect_secrets(
        config(
            report=ReportTarget(endpoint=Endpoint(url="https://example.test/?key=kkk3y"), events=("failed",)),
            webhook=Endpoint(url="https://example.test/", auth_token=SecretStr("www3b")),
        )
    )
    assert found == {PASSWORD, "kkk3y", "www3b"}


def test_a_locked_password_is_no_secret() -> None:
    assert collect_secrets(config(root_password=None, root_password_hash=SecretStr("!"))) == set()
