r"""Registry values and keys that profiles ask for by their place.

What lies outside of a control set is done once, with the set that boots next. A value is set only
where its key is, unless the profile says ``create``; what is to be deleted and not there is no news.
What may not be touched is decided in :mod:`p2vprep.core.editguard`.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.conditions import finds_something, key_in_set
from p2vprep.core.documents.actions import (
    ANY_CONTROL_SET,
    KeyDeleteTarget,
    ValueDeleteTarget,
    ValueTarget,
)
from p2vprep.core.editguard import RegistryEdit, why_refused
from p2vprep.core.model import DeleteKey, DeleteValue, Hazard, RuleYield, SetValue, Skip
from p2vprep.core.profiles import OwnedAction, Setting
from p2vprep.core.registry import fold, split
from p2vprep.core.rules.context import RuleContext

NAME = "values"
KINDS: tuple[str, ...] = ("value", "value-delete", "key-delete")
SETTINGS: tuple[Setting, ...] = ()


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """The edits, or the reasons why they are not made."""
    for owned in context.actions:
        target = owned.action.target
        assert isinstance(target, ValueTarget | ValueDeleteTarget | KeyDeleteTarget)
        if not context.boots_next and fold(split(target.key)[0]) != fold(ANY_CONTROL_SET):
            continue
        edit = _edit(context, owned, target)
        reason = why_refused(edit, context.facts.guest, context.control_set, context.hives.get(edit.hive))
        if reason is None:
            yield edit
        elif finds_something(owned.action, context.facts, context.control_set, context.hives):
            yield from _refused(owned, edit, reason)


def _edit(
    context: RuleContext, owned: OwnedAction, target: ValueTarget | ValueDeleteTarget | KeyDeleteTarget
) -> RegistryEdit:
    key, why = key_in_set(target.key, context.control_set.name), owned.action.why
    if isinstance(target, ValueTarget):
        return SetValue(target.hive, key, target.name, target.content, NAME, why, create=target.create)
    if isinstance(target, ValueDeleteTarget):
        return DeleteValue(target.hive, key, target.name, NAME, why)
    return DeleteKey(target.hive, key, NAME, why)


def _refused(owned: OwnedAction, edit: RegistryEdit, reason: str) -> Iterator[RuleYield]:
    place = f"{edit.hive}\\{edit.key}" + ("" if isinstance(edit, DeleteKey) else f": {edit.name}")
    yield Skip(NAME, place, f"{owned.name}: {reason}")
    yield Hazard(
        "edit-refused",
        "warn",
        f"{owned.name} would {owned.action.kind} {place}, which the guard refuses: {reason}",
        cure="Nothing to do: it is left as it is. Mend the profile.",
        liftable=False,
    )
