r"""Network adapters: what device, name, MAC and configuration belong together, and which are ghosts.

The join: device instance ``Enum\…`` has ``Driver`` = ``{4D36E972-…}\NNNN``; that
class instance has ``NetCfgInstanceId`` = {GUID}; the GUID names ``Network\{GUID}\Connection``
and ``Tcpip\Parameters\Interfaces\{GUID}`` (observed on XP, 2003, 7, 8.1, 10).
Every part but the class instance may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2vprep.core.facts import ghosts, macs
from p2vprep.core.facts.adapterkinds import bus_of, kind_of
from p2vprep.core.facts.addresses import NETWORK_CLASS, NetInstance
from p2vprep.core.facts.devices import Device
from p2vprep.core.facts.keys import below, dword, readable, text
from p2vprep.core.model import Adapter, Interface
from p2vprep.core.registry import Key, fold

_CONFIG_DISABLED = 1
"""CONFIGFLAG_DISABLED of regstr.h."""


@dataclass(frozen=True)
class _Parts:
    """Everything that belongs to one adapter."""

    instance: NetInstance
    device: Device | None
    connection: Key | None
    setup: Key | None
    r"""``NetworkSetup2\Interfaces\{GUID}\Kernel`` (10 and later)."""
    interface: Interface | None

    @property
    def instance_path(self) -> str:
        if self.device is not None:
            return self.device.path
        # PnpInstanceID is spelt PnPInstanceId on 8 and later; names compare without case.
        return text(self.instance.values, "DeviceInstanceID") or text(self.connection, "PnpInstanceID")


def read_adapters(
    control_set: Key,
    devices: tuple[Device, ...],
    instances: Iterable[NetInstance],
    interfaces: Iterable[Interface],
) -> tuple[Adapter, ...]:
    """All adapters that are set up (have a GUID), in the order of their class instances."""
    by_driver = _devices_by_driver(devices)
    by_guid = {fold(interface.guid): interface for interface in interfaces}
    parts = [_join(control_set, instance, by_driver, by_guid) for instance in instances if instance.guid]
    kinds = [kind_of(part.instance.values, part.instance_path) for part in parts]
    physical = [part.instance.guid for part, kind in zip(parts, kinds, strict=True) if kind == "physical"]
    duid = macs.duid_owner(control_set, physical)
    return tuple(
        _adapter(control_set, part, kind, duid, has_tree=bool(devices))
        for part, kind in zip(parts, kinds, strict=True)
    )


def _devices_by_driver(devices: Iterable[Device]) -> dict[str, Device]:
    found: dict[str, Device] = {}
    for device in devices:
        if fold(device.driver).startswith(NETWORK_CLASS):
            found.setdefault(fold(device.driver), device)
    return found


def _join(
    control_set: Key,
    instance: NetInstance,
    devices: Mapping[str, Device],
    interfaces: Mapping[str, Interface],
) -> _Parts:
    return _Parts(
        instance=instance,
        device=devices.get(fold(f"{NETWORK_CLASS}\\{instance.number}")),
        connection=below(control_set, rf"Control\Network\{NETWORK_CLASS}\{instance.guid}\Connection"),
        setup=below(control_set, rf"Control\NetworkSetup2\Interfaces\{instance.guid}\Kernel"),
        interface=interfaces.get(fold(instance.guid)),
    )


def _adapter(
    control_set: Key, parts: _Parts, kind: macs.Kind, duid: macs.Duid | None, *, has_tree: bool
) -> Adapter:
    held, device, interface = parts.instance.values, parts.device, parts.interface
    ghost, why = ghosts.judge(
        control_set,
        parts.instance,
        device,
        bus=bus_of(held, parts.instance_path),
        has_tree=has_tree,
    )
    friendly = readable(text(device.values, "FriendlyName")) if device is not None else ""
    flags = dword(device.values, "ConfigFlags") if device is not None else None
    return Adapter(
        guid=parts.instance.guid,
        name=text(parts.connection, "Name") or text(parts.setup, "IfAlias"),
        description=friendly or readable(text(held, "DriverDesc")) or text(parts.setup, "IfDescr"),
        mac=macs.find(parts.setup, parts.instance_path, held, duid, parts.instance.guid),
        kind=kind,
        ghost=ghost,
        why=why,
        addresses=interface.addresses if interface is not None else (),
        dhcp=interface.dhcp if interface is not None else None,
        gateways=interface.gateways if interface is not None else (),
        dns=interface.dns if interface is not None else (),
        lease=interface.lease if interface is not None else None,
        service=device.service if device is not None else "",
        instance=parts.instance_path,
        class_key=parts.instance.key,
        disabled=bool((flags or 0) & _CONFIG_DISABLED),
    )
