"""Services and drivers of what is gone are disabled, or demoted to start on demand.

The key stays: a vendor's uninstaller that runs later wants to find it, and an
administrator can see what was there. Only ``Start`` changes (Microsoft's
services registry tree; virt-v2v does the same).
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import RuleYield, SetValue
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import fold
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.records import forget_service
from p2vprep.core.values import Data

NAME = "services"
KINDS: tuple[str, ...] = ("disable", "demand")
SETTINGS: tuple[Setting, ...] = ()


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """``Start`` 4 for what is disabled, 3 for what is demoted and starts earlier than that."""
    parked = {fold(record.service): record.service for record in context.facts.parked}
    for intent in context.selection.of("disable", "demand"):
        service = intent.service
        yield SetValue("SYSTEM", service.key, "Start", Data.dword(intent.start), NAME, intent.why)
        record = parked.get(fold(service.name))
        if record is not None and context.boots_next:
            why = f"{service.name} was parked; now it is to {intent.kind} for good"
            yield forget_service(record, NAME, why)
