"""How the drives themselves are had from a RAID controller, and NVMe drives from Intel's remapping, by vendor.

Who sells a card is told by its PCI subsystem vendor, who made it by its driver. The names of menus and commands are
those that the vendors' guides use (Dell: PERC and iDRAC; HPE: Smart Array SR Gen10, SSA; Broadcom: StorCLI; Microchip:
ARCCONF; Lenovo, Supermicro, Areca, Intel: their setup menus). Firmware of another age may call them otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hostlib.inventory import Controller, Disk, Inventory

DELL: Final = frozenset({"1028"})
HPE: Final = frozenset({"103c", "1590"})
LENOVO: Final = frozenset({"17aa", "1014"})
SUPERMICRO: Final = frozenset({"15d9"})
_MEGARAID: Final = frozenset({"megaraid_sas"})
_FUSION: Final = frozenset({"mpt3sas", "mpt2sas", "mptsas"})
_SMART: Final = frozenset({"smartpqi", "hpsa"})
_AHCI: Final = frozenset({"ahci", "nvme", "mvsas"})


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do on the controllers of one vendor. Empty sets: any."""

    name: str
    sellers: frozenset[str]
    """PCI subsystem vendors."""
    drivers: frozenset[str]
    text: str


# The first that fits is given: a seller's own menus before those of the chip's maker.
PASSTHROUGH: Final = (
    Advice(
        "Dell PERC",
        DELL,
        _MEGARAID,
        "iDRAC: Storage > Controllers: set the controller mode to HBA (PERC 9) or Enhanced HBA (PERC 10) if no volume "
        "is to stay, or "
        "Storage > Physical Disks: Convert to Non-RAID (PERC 11 and later), or Storage > Virtual Disks: create one "
        "RAID-0 per drive; at the machine: F2 > Device Settings > the PERC (UEFI), or Ctrl-R (BIOS)",
    ),
    Advice(
        "Dell BOSS",
        DELL,
        _AHCI,
        "a BOSS card is made for the system: keep data on other drives; its volumes are set up in F2 > "
        "Device Settings > the BOSS card, or in iDRAC: Storage > Virtual Disks",
    ),
    Advice(
        "HPE Smart Array",
        HPE,
        _SMART,
        "delete the array in F9 System Utilities > System Configuration > the controller, or in F10 Intelligent "
        "Provisioning > Smart Storage Administrator (SSA): from Gen10 on, a drive in no array is passed through; "
        "before, switch on HBA mode there or by `ssacli ctrl slot=N modify hbamode=on` if no array is to stay, or make "
        "one RAID 0 array per drive",
    ),
    Advice(
        "HPE MR (MegaRAID)",
        HPE,
        _MEGARAID,
        "F9 System Utilities > System Configuration > the MR controller: make the drives JBOD, or create one RAID0 "
        "per drive; `storcli /cN set jbod=on`, or `storcli /cN add vd each type=raid0 drives=E:S wt`",
    ),
    Advice(
        "Lenovo, IBM (MegaRAID)",
        LENOVO,
        _MEGARAID,
        "XCC: RAID Setup, or F1 > System Settings > Storage > the adapter: make the drives JBOD, or create one RAID 0 "
        "per drive; `storcli /cN set jbod=on`, or `storcli /cN add vd each type=raid0 drives=E:S wt`",
    ),
    Advice(
        "Supermicro (MegaRAID)",
        SUPERMICRO,
        _MEGARAID,
        "firmware setup (Del) > Advanced > the MegaRAID configuration utility (UEFI), or Ctrl-R or Ctrl-H (BIOS): make "
        "the drives JBOD, or create one RAID 0 per drive; `storcli /cN set jbod=on`, or "
        "`storcli /cN add vd each type=raid0 drives=E:S wt`",
    ),
    Advice(
        "Broadcom, LSI, Avago MegaRAID",
        frozenset(),
        _MEGARAID,
        "the MegaRAID configuration utility in the firmware setup (UEFI), or Ctrl-R or Ctrl-H (WebBIOS) at the start "
        "(BIOS): make the drives JBOD, or create one RAID 0 per drive; `storcli /cN set jbod=on`, or "
        "`storcli /cN add vd each type=raid0 drives=E:S wt`",
    ),
    Advice(
        "Broadcom, LSI Fusion-MPT SAS",
        frozenset(),
        _FUSION,
        "delete the volume in the SAS configuration utility (Ctrl-C at the start, or the firmware setup), not "
        "by `sas3ircu N delete`, which deletes all of them; a card with IT firmware has no volumes at all",
    ),
    Advice(
        "Microchip, Adaptec",
        frozenset(),
        frozenset({"smartpqi", "aacraid"}),
        "the controller's page in the firmware setup (UEFI), Ctrl-A at the start (BIOS), or maxView Storage Manager: "
        "set the controller mode to HBA (`arcconf setcontrollermode N 2`) if no volume is to stay; or create one simple "
        "volume or RAID 0 per drive",
    ),
    Advice(
        "Areca",
        frozenset(),
        frozenset({"arcmsr"}),
        "McBIOS (Tab or F6 at the start) or the card's own web page: make each drive a pass-through disk, or set the "
        "RAID/JBOD configuration to JBOD",
    ),
    Advice(
        "Intel RST, VROC and other firmware RAID",
        frozenset(),
        _AHCI | {"vmd", "isci"},
        "firmware setup: set the SATA mode to AHCI instead of RAID, and delete the volume in the firmware's RAID menu "
        "(Intel: Ctrl-I at the start)",
    ),
    Advice(
        "any other",
        frozenset(),
        frozenset(),
        "the controller's own setup at the start of the machine, in the firmware setup or in the BMC: HBA, JBOD, IT or "
        "pass-through mode, or one RAID0 per drive",
    ),
)


