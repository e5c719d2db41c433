"""Profiles in words: what an action does, when, and what the switches of a profile are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from p2vprep.core.documents.actions import (
    Action,
    BootPathTarget,
    DisableTarget,
    DriverTarget,
    FileDeleteTarget,
    FileTarget,
    FilterTarget,
    FirstBootTarget,
    KeyDeleteTarget,
    ParkTarget,
    ServiceTarget,
    Strict,
    UninstallTarget,
    ValueDeleteTarget,
    ValueTarget,
    WarnTarget,
    When,
)
from p2vprep.core.documents.patterns import is_wildcard
from p2vprep.core.documents.profile import Detect, Parameter, off_by_default

_CONFIDENCE = {
    "A": "sure: the exact name is documented or was seen",
    "B": "likely: the name was inferred, so path or display name must fit",
    "C": "from recollection, so only where path or display name fits, or where switched on",
}
_SIGNS = {
    "services": "a service",
    "drivers": "a driver",
    "bios": "a BIOS string that fits",
    "pci_subsystems": "a PCI device of the subsystem vendor",
    "devices": "a device whose id fits",
    "products": "an installed program whose name fits",
}
_PARKED_AT = {
    "auto": "it starts on demand meanwhile, or not at all where a trigger would start it",
    "demand": "it starts on demand meanwhile",
    "disabled": "it does not start meanwhile",
}
_STARTS = {"boot": "the boot loader", "system": "the kernel", "demand": "whoever needs them"}


def what(action: Action) -> str:
    """What an action does, as one sentence."""
    target = action.target
    if isinstance(target, ServiceTarget):
        return _about_services(action.kind, target)
    return _about_others(action.kind, target)


def _about_services(kind: str, target: ServiceTarget) -> str:
    names = f"{_things(target)} {_names(target.names)}"
    if isinstance(target, FilterTarget):
        where = target.position or "UpperFilters and LowerFilters"
        classes = f" of the device classes {', '.join(target.classes)}" if target.classes else ""
        text = f"takes {names} out of {where}{classes}"
    elif isinstance(target, ParkTarget):
        text = f"parks {names} until the first boot is done ({_PARKED_AT[target.start]})"
    elif isinstance(target, DriverTarget):
        text = f"lets {_STARTS[target.start]} start {names}"
        if target.devices:
            devices = ", ".join(target.devices)
            text += f"; before Vista, the devices {devices} lead to it (class {target.device_class})"
    elif kind == "demand":
        text = f"lets {names} start on demand only"
    else:
        text = f"disables for good {names}"
    if isinstance(target, DisableTarget) and target.boot_start:
        text += ", also as drivers that start with Windows (the guard allows that for known guest drivers)"
    return text + _narrowed(target)


def _things(target: ServiceTarget) -> str:
    thing: str = target.type or ("filter" if isinstance(target, FilterTarget) else "service or driver")
    if len(target.names) > 1 or any(map(is_wildcard, target.names)):
        thing = "services and drivers" if thing == "service or driver" else f"{thing}s"
    return f"the {thing}"


def _narrowed(target: ServiceTarget) -> str:
    """The condition on path or display name."""
    fits = [("path", target.image_path), ("display name", target.display_name)]
    words = [f"its {title} fits /{pattern}/" for title, pattern in fits if pattern is not None]
    return f", if {' or '.join(words)}" if words else ""


def _about_others(kind: str, target: Strict) -> str:
    if isinstance(target, ValueTarget):
        data = target.data if isinstance(target.data, int | str) else ", ".join(target.data)
        absent = "; the key is made where it is absent" if target.create else ""
        return f"sets {_value(target)} to {data!r} ({target.type}){absent}"
    if isinstance(target, ValueDeleteTarget):
        return f"deletes {_value(target)}"
    if isinstance(target, KeyDeleteTarget):
        return f"deletes the key {target.hive}\\{target.key} with all below it"
    if isinstance(target, UninstallTarget):
        by = f" of a publisher that fits /{target.publisher}/" if target.publisher else ""
        silent = f" with {' '.join(target.silent)}" if target.silent else ""
        return (
            f"with --set uninstall=first-boot, uninstalls programs whose name fits "
            f"{_patterns(target.products)}{by}{silent}, in this order, at the first boot"
        )
    if isinstance(target, FileTarget):
        lock = (
            "only administrators can change it" if target.locked else "it can be changed as its folder lets"
        )
        return f"writes the file {target.path} ({len(target.content)} characters; {lock})"
    if isinstance(target, FileDeleteTarget):
        return f"deletes the file {target.path}"
    if isinstance(target, FirstBootTarget):
        return f"runs at the first boot ({target.phase}): {'; '.join(target.commands)}"
    if isinstance(target, BootPathTarget):
        limits = [f"on Windows {' or '.join(target.windows)}"] if target.windows else []
        limits += [f"on {' or '.join(target.architecture)}"] if target.architecture else []
        only = f" ({'; '.join(limits)})" if limits else ""
        return f"knows that Windows starts from {target.controller} with {_names(target.drivers)}{only}"
    if isinstance(target, WarnTarget):
        return f"warns ({target.code}){_looked_for(target)}"
    fields = target.model_dump(by_alias=True, exclude_defaults=True)
    return f"{kind}: " + ", ".join(f"{name} {held}" for name, held in fields.items())


def _looked_for(target: WarnTarget) -> str:
    words = [] if target.services is None else [f"the service or driver {_names(target.services.names)}"]
    words += [f"a device whose id fits {_patterns(target.devices)}"] if target.devices else []
    words += [f"a program whose name fits {_patterns(target.products)}"] if target.products else []
    return f" where it finds {' or '.join(words)}" if words else ""


def _value(target: ValueTarget | ValueDeleteTarget) -> str:
    return f"the value {target.name or '(default)'} of {target.hive}\\{target.key}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _patterns(patterns: Sequence[str]) -> str:
    return ", ".join(f"/{pattern}/" for pattern in patterns)


# --- when, why, switches -----------------------------------------------------------------------


def when(action: Action, parameters: Mapping[str, Parameter]) -> str:
    """The conditions of an action as a sentence; empty where it always applies."""
    words = list(_conditions(action.when))
    text = f"only {'; '.join(words)}" if words else ""
    return f"{text}; so off unless you set it" if off_by_default(action, parameters) else text


def _conditions(held: When) -> Iterator[str]:
    if held.windows:
        yield f"on Windows {' or '.join(held.windows)}"
    if held.architecture:
        yield f"on {' or '.join(held.architecture)}"
    if held.role:
        yield f"on a {' or '.join(held.role)}"
    if held.domain_member is not None:
        yield "on members of a domain" if held.domain_member else "outside a domain"
    for name, values in held.parameter.items():
        yield f"with --set {name}={' or '.join(values)}"
    if held.service_exists:
        yield f"where there is a service {' or '.join(held.service_exists)}"
    if held.service_missing:
        yield f"where there is no service {' or '.join(held.service_missing)}"
    if held.key_exists:
        yield f"where there is a key {' or '.join(held.key_exists)}"
    if held.key_missing:
        yield f"where there is no key {' or '.join(held.key_missing)}"


def known_from(action: Action) -> str:
    """Where the fact comes from, with the letter that says how sure it is."""
    return f"{action.source} ({action.confidence})"


def confidences(actions: Iterable[Action]) -> tuple[str, ...]:
    """What the letters of these actions mean."""
    letters = sorted({action.confidence for action in actions})
    return tuple(f"{letter}: {_CONFIDENCE[letter]}" for letter in letters)


def signs(detect: Detect) -> tuple[str, ...]:
    """What speaks for a profile on a disk, one line for each kind of evidence."""
    found = ((title, getattr(detect, name)) for name, title in _SIGNS.items())
    return tuple(f"{title}: {', '.join(held)}" for title, held in found if held)


def switch(name: str, parameter: Parameter) -> str:
    """A parameter with its values, the default first."""
    others = [value for value in parameter.values if value != parameter.default]
    return f"{name}={parameter.default} (default), {', '.join(others)}: {parameter.help}"
