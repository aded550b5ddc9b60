"""Outputs of storcli and ssacli, cut down to what is read and what could be taken for it.

Written after outputs of a ServeRAID M5015, a P408i-a, a P212 and an H240 in the test data of netdata/netdata and
openstack/proliantutils, with drives and serial numbers of our own; storcli2's form as its users describe it.
"""

import json
from typing import Any


def answer(data: dict[str, Any], controller: int = 0, status: str = "Success") -> str:
    head = {"CLI Version": "007.2807.0000.0000", "Controller": controller, "Status": status}
    return json.dumps({"Controllers": [{"Command Status": head, "Response Data": data}]})


def pd(slot: str, state: str, group: int | str = "-", medium: str = "SSD") -> dict[str, Any]:
    return {
        "EID:Slt": slot,
        "DID": 6,
        "State": state,
        "DG": group,
        "Size": "446.625 GB",
        "Intf": "SATA",
        "Med": medium,
        "Model": "SAMSUNG MZ7LH480HAHQ ",
    }


def vd(name: str, level: str, state: str, cache: str) -> dict[str, Any]:
    return {"DG/VD": name, "TYPE": level, "State": state, "Cache": cache, "Size": "446.625 GB", "Name": ""}


DRIVES = [
    pd("252:0", "Onln", 0),
    pd("252:1", "Onln", 0),
    pd("252:2", "Onln", 1),
    pd("252:3", "JBOD"),
    pd("252:4", "UGood"),
    pd("252:5", "UGood", "F"),
    pd("252:6", "UBad"),
    pd("252:7", "GHS", medium="HDD"),
]
CONTROLLER: dict[str, Any] = {
    "Basics": {"Controller": 0, "Model": "PERC H730P Mini", "PCI Address": "00:0a:00:00"},
    "Bus": {"Bus Number": 10, "Device Number": 0, "Function Number": 0, "Domain ID": 0},
    "HwCfg": {"BBU": "Present"},
    "Capabilities": {"Current Personality": "RAID-Mode "},
    "TOPOLOGY": [{"DG": 0, "EID:Slot": "252:0", "DID": 35, "Type": "DRIVE", "State": "Onln"}],
    "VD LIST": [vd("0/0", "RAID1", "Dgrd", "RWBD"), vd("1/239", "RAID0", "Optl", "NRWTD")],
    "PD LIST": DRIVES,
    "BBU_Info": [{"Model": "iBBU08", "State": "Optimal", "Temp": "34C"}],
}
VOLUMES: dict[str, Any] = {
    "/c0/v0": [vd("0/0", "RAID1", "Dgrd", "RWBD")],
    "PDs for VD 0": DRIVES[:2],
    "VD0 Properties": {
        "Span Depth": 1,
        "Number of Drives Per Span": 2,
        "OS Drive Name": "/dev/sdz",
        "SCSI NAA Id": "600605b010e943702a3372bf4d29f6a7",
    },
    "/c0/v239": [vd("1/239", "RAID0", "Optl", "NRWTD")],
    "PDs for VD 239": DRIVES[2:3],
    "VD239 Properties": {"Span Depth": 1, "Number of Drives Per Span": 1, "OS Drive Name": "/dev/sdb"},
}
DETAILS: dict[str, Any] = {
    "Drive /c0/e252/s0": [DRIVES[0]],
    "Drive /c0/e252/s0 - Detailed Information": {
        "Drive /c0/e252/s0 State": {
            "Media Error Count": 3,
            "Drive Temperature": " 28C (82.40 F)",
            "S.M.A.R.T alert flagged by drive": "Yes",
        },
        "Drive /c0/e252/s0 Device attributes": {
            "SN": "            S0",
            "Raw size": "447.130 GB [0x37e436b0 Sectors]",
        },
    },
    "Drive /c0/e252/s3": [DRIVES[3]],
    "Drive /c0/e252/s3 - Detailed Information": {
        "Drive /c0/e252/s3 Device attributes": {"SN": "S3", "Raw size": "447.130 GB [0x37e436b0 Sectors]"}
    },
}
SECOND_GENERATION: dict[str, Any] = {
    "Virtual Drives": [
        {
            "VD Info": {"DG/VD": "0/1", "TYPE": "RAID10", "State": "Optl", "CurrentCache": "NR,WB"},
            "PDs": [pd(f"306:{n}", "Conf", 0) | {"Status": "Online"} for n in range(4)],
            "VD Properties": {"Span Depth": 2, "Number of Drives Per Span": 2, "OS Drive Name": "/dev/sda"},
        }
    ]
}

