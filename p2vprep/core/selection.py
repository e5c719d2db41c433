"""Which services the profiles mean on this machine, and what shall happen to each of them.

Disable beats park, park beats demand. What a profile asks of a service that is
there and does not get is a skip with the reason; names that are not there are
no news.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from p2vprep.core.conditions import fits, targets, why_not
from p2vprep.core.documents.actions import DisableTarget, ParkTarget, ServiceTarget
from p2vprep.core.documents.patterns import is_wildcard, name_matches
from p2vprep.core.filterlists import Removal, plan_removals
from p2vprep.core.guard import Judgement, Wish, judge
from p2vprep.core.model import ControlSet, Facts, Guest, Hazard, Service, Skip, Start
from p2vprep.core.profiles import Choices, OwnedAction
from p2vprep.core.registry import Hive, fold

IntentKind = Literal["disable", "park", "demand"]
_STRENGTH: dict[str, int] = {"disable": 3, "park": 2, "demand": 1}
_RULE_OF: dict[str, str] = {"disable": "services", "demand": "services", "park": "park"}
_FIRST_WITH_TRIGGERS = (6, 1)


@dataclass(frozen=True)
class Intent:
    """What shall happen to one service of one control set, by whose wish."""

    service: Service
    kind: IntentKind
    start: int
    owner: str
    why: str
    boot_start: bool = False


@dataclass(frozen=True)
class Selection:
    """The intents that the guard lets pass, what was asked for in vain, and what to tell."""

    intents: tuple[Intent, ...] = ()
    skips: tuple[Skip, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    filters: tuple[Removal, ...] = ()

    def of(self, *kinds: IntentKind) -> tuple[Intent, ...]:
        return tuple(intent for intent in self.intents if intent.kind in kinds)


def as_given_back(facts: Facts, control_set: ControlSet) -> ControlSet:
    """The control set with the start types that parked services will have again.

    So a second plan judges as the first did. Only the set that boots next is
    recorded; in others a parked service counts as automatic, which at worst
    refuses more.
    """
    starts = {fold(record.service): record.start for record in facts.parked}
    if fold(control_set.name) != fold(facts.boot_set):
        starts = {name: min(start, int(Start.AUTO)) for name, start in starts.items()}
    services = (
        replace(service, start=starts.get(fold(service.name), service.start))
        for service in control_set.services
    )
    return replace(control_set, services=tuple(services))


def select(
    guest: Guest, control_set: ControlSet, system: Hive, actions: Sequence[OwnedAction], choices: Choices
) -> Selection:
    """Finds the services and filters that the actions mean and asks the guard about the services.

    A driver that leaves every filter list in the same plan is no filter to the guard.

    ``control_set`` is the one of :func:`as_given_back`.
    """
    wanted: list[Intent] = []
    skips: list[Skip] = []
    for owned in actions:
        if owned.action.kind not in _STRENGTH:
            continue
        reason = why_not(
            owned.action.when, guest, control_set, system, choices.parameters.get(owned.profile, {})
        )
        for found in _wanted_by(owned, guest, control_set, reason):
            if isinstance(found, Intent):
                wanted.append(found)
            else:
                skips.append(found)
    intents, beaten = _one_each(wanted)
    changing = [intent for intent in intents if intent.service.start != intent.start]
    filters = plan_removals(guest, control_set, system, actions, choices)
    wishes = [
        Wish(intent.service, intent.start, intent.kind == "park", intent.boot_start) for intent in changing
    ]
    judgement = judge(control_set, guest, wishes, filters.gone, choices.hypervisors)
    refused = list(_refused(intents, judgement, control_set))
    return Selection(
        intents=tuple(i for i in intents if fold(i.service.name) not in judgement.refusals),
        skips=(*skips, *beaten, *(skip for skip, _hazard in refused), *filters.skips),
        hazards=(
            *(hazard for _skip, hazard in refused),
            *_stopped(intents, judgement, control_set),
            *filters.hazards,
        ),
        filters=filters.removals,
    )


def _wanted_by(
    owned: OwnedAction, guest: Guest, control_set: ControlSet, reason: str | None
) -> Iterator[Intent | Skip]:
    target = owned.action.services
    assert target is not None
    for service in targets(target, control_set):
        intent = _intent(owned, target, service, guest)
        meant = fits(target, service)
        if reason is None and meant:
            yield intent
        elif intent.start != service.start and (meant or _named_exactly(target, service)):
            shown = service.display_name or service.image_path or "no ImagePath"
            why = reason or f"is another service of that name ({shown})"
            yield Skip(_RULE_OF[intent.kind], service.name, f"{owned.name}: {why}")


def _intent(owned: OwnedAction, target: ServiceTarget, service: Service, guest: Guest) -> Intent:
    """What the action would do to a service that it means."""
    kind = owned.action.kind
    patterns = [name for name in target.names if is_wildcard(name) and name_matches(name, service.name)]
    by_wildcard = patterns and not _named_exactly(target, service)
    why = owned.action.why + (f" (its name fits {patterns[0]})" if by_wildcard else "")
    if isinstance(target, ParkTarget):
        return Intent(service, "park", _parked_start(service, target, guest), owned.name, why)
    if kind == "demand":
        return Intent(service, "demand", max(service.start, Start.DEMAND), owned.name, why)
    boot_start = isinstance(target, DisableTarget) and target.boot_start
    return Intent(service, "disable", Start.DISABLED, owned.name, why, boot_start)


def _named_exactly(target: ServiceTarget, service: Service) -> bool:
    return any(fold(name) == fold(service.name) for name in target.names)


def _parked_start(service: Service, target: ParkTarget, guest: Guest) -> int:
    """Where a parked service rests; never a start type that is earlier than its own.

    A service on demand with a start trigger starts all the same when the
    trigger fires; only disabled stops it (triggers exist since Windows 7).
    """
    if target.start == "auto":
        triggered = bool(service.triggers) and guest.version.nt >= _FIRST_WITH_TRIGGERS
        wanted = Start.DISABLED if triggered else Start.DEMAND
    else:
        wanted = Start.DISABLED if target.start == "disabled" else Start.DEMAND
    return max(service.start, wanted)


def _one_each(wanted: Sequence[Intent]) -> tuple[list[Intent], list[Skip]]:
    """One intent for each service: the strongest kind, the later start type, all reasons."""
    chosen: dict[str, Intent] = {}
    skips: list[Skip] = []
    for intent in sorted(wanted, key=lambda intent: -_STRENGTH[intent.kind]):
        name = fold(intent.service.name)
        other = chosen.get(name)
        if other is None:
            chosen[name] = intent
        elif other.kind == intent.kind:
            why = other.why if intent.why in other.why else f"{other.why}; {intent.why}"
            boot_start = other.boot_start or intent.boot_start
            start = max(other.start, intent.start)
            chosen[name] = replace(other, start=start, why=why, boot_start=boot_start)
        else:
            skips.append(
                Skip(
                    _RULE_OF[intent.kind],
                    intent.service.name,
                    f"{intent.owner}: {other.owner} says {other.kind}, which counts more than {intent.kind}",
                )
            )
    return [chosen[name] for name in sorted(chosen)], skips


def _refused(
    intents: Sequence[Intent], judgement: Judgement, control_set: ControlSet
) -> Iterator[tuple[Skip, Hazard]]:
    for intent in intents:
        refusal = judgement.refusals.get(fold(intent.service.name))
        if refusal is None:
            continue
        where = f" in {control_set.name}"
        skip = Skip(_RULE_OF[intent.kind], refusal.service, f"{intent.owner}: {refusal.message}")
        evidence = (" <- ".join(refusal.chain),) if refusal.code == "dependency" else refusal.chain
        yield (
            skip,
            Hazard(
                code=refusal.code,
                severity="warn",
                message=f"{intent.owner} would {intent.kind} {refusal.service}{where}, which the guard "
                f"refuses: {refusal.message}",
                evidence=evidence,
                cure="Nothing to do: it is left as it is.",
                liftable=False,
            ),
        )


def _stopped(intents: Sequence[Intent], judgement: Judgement, control_set: ControlSet) -> Iterator[Hazard]:
    by_name: Mapping[str, Intent] = {fold(intent.service.name): intent for intent in intents}
    for root, names in judgement.stopped.items():
        yield Hazard(
            code="dependants-stopped",
            severity="warn",
            message=f"With {by_name[root].service.name} disabled in {control_set.name}, these cannot be "
            f"started on demand any more: {', '.join(names)}",
            evidence=tuple(names),
            liftable=False,
        )
