"""The actions of a profile: one kind each, with its own fields.

Every kind of the document is read and checked here; each is carried out by one rule
(``p2vprep.core.rules``).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from p2vprep.core.documents.patterns import (
    NamePattern,
    Regex,
    Switch,
    WindowsRange,
    is_wildcard,
    too_wide,
)
from p2vprep.core.model import Role
from p2vprep.core.registry import fold, split
from p2vprep.core.values import Data, type_number
from p2vprep.errors import DocumentError

ANY_CONTROL_SET = "%ControlSet%"
"""The first part of a key path that stands for the control set being edited."""

SYSTEM_ROOT = "%SystemRoot%"
"""The first part of a guest path that stands for the Windows folder: ``/Windows``, ``/WINNT``."""

Confidence = Literal["A", "B", "C"]
Architecture = Literal["x86", "x64", "arm64", "ia64"]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Strict(BaseModel):
    """A part of a document: frozen, keys with dashes, unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=_kebab, populate_by_name=True
    )


def _as_tuple(plain: Any) -> Any:
    if isinstance(plain, str | int):
        return (plain,)
    return tuple(plain) if isinstance(plain, list) else plain


def _as_target(plain: Any) -> Any:
    return {"names": plain} if isinstance(plain, str | list) else plain


OneOrMore = BeforeValidator(_as_tuple, json_schema_input_type=str | list[str])
"""A text, or a list of texts; held as a tuple."""


def _named_key(path: str) -> str:
    parts = split(path)
    if len(parts) < 2 or path.startswith("\\"):
        raise ValueError(f"{path!r} is not a key path relative to the hive, such as Setup\\Status")
    if fold(parts[0]) in {"CURRENTCONTROLSET", "SELECT"}:
        raise ValueError(f"write {ANY_CONTROL_SET} for the control set; Select is never touched")
    return path


def _deletable_key(path: str) -> str:
    parts = [fold(part) for part in split(_named_key(path))]
    if len(parts) <= 3 and parts[1:2] == ["SERVICES"]:
        raise ValueError("a profile cannot delete the key of a service; disable it instead")
    return path


def _guest_path(path: str) -> str:
    first, *rest = path.split("/")
    rooted = first == "" or fold(first) == fold(SYSTEM_ROOT)
    if not rooted or not rest or any(_unusable(part) for part in rest):
        raise ValueError(
            f"{path!r} is not a path inside the Windows volume, such as /p2vprep/tools/a.cmd "
            f"or {SYSTEM_ROOT}/a.ini"
        )
    return path


def _unusable(part: str) -> bool:
    """Whether a part of a path climbs, is empty, or is no file name for Windows."""
    return part.strip(" .") != part or not part or bool(set(part) & set('<>:"|?*\\')) or min(part) < " "


def _command(line: str) -> str:
    if not line.strip() or len(line) > _LONGEST_COMMAND or not re.fullmatch(r"[\x20-\x7e]+", line):
        raise ValueError(f"a command is one line of 1 to {_LONGEST_COMMAND} plain (ASCII) signs")
    return line


_LONGEST_COMMAND = 1000
"""Far below what cmd takes (8191 signs; 2047 on Windows 2000)."""


KeyPath = Annotated[str, AfterValidator(_named_key)]
DeletableKey = Annotated[str, AfterValidator(_deletable_key)]
GuestPath = Annotated[str, AfterValidator(_guest_path)]
DeviceId = Annotated[str, Field(pattern=r"^[*A-Za-z0-9][A-Za-z0-9_&#{}.-]*$", max_length=120)]
Names = Annotated[tuple[NamePattern, ...], OneOrMore, Field(min_length=1)]
Hive = Literal["SYSTEM", "SOFTWARE"]


# --- what an action acts on --------------------------------------------------------------------


class ServiceTarget(Strict):
    """Services or drivers: by name, and where given only if ImagePath or DisplayName fits one of the two."""

    names: Names
    image_path: Regex | None = None
    display_name: Regex | None = None
    type: Literal["service", "driver"] | None = None

    @property
    def conditioned(self) -> bool:
        return self.image_path is not None or self.display_name is not None

    @model_validator(mode="after")
    def _not_everything(self) -> ServiceTarget:
        for name in self.names:
            if set(name) <= {"*"} and self.image_path is not None and self.display_name is None:
                continue
            if too_wide(name):
                raise ValueError(
                    f"the name {name!r} is too wide; give three plain signs, "
                    "or '*' with image-path (and no display-name)"
                )
        return self


class DisableTarget(ServiceTarget):
    """Services to disable. ``boot-start``: also as a driver that starts with Windows.

    The guard allows that only for drivers it knows to belong to a hypervisor alone.
    """

    boot_start: bool = False


