"""Services that are only in the way of an isolated first boot wait, and are given back.

The start type is recorded in the guest and the service demoted to start on
demand, so that what needs it can still start it; a service that a trigger
would start anyway is disabled meanwhile. The control set that boots next
decides: other sets follow it, so that one record fits all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import RestoreService, RuleYield, SetValue, Skip
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import fold
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.records import as_restore, record_service
from p2vprep.core.selection import Intent
from p2vprep.core.values import Data

NAME = "park"
KINDS: tuple[str, ...] = ("park",)
SETTINGS: tuple[Setting, ...] = ()


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Start types of parked services, their records, and what the first boot gives back."""
    if context.boots_next:
        yield from _earlier_records(context)
    recorded = {fold(record.service) for record in context.facts.parked}
    for intent in context.selection.of("park"):
        service = intent.service
        boot = context.boot_intents.get(fold(service.name))
        parked = boot is not None and boot.kind == "park"
        rests = boot is not None and boot.service.start == boot.start and fold(service.name) not in recorded
        if not parked or rests:
            if not context.boots_next and service.start != intent.start:
                yield _left_alone(context, intent)
            continue
        yield SetValue("SYSTEM", service.key, "Start", Data.dword(intent.start), NAME, intent.why)
        if context.boots_next and fold(service.name) not in recorded:
            yield from record_service(service, NAME, f"{service.name} is given back by the first boot")
            yield as_restore(service, intent.why)


def _earlier_records(context: RuleContext) -> Iterator[RestoreService]:
    """What an earlier plan parked is given back, also if this plan does not ask for it any more."""
    for record in context.facts.parked:
        intent = context.boot_intents.get(fold(record.service))
        if intent is None:
            yield RestoreService(record.service, record.start, record.delayed, "parked by an earlier plan")
        elif intent.kind == "park":
            yield RestoreService(record.service, record.start, record.delayed, intent.why)


def _left_alone(context: RuleContext, intent: Intent) -> Skip:
    return Skip(
        NAME,
        f"{intent.service.name} in {context.control_set.name}",
        f"{intent.owner}: {context.facts.boot_set} does not park it, so no record would give it back",
    )
