r"""Which network hardware hypervisors give their guests, by what Windows calls it.

What no hypervisor has is gone once the machine runs on one; what some have may be there again, on
them. PCI identifiers: the PCI ID database, virtio-win's INF files and the hypervisors' documents;
those of VMware, VirtualBox and Virtual PC were seen on their guests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from p2vprep.core.registry import fold

_KVM = (
    "8086:100E",
    "8086:10D3",
    "10EC:8139",
    "10EC:8029",
    "1AF4:1000",
    "1AF4:1041",
    "15AD:07B0",
    "1022:2000",
)
_NICS: dict[str, tuple[str, ...]] = {
    "vmware": ("8086:100F", "8086:10D3", "15AD:0720", "15AD:07B0", "1022:2000"),
    "kvm": _KVM,
    "nutanix": ("1AF4:1000", "1AF4:1041", "8086:100E", "10EC:8139"),
    "xen": ("10EC:8139", "8086:100E", "5853:0001", "5853:0002"),
    "virtualbox": ("8086:100E", "8086:1004", "8086:100F", "1022:2000", "1AF4:1000"),
    "hyperv": ("1011:0009",),
    "virtualpc": ("1011:0009",),
    "parallels": ("1AF4:1000", "8086:100E", "8086:100F", "10EC:8029"),
    "aws": ("1D0F:EC20", "8086:10ED"),
    "gcp": ("1AE0:0042", "1AF4:1000"),
    "azure": ("1414:00BA",),
}
_BUSES: dict[str, tuple[str, ...]] = {
    "VMBUS": ("hyperv", "azure"),
    "XENVIF": ("xen", "aws"),
    "XENBUS": ("xen", "aws"),
    "XEN": ("xen", "aws"),
}
_OTHER_NAMES = {
    "qemu": "kvm",
    "proxmox": "kvm",
    "libvirt": "kvm",
    "ahv": "nutanix",
    "xenserver": "xen",
    "xcpng": "xen",
    "citrix": "xen",
    "esxi": "vmware",
    "vsphere": "vmware",
    "vbox": "virtualbox",
}
_VIRTUAL_FUNCTIONS = frozenset(
    {"8086:10CA", "8086:10ED", "8086:1515", "8086:1520", "8086:154C", "8086:1889"}
    | {f"15B3:{device}" for device in ("1004", "1014", "1016", "1018", "101A", "101C", "101E")}
)
"""Slices of a real card that any host may hand through (SR-IOV): of Intel's and Mellanox's cards."""
_REAL_SUBSYSTEMS = frozenset(
    {"103C", "0E11", "1590", "1028", "1014", "17AA", "1734", "15D9", "1137", "1033", "108E", "1BD4"}
)
"""Makers of real machines, the last four digits of SUBSYS: HP, Compaq, HPE, Dell, IBM, Lenovo, Fujitsu,
Supermicro, Cisco, NEC, Sun, Inspur."""
_PCI = re.compile(r"PCI\\VEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})(?:&SUBSYS_[0-9A-F]{4}([0-9A-F]{4}))?")
_PORT_BUSES = frozenset({"B06BDRV", "EBDRV", "QEBDRV", "MLX4"})
"""Buses that drivers of real cards make for the ports: Broadcom and QLogic, Mellanox ConnectX-3."""

KNOWN = frozenset(_NICS)
"""The hypervisors whose hardware is listed here."""


def known_name(hypervisor: str) -> str:
    """The name used here for a hypervisor, however a profile spells it: ``Hyper-V`` is ``hyperv``."""
    plain = re.sub(r"[^a-z0-9]", "", hypervisor.lower())
    return _OTHER_NAMES.get(plain, plain)


def owners(instance: str) -> frozenset[str] | None:
    """The hypervisors whose guests have such a device; empty: none has; None: it cannot be told.

    ``instance`` is the device instance path. A card that one of the makers of real machines has sold is
    real, also where hypervisors imitate its kind.
    """
    path = fold(instance)
    bus = path.partition("\\")[0]
    if bus in _BUSES:
        return frozenset(_BUSES[bus])
    if bus in _PORT_BUSES:
        return frozenset()
    found = _PCI.match(path)
    if found is None:
        return None
    vendor, device, subsystem = found.groups()
    if subsystem in _REAL_SUBSYSTEMS:
        return frozenset()
    number = f"{vendor}:{device}"
    if number in _VIRTUAL_FUNCTIONS:
        return None
    return frozenset(name for name, numbers in _NICS.items() if number in numbers)


def hardware(instance: str) -> str:
    r"""A device in short for people: ``PCI 14E4:1657``, else its bus."""
    found = _PCI.match(fold(instance))
    return f"PCI {found[1]}:{found[2]}" if found else fold(instance).partition("\\")[0]


def all_known(hypervisors: Iterable[str]) -> bool:
    """Whether the hardware of all these hypervisors is listed here."""
    return all(known_name(name) in KNOWN for name in hypervisors)
