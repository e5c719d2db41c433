r"""virtio drivers of a user's virtio-win kit: Windows boots from virtio disks, and finds its network.

Storage drivers are made ready to boot: the file into ``System32\drivers``, a service that the boot
loader starts, the device ids in the database that this Windows asks first
(:mod:`p2vprep.core.driver_database`). All packages are put into the guest as well: the first boot hands
them to Plug and Play (``pnputil``, Vista and later) and takes the placeholders away; older Windows finds
them by ``DevicePath``. A driver that is installed already is only made to start with Windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from p2vprep.core.driver_database import (
    BootDevice,
    critical_device,
    database_entries,
    has_database,
)
from p2vprep.core.model import (
    DeleteKey,
    Hazard,
    PutFile,
    RuleYield,
    RunCommands,
    SetValue,
    Skip,
    Start,
)
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import find, fold, join
from p2vprep.core.rules import virtio_finish
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.virtio_checks import about_kit, about_package, trusted
from p2vprep.core.values import Data
from p2vprep.core.virtio import SCSI_ADAPTER, DriverKit, DriverPackage

NAME = "virtio"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = ()

FOLDER = "/p2vprep/drivers"
MARKS = r"p2vprep\Drivers"
"""Below it one key for each driver that was put into the guest and that no first boot has finished yet."""
_IN_WINDOWS = r"%SystemDrive%\p2vprep\drivers"
_DEVICE_PATH = r"Microsoft\Windows\CurrentVersion"
_VISTA, _EIGHT = (6, 0), (6, 2)
_TIMEOUT = 300
_NO_MORE_ITEMS = 259
"""pnputil: the package is in the store, and no device that is there now wants it."""
_WHY = "the machine boots from virtio disks and has a virtio network"
_ID = re.compile(r"PCI\\(VEN_1AF4&DEV_([0-9A-F]{4})(?:&[0-9A-Z_&]+)?)", re.IGNORECASE)


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Services, device ids and files of the drivers, and the steps that install them."""
    kit = context.wishes.drivers
    if kit is None:
        yield from _unfinished(context)
        return
    if context.boots_next:
        yield from about_kit(kit, context)
    ready: list[DriverPackage] = []
    for package in kit.packages:
        hazards = tuple(about_package(package, context))
        if hazards:
            yield from hazards if context.boots_next else ()
        elif _installed(context, package):
            yield from _only_start(context, package)
        else:
            ready.append(package)
            if package.driver.purpose == "storage":
                yield from _boot_driver(context, package)
    if context.boots_next and ready:
        yield from _packages(context, kit, ready)


def _unfinished(context: RuleContext) -> Iterator[Hazard]:
    """A plan without the kit writes a first-boot job without its steps."""
    marks = find(context.system, MARKS)
    names = () if marks is None else tuple(key.name for key in marks.subkeys())
    if names and context.boots_next:
        yield Hazard(
            "virtio-unfinished",
            "warn",
            f"An earlier plan put virtio drivers on this disk that no first boot has installed yet: "
            f"{', '.join(names)}; this plan would leave out their steps.",
            cure="Name the same --virtio-win again.",
        )


# --- boot drivers ------------------------------------------------------------------------------


def _installed(context: RuleContext, package: DriverPackage) -> bool:
    """Whether Windows has this driver from elsewhere, by the set that boots next."""
    if find(context.system, join(MARKS, package.driver.name)) is not None:
        return False
    name = fold(package.inf.service.name)
    return any(fold(service.name) == name for service in context.facts.boot.services)


def _only_start(context: RuleContext, package: DriverPackage) -> Iterator[RuleYield]:
    name = package.inf.service.name
    if context.boots_next:
        yield Skip(NAME, name, "this Windows has the driver already; its files are left as they are")
    key = context.key(join("Services", name))
    if key is None or package.driver.purpose != "storage":
        return
    yield SetValue("SYSTEM", key.path, "Start", Data.dword(Start.BOOT), NAME, _WHY)
    override = key.subkey("StartOverride")
    if override is not None:
        yield DeleteKey("SYSTEM", override.path, NAME, "it would keep the driver from starting with Windows")


def _boot_driver(context: RuleContext, package: DriverPackage) -> Iterator[RuleYield]:
    service = package.inf.service
    key = join(context.control_set.name, "Services", service.name)
    why = f"Windows starts from {package.driver.what}"
    held = {
        "Type": Data.dword(service.type),
        "Start": Data.dword(Start.BOOT),
        "ErrorControl": Data.dword(service.error_control),
        "Group": Data.sz(service.group or "SCSI miniport"),
        "ImagePath": Data.expand_sz(rf"system32\drivers\{service.binary}"),
    }
    for name, data in held.items():
        yield SetValue("SYSTEM", key, name, data, NAME, why, create=True)
    for subkey, name, number in service.numbers:
        yield SetValue("SYSTEM", join(key, subkey), name, Data.dword(number), NAME, why, create=True)
    device = boot_device(package)
    if not has_database(context.system):
        yield from critical_device(context.control_set.name, device, NAME, why)
    elif context.boots_next:
        yield from database_entries(context.system, context.facts.guest.architecture, device, NAME, why)
    if context.boots_next:
        path = f"{context.facts.guest.system_root}/System32/drivers/{service.binary}"
        content = package.file(service.binary)
        assert content is not None
        yield PutFile(path, content, NAME, why, locked=False)


