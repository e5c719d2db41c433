r"""The device tree at rest: ``Enum\<bus>\<device>\<instance>``, read once and used by several facts.

No value at rest means that a device is present (Microsoft: presence is found at
run time), so these are all devices Windows has ever met and not forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2vprep.core.facts.keys import Snapshot, children, text
from p2vprep.core.registry import Key


@dataclass(frozen=True)
class Device:
    """One device instance."""

    bus: str
    id: str
    instance: str
    key: str
    """Its path in the hive."""
    node: Key
    values: Snapshot

    @property
    def path(self) -> str:
        r"""The device instance path as Windows names it: ``PCI\VEN_8086&DEV_100E\3&267a616a&0&18``."""
        return f"{self.bus}\\{self.id}\\{self.instance}"

    @property
    def class_guid(self) -> str:
        return text(self.values, "ClassGUID")

    @property
    def driver(self) -> str:
        r"""The instance of its class: ``{4D36E972-…}\0007``; empty where no driver is installed."""
        return text(self.values, "Driver")

    @property
    def service(self) -> str:
        return text(self.values, "Service")


def read_devices(control_set: Key) -> tuple[Device, ...]:
    """All device instances of a control set, in the hive's order."""
    return tuple(
        Device(bus.name, kind.name, node.name, node.path, node, Snapshot(node))
        for bus in children(control_set.subkey("Enum"))
        for kind in children(bus)
        for node in children(kind)
    )
