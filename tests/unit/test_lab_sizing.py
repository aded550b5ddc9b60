from __future__ import annotations

import pytest

from tests.vm.lab.media import GIB
from tests.vm.lab.sizing import Volumes, expect_volumes


@pytest.mark.parametrize(
    ("disk_bytes", "swap_gib", "volumes"),
    [
        (256 * GIB, 0, Volumes(1024, 0, 77564, 163828, 1668)),
        (256 * GIB, 8, Volumes(1024, 8192, 75516, 157804, 1608)),
        (468862128 * 512, 8, Volumes(1024, 8192, 67216, 133392, 1360)),
        (1024 * GIB, 8, Volumes(1024, 8192, 98304, 906176, 9244)),
        (128 * GIB, 8, Volumes(1024, 8192, 42748, 60924, 1024)),
        (100 * GIB, 8, Volumes(512, 8192, 35708, 43260, 1024)),
        (33 * GIB, 4, Volumes(512, 4096, 14588, 12536, 1024)),
        (16 * GIB, 1, Volumes(512, 1024, 7420, 5368, 1024)),
    ],
)
def test_sample_rows_of_the_peer(disk_bytes: int, swap_gib: int, volumes: Volumes) -> None:
    assert expect_volumes(disk_bytes, swap_gib) == volumes


def test_small_disk_has_no_pool() -> None:
    assert expect_volumes(8 * GIB, 1)[3:] == (0, 0)
