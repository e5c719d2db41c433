r"""Neutral observations that let profiles detect a vendor: firmware strings, PCI ids, device ids."""

from __future__ import annotations

import re

from p2vprep.core.facts.devices import Device
from p2vprep.core.facts.keys import below, readable, strings, text
from p2vprep.core.model import PciDevice
from p2vprep.core.registry import Hive, Key, find, fold

_BIOS_NAMES = (
    "SystemManufacturer",
    "SystemFamily",
    "SystemProductName",
    "SystemSKU",
    "SystemVersion",
    "BaseBoardManufacturer",
    "BaseBoardProduct",
    "BIOSVendor",
    "BIOSVersion",
    "BIOSReleaseDate",
    "SystemBiosVersion",
    "SystemBiosDate",
    "VideoBiosVersion",
)
_PCI_ID = re.compile(
    r"VEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})(?:&SUBSYS_([0-9A-F]{4})([0-9A-F]{4}))?", re.IGNORECASE
)


def read_bios(system: Hive, boot: Key) -> dict[str, str]:
    r"""The firmware's strings by their names; lists are joined with ``; ``.

    Looked for where they were observed or are documented: the last hardware
    configuration (``HardwareConfig\{id}``, 8 and later), ``Control\SystemInformation``
    (Vista and later, absent at rest in every hive seen), ``Control\Biosinfo`` (XP, 2003).
    """
    configurations = find(system, "HardwareConfig")
    last = text(configurations, "LastConfig")
    places = (
        below(configurations, last) if last else None,
        below(boot, r"Control\SystemInformation"),
        below(boot, r"Control\Biosinfo"),
    )
    bios: dict[str, str] = {}
    for place in places:
        for name in _BIOS_NAMES:
            found = "; ".join(strings(place, name)).strip()
            if found and name not in bios:
                bios[name] = found
    return bios


def read_pci(devices: tuple[Device, ...]) -> tuple[PciDevice, ...]:
    """All PCI device instances. In SUBSYS the last four digits are the vendor (pci.sys naming)."""
    found = []
    for device in devices:
        match = _PCI_ID.match(device.id) if fold(device.bus) == "PCI" else None
        if match is not None:
            vendor, product, subsystem, maker = (part.upper() if part else "" for part in match.groups())
            found.append(
                PciDevice(
                    vendor=vendor,
                    device=product,
                    subsystem_vendor=maker,
                    subsystem=subsystem,
                    instance=device.path,
                    service=device.service,
                    class_guid=device.class_guid,
                    description=readable(text(device.values, "DeviceDesc")),
                )
            )
    return tuple(found)


def read_device_ids(devices: tuple[Device, ...]) -> tuple[str, ...]:
    """The ids of all devices without their instances, each once."""
    return tuple(dict.fromkeys(f"{device.bus}\\{device.id}" for device in devices))
