r"""A machine that stops at its first start on the target shows why, instead of starting again and again.

``Control\CrashControl`` ``AutoReboot`` 0 (the usual value is 1, seen in XP to 10 hives; virt-v2v sets
0 as well). For a server that is at work 1 is right, so it is parked: the first boot gives it back.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import RuleYield
from p2vprep.core.profiles import Setting
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.parked_value import park_value
from p2vprep.core.values import Data

NAME = "crash"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "auto-reboot",
        default="keep",
        values=("park", "off", "keep"),
        help="Starting again after a stop: park (off until the first boot is done), off for good, or keep.",
    ),
)
_WHY = "a stop at the first start shall stay on the screen with its code, not start again and again"


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """``AutoReboot`` 0, with its old value recorded and given back where it is parked."""
    place = (r"Control\CrashControl", "AutoReboot")
    yield from park_value(context, NAME, place, Data.dword(0), context.setting("auto-reboot"), _WHY)
