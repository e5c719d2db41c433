"""What contradicts itself within a wave: no file, no address and no MAC is of two machines.

MAC addresses of virtual machines tell their hypervisor by their first half (IEEE registry of OUIs,
and the vendors' own documents); one that is another hypervisor's than the target's is most likely
a column gone wrong, or kept on purpose, so that it is a warning. What is wrong with one network by
itself (a gateway outside its subnet) is refused where the manifest is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from p2vprep.core.network import InterfaceConfig
from p2vprep.core.registry import fold
from p2vprep.wave.findings import Finding
from p2vprep.wave.manifest import Machine

OUIS: Mapping[str, tuple[str, ...]] = {
    "00:15:5d": ("hyperv", "hyper-v", "azure"),
    "00:50:56": ("vmware", "vsphere", "esxi"),
    "00:0c:29": ("vmware", "vsphere", "esxi"),
    "00:05:69": ("vmware", "vsphere", "esxi"),
    "00:1c:14": ("vmware", "vsphere", "esxi"),
    "52:54:00": ("kvm", "qemu", "proxmox", "libvirt", "openstack", "ovirt", "openshift"),
    "bc:24:11": ("proxmox",),
    "00:16:3e": ("xen", "xcp", "xcp-ng", "xenserver", "citrix"),
    "08:00:27": ("virtualbox",),
    "50:6b:8d": ("nutanix", "ahv"),
    "00:1c:42": ("parallels",),
}
"""Who makes virtual adapters with this first half: words that the names of target profiles have."""


class Files:
    """Whose file is which: the same file by another name, or through a link, is still the same."""

    def __init__(self) -> None:
        self._owners: dict[tuple[int, int] | str, Machine] = {}

    def claim(self, machine: Machine, file: Path) -> Iterator[Finding]:
        """Finds that a file is another machine's; one that is not there counts by its path."""
        try:
            held = file.stat()
        except OSError:
            key: tuple[int, int] | str = str(file)
        else:
            key = (held.st_dev, held.st_ino)
        other = self._owners.setdefault(key, machine)
        if other is not machine:
            message = f"this file is also a disk of {other.name} ({other.place})"
            hint = "Every disk belongs to one machine."
            yield Finding(
                machine.name, "error", "image-listed-twice", message, str(file), machine.place, hint
            )


def contradictions(machines: Sequence[Machine]) -> tuple[Finding, ...]:
    """What makes a run of the whole wave dangerous: errors between machines. Costs a look at each file."""
    files = Files()
    found = [
        finding for machine in machines for file in machine.disks for finding in files.claim(machine, file)
    ]
    return tuple(one for one in (*found, *networks(machines)) if one.severity == "error")


def networks(machines: Sequence[Machine]) -> Iterator[Finding]:
    """Addresses and MACs that two machines were given, and MACs that are not the target's."""
    seen: dict[tuple[str, str], Machine] = {}
    for machine in machines:
        network = machine.options.network
        for interface in () if network is None else network.interfaces:
            yield from _twice(machine, interface, seen)
            yield from _maker(machine, interface)


def _twice(
    machine: Machine, interface: InterfaceConfig, seen: dict[tuple[str, str], Machine]
) -> Iterator[Finding]:
    held = [("address", str(one.ip)) for one in interface.addresses]
    if interface.match.mac is not None:
        held.append(("MAC", interface.match.mac))
    for what, value in held:
        other = seen.setdefault((what, value), machine)
        if other is not machine:
            code = "mac-twice" if what == "MAC" else "address-twice"
            yield _error(
                machine, code, f"the {what} {value} is also given to {other.name} ({other.place})", value
            )


def _maker(machine: Machine, interface: InterfaceConfig) -> Iterator[Finding]:
    """A MAC of another hypervisor than the target's."""
    mac = interface.match.mac
    makers = OUIS.get("" if mac is None else mac[:8], ())
    targets = [fold(name).casefold() for name in machine.options.targets]
    known = {word for words in OUIS.values() for word in words}
    if not makers or not any(_is_about(target, known) for target in targets):
        return
    if not any(_is_about(target, makers) for target in targets):
        yield Finding(
            machine.name, "warning", "mac-of-another-hypervisor",
            f"the MAC {mac} is of {makers[0]}, and the target is {', '.join(machine.options.targets)}",
            str(mac), machine.place, "Take the MAC that the new virtual machine has, or correct the target.",
        )  # fmt: skip


def _is_about(target: str, words: set[str] | tuple[str, ...]) -> bool:
    return any(word in target for word in words)


def _error(machine: Machine, code: str, message: str, subject: str) -> Finding:
    return Finding(machine.name, "error", code, message, subject, machine.place)
