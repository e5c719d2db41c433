r"""Is an adapter a ghost, a device that is registered but no longer there?

Presence is found at run time; nothing at rest says "present" (Microsoft:
enumerating installed devices). Only signs of absence exist: a class instance
whose device is gone from ``Enum``; a last removal not before the last arrival
(device properties 0067 and 0066 of {83da6326-…}, 8 and later); ``StaleAdapter``
in the DNS client's records (observed on a ghost of 7).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from p2vprep.core.facts.adapterkinds import SOFTWARE_BUSES
from p2vprep.core.facts.addresses import NetInstance
from p2vprep.core.facts.devices import Device
from p2vprep.core.facts.keys import below, dword, value
from p2vprep.core.facts.virtualnics import all_known, hardware, known_name, owners
from p2vprep.core.model_facts import Adapter
from p2vprep.core.registry import Key

_DATES = r"Properties\{83da6326-97a6-4088-9453-a1923f573b29}"
_ARRIVED, _REMOVED = 0x66, 0x67
_DNS_RECORDS = r"Services\Tcpip\Parameters\DNSRegisteredAdapters"
_FILETIME_BYTES = 8
_TICKS_PER_DAY = 24 * 60 * 60 * 10_000_000

CANNOT_BE_TOLD = "cannot be told at rest"


def judge(
    control_set: Key, instance: NetInstance, device: Device | None, *, bus: str, has_tree: bool
) -> tuple[bool | None, str]:
    """True, False, or None where it cannot be told, and why in words."""
    if bus in SOFTWARE_BUSES:
        return False, "made by software, it needs no hardware"
    if device is None:
        if not has_tree:
            return None, f"{CANNOT_BE_TOLD}: the hive holds no device tree"
        return True, f"its device is gone: no device names class instance {instance.number}"
    arrived, removed = last_date(device.node, _ARRIVED), last_date(device.node, _REMOVED)
    if removed is not None and (arrived is None or removed >= arrived):
        since = "" if arrived is None else f", last arrived {day(arrived)}"
        return True, f"Windows saw it removed on {day(removed)}{since}"
    if dword(below(control_set, rf"{_DNS_RECORDS}\{instance.guid}"), "StaleAdapter") == 1:
        return True, "the DNS client marked it stale"
    return None, CANNOT_BE_TOLD


@dataclass(frozen=True)
class Expected:
    """Whether an adapter will be a ghost where the machine goes; None where it cannot be told; and why."""

    ghost: bool | None
    why: str


def after_move(adapter: Adapter, hypervisors: Collection[str]) -> Expected:
    """What becomes of an adapter on these hypervisors; with none named, on any of them.

    A card that no hypervisor imitates is gone on all. One that some have is gone on the others only.
    """
    if adapter.ghost or adapter.kind != "physical":
        return Expected(adapter.ghost, adapter.why)
    having = owners(adapter.instance)
    if having is None:
        return Expected(None, CANNOT_BE_TOLD)
    what = hardware(adapter.instance)
    if not having:
        return Expected(True, f"no hypervisor has this hardware ({what})")
    names = ", ".join(sorted(having))
    if not hypervisors:
        return Expected(None, f"{CANNOT_BE_TOLD}: {what} is hardware of {names} as well; the target decides")
    if any(known_name(name) in having for name in hypervisors):
        return Expected(False, f"the target has such hardware itself ({what})")
    if not all_known(hypervisors):
        return Expected(None, f"{CANNOT_BE_TOLD}: what hardware the target has is not known here")
    return Expected(True, f"the target has no such hardware ({what})")


def last_date(node: Key, number: int) -> int | None:
    """A device's date property as FILETIME (100 ns since 1601); None where it is absent or odd.

    8 and later: the unnamed value of ``0066``; 7: ``00000066\\00000000``, value ``Data``.
    """
    dates = below(node, _DATES)
    data = value(below(dates, f"{number:04x}"), "")
    if data is None:
        data = value(below(dates, rf"{number:08x}\00000000"), "Data")
    if data is None or len(data.raw) != _FILETIME_BYTES:
        return None
    return int.from_bytes(data.raw, "little") or None


def day(filetime: int) -> str:
    """The day (UTC) of a FILETIME as ``2021-03-05``.

    Counted here as the core knows no clock; 1601 begins a cycle of 400 years.
    """
    days = filetime // _TICKS_PER_DAY
    year = 1601
    for years, length, most in ((400, 146097, days), (100, 36524, 3), (4, 1461, days), (1, 365, 3)):
        whole = min(days // length, most)
        year, days = year + whole * years, days - whole * length
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    month = 1
    for length in (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31):
        if days < length:
            break
        month, days = month + 1, days - length
    return f"{year:04d}-{month:02d}-{days + 1:02d}"
