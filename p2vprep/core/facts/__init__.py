"""Facts: frozen values read from hives."""

from __future__ import annotations

from p2vprep.core.facts.adapters import read_adapters
from p2vprep.core.facts.addresses import read_interfaces, read_net_instances
from p2vprep.core.facts.controlsets import control_sets, read_select
from p2vprep.core.facts.devices import Device, read_devices
from p2vprep.core.facts.evidence import read_bios, read_device_ids, read_pci
from p2vprep.core.facts.filters import read_filters
from p2vprep.core.facts.guest import read_guest
from p2vprep.core.facts.parked import read_parked
from p2vprep.core.facts.products import read_products
from p2vprep.core.facts.services import read_services
from p2vprep.core.model import ControlSet, Facts
from p2vprep.core.registry import Hive, Key
from p2vprep.errors import HiveError


def gather(system: Hive, software: Hive | None, *, system_root: str) -> Facts:
    """All facts of a Windows.

    ``system_root`` is the Windows folder as spelt in its volume. SOFTWARE may be
    absent; then the version is a guess and no products are known. Vendor
    evidence is left empty: it takes profiles to tell. Raises HiveError
    ``no-control-set`` where the set that boots next is missing.
    """
    select = read_select(system)
    names = control_sets(system, select)
    boot = _set_key(system, names[0])
    devices = {name: read_devices(_set_key(system, name)) for name in names}
    return Facts(
        guest=read_guest(system, boot, software, system_root=system_root),
        boot_set=names[0],
        sets=tuple(_control_set(_set_key(system, name), devices[name]) for name in names),
        select=select,
        products=() if software is None else read_products(software),
        parked=read_parked(system),
        bios=read_bios(system, boot),
        pci=read_pci(devices[names[0]]),
        devices=read_device_ids(devices[names[0]]),
    )


def _set_key(system: Hive, name: str) -> Key:
    key = system.root.subkey(name)
    if key is None:
        raise HiveError(f"{name} is listed in the hive but cannot be found", subject=name)
    return key


def _control_set(key: Key, devices: tuple[Device, ...]) -> ControlSet:
    instances = read_net_instances(key)
    interfaces = read_interfaces(key, instances)
    return ControlSet(
        name=key.name,
        services=read_services(key),
        filters=read_filters(key, devices),
        adapters=read_adapters(key, devices, instances, interfaces),
        interfaces=interfaces,
    )
