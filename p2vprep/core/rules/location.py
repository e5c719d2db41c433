r"""The network's location (public or private), so that the firewall does not shut the machine in.

Windows knows a network by its gateway's MAC or its domain; behind a new gateway it is "Network 2" and
public. Profiles lie in SOFTWARE below ``NetworkList\Profiles``: ``Category`` 0 public, 1 private, 2 domain.
None can be made beforehand for a gateway that nobody knows yet. So until the first boot is done networks
that cannot be identified count as private (the policy of network list managers, one signature for all), and
once the adapters are configured the first boot makes those that came up public private (8 and later have
the command). A domain's profile comes by itself once the domain is found.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from p2vprep.core.facts.keys import children, dword, text, value
from p2vprep.core.model import Hazard, RuleYield, RunCommands, Skip
from p2vprep.core.netsettings import KEEP, pick
from p2vprep.core.profiles import Setting
from p2vprep.core.registry import Hive, find
from p2vprep.core.rules.context import RuleContext
from p2vprep.core.rules.resting import Resting, rest
from p2vprep.core.values import Data

NAME = "network-location"
KINDS: tuple[str, ...] = ()
SETTINGS: tuple[Setting, ...] = pick(NAME)

_VISTA, _WINDOWS_8 = (6, 0), (6, 2)
_PROFILES = r"Microsoft\Windows NT\CurrentVersion\NetworkList\Profiles"
_UNIDENTIFIED = (
    "010103000F0000F0010000000F0000F0C967A3643C3AD745950DA7859209176EF5B87C875FA20DF21951640E807D7C24"
)
_POLICY = rf"Policies\Microsoft\Windows NT\CurrentVersion\NetworkList\Signatures\{_UNIDENTIFIED}"
_CATEGORIES = {0: "public", 1: "private", 2: "domain"}
_COMMAND = (
    'powershell.exe -NoProfile -NonInteractive -Command "Get-NetConnectionProfile | '
    "Where-Object { $_.NetworkCategory -eq 'Public' } | Set-NetConnectionProfile -NetworkCategory Private\""
)
_TIMEOUT = 120
_WHY = "so that the firewall lets in on the new network what it let in on the old one"
_PRIVATE = Resting(
    NAME,
    "SOFTWARE",
    _POLICY,
    "Category",
    Data.dword(1),
    "networks that cannot be identified count as private until the first boot is done",
    create=True,
)


@dataclass(frozen=True)
class KnownNetwork:
    """A network that Windows was on, and what it counted as."""

    name: str
    category: str
    last: tuple[int, ...]
    """When it was connected last, as SYSTEMTIME; empty where it is not told."""


def known_networks(software: Hive) -> tuple[KnownNetwork, ...]:
    """All networks in the list, the one that was connected last first."""
    found = []
    for key in children(find(software, _PROFILES)):
        category = _CATEGORIES.get(dword(key, "Category") or 0)
        data = value(key, "DateLastConnected")
        last = struct.unpack("<8H", data.raw) if data is not None and len(data.raw) == 16 else ()
        if category is not None:
            found.append(KnownNetwork(text(key, "ProfileName") or key.name, category, last))
    return tuple(sorted(found, key=lambda one: one.last, reverse=True))


def rule(context: RuleContext) -> Iterator[RuleYield]:
    """The policy, parked, and the step of the first boot; or why the location is left alone."""
    if not context.boots_next:
        return
    wanted = context.setting(NAME)
    reason = _why_not(context, wanted)
    if reason is not None:
        yield Skip(NAME, wanted, reason)
    private = wanted != KEEP and reason is None
    yield from rest(context, _PRIVATE, "park" if private else "keep", NAME)
    if not private:
        return
    if context.facts.guest.version.nt >= _WINDOWS_8:
        yield RunCommands(NAME, (_COMMAND,), "after-network", _TIMEOUT, _WHY)
    else:
        yield Hazard(
            "network-location-by-hand",
            "warn",
            "This Windows has no command for the location of a network; the new one begins as public",
            cure="Set the location in the Network and Sharing Center, or open the firewall's public profile.",
        )


def _why_not(context: RuleContext, wanted: str) -> str | None:
    if wanted == KEEP:
        return None
    if context.facts.guest.version.nt < _VISTA:
        return f"Windows has locations from Vista on; this is {context.facts.guest.version}"
    if wanted == "private":
        return None
    software = context.hives.get("SOFTWARE")
    networks = () if software is None else known_networks(software)
    if not networks:
        return "no network is known on this machine"
    last = networks[0]
    if last.category == "public":
        return f"the last network, {last.name!r}, was public as well"
    if last.category == "domain":
        return f"the last network, {last.name!r}, was a domain's; its profile comes with the domain"
    return None
