r"""Data disks of a server are online after the move.

A controller of another kind makes every disk a new one for Windows, and the SAN policy decides
whether new disks are used: ``Services\partmgr\Parameters`` ``SanPolicy`` 1 brings all online, 2 and 4
leave those on shared buses (SAS, virtio, the paravirtual ones) or inside offline (Microsoft:
VDS_SAN_POLICY; Vista and later). Clients have 1 by default (seen in 7, 8.1 and 10 hives). Server 2022 was
seen to leave disks offline all the same, so the first boot looks after them as well. The disks of
a cluster are the cluster's own affair.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.bootdrivers import VISTA
from p2vprep.core.model import OnlineDisks, Role, RuleYield, SetValue, Skip, Start
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import fold, join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.values import Data

NAME = "disks"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data-disks",
        default="keep",
        values=("online", "keep"),
        help="Data disks behind the target's controller: bring them online, or keep the SAN policy as it is.",
    ),
)
_ONLINE_ALL = Data.dword(1)
_WHY = "data disks hang on another controller now; without it Windows would leave them offline"
_CLUSTER = "CLUSSVC"


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """``SanPolicy`` 1, and for servers a look after the disks at first boot."""
    guest = context.facts.guest
    if context.setting("data-disks") == "keep" or guest.version.nt < VISTA:
        return
    if any(fold(s.name) == _CLUSTER and s.start != Start.DISABLED for s in context.control_set.services):
        yield Skip(NAME, "SanPolicy", "this is a node of a cluster, which decides about its disks itself")
        return
    manager = context.key(r"Services\partmgr")
    if manager is None:
        yield Skip(NAME, "SanPolicy", "there is no partition manager (partmgr)")
        return
    parameters = manager.subkey("Parameters")
    held = None if parameters is None else parameters.value("SanPolicy")
    client = guest.role is Role.CLIENT
    if held is not None or not client:
        place = join(manager.path, "Parameters")
        yield SetValue("SYSTEM", place, "SanPolicy", _ONLINE_ALL, NAME, _WHY, create=True)
    if context.boots_next and not client:
        yield OnlineDisks(_WHY)
