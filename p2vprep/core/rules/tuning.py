r"""TCP/IP tuning: each switch by the means this Windows obeys, or a word that it ignores it.

Up to 2003 the stack reads the registry (Microsoft: TCP/IP registry values of 2000 and 2003, KB 224829; the
networking pack's KB 912222). From Vista on it keeps these switches in a store of its own, whose form is not
documented and differs by build, so the first boot sets them with ``netsh``. ``DisableTaskOffload`` and
``DisabledComponents`` (KB 929852) are read by all that have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from p2vprep.core.model import DeleteValue, Hazard, RuleYield, SetValue, Skip, TuneNetwork
from p2vprep.core.netsettings import KEEP, pick
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import join
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.values import Data

NAME = "tuning"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = pick(
    "autotuning",
    "heuristics",
    "window-scaling",
    "timestamps",
    "task-offload",
    "chimney",
    "rss",
    "netdma",
    "ipv6",
)

XP64_AND_2003, VISTA, WINDOWS_7, WINDOWS_8, WINDOWS_10 = (5, 2), (6, 0), (6, 1), (6, 2), (10, 0)
_LATEST = (99, 0)
_TCPIP = r"Services\Tcpip\Parameters"
_TCPIP6 = r"Services\Tcpip6\Parameters"
_TCP1323 = "Tcp1323Opts"
_TCP1323_DEFAULT = 3
_BITS = {"window-scaling": 1, "timestamps": 2}
_STATES = {"on": "enabled", "off": "disabled"}
_NO_CHIMNEY_FROM = 14393
_IPV6_OFF, _IPV6_PREFER_IPV4 = 0xFF, 0x20


@dataclass(frozen=True)
class _Netsh:
    """A switch that ``netsh`` sets at the first boot on these versions."""

    first: tuple[int, int]
    last: tuple[int, int]
    arguments: Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class _Value:
    r"""A switch that is a DWORD below ``Tcpip\Parameters`` on these versions."""

    first: tuple[int, int]
    last: tuple[int, int]
    name: str
    numbers: dict[str, int]


def _global(word: str) -> Callable[[str], tuple[str, ...]]:
    return lambda wanted: ("interface", "tcp", "set", "global", f"{word}={_STATES.get(wanted, wanted)}")


def _heuristics(wanted: str) -> tuple[str, ...]:
    return ("interface", "tcp", "set", "heuristics", _STATES[wanted])


_ON_OFF = {"on": 1, "off": 0}
_MEANS: dict[str, tuple[_Netsh | _Value, ...]] = {
    "autotuning": (_Netsh(VISTA, _LATEST, _global("autotuninglevel")),),
    "heuristics": (_Netsh(VISTA, _LATEST, _heuristics),),
    "timestamps": (_Netsh(VISTA, _LATEST, _global("timestamps")),),
    "window-scaling": (),
    "task-offload": (_Value((5, 0), _LATEST, "DisableTaskOffload", {"on": 0, "off": 1}),),
    "chimney": (
        _Value(XP64_AND_2003, XP64_AND_2003, "EnableTCPChimney", _ON_OFF),
        _Netsh(VISTA, WINDOWS_10, _global("chimney")),
    ),
    "rss": (
        _Value(XP64_AND_2003, XP64_AND_2003, "EnableRSS", _ON_OFF),
        _Netsh(VISTA, _LATEST, _global("rss")),
    ),
    "netdma": (
        _Value(XP64_AND_2003, VISTA, "EnableTCPA", _ON_OFF),
        _Netsh(WINDOWS_7, WINDOWS_7, _global("netdma")),
    ),
}
_IGNORED = {
    "autotuning": "there is no auto-tuning before Vista",
    "heuristics": "there is no auto-tuning before Vista",
    "window-scaling": "from Vista on window scaling follows auto-tuning",
    "chimney": "TCP Chimney needs 2003 with its networking pack, and is gone from 2016 on",
    "rss": "receive side scaling needs 2003 with its networking pack, or Vista",
    "netdma": "NetDMA needs 2003 with its networking pack, and is gone from Windows 8 on",
}


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """Every switch that is not kept: a value, a step of the first boot, or why it would do nothing."""
    version = context.facts.guest.version
    by_registry = version.nt < VISTA
    wanted = {name: context.setting(name) for name in (*_MEANS, "ipv6") if context.setting(name) != KEEP}
    if by_registry:
        bits = {name: wanted.pop(name) for name in _BITS if name in wanted}
        if bits:
            yield from _tcp1323(context, bits)
    ipv6 = wanted.pop("ipv6", None)
    if ipv6 is not None:
        yield from _ipv6(context, ipv6)
    for name, value in wanted.items():
        yield from _switch(context, name, value)


def ignored(rule_name: str, subject: str, context: RuleContext, reason: str) -> Skip:
    """The skip that stands for a value which this Windows would not read."""
    return Skip(rule_name, subject, f"ignored by this Windows ({context.facts.guest.version}): {reason}")


def _switch(context: RuleContext, name: str, value: str) -> Iterator[RuleYield]:
    version = context.facts.guest.version
    why = f"the setting {name} is {value}"
    means = next((one for one in _MEANS[name] if one.first <= version.nt <= one.last), None)
    if name == "chimney" and version.nt >= WINDOWS_10 and version.build >= _NO_CHIMNEY_FROM:
        means = None
    if means is None:
        if context.boots_next:
            yield ignored(NAME, f"{name} {value}", context, _IGNORED.get(name, "it has no such switch"))
    elif isinstance(means, _Value):
        path = join(context.control_set.name, _TCPIP)
        yield SetValue("SYSTEM", path, means.name, Data.dword(means.numbers[value]), NAME, why)
    elif context.boots_next:
        yield TuneNetwork(means.arguments(value), why)


def _tcp1323(context: RuleContext, bits: dict[str, str]) -> Iterator[RuleYield]:
    """Window scaling (1) and time stamps (2) of RFC 1323 in one value; what is not asked for stays."""
    key = context.key(_TCPIP)
    held = None if key is None else key.value(_TCP1323)
    number = _TCP1323_DEFAULT if held is None or held.number is None else held.number & _TCP1323_DEFAULT
    for name, value in bits.items():
        number = number | _BITS[name] if value == "on" else number & ~_BITS[name]
    told = ", ".join(f"{name} {value}" for name, value in bits.items())
    path = join(context.control_set.name, _TCPIP)
    yield SetValue("SYSTEM", path, _TCP1323, Data.dword(number), NAME, f"asked for: {told}")
    if context.boots_next:
        yield Hazard(
            "tcp1323-hides-a-fault",
            "warn",
            "Switching window scaling or time stamps hides a fault of the network, it does not mend it",
            (told,),
            "Look for the firewall or router that mangles TCP options, and give the setting back then.",
        )


def _ipv6(context: RuleContext, wanted: str) -> Iterator[RuleYield]:
    why = f"the setting ipv6 is {wanted}"
    if context.facts.guest.version.nt < VISTA:
        if context.boots_next:
            reason = "before Vista IPv6 is a protocol to be installed or not"
            yield ignored(NAME, f"ipv6 {wanted}", context, reason)
        return
    path = join(context.control_set.name, _TCPIP6)
    if wanted == "on":
        yield DeleteValue("SYSTEM", path, "DisabledComponents", NAME, why)
        return
    number = _IPV6_OFF if wanted == "off" else _IPV6_PREFER_IPV4
    yield SetValue("SYSTEM", path, "DisabledComponents", Data.dword(number), NAME, why)
    if wanted == "off" and context.boots_next:
        yield Hazard(
            "ipv6-off",
            "warn",
            "Microsoft advises against switching IPv6 off: some parts of Windows need it",
            cure="Use `ipv6: prefer-ipv4`.",
        )
