"""Outputs of smartctl, cut down to what is read and a little more.

From the test data of prometheus-community/smartctl_exporter (Apache-2.0), with serial numbers of our own; the drive
with pending sectors, the standby and the USB answers are made after smartctl's source.
"""

import json
from typing import Any


def smartctl(status: int = 0, **values: Any) -> str:
    return json.dumps({"json_format_version": [1, 0], "smartctl": {"exit_status": status}, **values})


def attribute(number: int, name: str, value: int, raw: str, when_failed: str = "") -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "value": value,
        "worst": value,
        "thresh": 10,
        "when_failed": when_failed,
        "raw": {"value": 77, "string": raw},
    }


# A Dell drive that smartctl's database does not know; asked with `-d megaraid,0`. Exit status 4.
SATA_SSD: dict[str, Any] = {
    "device": {"name": "/dev/bus/0", "type": "sat+megaraid,0", "protocol": "ATA"},
    "model_name": "MZ7KH480HAHQ0D3",
    "serial_number": "SSD1",
    "user_capacity": {"blocks": 937703088, "bytes": 480103981056},
    "in_smartctl_database": False,
    "rotation_rate": 0,
    "smart_status": {"passed": True},
    "ata_smart_attributes": {
        "revision": 1,
        "table": [
            attribute(5, "Reallocated_Sector_Ct", 100, "0"),
            attribute(177, "Wear_Leveling_Count", 99, "322"),
            attribute(198, "Offline_Uncorrectable", 100, "0"),
            attribute(202, "Unknown_SSD_Attribute", 100, "0"),
        ],
    },
    "power_on_time": {"hours": 34579},
    "temperature": {"current": 30},
}
SATA_HDD: dict[str, Any] = {
    "device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"},
    "model_name": "WDC WD20EFRX-68EUZN0",
    "serial_number": "HDD1",
    "user_capacity": {"blocks": 3907029168, "bytes": 2000398934016},
    "in_smartctl_database": True,
    "rotation_rate": 5400,
    "smart_status": {"passed": False},
    "ata_smart_attributes": {
        "table": [
            attribute(5, "Reallocated_Sector_Ct", 1, "1960 (2 0)", "now"),
            attribute(187, "Reported_Uncorrect", 90, "10"),
            attribute(190, "Airflow_Temperature_Cel", 45, "55", "past"),
            attribute(197, "Current_Pending_Sector", 100, "16"),
            attribute(198, "Offline_Uncorrectable", 100, "3"),
        ]
    },
    "power_on_time": {"hours": 61000},
    "temperature": {"current": 41},
}
NVME: dict[str, Any] = {
    "device": {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
    "model_name": "INTEL SSDPE2KE016T8",
    "serial_number": "NVME1",
    "nvme_total_capacity": 1600321314816,
    "smart_status": {"passed": True, "nvme": {"value": 0}},
    "nvme_smart_health_information_log": {
        "critical_warning": 0,
        "temperature": 31,
        "available_spare": 100,
        "available_spare_threshold": 10,
        "percentage_used": 2,
        "media_errors": 0,
        "power_on_hours": 4236,
    },
    "temperature": {"current": 31},
    "power_on_time": {"hours": 4236},
}
SAS: dict[str, Any] = {
    "device": {"name": "/dev/bus/0", "type": "megaraid,2", "protocol": "SCSI"},
    "scsi_vendor": "TOSHIBA",
    "scsi_product": "AL15SEB24EQY",
    "scsi_model_name": "TOSHIBA AL15SEB24EQY",
    "serial_number": "SAS1",
    "user_capacity": {"blocks": 4688430768, "bytes": 2400476553216},
    "rotation_rate": 10000,
    "smart_status": {"passed": True},
    "scsi_grown_defect_list": 3,
    "scsi_error_counter_log": {
        "read": {"errors_corrected_by_eccdelayed": 4, "total_uncorrected_errors": 2},
        "write": {"total_uncorrected_errors": 0},
        "verify": {"total_uncorrected_errors": 1},
    },
    "power_on_time": {"hours": 12437, "minutes": 29},
    "temperature": {"current": 32, "drive_trip": 65},
}
STANDBY = smartctl(
    3,
    device={"name": "/dev/sdb", "type": "sat", "protocol": "ATA"},
    model_name="WDC WD20EFRX-68EUZN0",
    serial_number="HDD2",
)
USB_BRIDGE = smartctl(1)
SCAN = json.dumps(
    {
        "smartctl": {"exit_status": 0},
        "devices": [
            {"name": "/dev/sda", "type": "scsi", "protocol": "SCSI"},
            {"name": "/dev/bus/2", "type": "megaraid,0", "protocol": "SCSI"},
            {"name": "/dev/bus/2", "type": "megaraid,1", "protocol": "SCSI"},
            {"name": "/dev/bus/3", "type": "sat+megaraid,0", "protocol": "ATA"},
        ],
    }
)
