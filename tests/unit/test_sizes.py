import pytest

from hostlib.sizes import GIB, KIB, MIB, TIB, align_down, align_up, render_size


@pytest.mark.parametrize(
    ("size", "unit", "down", "up"),
    [
        (0, 4 * MIB, 0, 0),
        (1, 4 * MIB, 0, 4 * MIB),
        (4 * MIB, 4 * MIB, 4 * MIB, 4 * MIB),
        (4 * MIB + 1, 4 * MIB, 4 * MIB, 8 * MIB),
        (10**18 + 1, 512, 10**18, 10**18 + 512),
    ],
)
def test_align(size: int, unit: int, down: int, up: int) -> None:
    assert align_down(size, unit) == down
    assert align_up(size, unit) == up


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (KIB, "1.0 KiB"),
        (3 * MIB // 2, "1.5 MiB"),
        (468862128 * 512, "223.6 GiB"),
        (32 * GIB, "32.0 GiB"),
        (4 * TIB, "4.0 TiB"),
    ],
)
def test_render_size(size: int, text: str) -> None:
    assert render_size(size) == text
