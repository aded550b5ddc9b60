import errno
import threading

from hostlib.inventory import UNREADABLE, Content, Disk, Health
from hostlib.probe.readable import mark_unreadable

HELD = Content(device="sdc", type="ext4")


def disk(name: str, *contents: Content, health: Health | None = None) -> Disk:
    return Disk(name=name, path=f"/dev/{name}", size_bytes=1, contents=contents, health=health)


def test_only_an_error_of_a_disk_that_seems_empty_tells_something() -> None:
    sleeping = Health(source="smartctl", standby=True)
    errors = {
        "/dev/sdb": errno.EIO,
        "/dev/sdc": errno.EIO,
        "/dev/sdd": errno.EIO,
        "/dev/sde": errno.EACCES,
        "/dev/sdf": errno.EIO,
    }
    read: list[str] = []

    def fail(path: str) -> None:
        read.append(path)
        if path in errors:
            raise OSError(errors[path], "no")

    path = disk("sdf").model_copy(update={"kind": "multipath-path"})
    disks = [disk("sda"), disk("sdb"), disk("sdc", HELD), disk("sdd", health=sleeping), disk("sde"), path]
    after = mark_unreadable(disks, fail, 10)
    assert [[content.type for content in found.contents] for found in after] == [
        [],
        [UNREADABLE],
        ["ext4"],
        [],
        [],
        [],
    ]
    # What is known is not read again, who sleeps is not woken, and the passive path of a storage system means nothing.
    assert sorted(read) == ["/dev/sda", "/dev/sdb", "/dev/sde"]


def test_nothing_is_concluded_from_a_disk_that_does_not_answer() -> None:
    end = threading.Event()

    def hang(_: str) -> None:
        end.wait(20)

    (after,) = mark_unreadable([disk("sda")], hang, 0.1)
    assert after.contents == ()
    end.set()
