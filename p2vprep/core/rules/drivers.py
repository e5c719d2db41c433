r"""Drivers of the target's disk controller start with Windows, and what the target can start from is told.

Windows 8 and later: ``StartOverride`` goes, which kept the driver from starting (the start type is 0
already). Vista to 7 and their servers: ``Start`` 0, as Microsoft's KB 922976 does for AHCI. Before
Vista also the device ids in ``Control\CriticalDeviceDatabase``, without which the driver does not
find its controller before Plug and Play is there (KB 314082). Which driver may be touched at all is
decided in :mod:`p2vprep.core.bootdrivers`.

Boot paths are what a target offers. If this Windows is ready for none of them, it stops with
0x0000007B (INACCESSIBLE_BOOT_DEVICE) there, which is told before anybody starts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2vprep.core.bootdrivers import (
    VISTA,
    missing_files,
    obstacle,
    start_override,
    starts_with_windows,
)
from p2vprep.core.conditions import fits, targets
from p2vprep.core.documents.actions import BootPathTarget, DriverTarget
from p2vprep.core.documents.patterns import in_range, name_matches
from p2vprep.core.model import DeleteKey, Hazard, RuleYield, Service, SetValue, Skip, Start
from p2vprep.core.profiles import OwnedAction, Setting
from p2vprep.core.registry import Key, fold, join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.virtio_checks import about_package
from p2vprep.core.values import Data

NAME = "drivers"
KINDS: tuple[str, ...] = ("driver-enable", "boot-path")
SETTINGS: tuple[Setting, ...] = ()

STOP = "stop 0x0000007B, INACCESSIBLE_BOOT_DEVICE"
_STARTS = {"boot": Start.BOOT, "system": Start.SYSTEM, "demand": Start.DEMAND}
_CLASSES = {
    "hdc": "{4D36E96A-E325-11CE-BFC1-08002BE10318}",
    "scsi": "{4D36E97B-E325-11CE-BFC1-08002BE10318}",
}
_CRITICAL = r"Control\CriticalDeviceDatabase"


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Start types, overrides and device ids of the target's drivers; then what cannot start there."""
    enabled = _of_the_kit(context)
    for owned in context.actions:
        if isinstance(owned.action.target, DriverTarget):
            yield from _enable(context, owned, owned.action.target, enabled)
    if not context.boots_next or not context.actions:
        return
    yield from _files(context)
    for profile in dict.fromkeys(owned.profile for owned in context.actions):
        paths = [
            owned
            for owned in context.actions
            if owned.profile == profile and isinstance(owned.action.target, BootPathTarget)
        ]
        yield from _boot_paths(context, profile, paths, enabled)


def _of_the_kit(context: RuleContext) -> set[str]:
    """The folded names of the storage drivers that a virtio-win kit adds to the disk."""
    kit = context.wishes.drivers
    packages = () if kit is None else kit.packages
    there = {fold(service.name) for service in context.control_set.services}
    return {
        fold(package.inf.service.name)
        for package in packages
        if package.driver.purpose == "storage" and not any(about_package(package, context))
    } - there


# --- drivers -----------------------------------------------------------------------------------


def _enable(
    context: RuleContext, owned: OwnedAction, target: DriverTarget, enabled: set[str]
) -> Iterator[RuleYield]:
    """The edits for every driver that an action means; ``enabled`` learns the folded names."""
    for service in targets(target, context.control_set):
        if not fits(target, service):
            continue
        found = obstacle(service, context.facts)
        if found is not None:
            yield Skip(NAME, service.name, f"{owned.name}: {found.message}")
            if found.alarming:
                yield Hazard(
                    found.code,
                    "warn",
                    f"{owned.name} would start {service.name} with Windows, which the guard refuses: "
                    f"{found.message}",
                    cure="Nothing to do: it is left as it is.",
                    liftable=False,
                )
            continue
        wanted = _STARTS[target.start]
        why = owned.action.why
        if wanted == Start.BOOT:
            enabled.add(fold(service.name))
        if service.start > wanted:
            yield SetValue("SYSTEM", service.key, "Start", Data.dword(wanted), NAME, why)
        held = start_override(context.system, service)
        if held is not None and wanted == Start.BOOT:
            yield DeleteKey("SYSTEM", held.path, NAME, why)
        if context.facts.guest.version.nt < VISTA:
            for device in target.devices:
                yield from _critical_device(context, owned, target, service, device)


def _critical_device(
    context: RuleContext, owned: OwnedAction, target: DriverTarget, service: Service, device: str
) -> Iterator[SetValue | Skip]:
    """The entry that leads a device to the driver; one that leads to another working driver stays."""
    present = context.key(join(_CRITICAL, device))
    other = None if present is None else _other_driver(context, present, service)
    if other is not None:
        yield Skip(NAME, f"{_CRITICAL}\\{device}", f"{owned.name}: it leads to {other} already")
        return
    key = join(context.control_set.name, _CRITICAL, device) if present is None else present.path
    values = {"Service": Data.sz(service.name), "ClassGUID": Data.sz(_CLASSES[target.device_class])}
    for name, data in values.items():
        held = None if present is None else present.value(name)
        if held is None or fold(held.text or "") != fold(data.text or ""):
            yield SetValue("SYSTEM", key, name, data, NAME, owned.action.why, create=True)


