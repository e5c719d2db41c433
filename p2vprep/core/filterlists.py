r"""Names that profiles take out of ``UpperFilters`` and ``LowerFilters``, and what is left there.

A list that names a driver which does not load makes every device of it fail;
for disks that is stop 0x7B (KB 811408). So a name goes out of its list before
its driver is disabled, from the class and from the device instances alike
(upgrades of Vista and 2008 copy class filters to instances, KB 976267).
Filters that ship with Windows stay, whatever a profile says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from p2vprep.core.conditions import fits, why_not
from p2vprep.core.documents.actions import FilterTarget
from p2vprep.core.documents.patterns import any_name_matches, is_wildcard, name_matches
from p2vprep.core.model import ClassFilter, ControlSet, Guest, Hazard, Service, Skip
from p2vprep.core.never import in_box, in_box_filter, never
from p2vprep.core.profiles import Choices, OwnedAction
from p2vprep.core.registry import Hive, fold, value
from p2vprep.core.values import Data, RegType

KIND = "filter-remove"


@dataclass(frozen=True)
class Removal:
    """One list of a class or device after names were taken out; ``after`` None: nothing is left."""

    found: ClassFilter
    names: tuple[str, ...]
    after: Data | None
    why: str


@dataclass(frozen=True)
class FilterPlan:
    """What becomes of the filter lists of a control set."""

    removals: tuple[Removal, ...] = ()
    skips: tuple[Skip, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    gone: frozenset[str] = frozenset()
    """The folded names that no list of the control set holds afterwards, and some list did before."""


@dataclass
class _Wanted:
    """The names that shall leave one list, with the reasons."""

    names: dict[str, str] = field(default_factory=dict)
    whys: dict[str, None] = field(default_factory=dict)


def without(data: Data, names: frozenset[str]) -> Data | None:
    """A REG_MULTI_SZ without the given (folded) names; None where nothing is left.

    Order, type and empty strings in the middle stay: Windows ends a list at the
    first empty string, so closing such a gap would wake up what lies behind it.
    """
    text = data.raw[: len(data.raw) // 2 * 2].decode("utf-16-le", errors="surrogatepass")
    parts = text.rstrip("\0").split("\0")
    kept = [part for part in parts if fold(part) not in names or not part]
    if not any(kept):
        return None
    return Data(data.type, ("\0".join(kept) + "\0\0").encode("utf-16-le", errors="surrogatepass"))


def plan_removals(
    guest: Guest, control_set: ControlSet, system: Hive, actions: Sequence[OwnedAction], choices: Choices
) -> FilterPlan:
    """Finds the names that all ``filter-remove`` actions mean in a control set, and what is left."""
    services = {fold(service.name): service for service in control_set.services}
    wanted = [_Wanted() for _found in control_set.filters]
    skips: dict[Skip, None] = {}
    hazards: dict[Hazard, None] = {}
    for owned in actions:
        target = owned.action.target
        if not isinstance(target, FilterTarget):
            continue
        parameters = choices.parameters.get(owned.profile, {})
        reason = why_not(owned.action.when, guest, control_set, system, parameters)
        for slot, found in zip(wanted, control_set.filters, strict=True):
            for name in _meant(target, found):
                refusal = reason or _why_it_stays(target, name, services.get(fold(name)), guest)
                refusal = refusal or _why_unreadable(system, found)
                if refusal is not None:
                    skips[Skip(KIND, name, f"{owned.name}: {refusal}")] = None
                    if in_box_filter(name):
                        hazards[_in_box_hazard(owned, name, control_set)] = None
                    continue
                slot.names[fold(name)] = name
                slot.whys[owned.action.why] = None
    removals = tuple(_removals(control_set, system, wanted))
    return FilterPlan(removals, tuple(skips), tuple(hazards), _gone(control_set, wanted))


def _meant(target: FilterTarget, found: ClassFilter) -> Iterator[str]:
    if target.position not in {None, found.position}:
        return
    if target.classes and fold(found.class_guid) not in {fold(guid) for guid in target.classes}:
        return
    for name in found.names:
        if any_name_matches(target.names, name):
            yield name


def _why_it_stays(target: FilterTarget, name: str, service: Service | None, guest: Guest) -> str | None:
    """Why a listed name is not taken out, or None. One without a service cannot load: it may always go."""
    if in_box_filter(name):
        return "it ships with Windows as a filter of this kind of device"
    if service is None:
        exact = any(not is_wildcard(pattern) for pattern in target.names if name_matches(pattern, name))
        return None if exact else "there is no such driver, and only a wildcard names it"
    if reason := never(service, guest):
        return reason
    if in_box(service):
        return "it ships with Windows and may be what the target's controller needs"
    if target.type not in {None, service.kind} or not fits(target, service):
        shown = service.display_name or service.image_path or "no ImagePath"
        return f"is another driver of that name ({shown})"
    return None


def _why_unreadable(system: Hive, found: ClassFilter) -> str | None:
    data = value(system, found.key, found.position)
    if data is not None and data.type == RegType.MULTI_SZ:
        return None
    return f"{found.key}: {found.position} is no list of strings"


def _in_box_hazard(owned: OwnedAction, name: str, control_set: ControlSet) -> Hazard:
    return Hazard(
        code="in-box-filter",
        severity="warn",
        message=f"{owned.name} would take {name} out of its filter list in {control_set.name}, which the "
        "guard refuses: it ships with Windows, and its devices would not start without it",
        cure="Nothing to do: it is left as it is.",
        liftable=False,
    )


def _removals(control_set: ControlSet, system: Hive, wanted: Sequence[_Wanted]) -> Iterator[Removal]:
    for found, slot in zip(control_set.filters, wanted, strict=True):
        data = value(system, found.key, found.position) if slot.names else None
        if data is not None:
            after = without(data, frozenset(slot.names))
            yield Removal(found, tuple(slot.names.values()), after, "; ".join(slot.whys))


def _gone(control_set: ControlSet, wanted: Sequence[_Wanted]) -> frozenset[str]:
    """The names taken out of every list that holds them."""
    left: Mapping[str, None] = {
        fold(name): None
        for found, slot in zip(control_set.filters, wanted, strict=True)
        for name in found.names
        if fold(name) not in slot.names
    }
    return frozenset(name for slot in wanted for name in slot.names if name not in left)
