"""Odd machines: after a removal nothing dangles and no bystander changed.

Adapters of every sort, teams, adapters without a device and protocols in any mixture, in one or two
control sets; each is removed from, and the whole hive is searched in every form a mention may have.
"""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2vprep.core.facts.ghosts import after_move
from p2vprep.core.model import Adapter, KeyChange, Plan, ValueChange
from p2vprep.core.planner import draft, finish
from p2vprep.core.registry import MemoryHive, find, fold
from p2vprep.core.values import Data
from p2vprep.core.wishes import GhostChoice, Wishes
from tests.support.machines import Machine, carry_out, dump, in_memory
from tests.support.network import E1000, HP_CARD, NDIS_WAN, NET, NETVSC, VMXNET3, Host, Nic

VERSIONS = [(5, 2, 3790), (6, 1, 7601), (6, 3, 9600), (10, 0, 14393), (10, 0, 17763), (10, 0, 20348)]
SORTS: list[tuple[str, str, int]] = [
    (HP_CARD, "", 0x84),
    (HP_CARD, "", 0x84),
    (r"PCI\VEN_8086&DEV_100E&SUBSYS_002E1028&REV_02", "", 0x84),
    (r"B06BDRV\L2ND&PCI_163914E4&SUBSYS_7055103C&REV_20", r"b06bdrv\l2nd&pci_163914e4", 0x84),
    (E1000, "", 0x84),
    (VMXNET3, "", 0x84),
    (NETVSC, "{f8615163-df3e-46c5-913f-f2d2f965ed0e}", 0x84),
    (r"ROOT\*ISATAP", "*isatap", 0x9),
    (r"ROOT\MS_NDISWANIP", "ms_ndiswanip", 0x29),
    (r"COMPOSITEBUS\MS_IMPLAT_MP", r"compositebus\ms_implat_mp", 0x1),
    (r"ROOT\NET", "tap0901", 0x81),
]
KEPT = re.compile(r"CONTROLSET00\d\\CONTROL\\(NSI\\|NETWORK: CONFIG$)")
LISTS = ("BIND", "EXPORT", "ROUTE", "ROOTDEVICE")


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    version = draw(st.sampled_from(VERSIONS))
    nics = []
    for place in range(draw(st.integers(1, 5))):
        hardware, component, bits = draw(st.sampled_from(SORTS))
        addresses = draw(st.sampled_from([(), (f"192.0.2.{place + 10}",), (f"10.{place}.0.1", "10.9.9.9")]))
        nics.append(
            Nic(
                place + 3,
                draw(st.sampled_from(["LAN", "LAN 2", "LAN (old)", ""])),
                hardware=hardware,
                component=component,
                bits=bits,
                addresses=addresses,
                gateway=draw(st.sampled_from(["", "192.0.2.1"])) if addresses else "",
                protocols=draw(st.booleans()),
                removed=draw(st.booleans()),
            )
        )
    members = draw(st.lists(st.integers(0, len(nics) - 1), unique=True, max_size=3))
    return Host(version, nics, {"NdisImPlatform": tuple(members)} if members else {})


def plan_for(host: Host, machine: Machine, choice: GhostChoice) -> Plan:
    hives = {"SYSTEM": machine.hive, "SOFTWARE": host.software}
    return finish(draft(machine.facts(), hives, [], wishes=Wishes(ghosts=choice)), hives)


def gone_from(machine: Machine) -> list[Adapter]:
    """The hardware that is gone, by the judgement alone."""
    return [
        one for one in machine.facts().boot.adapters if one.kind == "physical" and after_move(one, ()).ghost
    ]


def forms(adapter: Adapter) -> list[bytes]:
    """Everything that names an adapter, as bytes of folded text and as it is stored."""
    guid = fold(adapter.guid).strip("{}")
    number = fold(rf"{NET}\{adapter.class_key.rpartition(chr(92))[2]}")
    texts = [guid, fold(adapter.instance), fold(adapter.instance).replace("\\", "#"), number]
    return [one.encode("utf-16-le") for one in texts] + [uuid.UUID(adapter.guid).bytes_le]


def mentions(hive: MemoryHive, adapter: Adapter) -> list[str]:
    """All places of a hive that name the adapter, found by no more than looking for its names."""
    wanted = forms(adapter)
    found = []
    for path, values in dump(hive).items():
        held = [(path, Data.sz(path).raw)]
        held += [
            (f"{path}: {name}", Data.sz(name).raw + data.raw + _upper(data)) for name, data in values.items()
        ]
        found += [place for place, raw in held if any(one in raw for one in wanted)]
    return [place for place in found if not KEPT.match(place)]


def _upper(data: Data) -> bytes:
    return fold(data.raw[: len(data.raw) & ~1].decode("utf-16-le", "replace")).encode("utf-16-le", "replace")


@given(hosts(), st.booleans())
@settings(deadline=None, max_examples=20)
def test_after_a_removal_nothing_dangles_and_no_bystander_changed(host: Host, two_sets: bool) -> None:
    _check_removal(host, two_sets)


