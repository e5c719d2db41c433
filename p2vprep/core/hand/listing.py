r"""Services and drivers as a list for people: whose each is, and who depends on it.

Whether Windows itself brings a service cannot be read from one place. What is taken here, in this
order: the provider and the INF of the driver's class key (``oemNN.inf`` are those of others,
"Locating device INF files", Microsoft), the resource or INF that the display name points to, the
folder the program lies in, the list of drivers in the box. Where nothing speaks, the answer is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from p2vprep.core.facts.devices import read_devices
from p2vprep.core.facts.keys import below, readable, text
from p2vprep.core.hand.inbox_names import ships_with_windows
from p2vprep.core.model import ControlSet, Service, Start
from p2vprep.core.never import in_box
from p2vprep.core.registry import Hive, find, fold

MICROSOFT = "Microsoft"
_OEM_INF = re.compile(r"@?oem\d+\.inf", re.IGNORECASE)
_PROGRAM_FILES = re.compile(
    r"(?:\\PROGRAM FILES(?: \(X86\))?|%PROGRAMFILES(?:\(X86\))?%)\\(?:COMMON FILES\\)?([^\\]+)", re.IGNORECASE
)
_WINDOWS_PROGRAMS = frozenset(
    {
        "WINDOWS DEFENDER",
        "WINDOWS DEFENDER ADVANCED THREAT PROTECTION",
        "WINDOWS MEDIA PLAYER",
        "WINDOWS NT",
        "INTERNET EXPLORER",
    }
)
"""Folders below Program Files that come with Windows."""
_IN_SYSTEM = re.compile(
    r'^"?(?:%SYSTEMROOT%|%WINDIR%|\\SYSTEMROOT|(?:\\\?\?\\)?C:\\(?:WINDOWS|WINNT))?\\?'
    r"(?:SYSTEM32|SYSWOW64|SERVICING|MICROSOFT\.NET|EHOME|PCHEALTH)\\",
    re.IGNORECASE,
)
_BARE = re.compile(r"[\w-]+\.(?:dll|sys|exe)", re.IGNORECASE)
_SVCHOST = re.compile(r"\\svchost(?:\.exe)?\"?(?: |$)", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A service or driver with what is told beside its own values.

    ``vendor`` is empty and ``in_box`` None where it cannot be told.
    """

    service: Service
    shown_name: str
    needed_by: tuple[str, ...]
    vendor: str
    in_box: bool | None

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Services, and groups with a plus in front."""
        return (
            *self.service.depends_on_services,
            *(f"+{group}" for group in self.service.depends_on_groups),
        )


@dataclass(frozen=True)
class Wanted:
    """What of the list is wanted: every condition that is given has to be met."""

    kind: str | None = None
    starts: frozenset[int] = frozenset()
    third_party: bool = False
    like: str = ""

    def meets(self, row: Row) -> bool:
        service = row.service
        words = fold(f"{service.name}\0{row.shown_name}\0{row.vendor}\0{service.image_path}")
        return (
            (self.kind is None or service.kind == self.kind)
            and (not self.starts or service.start in self.starts)
            and not (self.third_party and row.in_box)
            and fold(self.like) in words
        )


AUTOMATIC = frozenset({int(Start.BOOT), int(Start.SYSTEM), int(Start.AUTO)})
"""What starts by itself."""


def rows(control_set: ControlSet, system: Hive) -> tuple[Row, ...]:
    """All services and drivers of a control set, by name."""
    needed = _needed_by(control_set.services)
    providers = _providers(control_set, system)
    made = []
    for service in control_set.services:
        vendor, inside = _origin(service, providers.get(fold(service.name)))
        made.append(Row(service, shown_name(service), needed.get(fold(service.name), ()), vendor, inside))
    return tuple(sorted(made, key=lambda row: fold(row.service.name)))


def shown_name(service: Service) -> str:
    """The display name as far as it can be read without the file it points into."""
    name = readable(service.display_name)
    return "" if name.startswith("@") else name


def _needed_by(services: Sequence[Service]) -> dict[str, tuple[str, ...]]:
    """By folded name: who names it in DependOnService, or its group in DependOnGroup."""
    members: dict[str, list[str]] = {}
    for service in services:
        if service.group:
            members.setdefault(fold(service.group), []).append(fold(service.name))
    found: dict[str, list[str]] = {}
    for service in services:
        needs = [fold(name) for name in service.depends_on_services]
        for group in service.depends_on_groups:
            needs += members.get(fold(group), [])
        for name in dict.fromkeys(needs):
            found.setdefault(name, []).append(service.name)
    return {name: tuple(sorted(users, key=fold)) for name, users in found.items()}


@dataclass(frozen=True)
class _Provider:
    name: str
    inf: str


def _providers(control_set: ControlSet, system: Hive) -> Mapping[str, _Provider]:
    """By folded service name: who made the driver that Windows installed for a device."""
    root = find(system, control_set.name)
    found: dict[str, _Provider] = {}
    if root is None:
        return found
    for device in read_devices(root):
        if not device.service or not device.driver or fold(device.service) in found:
            continue
        installed = below(root, rf"Control\Class\{device.driver}")
        provider = _Provider(text(installed, "ProviderName"), text(installed, "InfPath"))
        if provider.name or provider.inf:
            found[fold(device.service)] = provider
    return found


def _origin(service: Service, provider: _Provider | None) -> tuple[str, bool | None]:
    """Vendor, and whether Windows brings it."""
    if provider is not None:
        ours = provider.name == MICROSOFT and not _OEM_INF.match(provider.inf)
        return provider.name, ours
    program = service.service_dll or service.image_path
    outside = _PROGRAM_FILES.search(program)
    if outside is not None:
        inside = fold(outside[1]) in _WINDOWS_PROGRAMS
        return (MICROSOFT if inside else outside[1]), inside
    if in_box(service) and _in_system(service):
        return MICROSOFT, True
    named = service.display_name
    if _OEM_INF.match(named):
        return "", False
    if _in_system(service):
        hosted = (service.service_dll or service.instance) and _SVCHOST.search(service.image_path)
        if named.startswith("@") or hosted or ships_with_windows(service.name):
            return MICROSOFT, True
        return "", None
    return "", False if program else None


def _in_system(service: Service) -> bool:
    """As :func:`in_windows`; a driver without a path lies in System32\\drivers."""
    program = service.service_dll or service.image_path
    return in_windows(program) if program else service.kind == "driver"


def in_windows(program: str) -> bool:
    """Whether a program lies in a folder of Windows, or is named without any folder."""
    return bool(_IN_SYSTEM.match(program) or _BARE.fullmatch(program))


def counted(found: Iterable[Row]) -> str:
    """``12 services, 3 drivers`` for people."""
    kinds = [row.service.kind for row in found]
    parts = [f"{kinds.count(kind)} {kind}s" for kind in ("service", "driver") if kind in kinds]
    return ", ".join(parts) or "none"
