"""How the first-boot job is started: only the switch; :mod:`p2vprep.firstboot` carries it out.

A service entry is the way that works on every Windows from 2003 on. The others are for machines where
something watches over new services (windows-facts 9).
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import RuleYield
from p2vprep.core.profiles import Setting
from p2vprep.core.rules.context import RuleContext

NAME = "first-boot-start"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        NAME,
        "service",
        ("service", "wrapper", "cmdline", "startup-script"),
        "What starts the first-boot job: a service of cmd.exe; a service of a wrapper (rhsrvany.exe or "
        "srvany.exe from the --add-files folder); Setup's CmdLine; a startup script of the local policy.",
    ),
)


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Nothing: the switch is read where the job is built."""
    return iter(())