@dataclass(frozen=True, slots=True)
class FirmwareAdvice:
    """Where the firmware setup of a maker of machines has SATA mode and VMD; `makers`: starts of SMBIOS's vendor."""

    name: str
    makers: tuple[str, ...]
    text: str


UNHIDE_NVME: Final = (
    FirmwareAdvice(
        "Dell",
        ("dell",),
        "F2 > System BIOS > SATA Settings: Embedded SATA to AHCI Mode; NVMe Settings: NVMe Mode to Non-RAID; "
        "on workstations Storage: SATA/NVMe Operation to AHCI/NVMe",
    ),
    FirmwareAdvice(
        "HPE",
        ("hp",),
        "F9 System Utilities > System Configuration > BIOS/Platform Configuration (RBSU) > Storage Options: SATA "
        "controller to AHCI support, Intel VMD off",
    ),
    FirmwareAdvice(
        "Lenovo",
        ("lenovo", "ibm"),
        "F1 > System Settings > Devices and I/O Ports: SATA mode to AHCI, Intel VMD technology to Disabled",
    ),
    FirmwareAdvice(
        "Supermicro",
        ("supermicro",),
        "Del > Advanced: PCH SATA Configuration: Configure SATA as AHCI; Chipset Configuration > North Bridge > IIO "
        "Configuration: Intel VMD Technology to Disabled",
    ),
    FirmwareAdvice(
        "any other",
        ("",),
        "firmware setup: SATA or storage mode to AHCI instead of RAID, RST or Optane; Intel VMD (VMD controller) to "
        "Disabled",
    ),
)


def advise_passthrough(controller: Controller | None) -> str:
    """Give how to have the drives themselves from a controller, or one RAID0 per drive. None: it is not known."""
    if controller is None:
        return PASSTHROUGH[-1].text
    seller = controller.subsystem_id.partition(":")[0].lower()
    return next(
        row.text
        for row in PASSTHROUGH
        if (not row.sellers or seller in row.sellers)
        and (not row.drivers or controller.driver in row.drivers)
    )


def advise_nvme(inventory: Inventory) -> str:
    """Give where the firmware setup of this machine unhides NVMe drives."""
    maker = inventory.dmi.vendor.lower()
    return next(row.text for row in UNHIDE_NVME if maker.startswith(row.makers))


def controller_of(inventory: Inventory, disk: Disk) -> Controller | None:
    """Give what a disk hangs on; None where that is unknown."""
    if not disk.controller:
        return None
    return next((c for c in inventory.controllers if c.address == disk.controller), None)