def boot_device(package: DriverPackage) -> BootDevice:
    """The ids of a storage driver's devices: what its INF lists, and each device with its revision alone.

    The latter is what virt-v2v registers: some clouds give their virtio devices subsystem ids of their own.
    """
    hardware, compatible = (
        {match[1].upper(): match[2].upper() for one in ids if (match := _ID.fullmatch(one))}
        for ids in (package.inf.hardware_ids, package.inf.compatible_ids)
    )
    known = package.driver.devices
    ids = [one for one, device in hardware.items() if device in known]
    covered = {*hardware.values(), *compatible.values()}
    ids += [
        f"VEN_1AF4&DEV_{device}&REV_{revision}"
        for device, revision in zip(known, ("00", "01"), strict=True)
        if device in covered
    ]
    more = [one for one, device in compatible.items() if device in known and one not in ids]
    return BootDevice(
        package.inf.service.name, SCSI_ADAPTER, tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(more))
    )


# --- packages for Plug and Play ----------------------------------------------------------------


def _packages(context: RuleContext, kit: DriverKit, ready: list[DriverPackage]) -> Iterator[RuleYield]:
    why = "Plug and Play installs the driver from here"
    for package in ready:
        name = package.driver.name
        for file, content in package.files:
            yield PutFile(f"{FOLDER}/{name}/{file}", content, NAME, why)
        inf = Data.sz(package.inf_name)
        yield SetValue("SYSTEM", join(MARKS, name), "Inf", inf, NAME, "not finished yet", create=True)
    if context.facts.guest.version.nt < _VISTA:
        yield from _device_path(context, ready)
        return
    untrusted = [one for one in kit.certificates if not trusted(context, one)]
    for number, certificate in enumerate(untrusted, start=1):
        file = f"publisher-{number}.cer"
        yield PutFile(f"{FOLDER}/{file}", certificate.content, NAME, "trusted while drivers are installed")
        yield _step(
            f"virtio-trust-{number}",
            rf'certutil.exe -f -addstore TrustedPublisher "{_IN_WINDOWS}\{file}"',
            why=f"Windows would ask whether it may trust the publisher ({certificate.name})",
        )
    for package in ready:
        yield _step(
            f"virtio-{package.driver.name}",
            rf'pnputil.exe -i -a "{_IN_WINDOWS}\{package.driver.name}\{package.inf_name}"',
            why=f"installs the driver of {package.driver.what}",
            good=(0, _NO_MORE_ITEMS),
        )
    boots = [package for package in ready if package.driver.purpose == "storage"]
    placed = [(one.inf_name, boot_device(one)) for one in boots] if has_database(context.system) else []
    why = "the placeholders of the boot drivers would be in the way of later upgrades of Windows"
    yield PutFile(f"{FOLDER}/{virtio_finish.NAME}", virtio_finish.script(MARKS, placed), NAME, why)
    finish = rf'call "{_IN_WINDOWS}\{virtio_finish.NAME}"'
    yield _step("virtio-finish", finish, why=why, last=True)
    for number, certificate in enumerate(untrusted, start=1):
        yield _step(
            f"virtio-distrust-{number}",
            f"certutil.exe -delstore TrustedPublisher {certificate.thumbprint}",
            why="the publisher was trusted only while the drivers were installed",
            last=True,
        )


def _step(
    name: str, *commands: str, why: str, good: tuple[int, ...] = (0,), last: bool = False
) -> RunCommands:
    phase = "last" if last else "before-network"
    return RunCommands(name, commands, phase, _TIMEOUT, why, good)  # type: ignore[arg-type]


def _device_path(context: RuleContext, ready: list[DriverPackage]) -> Iterator[SetValue]:
    """The folders in which Windows before Vista looks for drivers of new devices."""
    software = context.hives.get("SOFTWARE")
    key = None if software is None else find(software, _DEVICE_PATH)
    data = None if key is None else key.value("DevicePath")
    folders = [one for one in ((data.text if data else "") or r"%SystemRoot%\inf").split(";") if one]
    held = {fold(one) for one in folders}
    folders += [place for one in ready if fold(place := rf"{_IN_WINDOWS}\{one.driver.name}") not in held]
    why = "Windows looks for drivers of new devices there"
    yield SetValue("SOFTWARE", _DEVICE_PATH, "DevicePath", Data.expand_sz(";".join(folders)), NAME, why)
