import pytest

from agent.limits import NETWORK_FACTOR, ClientLimiter, Limiter, client_keys


def test_a_bucket_empties_and_fills() -> None:
    now = [0.0]
    limiter = Limiter(2, 3, lambda: now[0])
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    # Asking does not put it off.
    now[0] = 0.25
    assert limiter.take("a") == 0.25
    now[0] = 0.5
    assert [limiter.take("a"), limiter.take("a")] == [0, 0.5]
    assert limiter.take("b") == 0
    now[0] = 1000.0
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_memory_is_bounded_and_who_asks_most_stays_limited() -> None:
    limiter = Limiter(1, 1, lambda: 0.0, most=10)
    assert limiter.take("loud") == 0
    for number in range(1000):
        limiter.take(str(number))
        assert limiter.take("loud") == 1
    assert len(limiter._buckets) == 10


@pytest.mark.parametrize(
    ("host", "keys"),
    [
        ("192.0.2.7", ("192.0.2.7", "")),
        ("::ffff:192.0.2.7", ("192.0.2.7", "")),
        ("2001:db8:1:2:3:4:5:6", ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")),
        ("fe80::1%vmbr0", ("fe80::1", "fe80::")),
    ],
)
def test_who_a_client_is(host: str, keys: tuple[str, str]) -> None:
    assert client_keys(host) == keys


def test_one_address_does_not_lock_its_network_out_and_a_network_has_a_limit() -> None:
    limiter = ClientLimiter(1, 4, lambda: 0.0)
    assert sum(not limiter.take("2001:db8::bad") for _ in range(1000)) == 4
    assert limiter.take("2001:db8::11") == 0
    taken = sum(not limiter.take(f"2001:db8::{number:x}") for number in range(0x100, 0x200))
    assert taken == 4 * NETWORK_FACTOR - 5
    assert [limiter.take("2001:db8:1::1"), limiter.take("192.0.2.1")] == [0, 0]
