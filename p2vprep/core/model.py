r"""The types to read first: guest, facts, edits, changes, hazards, skips, plan.

The flow of values::

    hives -> Facts -> rules -> Edits, Hazards, Skips, FirstBootItems -> planner -> Plan (Changes)

An *edit* is what a rule wants to be true. The planner looks at the hive, drops
edits that are true already, and turns the others into *changes* with what was
before and what is after. All types are frozen; none knows how it is stored.

Real paths only: ``ControlSet001\...``, never ``CurrentControlSet``. Files are
named by their path inside the Windows volume with forward slashes:
``/p2vprep/firstboot.cmd``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from p2vprep.core.values import Data

Severity = Literal["warn", "refuse"]


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
    kind: Literal["bios", "service", "driver", "pci", "product", "filter"]
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

    @property
    def boot(self) -> ControlSet:
        """The facts of the control set that boots next."""
        return self.sets[0]


# --- what rules yield --------------------------------------------------------------------------


@dataclass(frozen=True)
class SetValue:
    """This value shall hold this data. Keys that are absent are made only with ``create``."""

    hive: str
    key: str
    name: str
    data: Data
    rule: str
    why: str
    create: bool = False


@dataclass(frozen=True)
class DeleteValue:
    """This value shall be absent."""

    hive: str
    key: str
    name: str
    rule: str
    why: str


@dataclass(frozen=True)
class DeleteKey:
    """This key and all below it shall be absent."""

    hive: str
    key: str
    rule: str
    why: str


@dataclass(frozen=True)
class PutFile:
    """This file shall have this content; ``locked``: only Administrators and SYSTEM may change it."""

    path: str
    content: bytes
    rule: str
    why: str
    locked: bool = True


@dataclass(frozen=True)
class DeleteFile:
    """This file shall be absent."""

    path: str
    rule: str
    why: str


Edit = SetValue | DeleteValue | DeleteKey | PutFile | DeleteFile


@dataclass(frozen=True)
class Hazard:
    """Something the operator must know. ``refuse`` stops an apply unless allowed by its code."""

    code: str
    severity: Severity
    message: str
    evidence: tuple[str, ...] = ()
    cure: str = ""
    liftable: bool = True

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "evidence": list(self.evidence),
            "cure": self.cure,
        }


@dataclass(frozen=True)
class Skip:
    """Something asked for and not done, and why."""

    rule: str
    subject: str
    reason: str

    def to_json(self) -> dict[str, object]:
        return {"rule": self.rule, "subject": self.subject, "reason": self.reason}


@dataclass(frozen=True)
class RestoreService:
    """First boot shall give a parked service its start type back."""

    service: str
    start: int
    delayed: bool | None
    why: str


@dataclass(frozen=True)
class RestoreValue:
    r"""First boot shall give a registry value back (``data`` None: delete it). Path below HKLM."""

    key: str
    r"""As the running Windows sees it: ``SYSTEM\CurrentControlSet\…``, ``SOFTWARE\…``."""
    name: str
    data: Data | None
    why: str


FirstBootItem = RestoreService | RestoreValue
RuleYield = Edit | Hazard | Skip | FirstBootItem


# --- the plan ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileState:
    """A file's content in short: SHA-256 (hex) and size in bytes."""

    sha256: str
    size: int

    def to_json(self) -> dict[str, object]:
        return {"sha256": self.sha256, "size": self.size}


@dataclass(frozen=True)
class ValueChange:
    """A registry value is set (``after``) or deleted (``after`` None)."""

    hive: str
    key: str
    name: str
    before: Data | None
    after: Data | None
    rule: str
    why: str

    def to_json(self) -> dict[str, object]:
        return {
            "kind": "value",
            "hive": self.hive,
            "key": self.key,
            "name": self.name,
            "before": None if self.before is None else self.before.to_json(),
            "after": None if self.after is None else self.after.to_json(),
            "rule": self.rule,
            "why": self.why,
        }


@dataclass(frozen=True)
class KeyChange:
    """A registry key is made (``before`` None) or deleted with all below it (``after`` None)."""

    hive: str
    key: str
    exists_before: bool
    exists_after: bool
    rule: str
    why: str

    def to_json(self) -> dict[str, object]:
        return {
            "kind": "key",
            "hive": self.hive,
            "key": self.key,
            "name": None,
            "before": {"type": "key", "data": None} if self.exists_before else None,
            "after": {"type": "key", "data": None} if self.exists_after else None,
            "rule": self.rule,
            "why": self.why,
        }


@dataclass(frozen=True)
class FileChange:
    """A file is written or deleted. ``content`` is not part of the document; its SHA-256 is."""

    path: str
    before: FileState | None
    after: FileState | None
    rule: str
    why: str
    content: bytes | None = field(default=None, compare=False, repr=False)
    locked: bool = True

    def to_json(self) -> dict[str, object]:
        return {
            "kind": "file",
            "path": self.path,
            "before": None if self.before is None else self.before.to_json(),
            "after": None if self.after is None else self.after.to_json(),
            "sha256": None if self.after is None else self.after.sha256,
            "rule": self.rule,
            "why": self.why,
        }


Change = ValueChange | KeyChange | FileChange


@dataclass(frozen=True)
class HiveState:
    """Which bytes of a hive a plan was made for.

    ``primary`` and ``logs`` are SHA-256 of the files as found, ``recovered`` of
    the hive after its logs were replayed (equal to ``primary`` where clean).
    """

    name: str
    path: str
    primary: str
    recovered: str
    dirty: bool
    logs: dict[str, str] = field(default_factory=dict)
    replayed_pages: int = 0
    replayed_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that will be done to one machine, with what was before and why."""

    guest: Guest
    control_sets: tuple[str, ...]
    """The control sets that are edited, the one that boots next first."""
    profiles: tuple[str, ...]
    """Names with versions of the resolved profiles: ``hpe-proliant 1``."""
    changes: tuple[Change, ...]
    hazards: tuple[Hazard, ...]
    skips: tuple[Skip, ...]
    first_boot: tuple[FirstBootItem, ...]
    hives: tuple[HiveState, ...]

    @property
    def refusals(self) -> tuple[Hazard, ...]:
        return tuple(hazard for hazard in self.hazards if hazard.severity == "refuse")
