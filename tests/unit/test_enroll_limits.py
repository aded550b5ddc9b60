import pytest

from agent.limits import Limiter, address_key


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
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%vmbr0", "fe80::"),
    ],
)
def test_one_network_is_one_client(host: str, key: str) -> None:
    assert address_key(host) == key
