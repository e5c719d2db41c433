r"""The probe for the internet, which keeps an isolated first boot waiting.

``NlaSvc\Parameters\Internet`` ``EnableActiveProbing`` 0 stops the DNS and HTTP
probes of the Network Connectivity Status Indicator (Vista and later;
Microsoft's NCSI documents). Programs that trust the indicator go offline
without it, so it is parked: the first boot gives the old value back. A policy
of the domain counts more than this value.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2vprep.core.model import RestoreValue, RuleYield, SetValue, Skip
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.records import forget_value, record_value, recorded_value
from p2vprep.core.values import Data

NAME = "ncsi"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "ncsi",
        default="keep",
        values=("park", "off", "keep"),
        help="The probe for the internet: park (off until the first boot is done), off for good, or keep.",
    ),
)
_RECORD = "ncsi"
_KEY = r"Services\NlaSvc\Parameters\Internet"
_NAME = "EnableActiveProbing"
_VISTA = (6, 0)
_WHY = "without its network the probe for the internet only waits"
_OFF = Data.dword(0)


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """``EnableActiveProbing`` 0, with its old value recorded and given back where it is parked."""
    wanted = context.setting("ncsi")
    record = recorded_value(context.system, _RECORD, _WHY)
    if context.boots_next and record is not None:
        yield forget_value(_RECORD, NAME, "the probe stays off for good") if wanted == "off" else record
    if wanted == "keep":
        return
    if context.facts.guest.version.nt < _VISTA:
        yield Skip(
            NAME, _NAME, f"Windows has this probe from Vista on; this is {context.facts.guest.version}"
        )
        return
    key = context.key(_KEY)
    if key is None:
        yield Skip(NAME, _NAME, f"there is no key {join(context.control_set.name, _KEY)}")
        return
    before = key.value(_NAME)
    if wanted == "park" and record is None and before == _OFF:
        return
    yield SetValue("SYSTEM", key.path, _NAME, _OFF, NAME, _WHY)
    if wanted == "park" and record is None and context.boots_next:
        item = RestoreValue(join(r"SYSTEM\CurrentControlSet", _KEY), _NAME, before, _WHY)
        yield from record_value(_RECORD, item, NAME, "the first boot gives the old value back")
        yield item
