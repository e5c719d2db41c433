"""The types of facts: what was found on the disk. Import them from :mod:`p2vprep.core.model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

# --- the guest ---------------------------------------------------------------------------------


class Role(str, Enum):
    """What ``Control\\ProductOptions\\ProductType`` says (WinNT, ServerNT, LanmanNT)."""

    CLIENT = "client"
    SERVER = "server"
    DOMAIN_CONTROLLER = "domain-controller"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class WindowsVersion:
    """NT version and build: (5, 2, 3790) is Server 2003, (6, 1, 7601) is 7 SP1 and 2008 R2 SP1.

    ``build`` is 0 where it is not known. ``known`` is False where nothing but a
    guess from the SYSTEM hive was possible.
    """

    major: int
    minor: int
    build: int = 0
    known: bool = True

    @property
    def nt(self) -> tuple[int, int]:
        return (self.major, self.minor)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.build}" if self.build else f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class Guest:
    """Which Windows this is."""

    product: str
    version: WindowsVersion
    role: Role
    architecture: Literal["x86", "x64", "arm64", "ia64", "unknown"]
    installation_type: str
    computer_name: str
    system_root: str
    """The Windows folder inside its volume, as spelt there: ``/Windows``, ``/WINNT``."""
    domain_member: bool | None = None


# --- facts -------------------------------------------------------------------------------------


class Start(int, Enum):
    """Service start types (the ``Start`` value)."""

    BOOT = 0
    SYSTEM = 1
    AUTO = 2
    DEMAND = 3
    DISABLED = 4


@dataclass(frozen=True)
class Service:
    r"""A key under ``Services`` that has Type and Start: a service or a driver.

    ``kind`` is ``driver`` for Type bits 1, 2, 8 (kernel, file system, recogniser), else ``service``;
    ``per_user`` marks templates (0x40 set, 0x80 not) and ``instance`` their left-over instances.
    """

    name: str
    key: str
    type: int
    start: int
    kind: Literal["service", "driver"]
    display_name: str = ""
    image_path: str = ""
    service_dll: str = ""
    group: str = ""
    object_name: str = ""
    error_control: int = 1
    delayed: bool | None = None
    depends_on_services: tuple[str, ...] = ()
    depends_on_groups: tuple[str, ...] = ()
    triggers: tuple[int, ...] = ()
    """The trigger types of ``TriggerInfo`` subkeys whose action is start (1); see windows-facts."""
    per_user: bool = False
    instance: bool = False
    deleted: bool = False

    @property
    def start_name(self) -> str:
        """``auto (delayed)``, ``demand``, … for people."""
        name = Start(self.start).name.lower() if self.start in {0, 1, 2, 3, 4} else str(self.start)
        return f"{name} (delayed)" if self.start == Start.AUTO and self.delayed else name


@dataclass(frozen=True)
class ClassFilter:
    """An ``UpperFilters`` or ``LowerFilters`` list of a device class or of one device instance."""

    key: str
    position: Literal["UpperFilters", "LowerFilters"]
    names: tuple[str, ...]
    scope: Literal["class", "device"]
    class_guid: str = ""
    class_name: str = ""


@dataclass(frozen=True)
class Adapter:
    """A network adapter of the source as the hive tells it. ``ghost`` is None where it cannot be told."""

    guid: str
    name: str
    description: str
    mac: str | None
    kind: Literal[
        "physical", "virtual", "tunnel", "team", "vpn", "loopback", "wan-miniport", "software", "unknown"
    ]
    ghost: bool | None
    why: str
    addresses: tuple[str, ...]
    """Static addresses as ``192.0.2.10/24``."""
    dhcp: bool | None
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    lease: str | None = None
    """The last address a DHCP server gave, stale or not."""
    service: str = ""
    instance: str = ""
    r"""The device instance below ``Enum``: ``PCI\VEN_8086&DEV_100E…\3&267a616a&0&18``."""
    class_key: str = ""
    disabled: bool = False
    """Switched off by the user (bit 0 of the device's ``ConfigFlags``)."""


@dataclass(frozen=True)
class Interface:
    r"""A key below ``Tcpip\Parameters\Interfaces``; ``adapter`` tells whether a device belongs to it."""

    guid: str
    key: str
    dhcp: bool | None
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    dns: tuple[str, ...]
    lease: str | None
    adapter: bool
    owner: Literal["device", "ras", "loopback", "none"] = "none"
    """To whom it belongs: dial-up's and the loopback's interfaces have no device on a healthy machine."""


@dataclass(frozen=True)
class ControlSet:
    """The facts of one control set."""

    name: str
    services: tuple[Service, ...]
    filters: tuple[ClassFilter, ...]
    adapters: tuple[Adapter, ...]
    interfaces: tuple[Interface, ...]


@dataclass(frozen=True)
class Evidence:
    """One observation that speaks for a vendor; ``strength`` is 1 (hint) to 3 (proof)."""

    vendor: str
    kind: Literal["bios", "service", "driver", "pci", "device", "product", "filter"]
    subject: str
    where: str
    strength: int


@dataclass(frozen=True)
class PciDevice:
    r"""A device instance below ``Enum\PCI``. The ids are four upper-case hex digits, empty where unknown."""

    vendor: str
    device: str
    subsystem_vendor: str
    subsystem: str
    instance: str
    service: str = ""
    class_guid: str = ""
    description: str = ""


@dataclass(frozen=True)
class Product:
    """An installed program from SOFTWARE's Uninstall keys."""

    key: str
    display_name: str
    publisher: str
    version: str
    uninstall: str
    """The command line that removes it, the silent one where there is one."""
    command: str = ""
    """``UninstallString``, as an administrator would start it from the list of programs."""
    quiet: str = ""
    """``QuietUninstallString``."""
    msi: bool = False
    """Whether Windows Installer installed it."""


@dataclass(frozen=True)
class Parked:
    """A service the tool has parked before, as recorded in the guest."""

    service: str
    start: int
    delayed: bool | None


@dataclass(frozen=True)
class Facts:
    """All that is known about the Windows on the disk."""

    guest: Guest
    boot_set: str
    """The control set that boots next, by ``Select\\Default``."""
    sets: tuple[ControlSet, ...]
    """Every control set present, the boot set first."""
    select: dict[str, int]
    evidence: tuple[Evidence, ...] = ()
    products: tuple[Product, ...] = ()
    parked: tuple[Parked, ...] = ()
    bios: dict[str, str] = field(default_factory=dict)
    """What the firmware said of the machine: ``SystemManufacturer``, ``SystemProductName``, …"""
    pci: tuple[PciDevice, ...] = ()
    devices: tuple[str, ...] = ()
    r"""All device ids of the boot set without their instances: ``ACPI\VMW0003``, ``VMBUS\{…}``."""
    driver_files: frozenset[str] | None = None
    r"""The folded names of the files in ``System32\drivers``; None: nobody looked, or no driver is there."""
    firmware: Literal["bios", "uefi", "unknown"] = "unknown"
    """How the machine boots, by its disks: an EFI system partition, or an active partition."""

    @property
    def boot(self) -> ControlSet:
        """The facts of the control set that boots next."""
        return self.sets[0]
