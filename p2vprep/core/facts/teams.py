r"""Teams of network cards: which there are, and which cards are their members.

A team is an adapter that a teaming driver makes; it has the addresses, its members have none. The
driver's protocol is bound to the members, so the ``Linkage`` of its service lists them. Which of several
teams of one maker a member belongs to is not told there. Names of the services: Microsoft's NDIS
multiplexor, Intel ANS, Broadcom BASP, QLogic QLASP, HP's teaming (public listings of drivers; no hive at
hand holds a team).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from p2vprep.core.facts.keys import Snapshot, below, strings, text
from p2vprep.core.model_facts import Adapter
from p2vprep.core.registry import Hive, Key, find, fold

GUID = re.compile(r"\{[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}\}")
"""A GUID with braces in folded text."""


@dataclass(frozen=True)
class _Maker:
    """A kind of teams: how its adapters' component ids look and which services bind the members."""

    component: re.Pattern[str]
    services: tuple[str, ...]


_MAKERS = (
    _Maker(re.compile(r".*MS_IMPLAT.*"), ("NdisImPlatform",)),
    _Maker(re.compile(r".*IANS.*"), ("iANSProtocol",)),
    _Maker(re.compile(r".*(BLFM|BASP).*"), ("Blfp", "BASP")),
    _Maker(re.compile(r".*QLASP.*"), ("QLASP",)),
    _Maker(re.compile(r".*(CPQTEAM|HPTEAM).*"), ("CPQTeam", "HPTeam")),
)
TEAM_SERVICES = frozenset(fold(name) for maker in _MAKERS for name in maker.services)
"""The services that hold teams together, folded."""


@dataclass(frozen=True)
class Team:
    """A team and the GUIDs of its members, folded; with several teams of a maker, of all their members."""

    adapter: Adapter
    members: frozenset[str]


def read_teams(system: Hive, control_set: str, adapters: Iterable[Adapter]) -> tuple[Team, ...]:
    """All teams among the adapters of a control set; without members where none can be told."""
    root = find(system, control_set)
    return tuple(
        Team(adapter, _members(root, _component(system, adapter)) - {fold(adapter.guid)})
        for adapter in adapters
        if adapter.kind == "team"
    )


def _component(system: Hive, adapter: Adapter) -> str:
    held = Snapshot(find(system, adapter.class_key))
    return fold(text(held, "ComponentId") or text(held, "MatchingDeviceId") or adapter.instance)


def _members(root: Key | None, component: str) -> frozenset[str]:
    found: set[str] = set()
    for maker in _MAKERS:
        if maker.component.fullmatch(component):
            for service in maker.services:
                linkage = below(root, rf"Services\{service}\Linkage")
                for name in ("Bind", "Route"):
                    found.update(guid for one in strings(linkage, name) for guid in GUID.findall(fold(one)))
    return frozenset(found)
