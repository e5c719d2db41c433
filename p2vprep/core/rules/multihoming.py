r"""Several adapters that all stay reachable, and the switch for dead-gateway detection.

``EnableDeadGWDetect`` 0 keeps 2000, XP and 2003 from moving the whole host to another default gateway once
connections through one of them stall (Microsoft: TCP/IP registry values of 2000 and 2003); each interface
has its own value, which counts more, and new ones take ``DeadGWDetectDefault`` (observed on XP, 2003, 7).
Vista and later have a logic of their own. Fixed metrics are given by :mod:`p2vprep.core.netresolve`.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import RuleYield, SetValue
from p2vprep.core.netsettings import KEEP, pick
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.tuning import VISTA, ignored
from p2vprep.core.values import Data

NAME = "multi-homing"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = pick("multi-homing", "dead-gateway-detection")
_TCPIP = r"Services\Tcpip\Parameters"
_ENABLE, _DEFAULT = "EnableDeadGWDetect", "DeadGWDetectDefault"


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Dead-gateway detection, global and per interface, or why it would do nothing."""
    wanted = context.setting("dead-gateway-detection")
    why = f"the setting dead-gateway-detection is {wanted}"
    if wanted == KEEP and context.setting(NAME) == "on":
        wanted, why = "off", "with several adapters no gateway may stand in for that of another network"
    if wanted == KEEP:
        return
    if context.facts.guest.version.nt >= VISTA:
        if context.boots_next:
            reason = (
                "Vista and later find dead gateways in a way of their own; fixed metrics and routes count"
            )
            yield ignored(NAME, f"{_ENABLE} ({wanted})", context, reason)
        return
    data = Data.dword(int(wanted == "on"))
    path = join(context.control_set.name, _TCPIP)
    for name in (_ENABLE, _DEFAULT):
        yield SetValue("SYSTEM", path, name, data, NAME, why)
    for interface in context.control_set.interfaces:
        yield SetValue("SYSTEM", interface.key, _ENABLE, data, NAME, why)