class ParkTarget(ServiceTarget):
    """Services to park at ``start``; ``auto`` is demand, or disabled where a trigger starts them."""

    start: Literal["auto", "demand", "disabled"] = "auto"


class FilterTarget(ServiceTarget):
    """Names to take out of UpperFilters and LowerFilters, of classes (by GUID) or everywhere."""

    position: Literal["UpperFilters", "LowerFilters"] | None = None
    classes: Annotated[tuple[str, ...], OneOrMore] = ()


class DriverTarget(ServiceTarget):
    """Drivers to be started by the boot loader, the kernel, or on demand.

    ``devices`` are the ids that shall lead to the driver before Plug and Play is there
    (``pci#ven_8086&dev_7111``, entries of CriticalDeviceDatabase); written only before Vista, which
    knows them itself. ``device-class`` is the class of these devices.
    """

    start: Literal["boot", "system", "demand"] = "boot"
    devices: Annotated[tuple[DeviceId, ...], OneOrMore] = ()
    device_class: Literal["hdc", "scsi"] = "hdc"


class BootPathTarget(Strict):
    """A controller of the target that this Windows can start from, if all these drivers are ready.

    The boot paths of a profile are alternatives in the order of preference; those of one
    ``controller`` count as one. ``windows`` and ``architecture`` say for which Windows it is one.
    """

    controller: Annotated[str, Field(min_length=2, max_length=60)]
    drivers: Names
    windows: Annotated[tuple[WindowsRange, ...], OneOrMore] = ()
    architecture: Annotated[tuple[Architecture, ...], OneOrMore] = ()


class WarnTarget(Strict):
    """What to tell the operator, where a service, driver, device or program of these is there.

    Without any it is always told, as far as the action's conditions hold. ``services`` are names of
    services and drivers, ``devices`` search device ids without their instances, ``products`` the
    display names of installed programs.
    """

    code: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
    services: Annotated[
        ServiceTarget | None,
        BeforeValidator(_as_target, json_schema_input_type=str | list[str] | ServiceTarget | None),
    ] = None
    devices: Annotated[tuple[Regex, ...], OneOrMore] = ()
    products: Annotated[tuple[Regex, ...], OneOrMore] = ()
    cure: Annotated[str, Field(max_length=400)] = ""

    @property
    def always(self) -> bool:
        """Whether there is nothing to look for."""
        return self.services is None and not self.devices and not self.products


class ValueTarget(Strict):
    """A registry value and its data, as ``{type, data}`` of the plan document."""

    hive: Hive = "SYSTEM"
    key: KeyPath
    name: str
    type: str
    data: int | str | list[str]
    create: bool = False

    @property
    def content(self) -> Data:
        return Data.from_plain(type_number(self.type), self.data)

    @model_validator(mode="after")
    def _encodes(self) -> ValueTarget:
        try:
            _ = self.content
        except DocumentError as problem:
            raise ValueError(problem.message) from problem
        return self


class ValueDeleteTarget(Strict):
    """A registry value to delete."""

    hive: Hive = "SYSTEM"
    key: KeyPath
    name: str


class KeyDeleteTarget(Strict):
    """A registry key to delete with all below it; never the key of a service."""

    hive: Hive = "SYSTEM"
    key: DeletableKey


class UninstallTarget(Strict):
    """Installed programs, by display name (and publisher), to uninstall at first boot in this order.

    ``silent`` are the switches that make the uninstaller ask nothing: instead of Windows Installer's
    usual ones, or for a program that has an uninstaller of its own. ``timeout`` in seconds for each.
    """

    products: Annotated[tuple[Regex, ...], OneOrMore, Field(min_length=1)]
    publisher: Regex | None = None
    silent: Annotated[tuple[Switch, ...], OneOrMore] = ()
    phase: Literal["before-network", "after-network", "last"] = "after-network"
    timeout: Annotated[int, Field(ge=1, le=3600)] = 900


class FileTarget(Strict):
    """A text file to write into the guest; ``locked``: only Administrators and SYSTEM may change it."""

    path: GuestPath
    content: str
    locked: bool = True


class FileDeleteTarget(Strict):
    """A file of the guest to delete."""

    path: GuestPath


ExitCode = Annotated[int, Field(ge=-(1 << 31), lt=1 << 32)]
ExitCodes = Annotated[
    tuple[ExitCode, ...], BeforeValidator(_as_tuple, json_schema_input_type=int | list[int])
]


