"""From facts, profiles and rules to a draft, and from a draft to the plan.

The draft holds what the rules want to be true. :func:`finish` looks at the
hives and files, merges what agrees, refuses what does not, drops what is true
already and says for the rest what was before and what is after. A plan that
was carried out and is made again has no changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from p2vprep.core.changes import resolve_edits
from p2vprep.core.conditions import finds_something, why_not
from p2vprep.core.hand.resolving import resolve
from p2vprep.core.model import (
    ConfigureInterface,
    ControlSet,
    DeleteFile,
    DeleteKey,
    DeleteValue,
    Edit,
    Facts,
    FileState,
    FirstBootItem,
    Guest,
    Hazard,
    HiveState,
    MakeKey,
    Plan,
    PutFile,
    RestoreService,
    RestoreValue,
    RuleYield,
    SetValue,
    Skip,
)
from p2vprep.core.profiles import Choices, OwnedAction, ResolvedProfile, choose, in_order
from p2vprep.core.registry import Hive, fold
from p2vprep.core.rules import RULES, SETTINGS, location, wds
from p2vprep.core.rules.context import Rule, RuleContext
from p2vprep.core.selection import Selection, as_given_back, select
from p2vprep.core.wishes import NOTHING_WISHED, Wishes

Item = TypeVar("Item")
WhichSets = Literal["boot", "all"]
_LAST_WITH_SILENT_FALLBACK = (6, 1)
_SERVICE_KINDS = frozenset({"disable", "park", "demand", "filter-remove"})


@dataclass(frozen=True)
class Draft:
    """What the rules want for one machine, before it is held against the disk."""

    guest: Guest
    control_sets: tuple[str, ...]
    profiles: tuple[str, ...]
    choices: Choices
    edits: tuple[Edit, ...]
    hazards: tuple[Hazard, ...]
    skips: tuple[Skip, ...]
    first_boot: tuple[FirstBootItem, ...]


# --- the draft ---------------------------------------------------------------------------------


def draft(
    facts: Facts,
    hives: Mapping[str, Hive],
    profiles: Sequence[ResolvedProfile],
    *,
    overrides: Mapping[str, str] | None = None,
    control_sets: WhichSets | None = None,
    first_boot: bool = True,
    wishes: Wishes = NOTHING_WISHED,
) -> Draft:
    """Runs all rules over every control set that is to be edited, and takes over what was asked for by hand.

    Without ``first_boot`` nothing is parked: there would be nobody to give it back.

    ``hives`` holds at least ``SYSTEM``. ``overrides`` are the ``--set`` pairs; they count more than the
    settings of the network document. The edits and items of
    ``wishes`` are taken over as they are.
    Raises UsageError and DocumentError as :func:`p2vprep.core.profiles.choose`.
    """
    ordered = in_order(profiles)
    switches = wishes.network.settings if wishes.network is not None else {}
    choices = choose(ordered, SETTINGS, {**switches, **(overrides or {})})
    sets, hazards = sets_to_edit(facts, control_sets)
    ordered, at_home = _without_the_targets_own(ordered, choices)
    actions = [action for profile in ordered for action in profile.actions]
    actions += wds.actions(facts, choices)
    unparked: list[Skip] = []
    if not first_boot:
        actions, choices, unparked = _without_parking(actions, choices)
    selections = {
        one.name: select(facts.guest, as_given_back(facts, one), hives["SYSTEM"], actions, choices)
        for one in sets
    }
    found: list[RuleYield] = [*hazards, *at_home, *unparked]
    for one in sets:
        found += [*selections[one.name].hazards, *selections[one.name].skips]
        for rule in () if wishes.only_edits else RULES:
            found += _run(rule, facts, one, hives, choices, selections, actions, wishes)
    by_hand = resolve(wishes.edits, facts, sets, hives, selections)
    found += [*by_hand.edits, *by_hand.hazards, *by_hand.skips, *wishes.items, *wishes.findings]
    if not first_boot:
        found = list(_without_steps(found))
    return Draft(
        guest=facts.guest,
        control_sets=tuple(one.name for one in sets),
        profiles=tuple(profile.title for profile in ordered),
        choices=choices,
        edits=tuple(item for item in found if isinstance(item, _EDITS)),
        hazards=_each_once(item for item in found if isinstance(item, Hazard)),
        skips=_each_once(item for item in found if isinstance(item, Skip)),
        first_boot=_each_once(item for item in found if isinstance(item, FirstBootItem)),
    )


_EDITS = (SetValue, DeleteValue, DeleteKey, MakeKey, PutFile, DeleteFile)
_GIVEN_BACK = (RestoreService, RestoreValue)
_PARK = "park"
_KEEP = "keep"
_PARKING = frozenset({location.NAME})
"""Settings that park something whatever they are set to."""


def _without_the_targets_own(
    profiles: Sequence[ResolvedProfile], choices: Choices
) -> tuple[list[ResolvedProfile], list[RuleYield]]:
    """The profiles without those of sources that are guests of the target's own hypervisor.

    What such a source would switch off is what the machine needs there.
    """
    kept, told = [], list[RuleYield]()
    for profile in profiles:
        same = [name for name in profile.hypervisors if name in choices.hypervisors]
        if profile.kind != "source" or not same:
            kept.append(profile)
            continue
        reason = f"the target is {same[0]} as well, which needs what this source would switch off"
        told.append(Skip("source", profile.name, reason))
        told.append(
            Hazard(
                "same-hypervisor",
                "warn",
                f"The source {profile.name} is left out: {reason}.",
                cure="Leave out the source, or the target.",
                liftable=False,
            )
        )
    return kept, told


def _without_steps(found: Iterable[RuleYield]) -> Iterator[RuleYield]:
    """Steps of the first boot become skips; what an earlier plan parked is given back all the same.

    Without its configuration an adapter would come up with DHCP: that refuses.
    """
    for item in found:
        if isinstance(item, ConfigureInterface):
            yield Hazard(
                "first-boot-needed",
                "refuse",
                f"Without a first-boot job nothing configures {item.config.name or item.config.match}",
                (item.why,),
                "Leave out --no-first-boot; or match an adapter that stays, on Windows 8 and 2012 or later.",
                liftable=False,
            )
        if isinstance(item, FirstBootItem) and not isinstance(item, _GIVEN_BACK):
            yield Skip("first-boot", item.why, "without a first-boot job nothing would do it")
        else:
            yield item


def _without_parking(
    actions: Sequence[OwnedAction], choices: Choices
) -> tuple[list[OwnedAction], Choices, list[Skip]]:
    """What is left to do where no first-boot job could give anything back."""
    reason = "without a first-boot job nothing would give it back"
    skips = [Skip(_PARK, owned.name, reason) for owned in actions if owned.action.kind == _PARK]
    parked = [
        name
        for name, chosen in choices.settings.items()
        if chosen == _PARK or (name in _PARKING and chosen != _KEEP)
    ]
    skips += [Skip(_PARK, f"setting {name}", reason) for name in parked]
    settings = {name: _KEEP if name in parked else chosen for name, chosen in choices.settings.items()}
    kept = [owned for owned in actions if owned.action.kind != _PARK]
    return kept, replace(choices, settings=settings), skips


def sets_to_edit(
    facts: Facts, wanted: WhichSets | None = None
) -> tuple[tuple[ControlSet, ...], tuple[Hazard, ...]]:
    r"""The control sets to edit, the one that boots next first, and what to tell about them.

    Up to Windows 7 and 2008 R2 a failed start falls back to another set
    without a word, so all sets are edited there unless ``boot`` is asked for;
    after that only the one that boots next, and ``Select\Current`` where it is
    another one.
    """
    current = f"ControlSet{facts.select.get('Current', 0):03d}"
    differs = fold(current) != fold(facts.boot_set) and any(
        fold(one.name) == fold(current) for one in facts.sets
    )
    hazards: tuple[Hazard, ...] = ()
    if differs:
        hazards = (
            Hazard(
                "current-set-differs",
                "warn",
                f"{current} was used last but {facts.boot_set} boots next; both are edited",
                evidence=tuple(f"{name}={number}" for name, number in facts.select.items()),
                cure="The last start was unusual (an earlier configuration was chosen, or a repair ran).",
            ),
        )
    everything = wanted == "all" or (wanted is None and facts.guest.version.nt <= _LAST_WITH_SILENT_FALLBACK)
    if everything:
        return facts.sets, hazards
    chosen = {fold(facts.boot_set)} | ({fold(current)} if differs else set())
    return tuple(one for one in facts.sets if fold(one.name) in chosen), hazards


def _run(
    rule: Rule,
    facts: Facts,
    control_set: ControlSet,
    hives: Mapping[str, Hive],
    choices: Choices,
    selections: Mapping[str, Selection],
    actions: Sequence[OwnedAction],
    wishes: Wishes,
) -> Iterator[RuleYield]:
    mine: list[OwnedAction] = []
    for owned in actions:
        if owned.action.kind not in rule.KINDS or owned.action.kind in _SERVICE_KINDS:
            continue
        reason = _why_not(owned, facts, control_set, hives["SYSTEM"], choices)
        if reason is None:
            mine.append(owned)
        elif finds_something(owned.action, facts, control_set, hives):
            yield Skip(rule.NAME, owned.name, reason)
    context = RuleContext(
        facts=facts,
        control_set=control_set,
        hives=hives,
        choices=choices,
        selection=selections[control_set.name],
        boot_selection=selections[facts.boot.name],
        actions=tuple(mine),
        wishes=wishes,
    )
    yield from rule.rule(context)


def _why_not(
    owned: OwnedAction, facts: Facts, control_set: ControlSet, system: Hive, choices: Choices
) -> str | None:
    parameters = choices.parameters.get(owned.profile, {})
    return why_not(owned.action.when, facts.guest, control_set, system, parameters)


def _each_once(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))


# --- the plan ----------------------------------------------------------------------------------


def file_paths(wanted: Draft, extra_edits: Iterable[Edit] = ()) -> tuple[str, ...]:
    """The guest files whose present state :func:`finish` needs to know."""
    edits = (*wanted.edits, *extra_edits)
    return tuple(dict.fromkeys(edit.path for edit in edits if isinstance(edit, PutFile | DeleteFile)))


def finish(
    wanted: Draft,
    hives: Mapping[str, Hive],
    extra_edits: Iterable[Edit] = (),
    files: Mapping[str, FileState | None] | None = None,
    hive_states: Sequence[HiveState] = (),
) -> Plan:
    """Holds a draft, and edits from elsewhere (the first-boot files), against hives and files.

    ``files`` tells for every path of :func:`file_paths` what is there now (None:
    nothing). Two edits that contradict each other become a hazard ``conflict``
    that refuses. Raises RefusedError ``forbidden-key`` for an edit of a key that
    is never touched.
    """
    resolved = resolve_edits((*wanted.edits, *extra_edits), hives, files or {})
    return Plan(
        guest=wanted.guest,
        control_sets=wanted.control_sets,
        profiles=wanted.profiles,
        changes=resolved.changes,
        hazards=_each_once((*wanted.hazards, *resolved.hazards)),
        skips=_each_once((*wanted.skips, *resolved.skips)),
        first_boot=wanted.first_boot,
        hives=tuple(hive_states),
    )
