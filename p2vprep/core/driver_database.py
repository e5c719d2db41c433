r"""How a controller's driver is made known before Plug and Play runs: two databases, by Windows version.

Up to 7 and 2008 R2 ``Control\CriticalDeviceDatabase`` of each control set maps device ids to services
(Microsoft KB314082; 2,548 entries in a hive of 7). From 8 on it is ``SYSTEM\DriverDatabase``, outside the
sets: ids name an INF, that names a package, whose configuration names the service (hives of 8.1 and 10).
The package made here is a placeholder with no files, in the shape that virt-v2v has put on guests of 8
to 2025; the first boot replaces it by the real one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from p2vprep.core.model import SetValue
from p2vprep.core.registry import Hive, find, join
from p2vprep.core.values import Data

DATABASE = "DriverDatabase"
_CONFIGURATION = "boot"
_ARCHITECTURES = {"x86": 0, "x64": 9, "arm64": 12}
"""PROCESSOR_ARCHITECTURE_* of winnt.h."""
_HARDWARE, _COMPATIBLE = b"\x01\xff\x00\x00", b"\x02\xff\x00\x00"
"""Seen in hives: an id that an INF lists first, and one that it lists after it."""


@dataclass(frozen=True)
class BootDevice:
    """A controller and the service that drives it."""

    service: str
    class_guid: str
    hardware_ids: tuple[str, ...]
    r"""Without the bus: ``VEN_1AF4&DEV_1001&REV_00``; all are on the PCI bus."""
    compatible_ids: tuple[str, ...]


@dataclass(frozen=True)
class Placeholder:
    """The package that stands for a driver until Plug and Play has installed the real one."""

    inf: str
    label: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are the placeholder's alone."""
        return (join(DATABASE, "DriverInfFiles", self.inf), join(DATABASE, "DriverPackages", self.label))


def placeholder(service: str) -> Placeholder:
    """The placeholder of a service."""
    inf = f"p2vprep_{service.lower()}.inf"
    return Placeholder(inf, f"{inf}_tmp")


def has_database(system: Hive) -> bool:
    """Whether this Windows has the database of 8 and later."""
    return find(system, join(DATABASE, "DeviceIds")) is not None


def id_key(device_id: str) -> str:
    """Where the database keeps a device id."""
    return join(DATABASE, "DeviceIds", "PCI", device_id)


def critical_device(control_set: str, device: BootDevice, rule: str, why: str) -> Iterator[SetValue]:
    """The edits of one control set, for Windows up to 7 and 2008 R2."""
    for one in (*device.hardware_ids, *device.compatible_ids):
        key = join(control_set, r"Control\CriticalDeviceDatabase", f"PCI#{one}")
        for name, text in (("Service", device.service), ("ClassGUID", device.class_guid)):
            yield SetValue("SYSTEM", key, name, Data.sz(text), rule, why, create=True)


def database_entries(
    system: Hive, architecture: str, device: BootDevice, rule: str, why: str
) -> Iterator[SetValue]:
    """The edits outside the control sets, for Windows 8 and later."""
    held = placeholder(device.service)
    inf_key, package = held.keys

    def put(key: str, name: str, data: Data) -> SetValue:
        return SetValue("SYSTEM", key, name, data, rule, why, create=True)

    yield put(inf_key, "", Data.multi_sz([held.label]))
    yield put(inf_key, "Active", Data.sz(held.label))
    yield put(inf_key, "Configurations", Data.multi_sz([_CONFIGURATION]))
    yield put(package, "Version", Data.binary(_version(system, architecture, device.class_guid)))
    configuration = join(package, "Configurations", _CONFIGURATION)
    yield put(configuration, "ConfigFlags", Data.dword(0))
    yield put(configuration, "Service", Data.sz(device.service))
    ranked = [(one, _HARDWARE) for one in device.hardware_ids]
    ranked += [(one, _COMPATIBLE) for one in device.compatible_ids]
    for one, rank in ranked:
        yield put(id_key(one), held.inf, Data.binary(rank))
        yield put(join(package, r"Descriptors\PCI", one), "Configuration", Data.sz(_CONFIGURATION))


def _version(system: Hive, architecture: str, class_guid: str) -> bytes:
    """48 bytes: a mark, the processor, the device class; date and version zero, so any real driver is newer.

    The kernel of 10 wants the value. The processor is as the database itself tells it.
    """
    database = find(system, DATABASE)
    told = None if database is None else database.value("Architecture")
    processor = told.number if told is not None and told.number is not None else None
    if processor is None:
        processor = _ARCHITECTURES.get(architecture, 0)
    head = b"\x00\xff" + processor.to_bytes(2, "little") + bytes(4)
    return head + uuid.UUID(class_guid.strip("{}")).bytes_le + bytes(24)
