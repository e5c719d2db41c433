r"""Keywords of network drivers: jumbo frames, interrupt moderation, SR-IOV.

They are texts in the adapter's class instance and belong to that one device (Microsoft: standardized INF
keywords, Vista and later). A new adapter begins with its driver's defaults, so only cards that may stay are
edited, only where they have the keyword, and only to what the driver's own list of choices allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2vprep.core.facts.ghosts import after_move
from p2vprep.core.facts.keys import below, text
from p2vprep.core.model import Adapter, RuleYield, SetValue, Skip
from p2vprep.core.netsettings import KEEP, pick
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import Key, find, fold
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.tuning import VISTA, ignored
from p2vprep.core.values import Data

NAME = "adapter-tuning"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = pick("jumbo-frames", "interrupt-moderation", "sr-iov")


@dataclass(frozen=True)
class _Keyword:
    name: str
    texts: dict[str, str]


_KEYWORDS: dict[str, tuple[_Keyword, ...]] = {
    "jumbo-frames": (_Keyword("*JumboPacket", {"off": "1514"}),),
    "interrupt-moderation": (_Keyword("*InterruptModeration", {"on": "1", "off": "0"}),),
    "sr-iov": (_Keyword("*SRIOV", {"off": "0"}),),
}


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """The keywords of the cards that may stay."""
    for setting, keywords in _KEYWORDS.items():
        wanted = context.setting(setting)
        if wanted == KEEP:
            continue
        if context.facts.guest.version.nt < VISTA:
            if context.boots_next:
                reason = "before Vista each driver has keywords of its own"
                yield ignored(NAME, f"{setting} {wanted}", context, reason)
            continue
        found = [item for keyword in keywords for item in _cards(context, keyword, setting, wanted)]
        yield from found
        if not found and context.boots_next:
            reason = "no card that may stay has it; a new adapter begins with its driver's defaults"
            yield Skip(NAME, f"{setting} {wanted}", reason)


def _cards(context: RuleContext, keyword: _Keyword, setting: str, wanted: str) -> Iterator[RuleYield]:
    for adapter in context.control_set.adapters:
        if not _may_stay(context, adapter):
            continue
        key = find(context.system, adapter.class_key)
        if key is None or not text(key, keyword.name):
            continue
        value = keyword.texts[wanted]
        if not _allowed(key, keyword.name, value):
            reason = f"the driver's list of choices for {keyword.name} has no {value}"
            yield Skip(NAME, f"{setting} {wanted}: {adapter.description}", reason)
            continue
        why = f"the setting {setting} is {wanted} ({adapter.name or adapter.description})"
        yield SetValue("SYSTEM", key.path, keyword.name, Data.sz(value), NAME, why)


def _may_stay(context: RuleContext, adapter: Adapter) -> bool:
    return adapter.kind == "physical" and not after_move(adapter, context.choices.hypervisors).ghost


def _allowed(key: Key, keyword: str, value: str) -> bool:
    r"""Whether ``Ndi\params`` allows a value: in its ``enum``, or between its ``min`` and ``max``."""
    parameter = below(key, rf"Ndi\params\{keyword}")
    if parameter is None:
        return False
    choices = parameter.subkey("enum")
    if choices is not None:
        return fold(value) in {fold(name) for name, _data in choices.values()}
    low, high = text(parameter, "min"), text(parameter, "max")
    return low.isdecimal() and high.isdecimal() and int(low) <= int(value) <= int(high)
