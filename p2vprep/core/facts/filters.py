r"""Class filters and device filters: ``UpperFilters`` and ``LowerFilters``.

They live in two places: ``Control\Class\{GUID}`` for all devices of a class, and
the device instance below ``Enum`` (upgrades of Vista and 2008 move class filters
there, KB 976267).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from p2vprep.core.facts.devices import Device
from p2vprep.core.facts.keys import below, children, strings, text
from p2vprep.core.model import ClassFilter
from p2vprep.core.registry import Key, fold

_POSITIONS: tuple[Literal["UpperFilters", "LowerFilters"], ...] = ("UpperFilters", "LowerFilters")


def read_filters(control_set: Key, devices: tuple[Device, ...]) -> tuple[ClassFilter, ...]:
    """All filter lists that name a filter: of classes first, then of single devices."""
    return (*_class_filters(control_set), *_device_filters(control_set, devices))


def _class_filters(control_set: Key) -> Iterator[ClassFilter]:
    for key in children(below(control_set, r"Control\Class")):
        for position in _POSITIONS:
            names = strings(key, position)
            if names:
                yield ClassFilter(key.path, position, names, "class", key.name, text(key, "Class"))


def _device_filters(control_set: Key, devices: tuple[Device, ...]) -> Iterator[ClassFilter]:
    names_of: dict[str, str] = {}
    for device in devices:
        for position in _POSITIONS:
            names = strings(device.values, position)
            if names:
                guid = device.class_guid
                if fold(guid) not in names_of:
                    names_of[fold(guid)] = text(below(control_set, rf"Control\Class\{guid}"), "Class")
                yield ClassFilter(device.key, position, names, "device", guid, names_of[fold(guid)])