@pytest.mark.long
@given(hosts(), st.booleans())
@settings(deadline=None, max_examples=500)
def test_the_same_for_many_more_machines(host: Host, two_sets: bool) -> None:
    _check_removal(host, two_sets)


def _check_removal(host: Host, two_sets: bool) -> None:
    machine = host.build(Machine("ControlSet001", "ControlSet002") if two_sets else Machine())
    gone = gone_from(machine)
    before = in_memory(machine.hive)
    plan = plan_for(host, machine, "remove")
    assert plan.refusals == ()
    carry_out(plan.changes, {"SYSTEM": machine.hive, "SOFTWARE": host.software})
    edited = [fold(name) for name in plan.control_sets]
    for adapter in gone:
        left = [place for place in mentions(machine.hive, adapter) if place.split("\\")[0] in edited]
        assert left == []
        assert [place for place in mentions(host.software, adapter) if "NETWORKCARDS" in place] == []
    _only_theirs_changed(plan, gone)
    _lists_stay_parallel(before, machine.hive, {fold(one.guid) for one in gone}, edited)
    assert not [change for change in plan_for(host, machine, "remove").changes if change.rule == "ghosts"]


def _only_theirs_changed(plan: Plan, gone: list[Adapter]) -> None:
    """Every key that goes bears a name of one that is gone; values that change are lists or a team's."""
    names = [one for adapter in gone for one in forms(adapter)]
    for change in plan.changes:
        if change.rule != "ghosts":
            continue
        assert isinstance(change, KeyChange | ValueChange)
        if isinstance(change, KeyChange):
            own = any(one in Data.sz(fold(change.key)).raw for one in names)
            assert not change.exists_after
            assert own or re.search(r"(RemoteAccess\\Interfaces|NetworkCards)\\\d+$", change.key), change.key
        elif fold(change.name) in {*LISTS, "LANAMAP"}:
            assert "\\LINKAGE" in fold(change.key)
        else:
            assert (
                change.key.endswith(("PersistentRoutes", r"Dhcp\Parameters"))
                or "TEAM" in fold(change.why)
                or ("members" in change.why)
            ), change


def _lists_stay_parallel(before: MemoryHive, after: MemoryHive, gone: set[str], edited: list[str]) -> None:
    """Each list is what it was without those that are gone; NetBIOS numbers stay with their entries."""
    for path, values in dump(before).items():
        key = find(after, path)
        if path.split("\\")[0] not in edited:
            assert key is not None
            assert {fold(name): data for name, data in key.values()} == values, path
            continue
        if key is None or "\\LINKAGE" not in path:
            continue
        for name in set(LISTS) & values.keys():
            kept = [one for one in values[name].strings or () if not any(guid in fold(one) for guid in gone)]
            now = key.value(name)
            assert now is not None
            assert list(now.strings or ()) == kept, (path, name)
        if "LANAMAP" in values:
            now_numbered = _numbers({"BIND": _held(key, "Bind"), "LANAMAP": _held(key, "LanaMap")})
            staying = {
                entry: pair
                for entry, pair in _numbers(values).items()
                if not any(guid in fold(entry) for guid in gone)
            }
            assert now_numbered == staying


def _held(key: object, name: str) -> Data:
    data = key.value(name)  # type: ignore[attr-defined]
    assert isinstance(data, Data)
    return data


def _numbers(values: dict[str, Data]) -> dict[str, bytes]:
    raw, entries = values["LANAMAP"].raw, values["BIND"].strings or ()
    assert len(raw) == 2 * len(entries)
    return {entry: raw[2 * place : 2 * place + 2] for place, entry in enumerate(entries)}


@given(hosts())
@settings(deadline=None, max_examples=20)
def test_without_a_removal_no_key_goes_and_nothing_of_those_that_stay_changes(host: Host) -> None:
    machine = host.build()
    stay = {fold(one.guid) for one in machine.facts().boot.adapters} - {
        fold(one.guid) for one in machine.facts().boot.adapters if after_move(one, ()).ghost
    }
    teams = {fold(one.guid) for one in machine.facts().boot.adapters if one.kind == "team"}
    plan = plan_for(host, machine, "neutralise")
    for change in plan.changes:
        if change.rule == "ghosts":
            assert isinstance(change, ValueChange), change
            assert not any(guid in fold(change.key) for guid in stay - teams), change
    carry_out(plan.changes, {"SYSTEM": machine.hive})
    for one in machine.facts().boot.adapters:
        if one.kind == "physical" and after_move(one, ()).ghost:
            assert (one.addresses, one.gateways, one.dns) == ((), (), ())
    assert not [change for change in plan_for(host, machine, "neutralise").changes if change.rule == "ghosts"]


def test_the_search_itself_finds_what_dangles() -> None:
    host = Host((10, 0, 17763), [Nic(3, "LAN", addresses=("192.0.2.10",))])
    machine = host.build()
    (adapter,) = gone_from(machine)
    places = mentions(machine.hive, adapter)
    assert len(places) > 40
    assert any("ENUM" in place and "DRIVER" in place for place in places)
    assert not any(NDIS_WAN.upper() in place for place in places)
