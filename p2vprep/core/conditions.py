"""Whether an action of a profile applies to this machine, and if not, why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from p2vprep.core.documents.actions import (
    ANY_CONTROL_SET,
    Action,
    BootPathTarget,
    DriverTarget,
    FilterTarget,
    KeyDeleteTarget,
    ServiceTarget,
    UninstallTarget,
    ValueDeleteTarget,
    ValueTarget,
    WarnTarget,
    When,
)
from p2vprep.core.documents.patterns import any_name_matches, in_range, name_matches, regex
from p2vprep.core.model import ControlSet, Facts, Guest, Service
from p2vprep.core.registry import Hive, find, join, split, value


def key_in_set(path: str, control_set: str) -> str:
    """A key path of a document with the control set's name in place of ``%ControlSet%``."""
    parts = split(path)
    return join(control_set, *parts[1:]) if parts[0].lower() == ANY_CONTROL_SET.lower() else path


def why_not(
    when: When,
    guest: Guest,
    control_set: ControlSet,
    system: Hive,
    parameters: Mapping[str, str],
) -> str | None:
    """The first condition that does not hold, in words; None where all hold."""
    return next(_unmet(when, guest, control_set, system, parameters), None)


def _unmet(
    when: When, guest: Guest, control_set: ControlSet, system: Hive, parameters: Mapping[str, str]
) -> Iterator[str]:
    yield from _unmet_about_guest(when, guest)
    for name, values in when.parameter.items():
        if parameters.get(name) not in values:
            yield f"off: needs --set {name}={' or '.join(values)} (it is {parameters.get(name)})"
    if when.service_exists and not any(_named(control_set, name) for name in when.service_exists):
        yield f"needs a service named {' or '.join(when.service_exists)}"
    for name in when.service_missing or ():
        if _named(control_set, name):
            yield f"only without a service named {name}"
    for path in when.key_exists:
        if find(system, key_in_set(path, control_set.name)) is None:
            yield f"needs the key {path}"
    for path in when.key_missing:
        if find(system, key_in_set(path, control_set.name)) is not None:
            yield f"only without the key {path}"


def _unmet_about_guest(when: When, guest: Guest) -> Iterator[str]:
    if when.windows and not any(in_range(text, guest.version) for text in when.windows):
        yield f"for Windows {' or '.join(when.windows)}; this is {guest.version}"
    if when.role and guest.role not in when.roles:
        yield f"for the role {' or '.join(when.role)}; this is {guest.role.value}"
    if when.domain_member is not None and when.domain_member != guest.domain_member:
        known = {True: "is one", False: "is none", None: "may be one or not"}[guest.domain_member]
        wanted = "domain members" if when.domain_member else "machines outside a domain"
        yield f"for {wanted}; this {known}"
    if when.architecture and guest.architecture not in when.architecture:
        yield f"for {' or '.join(when.architecture)}; this is {guest.architecture}"


def _named(control_set: ControlSet, pattern: str) -> bool:
    return any(name_matches(pattern, service.name) for service in control_set.services)


def targets(target: ServiceTarget, control_set: ControlSet) -> tuple[Service, ...]:
    """The services of a control set whose name and type fit, whether or not their paths do.

    Left-over instances of per-user services and services marked for deletion
    are left out: the first vanish at the next logon, the second at the next boot.
    """
    return tuple(
        service
        for service in control_set.services
        if not service.instance
        and not service.deleted
        and (target.type is None or service.kind == target.type)
        and any_name_matches(target.names, service.name)
    )


def fits(target: ServiceTarget, service: Service) -> bool:
    """Whether ImagePath or DisplayName is as the target wants, where it wants something."""
    if not target.conditioned:
        return True
    by_path = target.image_path is not None and regex(target.image_path).search(_path(service)) is not None
    by_name = (
        target.display_name is not None
        and regex(target.display_name).search(service.display_name) is not None
    )
    return by_path or by_name


def _path(service: Service) -> str:
    return f"{service.image_path}\n{service.service_dll}" if service.service_dll else service.image_path


def warned_of(target: WarnTarget, facts: Facts, control_set: ControlSet) -> tuple[str, ...]:
    """What a warning looks for and finds: names of services, device ids, names of programs."""
    found: list[str] = []
    if target.services is not None:
        wanted = target.services
        found += [one.name for one in targets(wanted, control_set) if fits(wanted, one)]
    found += [one for one in facts.devices if any(regex(each).search(one) for each in target.devices)]
    named = [product.display_name for product in facts.products]
    found += [one for one in named if any(regex(each).search(one) for each in target.products)]
    return tuple(dict.fromkeys(found))


def finds_something(action: Action, facts: Facts, control_set: ControlSet, hives: Mapping[str, Hive]) -> bool:
    """Whether an action that does not apply would have found something to do; True where it cannot be told.

    What only tells something is no news where it does not apply.
    """
    target = action.target
    if isinstance(target, FilterTarget):
        listed = {name for found in control_set.filters for name in found.names}
        return any(name_matches(pattern, name) for pattern in target.names for name in listed)
    if isinstance(target, DriverTarget):
        return any(fits(target, service) for service in targets(target, control_set))
    if isinstance(target, WarnTarget | BootPathTarget):
        return False
    if isinstance(target, ValueTarget) and not target.create and target.hive in hives:
        return find(hives[target.hive], key_in_set(target.key, control_set.name)) is not None
    if isinstance(target, UninstallTarget):
        return "SOFTWARE" not in hives or any(
            regex(pattern).search(product.display_name)
            for pattern in target.products
            for product in facts.products
        )
    if isinstance(target, ValueDeleteTarget) and target.hive in hives:
        path = key_in_set(target.key, control_set.name)
        return value(hives[target.hive], path, target.name) is not None
    if isinstance(target, KeyDeleteTarget) and target.hive in hives:
        return find(hives[target.hive], key_in_set(target.key, control_set.name)) is not None
    return True
