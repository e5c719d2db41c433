r"""Filters of what is gone are taken out of ``UpperFilters`` and ``LowerFilters``.

Of classes (``Control\Class\{GUID}``) and of device instances (``Enum``). Order
and type of a list stay; a list that gets empty is deleted, as an empty one is
no filter list (xenserver/win-pv-drivers do the same). The names are chosen in
:mod:`p2vprep.core.filterlists`, where the guard learns of them as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.filterlists import KIND
from p2vprep.core.model import DeleteValue, RuleYield, SetValue
from p2vprep.core.profiles import Setting
from p2vprep.core.rules.context import RuleContext

NAME = KIND
KINDS: tuple[str, ...] = (KIND,)
SETTINGS: tuple[Setting, ...] = ()


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Each list without the names that leave it."""
    for removal in context.selection.filters:
        found = removal.found
        why = f"{', '.join(removal.names)}: {removal.why}"
        if removal.after is None:
            yield DeleteValue("SYSTEM", found.key, found.position, NAME, why)
        else:
            yield SetValue("SYSTEM", found.key, found.position, removal.after, NAME, why)
