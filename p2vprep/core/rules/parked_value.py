"""A registry value that rests until the first boot is done: set now, recorded, given back then."""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import RestoreValue, RuleYield, SetValue, Skip
from p2vprep.core.registry import join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.records import forget_value, record_value, recorded_value
from p2vprep.core.values import Data


def park_value(
    context: RuleContext, rule: str, place: tuple[str, str], resting: Data, wanted: str, why: str
) -> Iterator[RuleYield]:
    """The edits for one value: ``wanted`` is ``park``, ``off`` (for good) or ``keep``.

    ``place`` is the key below the control set and the name. A value parked by an earlier plan is
    given back also where nobody asks for it any more. The record carries the rule's name.
    """
    path, name = place
    record = recorded_value(context.system, rule, why)
    if context.boots_next and record is not None:
        yield forget_value(rule, rule, "it stays so for good") if wanted == "off" else record
    if wanted == "keep":
        return
    key = context.key(path)
    if key is None:
        yield Skip(rule, name, f"there is no key {join(context.control_set.name, path)}")
        return
    before = key.value(name)
    if wanted == "park" and record is None and before == resting:
        return
    yield SetValue("SYSTEM", key.path, name, resting, rule, why)
    if wanted == "park" and record is None and context.boots_next:
        item = RestoreValue(join(r"SYSTEM\CurrentControlSet", path), name, before, why)
        yield from record_value(rule, item, rule, "the first boot gives the old value back")
        yield item