SSACLI = """
HPE Smart Array P408i-a SR Gen10 in Slot 0 (Embedded)
   Bus Interface: PCI
   Slot: 0
   Serial Number: CTRL
   Controller Status: OK
   Cache Board Present: True
   Cache Ratio: 20% Read / 80% Write
   Battery/Capacitor Count: 1
   Battery/Capacitor Status: OK
   PCI Address (Domain:Bus:Device.Function): 0000:5C:00.0
   Controller Mode: Mixed
   Sensor ID: 0
      Location: Inlet Ambient

   Internal Drive Cage at Port 2I, Box 1, OK

      Drive Bays: 4

   Physical Drives
      physicaldrive 2I:1:1 (port 2I:box 1:bay 1, SATA SSD, 960 GB, OK)
      physicaldrive 2I:1:2 (port 2I:box 1:bay 2, SATA SSD, 960 GB, OK)

   Port Name: 1I
         Port ID: 0

   Array: A
      Interface Type: Solid State SATA
      Status: OK

      Logical Drive: 1
         Size: 894.22 GB
         Fault Tolerance: 1
         Status: Interim Recovery Mode
         Caching:  Enabled
         Unique Identifier: 600508B1001C8CC3C673A109DD66DDBB
         Disk Name: /dev/sda
         Drive Type: Data

      Logical Drive: 2
         Size: 10 GB
         Fault Tolerance: 1+0 (ADM)
         Status: OK
         Caching:  Disabled
         Disk Name: /dev/sdb

      physicaldrive 2I:1:1
         Status: OK
         Drive Type: Data Drive
         Interface Type: Solid State SATA
         Size: 960 GB
         Drive exposed to OS: False
         Serial Number: S1
         Model: ATA     MTFDDAK960TCB
         Current Temperature (C): 34
         Maximum Temperature (C): 38
         Usage remaining: 98.00%
         Power On Hours: 45068

      physicaldrive 2I:1:2
         Status: Failed
         Drive Type: Data Drive
         Interface Type: Solid State SATA
         Size: 960 GB

      physicaldrive 2I:1:5
         Status: OK
         Drive Type: Spare Drive
         Interface Type: Solid State SATA
         Size: 960 GB

   Unassigned

      physicaldrive 2I:1:3
         Status: Predictive Failure
         Drive Type: Unassigned Drive
         Interface Type: SATA
         Size: 1 TB
         Drive exposed to OS: True
         Rotational Speed: 7200
         Serial Number: S3
         Model: HP      MB3000FCWDH

      physicaldrive 2I:1:4
         Status: OK
         Drive Type: Unassigned Drive
         Interface Type: SAS
         Size: 1 TB
         Drive exposed to OS: False
         Rotational Speed: 10000

   SEP (Vendor ID HPE, Model Smart Adapter) 379
      Device Number: 379
      Model: Smart Adapter

Smart Array P212 in Slot 5
   Cache Board Present: True
   Cache Ratio: 100% Read / 0% Write
   Battery/Capacitor Count: 0
   PCI Address (Domain:Bus:Device.Function): 0000:14:00.0

   Array: A
      Logical Drive: 1
         Fault Tolerance: 5
         Status: Failed
         Caching:  Enabled

Smart HBA H240 in Slot 1 (HBA Mode)
   PCI Address (Domain:Bus:Device.Function): 0000:03:00.0

   HBA Drives

      physicaldrive 2I:1:29
         Status: OK
         Drive Type: HBA Mode Drive
         Size: 6 TB
"""