class FirstBootTarget(Strict):
    """Commands that the first-boot job runs; ``timeout`` in seconds for each.

    ``good`` are the exit codes of success, ``reboot`` those that ask for a restart as well.
    """

    commands: Annotated[
        tuple[Annotated[str, AfterValidator(_command)], ...], OneOrMore, Field(min_length=1, max_length=50)
    ]
    timeout: Annotated[int, Field(ge=1, le=3600)] = 300
    phase: Literal["before-network", "after-network", "last"] = "last"
    good: ExitCodes = (0,)
    reboot: ExitCodes = (1641, 3010)


# --- when and why ------------------------------------------------------------------------------


class When(Strict):
    """Conditions; all that are given must hold. A list means: one of these (of keys: none of these)."""

    windows: Annotated[tuple[WindowsRange, ...], OneOrMore] = ()
    role: Annotated[tuple[Literal["client", "server", "domain-controller"], ...], OneOrMore] = ()
    parameter: dict[str, Annotated[tuple[str, ...], OneOrMore]] = Field(default_factory=dict)
    service_exists: Names | None = None
    service_missing: Names | None = None
    key_exists: Annotated[tuple[KeyPath, ...], OneOrMore] = ()
    key_missing: Annotated[tuple[KeyPath, ...], OneOrMore] = ()
    domain_member: bool | None = None
    architecture: Annotated[tuple[Architecture, ...], OneOrMore] = ()

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(Role(role) for role in self.role)


KINDS = (
    "disable",
    "park",
    "demand",
    "filter-remove",
    "driver-enable",
    "value",
    "value-delete",
    "key-delete",
    "uninstall",
    "file",
    "file-delete",
    "first-boot",
    "boot-path",
    "warn",
)
_FIELDS = {kind: kind.replace("-", "_") for kind in KINDS}


def _short(target: type[ServiceTarget]) -> BeforeValidator:
    """The short forms of a service target: a name, or a list of names."""
    return BeforeValidator(_as_target, json_schema_input_type=str | list[str] | target)


class Action(Strict):
    """One thing to do, why, where the fact comes from, how sure it is, and when it applies."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=80)]
    why: Annotated[str, Field(min_length=8, max_length=600)]
    source: Annotated[str, Field(min_length=2, max_length=600)]
    confidence: Confidence = "A"
    when: When = When()

    disable: Annotated[DisableTarget, _short(DisableTarget)] | None = None
    park: Annotated[ParkTarget, _short(ParkTarget)] | None = None
    demand: Annotated[ServiceTarget, _short(ServiceTarget)] | None = None
    filter_remove: Annotated[FilterTarget, _short(FilterTarget)] | None = None
    driver_enable: Annotated[DriverTarget, _short(DriverTarget)] | None = None
    value: ValueTarget | None = None
    value_delete: ValueDeleteTarget | None = None
    key_delete: KeyDeleteTarget | None = None
    uninstall: UninstallTarget | None = None
    file: FileTarget | None = None
    file_delete: FileDeleteTarget | None = None
    first_boot: FirstBootTarget | None = None
    boot_path: BootPathTarget | None = None
    warn: WarnTarget | None = None

    @property
    def kind(self) -> str:
        """The one kind that is given: ``disable``, ``filter-remove``, …"""
        return next(kind for kind, field in _FIELDS.items() if getattr(self, field) is not None)

    @property
    def target(self) -> Strict:
        """What the action acts on, in the shape of its kind."""
        found = getattr(self, _FIELDS[self.kind])
        assert isinstance(found, Strict)
        return found

    @property
    def services(self) -> ServiceTarget | None:
        """The target where it names services or drivers."""
        return self.target if isinstance(self.target, ServiceTarget) else None

    @property
    def names_services(self) -> ServiceTarget | None:
        """The services or drivers that the action acts on or looks for."""
        return self.target.services if isinstance(self.target, WarnTarget) else self.services

    def _given(self) -> list[str]:
        return [kind for kind, field in _FIELDS.items() if getattr(self, field) is not None]

    @model_validator(mode="after")
    def _one_kind(self) -> Action:
        given = self._given()
        if len(given) != 1:
            found = "has none" if not given else "has " + " and ".join(given)
            raise ValueError(f"an action has exactly one of {', '.join(KINDS)}; this one {found}")
        services = self.names_services
        if services is None:
            return self
        if self.confidence == "B" and not services.conditioned:
            raise ValueError(
                "confidence B needs image-path or display-name, so that the right service is met"
            )
        return self

    @property
    def wildcards(self) -> tuple[str, ...]:
        """The names of the target that hold wildcards."""
        return tuple(name for name in self.services.names if is_wildcard(name)) if self.services else ()
