r"""Drivers that may carry the start disk: which they are, whether they are ready, and what hinders them.

The loader reads every driver of start type 0 from ``System32\drivers``; one whose file is missing
stops it or leaves the disk without a driver (stop 0x7B). From Windows 8 on, a subkey
``StartOverride`` keeps drivers that the present machine does not need from starting with Windows:
its values are named by the number of the hardware configuration (seen: 0 to 5) and hold the start
type that counts instead (seen in hives of 8.1 and 10; public repair tools delete it).

Only the drivers of the table may be made to start with Windows, whatever a profile says: they ship
with Windows or with the hypervisor whose disk they serve, and are known to be idle without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from p2vprep.core.facts.keys import dword
from p2vprep.core.model import Facts, Service, Start
from p2vprep.core.registry import Hive, Key, find, fold, join

VISTA = (6, 0)
WINDOWS_8 = (6, 2)
START_OVERRIDE = "StartOverride"
_IN_DRIVERS = re.compile(r"(?:\\SystemRoot\\)?system32\\drivers\\([^\\/:*?\"<>|]+\.sys)", re.IGNORECASE)


@dataclass(frozen=True)
class StorageDriver:
    """A driver that may carry the start disk: the files it may be, and those it cannot do without."""

    files: tuple[str, ...]
    needs: tuple[str, ...] = ()


def _plain(*names: str) -> dict[str, StorageDriver]:
    return {fold(name): StorageDriver((f"{name}.sys",)) for name in names}


STORAGE_DRIVERS: Mapping[str, StorageDriver] = {
    **_plain(
        "atapi", "msahci", "storahci", "stornvme", "LSI_SAS", "LSI_SAS2", "LSI_SAS2i", "LSI_SAS3",
        "LSI_SAS3i", "LSI_SCSI", "symmpi", "megasas", "vmbus", "storvsc", "viostor", "vioscsi",
    ),
    "INTELIDE": StorageDriver(("intelide.sys",), ("pciidex.sys",)),
    "PCIIDE": StorageDriver(("pciide.sys",), ("pciidex.sys",)),
    "STORFLT": StorageDriver(("vmstorfl.sys", "storflt.sys")),
    "PVSCSI": StorageDriver(("pvscsi.sys", "pvscsii.sys")),
    "PVSCSII": StorageDriver(("pvscsii.sys",)),
}  # fmt: skip
"""By folded service name. Names and files as seen in XP to 10 hives and in the virtio drivers' set-up files.

storflt is Hyper-V's disk filter; its file is vmstorfl.sys in every hive seen.
"""


@dataclass(frozen=True)
class Obstacle:
    """Why a driver is not made to start with Windows; ``alarming`` where somebody has to look at it."""

    code: str
    message: str
    alarming: bool = False


def driver_file(service: Service) -> str | None:
    r"""The name of a driver's file in ``System32\drivers``; None where its ImagePath leads elsewhere.

    Without an ImagePath it is the service's own name (seen: partmgr and pciide of XP).
    """
    if not service.image_path:
        return f"{service.name}.sys"
    found = _IN_DRIVERS.fullmatch(service.image_path.strip())
    return None if found is None else found.group(1)


def obstacle(service: Service, facts: Facts) -> Obstacle | None:
    """What keeps a driver from being made to start with Windows, or None.

    Where the driver files are not known (not one of them is there), drivers of Vista and later
    count as present, since set-up puts all of them on the disk. Before Vista it copies only what
    the machine needs, so only drivers that start with Windows already do.
    """
    known = STORAGE_DRIVERS.get(fold(service.name))
    if service.kind != "driver" or known is None:
        what = f"{service.name} is not among the storage drivers of Windows and hypervisors"
        return Obstacle("foreign-driver", what, alarming=True)
    file = driver_file(service)
    if file is None or fold(file) not in map(fold, known.files):
        what = f"{service.name} is not {' or '.join(known.files)} in System32\\drivers: {service.image_path}"
        return Obstacle("foreign-driver", what, alarming=True)
    missing = missing_files(service, facts)
    if missing:
        return Obstacle("driver-file-missing", f"{' and '.join(missing)} is not in System32\\drivers")
    if facts.driver_files is None and facts.guest.version.nt < VISTA and service.start != Start.BOOT:
        return Obstacle("driver-file-unknown", f"whether {file} is in System32\\drivers is not known")
    return None


def missing_files(service: Service, facts: Facts) -> tuple[str, ...]:
    r"""The files of a driver that are known not to be in ``System32\drivers``; none where nobody looked."""
    if facts.driver_files is None:
        return ()
    file = driver_file(service)
    known = STORAGE_DRIVERS.get(fold(service.name))
    wanted = (*(() if file is None else (file,)), *(() if known is None else known.needs))
    return tuple(name for name in wanted if fold(name) not in facts.driver_files)


def start_override(hive: Hive, service: Service) -> Key | None:
    """The subkey that keeps a driver from starting with Windows; None where there is none."""
    return find(hive, join(service.key, START_OVERRIDE))


def starts_with_windows(hive: Hive, service: Service) -> bool:
    """Whether the loader will load a driver, whatever the hardware configuration."""
    if service.start != Start.BOOT:
        return False
    held = start_override(hive, service)
    if held is None:
        return True
    starts = (dword(held, name) for name, _data in held.values())
    return all(start == Start.BOOT for start in starts)
