from __future__ import annotations

import pytest

from hostlib.errors import UserError
from hostlib.sizes import GIB, MIB, align_down
from installer.answers import LvmOptions
from installer.config import Layout
from installer.layout import EXTENT_BYTES, plan_layout

SECTORS_223 = 468862128 * 512
# disk bytes, RAM MiB, options, then MiB: ESP, swap, root, metadata, data LV
ROWS = [
    (8 * GIB, 2048, {}, 512, 896, 6776, 0, 0),
    (16 * GIB, 8192, {}, 512, 1024, 7420, 1024, 5368),
    (20 * GIB, 4096, {}, 512, 2432, 8764, 1024, 6712),
    (32 * GIB, 16384, {}, 512, 3968, 14140, 1024, 12088),
    (33 * GIB, 16384, {}, 512, 4096, 14588, 1024, 12536),
    (40 * GIB, 8192, {}, 512, 4992, 17724, 1024, 10684),
    (64 * GIB, 8192, {}, 512, 8064, 26524, 1024, 20316),
    (100 * GIB, 8192, {}, 512, 8192, 35708, 1024, 43260),
    (101 * GIB, 8192, {}, 1024, 8192, 35836, 1024, 43644),
    (128 * GIB, 8192, {}, 1024, 8192, 42748, 1024, 60924),
    (SECTORS_223, 16384, {}, 1024, 8192, 67216, 1360, 133392),
    (256 * GIB, 16384, {}, 1024, 8192, 75516, 1608, 157804),
    (500 * GIB, 32768, {}, 1024, 8192, 98304, 3880, 380328),
    (1024 * GIB, 65536, {}, 1024, 8192, 98304, 9244, 906176),
    (256 * GIB, 16384, {"hdsize": 100.0}, 1024, 8192, 35580, 1024, 43004),
    (256 * GIB, 16384, {"maxroot": 20.0}, 1024, 8192, 20480, 2160, 211736),
    (256 * GIB, 16384, {"minfree": 0.0}, 1024, 8192, 75516, 1772, 173860),
    (256 * GIB, 16384, {"minfree": 50.0}, 1024, 8192, 75516, 1260, 123684),
    (256 * GIB, 16384, {"maxvz": 0.0}, 1024, 8192, 75516, 0, 0),
    (256 * GIB, 16384, {"maxvz": 4.0}, 1024, 8192, 75516, 0, 0),
    (256 * GIB, 16384, {"maxvz": 10.0}, 1024, 8192, 75516, 1024, 8188),
    (256 * GIB, 16384, {"swapsize": 0.0}, 1024, 0, 77564, 1668, 163828),
]


@pytest.mark.parametrize(("disk", "ram", "options", "esp", "swap", "root", "meta", "data"), ROWS)
def test_the_sample_rows(
    disk: int, ram: int, options: dict[str, float], esp: int, swap: int, root: int, meta: int, data: int
) -> None:
    layout = plan_layout(disk, 512, ram * MIB, LvmOptions(**options))
    got = (layout.esp_bytes, layout.swap_bytes, layout.root_bytes, layout.metadata_bytes, layout.data_bytes)
    assert [size // MIB for size in got] == [esp, swap, root, meta, data]
    assert layout.disk_end_bytes == (100 * GIB if "hdsize" in options else 0)


def extents_in_use(layout: Layout) -> int:
    used = layout.swap_bytes + layout.root_bytes + layout.data_bytes + 2 * layout.metadata_bytes
    assert used % EXTENT_BYTES == 0
    return used // EXTENT_BYTES


@pytest.mark.parametrize("sectors", [*range(8 * 2**21, 40 * 2**21, 999_983), SECTORS_223 // 512, 500 * 2**21])
@pytest.mark.parametrize(
    "options", [{}, {"minfree": 0.0}, {"swapsize": 0.0}, {"maxvz": 6.0}, {"swapsize": 1.3}]
)
def test_the_lvs_fit_into_the_vg(sectors: int, options: dict[str, float]) -> None:
    disk = sectors * 512
    layout = plan_layout(disk, 512, 8 * GIB, LvmOptions(**options))
    # sfdisk ends the partition before the backup GPT, on a MiB; the first extent begins 1 MiB into the PV.
    partition = align_down(disk - 33 * 512, MIB) - layout.esp_bytes - MIB
    assert extents_in_use(layout) <= (partition - MIB) // EXTENT_BYTES


def test_4kn_disks_have_no_bios_boot_partition() -> None:
    assert plan_layout(64 * GIB, 4096, GIB, LvmOptions()).bios_boot is False
    assert plan_layout(64 * GIB, 512, GIB, LvmOptions()).bios_boot is True


def test_hdsize_above_the_disk_means_the_whole_disk() -> None:
    assert plan_layout(64 * GIB, 512, GIB, LvmOptions(hdsize=999)).disk_end_bytes == 0


@pytest.mark.parametrize(
    ("disk", "options", "message"),
    [
        (
            15 * GIB // 2,
            {},
            "disk-setup.lvm.hdsize: 7.5 GiB of the disk are to be used, 8.0 GiB are needed; "
            "make hdsize larger or choose a larger disk",
        ),
        (
            10 * GIB,
            {"swapsize": 9.0},
            "disk-setup.lvm: swap and maxroot leave 504.0 MiB for the root, 2 GiB are needed; "
            "make swapsize smaller or maxroot larger",
        ),
    ],
)
def test_no_room(disk: int, options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError) as caught:
        plan_layout(disk, 512, 16 * GIB, LvmOptions(**options))
    assert str(caught.value) == message


def test_odd_sizes_are_cut_to_kib() -> None:
    assert plan_layout(64 * GIB + 512, 512, GIB, LvmOptions()) == plan_layout(
        64 * GIB, 512, GIB, LvmOptions()
    )
