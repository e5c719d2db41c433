"""Commands of profiles that the first boot runs.

They run inside Windows, after the machine has started for the first time; nothing of them can be
shown as a change of the disk, so the plan lists the commands themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from p2vprep.core.documents.actions import FirstBootTarget
from p2vprep.core.model import RuleYield, RunCommands
from p2vprep.core.profiles import OwnedAction, Setting
from p2vprep.core.rules.context import RuleContext

NAME = "commands"
KINDS: tuple[str, ...] = ("first-boot",)
SETTINGS: tuple[Setting, ...] = ()


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """One item for each action, told once for the machine."""
    if not context.boots_next:
        return
    for owned in context.actions:
        target = owned.action.target
        assert isinstance(target, FirstBootTarget)
        yield RunCommands(
            name=step_name(owned),
            commands=target.commands,
            phase=target.phase,
            timeout=target.timeout,
            why=owned.action.why,
            good=target.good,
            reboot=target.reboot,
        )


def step_name(owned: OwnedAction) -> str:
    """The step's name in log and results: profile and action, letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9-]", "-", f"{owned.profile}-{owned.action.id}")
