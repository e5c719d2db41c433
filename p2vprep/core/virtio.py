r"""virtio drivers: which there are, where a virtio-win folder keeps those of one Windows, and what was found.

Folder names are those of the virtio-win ISO (``viostor/w10/amd64``) and of its package
(``drivers/amd64/Win10``). The PCI ids are the virtio specification's: vendor 1AF4, transitional
1000 to 1009, modern 1040 plus the device's type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from p2vprep.core.inf import DriverInf
from p2vprep.core.model import Guest, Role, WindowsVersion

SCSI_ADAPTER = "{4D36E97B-E325-11CE-BFC1-08002BE10318}"
Purpose = Literal["storage", "network", "other"]


@dataclass(frozen=True)
class VirtioDriver:
    """One driver of the kit, named as its INF file."""

    name: str
    purpose: Purpose
    what: str
    devices: tuple[str, ...]
    """PCI device ids of vendor 1AF4, transitional first."""


DRIVERS = (
    VirtioDriver("viostor", "storage", "virtio-blk disks", ("1001", "1042")),
    VirtioDriver("vioscsi", "storage", "virtio-scsi disks", ("1004", "1048")),
    VirtioDriver("netkvm", "network", "virtio network adapters", ("1000", "1041")),
    VirtioDriver("balloon", "other", "the memory balloon", ("1002", "1045")),
    VirtioDriver("vioser", "other", "virtio serial ports (for the guest agent)", ("1003", "1043")),
)
BY_NAME: Mapping[str, VirtioDriver] = {driver.name: driver for driver in DRIVERS}


@dataclass(frozen=True)
class DriverPackage:
    """A driver's files for one Windows, as found in the kit."""

    driver: VirtioDriver
    where: str
    """The folder in the kit: ``viostor/w10/amd64``."""
    exact: bool
    """Whether the kit has the folder for just this Windows; else it is one that also serves it."""
    inf_name: str
    inf: DriverInf
    files: tuple[tuple[str, bytes], ...]
    """Name and content of every file of the package, the INF included, sorted by name."""

    def file(self, name: str) -> bytes | None:
        """The content of a file, by its name in any case."""
        return next((held for found, held in self.files if found.lower() == name.lower()), None)


@dataclass(frozen=True)
class Certificate:
    """A publisher's certificate of the kit."""

    name: str
    content: bytes
    thumbprint: str
    """SHA-1 of the certificate in upper-case hex, as Windows names it."""


@dataclass(frozen=True)
class DriverKit:
    """What a virtio-win folder or ISO holds for one Windows."""

    source: str
    """Its name for people: ``virtio-win.iso``."""
    wanted: tuple[str, ...]
    """The folder names that were looked for, the right one first."""
    packages: tuple[DriverPackage, ...] = ()
    unfit: tuple[str, ...] = ()
    """What was found and cannot be used, with the reason."""
    others: tuple[str, ...] = ()
    """The Windows folders that the kit has, for people."""
    certificates: tuple[Certificate, ...] = ()

    def package(self, name: str) -> DriverPackage | None:
        return next((one for one in self.packages if one.driver.name == name), None)


# --- folders of a Windows ----------------------------------------------------------------------

_ARCHITECTURES = {"x86": ("x86", "i386"), "x64": ("amd64",), "arm64": ("arm64",)}
_FIRST_WINDOWS_11 = 22000
# Which folders serve a client or a server of one NT version: its own first, then those whose
# kernel is the same or, from 10 on, older. Names without the "win" that packages put before them.
_FOLDERS: dict[tuple[int, int], dict[bool, tuple[str, ...]]] = {
    (5, 1): {True: ("xp",), False: ("xp",)},
    (5, 2): {True: ("2k3",), False: ("2k3",)},
    (6, 0): {True: ("vista", "2k8"), False: ("2k8", "vista")},
    (6, 1): {True: ("w7", "2k8r2"), False: ("2k8r2", "w7")},
    (6, 2): {True: ("w8", "2k12"), False: ("2k12", "w8")},
    (6, 3): {True: ("w8.1", "2k12r2"), False: ("2k12r2", "w8.1")},
}
_CLIENTS_OF_10 = ((_FIRST_WINDOWS_11, ("w11", "w10")), (0, ("w10", "2k16")))
_SERVERS_OF_10 = (
    (26100, ("2k25", "2k22", "2k19", "2k16")),
    (20348, ("2k22", "2k19", "2k16")),
    (17763, ("2k19", "2k16")),
    (0, ("2k16", "w10")),
)
_SPELLINGS = {
    "xp": ("winxp", "wxp"),
    "2k3": ("w2k3", "win2003", "wnet"),
    "vista": ("winvista", "wlh"),
    "2k8": ("w2k8", "win2008"),
    "w7": ("win7",),
    "2k8r2": ("w2k8r2", "win2008r2"),
    "w8": ("win8",),
    "2k12": ("w2k12", "win2012"),
    "w8.1": ("win8.1",),
    "2k12r2": ("w2k12r2", "win2012r2"),
    "w10": ("win10",),
    "2k16": ("w2k16", "win2016"),
    "2k19": ("w2k19", "win2019"),
    "2k22": ("w2k22", "win2022"),
    "2k25": ("w2k25", "win2025"),
    "w11": ("win11",),
}
_FOLDER_OF = {spelt: name for name, more in _SPELLINGS.items() for spelt in (name, *more)}


def folders(guest: Guest) -> tuple[str, ...]:
    """The folder names that serve a Windows, its own first; none for one that no kit has.

    A domain controller and a role that is not known count as a server.
    """
    client = guest.role is Role.CLIENT
    if guest.version.nt == (10, 0):
        table = _CLIENTS_OF_10 if client else _SERVERS_OF_10
        return next(names for build, names in table if guest.version.build >= build)
    return _FOLDERS.get(guest.version.nt, {}).get(client, ())


def folder_of(path: str, architecture: str) -> str | None:
    """For which Windows a file of the kit is, by the folders it lies in; None where they do not say.

    ``path`` is relative to the kit with forward slashes; only folders of this architecture count.
    """
    parts = [part.lower() for part in path.split("/")[:-1]]
    if not any(part in _ARCHITECTURES.get(architecture, ()) for part in parts):
        return None
    return next((_FOLDER_OF[part] for part in parts if part in _FOLDER_OF), None)


def any_folder(path: str) -> str | None:
    """The Windows and architecture that a path names, for people: ``2k12/amd64``."""
    for architecture, names in _ARCHITECTURES.items():
        found = folder_of(path, architecture)
        if found is not None:
            return f"{found}/{names[0]}"
    return None


def needs_embedded_signature(version: WindowsVersion, architecture: str) -> bool:
    """Whether the boot loader takes only drivers that are signed in themselves.

    64-bit Windows from Vista on; a catalog is of no use to it before it is installed (Microsoft's
    kernel-mode code signing policy).
    """
    return version.nt >= (6, 0) and architecture in ("x64", "arm64")


def knows_sha2(version: WindowsVersion) -> bool:
    """Whether this Windows reads SHA-2 signatures of drivers without an update: 8 and later."""
    return version.nt >= (6, 2)
