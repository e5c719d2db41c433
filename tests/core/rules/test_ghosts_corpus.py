"""Ghosts on real hives.

One real hive has a ghost, Windows 7's. Onto the others one is grafted: its own keys as the facts describe
them, and in every list that names the machine's own card an entry beside that card's, so that lists, their
order and their odd lengths are real. No real hive holds a team.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from p2vprep.core.facts import gather
from p2vprep.core.model import Adapter, Facts, KeyChange, Plan, ValueChange
from p2vprep.core.planner import draft, finish
from p2vprep.core.registry import MemoryHive, MemoryKey, find, fold
from p2vprep.core.values import Data
from p2vprep.core.wishes import GhostChoice, Wishes
from tests.core.rules.test_ghosts_random import mentions
from tests.support.hives import memory_hive
from tests.support.machines import Machine, carry_out, dump, in_memory
from tests.support.network import Host, Nic

pytestmark = pytest.mark.corpus

WIN7 = "win7-sp1-x86_regipy_1.SYSTEM"
GRAFTED = [
    pytest.param("winxp-sp3-x86_bcc-dfa_1.SYSTEM", marks=pytest.mark.long),
    pytest.param("winxp-sp2-x64_xpimage_1.SYSTEM"),
    pytest.param("win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM"),
    pytest.param(WIN7, marks=pytest.mark.long),
    pytest.param("win81-x64_regipy_2.SYSTEM", marks=pytest.mark.long),
    pytest.param("win10-21h2-x64_dissect.regf_1.SYSTEM", marks=pytest.mark.long),
]
LISTS = frozenset({"BIND", "EXPORT", "ROUTE"})


def facts_of(hive: MemoryHive) -> Facts:
    return gather(hive, None, system_root="/Windows")


def plan_for(hive: MemoryHive, choice: GhostChoice) -> Plan:
    """Leases are kept, so that what goes goes by this rule."""
    hives, wishes = {"SYSTEM": hive}, Wishes(ghosts=choice)
    wanted = draft(facts_of(hive), hives, [], overrides={"stale-dhcp": "keep"}, wishes=wishes)
    return finish(wanted, hives)


def graft(hive: MemoryHive, nic: Nic) -> None:
    """A ghost beside the machine's own card, in every control set."""
    facts = facts_of(hive)
    version = facts.guest.version
    host = Host((version.major, version.minor, version.build), [nic])
    host.machine = Machine()
    host.machine.hive = hive
    host.machine.sets = [hive.root.make(one.name) for one in facts.sets]
    own = next(one for one in facts.boot.adapters if one.kind == "physical")
    host._adapter(nic)
    for one in host.machine.sets:
        for path in dump_paths(one):
            if path.endswith("\\LINKAGE"):
                beside(hive.root.make(path), fold(own.guid), nic.guid)


def dump_paths(key: MemoryKey) -> list[str]:
    stack, found = [key], []
    while stack:
        current = stack.pop()
        found.append(fold(current.path))
        stack.extend(current.children.values())
    return found


def beside(key: MemoryKey, own: str, ghost: str) -> None:
    """In each list, after every entry of the own card one of the ghost; NetBIOS numbers follow."""
    for folded in LISTS & key.data.keys():
        name, data = key.data[folded]
        entries: list[str] = []
        lanas, held = b"", key.value("LanaMap")
        for place, entry in enumerate(data.strings or ()):
            entries.append(entry)
            pair = b"" if held is None else held.raw[2 * place : 2 * place + 2]
            lanas += pair
            if own in fold(entry):
                at = fold(entry).index(own)
                entries.append(entry[:at] + ghost + entry[at + len(own) :])
                lanas += b"\x01\x40" if pair else b""
        if len(entries) == len(data.strings or ()):
            continue
        key.set(name, Data.multi_sz(entries))
        if folded == "BIND" and held is not None:
            key.set("LanaMap", Data(held.type, lanas))


def values_of(hive: MemoryHive) -> dict[str, dict[str, Data]]:
    return dump(hive)


@pytest.mark.parametrize("name", GRAFTED)
def test_a_grafted_ghost_goes_and_the_hive_is_as_it_was_before_it_came(name: str) -> None:
    hive = in_memory(memory_hive(name))
    original = values_of(hive)
    nic = Nic(321, "Grafted", addresses=("203.0.113.9",), gateway="203.0.113.1")
    graft(hive, nic)
    assert len(values_of(hive)) > len(original) + 10
    plan = plan_for(hive, "remove")
    mine = [change for change in plan.changes if change.rule == "ghosts"]
    ghost = next(one for one in facts_of(hive).boot.adapters if one.guid == nic.guid)
    others = [one for one in facts_of(hive).boot.adapters if one.ghost and one.guid != nic.guid]
    carry_out([change for change in mine if not _of_another(change, others)], {"SYSTEM": hive})
    edited = [fold(one) for one in plan.control_sets]
    left = [place for place in mentions(hive, ghost) if place.split("\\")[0] in edited]
    assert left == []
    if others:
        return
    after = values_of(hive)
    for path, values in original.items():
        if "\\CONTROL\\NETWORK" in path and "CONFIG" in values:
            continue
        assert path in after, path
        if path.split("\\")[0] in edited and "\\CONTROL\\NSI\\" not in path:
            assert after[path] == values, path


def _of_another(change: object, others: list[Adapter]) -> bool:
    """Whether a key change is about an adapter that was a ghost before; lists are changed for all at once."""
    if not isinstance(change, KeyChange | ValueChange):
        return False
    return any(fold(one.guid) in fold(change.key) or fold(one.guid) in fold(change.why) for one in others)


@pytest.mark.parametrize("choice", [pytest.param("neutralise", marks=pytest.mark.long), "remove"])
def test_the_real_ghost_of_windows_7(choice: GhostChoice) -> None:
    hive = in_memory(memory_hive(WIN7))
    before = values_of(hive)
    facts = facts_of(hive)
    ghost = next(one for one in facts.boot.adapters if one.ghost and one.kind == "physical")
    live = next(one for one in facts.boot.adapters if one.name == "Local Area Connection 2")
    plan = plan_for(hive, choice)
    carry_out(plan.changes, {"SYSTEM": hive})
    after = facts_of(hive)
    found = next(one for one in after.boot.adapters if one.guid == live.guid)
    # The machine's DHCPv6 identifier may be of the only card that is left, so its MAC counts as told now.
    assert replace(found, mac=live.mac) == live
    routes = find(hive, r"ControlSet001\services\Tcpip\Parameters\PersistentRoutes")
    assert routes is not None
    assert [name for name, _data in routes.values()] == ["0.0.0.0,0.0.0.0,10.3.58.1,-1"]
    lanas = find(hive, r"ControlSet001\services\NetBIOS\Linkage")
    assert lanas is not None
    assert lanas.value("LanaMap") == Data.binary(bytes.fromhex("0106010701030100"))
    left = {place.split(": ")[0] for place in mentions(hive, ghost)}
    if choice == "remove":
        assert ghost.guid not in {one.guid for one in after.boot.adapters}
        assert all("\\WINSOCK" in place for place in left), left
    now = values_of(hive)
    assert [path for path in before if "\\CONTROL\\NSI\\" in path and now[path] != before[path]] == []
    assert plan_for(hive, choice).changes == ()


def test_the_choice_keep_leaves_the_real_ghost() -> None:
    plan = plan_for(memory_hive(WIN7), "keep")
    assert not [change for change in plan.changes if change.rule == "ghosts"]