def _other_driver(context: RuleContext, entry: Key, service: Service) -> str | None:
    """The driver that an entry names, where it is another one that can start."""
    held = entry.value("Service")
    name = "" if held is None else held.text or ""
    if fold(name) == fold(service.name):
        return None
    for one in context.control_set.services:
        if fold(one.name) == fold(name) and one.start != Start.DISABLED:
            return None if missing_files(one, context.facts) else one.name
    return None


# --- files -------------------------------------------------------------------------------------


def _files(context: RuleContext) -> Iterator[Hazard]:
    r"""What is to be told about ``System32\drivers``."""
    if context.facts.driver_files is None:
        yield Hazard(
            "driver-files-unknown",
            "warn",
            r"Not one driver lies in System32\drivers, so whether those of the target are on the disk is not "
            "checked.",
            cure="Check that the conversion was complete.",
        )
        return
    missing = {
        service.name: files
        for service in context.control_set.services
        if service.kind == "driver" and starts_with_windows(context.system, service)
        if (files := missing_files(service, context.facts))
    }
    if missing:
        yield Hazard(
            "boot-file-missing",
            "warn",
            "Drivers start with Windows whose files are not on the disk; the loader may stop at them "
            f"(0xC0000098 or a missing file): {', '.join(missing)}",
            evidence=tuple(f"{name}: {', '.join(files)}" for name, files in missing.items()),
            cure="Check the volume (chkdsk) and that the conversion was complete.",
        )


# --- what the target offers ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Path:
    """A controller of the target and why this Windows cannot start from it; no reason: it can.

    ``meant``: it is one for Windows of this version.
    """

    controller: str
    reason: str | None
    meant: bool = True


def _boot_paths(
    context: RuleContext, profile: str, owned: Sequence[OwnedAction], enabled: set[str]
) -> Iterator[RuleYield]:
    every = [
        _path(context, one.action.target, enabled)
        for one in owned
        if isinstance(one.action.target, BootPathTarget)
    ]
    meant = [path for path in every if path.meant]
    paths = _by_controller(meant or every)
    good = [path.controller for path in paths if path.reason is None]
    bad = [path for path in paths if path.reason is not None]
    if paths and not good:
        yield Hazard(
            "target-cannot-boot",
            "refuse",
            f"This Windows cannot start on {profile}: it is ready for none of its disk controllers ({STOP})",
            evidence=tuple(f"{path.controller}: {path.reason}" for path in bad),
            cure="Choose another target, or put the driver of one of the controllers on the disk first",
        )
    elif good and bad and paths[0].reason is not None:
        yield Hazard(
            "boot-controller",
            "warn",
            f"On {profile} the first disk needs another controller than the usual one: {', '.join(good)}",
            evidence=tuple(f"{path.controller}: {path.reason} ({STOP})" for path in bad),
            cure="Choose the controller before the first start.",
        )
    else:
        for path in bad:
            yield Skip(NAME, f"{profile}: {path.controller}", f"cannot carry the start disk: {path.reason}")


def _by_controller(paths: Sequence[_Path]) -> list[_Path]:
    """One path for each controller: a good one where there is one, else all reasons."""
    grouped: dict[str, list[_Path]] = {}
    for path in paths:
        grouped.setdefault(path.controller, []).append(path)
    return [
        _Path(controller, None if any(one.reason is None for one in group) else _reasons(group))
        for controller, group in grouped.items()
    ]


def _reasons(group: Sequence[_Path]) -> str:
    return "; ".join(dict.fromkeys(one.reason for one in group if one.reason is not None))


def _path(context: RuleContext, target: BootPathTarget, enabled: set[str]) -> _Path:
    guest = context.facts.guest
    if target.windows and not any(in_range(text, guest.version) for text in target.windows):
        reason = f"for Windows {' or '.join(target.windows)}; this is {guest.version}"
        return _Path(target.controller, reason, meant=False)
    if target.architecture and guest.architecture not in (*target.architecture, "unknown"):
        reason = f"for {' or '.join(target.architecture)}; this is {guest.architecture}"
        return _Path(target.controller, reason, meant=False)
    reasons = (_why_not_ready(context, name, enabled) for name in target.drivers)
    return _Path(target.controller, next(filter(None, reasons), None))


def _why_not_ready(context: RuleContext, name: str, enabled: set[str]) -> str | None:
    """Why no driver of this name carries the disk, or None."""
    found = [service for service in context.control_set.services if name_matches(name, service.name)]
    if any(name_matches(name, ready) for ready in enabled):
        return None
    if not found:
        return f"there is no driver {name}"
    reasons: list[str] = []
    for service in found:
        missing = missing_files(service, context.facts)
        if missing:
            reasons.append(f"{' and '.join(missing)} is not in System32\\drivers")
        elif starts_with_windows(context.system, service):
            return None
        else:
            held = obstacle(service, context.facts)
            reasons.append(f"{service.name} does not start with Windows" if held is None else held.message)
    return "; ".join(reasons)
