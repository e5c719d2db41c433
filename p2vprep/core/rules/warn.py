"""Things on the disk that no tool can prepare for the new machine, told to whoever moves it."""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.conditions import warned_of
from p2vprep.core.documents.actions import WarnTarget
from p2vprep.core.model import Hazard, RuleYield
from p2vprep.core.profiles import Setting
from p2vprep.core.rules.context import RuleContext

NAME = "warn"
KINDS: tuple[str, ...] = ("warn",)
SETTINGS: tuple[Setting, ...] = ()


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """One hazard for each action that finds something in the control set that boots next."""
    if not context.boots_next:
        return
    for owned in context.actions:
        target = owned.action.target
        assert isinstance(target, WarnTarget)
        found = warned_of(target, context.facts, context.control_set)
        if found or target.always:
            why = owned.action.why
            yield Hazard(target.code, "warn", f"{why[:1].upper()}{why[1:]}", found, target.cure)
