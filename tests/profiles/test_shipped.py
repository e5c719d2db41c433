"""Every shipped profile: its document, its actions on grafted examples, and all real hives."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from p2vprep.core.bootdrivers import STORAGE_DRIVERS, obstacle
from p2vprep.core.conditions import fits, targets
from p2vprep.core.detect import choose_sources, detect
from p2vprep.core.documents.actions import DisableTarget
from p2vprep.core.documents.patterns import name_matches
from p2vprep.core.facts import gather
from p2vprep.core.model import (
    Facts,
    FileChange,
    FileState,
    FirstBootItem,
    KeyChange,
    Plan,
    RestoreService,
    RestoreValue,
    ValueChange,
)
from p2vprep.core.never import (
    GUEST_BOOT_DRIVERS,
    PROCESSOR_DRIVERS,
    guest_boot_driver,
    in_box,
    in_box_filter,
    never,
    processor_driver,
)
from p2vprep.core.planner import draft, file_paths, finish
from p2vprep.core.profiles import ResolvedProfile
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.registry import Hive, MemoryHive, fold
from p2vprep.core.values import Data
from p2vprep.core.wishes import Wishes
from p2vprep.profile_store import ProfileStore
from tests.profiles.examples import EXAMPLES, HPE_PROLIANT, LEFT_ALONE, Example, graft, graft_profile
from tests.support import corpus
from tests.support.changed import ChangedHive
from tests.support.machines import Machine

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STORE = ProfileStore()
SHIPPED = STORE.names()
SOURCES = [profile.name for profile in STORE.all("source")]
TELLING = ["boot-hazards", "licence-dongles"]
"""Sources of which nothing is changed, only told."""
TARGETS = [profile.name for profile in STORE.all("target")]
STAGES = [profile.name for profile in STORE.all("stage")]
SYSTEM_HIVES = corpus.system_hive_names()
FEW_HIVES = [
    pytest.param(name, marks=[] if name.startswith(("win2003", "win10")) else [pytest.mark.long])
    for name in SYSTEM_HIVES
]
_SMALL, _WIN7 = "win2003-sp1-x86-dc_gosecretsdump_1.SYSTEM", "win7-sp1-x86_regipy_1.SYSTEM"
_XP = "winxp-sp3-x86_bcc-dfa_1.SYSTEM"
_WIN10, _WIN81 = "win10-21h2-x64_dissect.regf_1.SYSTEM", "win81-x64_regipy_2.SYSTEM"
_GOLDEN_HIVES = {
    "vmware-tools": _WIN10,
    "virtualbox-guest": _WIN81,
    "xen-guest": _WIN7,
    "parallels": _WIN7,
    "hyperv-guest": _WIN7,
    "laptop-workstation": _XP,
}


def golden_hive(profile: str) -> str:
    """The real hive that a profile's golden plan is made for."""
    return _GOLDEN_HIVES.get(profile, _SMALL)


ON_HIVES = [
    pytest.param(hive, profile, marks=[] if hive == golden_hive(profile) else [pytest.mark.long])
    for hive in SYSTEM_HIVES
    for profile in SHIPPED
]
DISK_CLASS = r"ControlSet001\Control\Class\{4d36e967-e325-11ce-bfc1-08002be10318}"


@lru_cache(maxsize=2)
def real(name: str) -> HiveReader:
    return HiveReader(corpus.hive_bytes(name))


def make_plan(hive: Hive, *profiles: ResolvedProfile, overrides: dict[str, str] | None = None) -> Plan:
    return planned(gather(hive, None, system_root="/Windows"), hive, *profiles, overrides=overrides)


def planned(
    facts: Facts, hive: Hive, *profiles: ResolvedProfile, overrides: dict[str, str] | None = None
) -> Plan:
    """The plan where no file that it asks for is there, and ghosts of adapters are left alone."""
    hives = {"SYSTEM": hive}
    wanted = draft(facts, hives, profiles, overrides=overrides, wishes=Wishes(ghosts="keep"))
    return finish(wanted, hives, files=dict.fromkeys(file_paths(wanted)))


def actions_that_mean(profile: ResolvedProfile, service: str) -> set[str]:
    """The names of the actions that act on a service or look for it."""
    return {
        owned.name
        for owned in profile.actions
        if owned.action.names_services is not None
        and any(name_matches(pattern, service) for pattern in owned.action.names_services.names)
    }


def everything_on(profile: ResolvedProfile) -> dict[str, str]:
    """Every parameter at the value that its actions ask for."""
    return {
        name: values[0] for owned in profile.actions for name, values in owned.action.when.parameter.items()
    }


# --- the documents -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_profiles_resolve_and_say_why_and_where_from(name: str) -> None:
    profile = STORE.get(name)
    assert profile.actions
    for owned in profile.actions:
        action = owned.action
        assert len(action.why.split()) > 4, action.id
        assert not action.why.endswith("."), action.id
        assert len(action.source.split()) >= 1, action.id


@pytest.mark.parametrize("name", SHIPPED)
def test_names_are_asked_for_once(name: str) -> None:
    """Two rows for one service and kind would hide each other's conditions."""
    seen: dict[tuple[str, str], str] = {}
    for owned in STORE.get(name).actions:
        for pattern in owned.action.services.names if owned.action.services else ():
            if set(pattern) <= {"*"}:
                continue
            slot = (owned.action.kind, fold(pattern))
            assert slot not in seen, f"{pattern}: {owned.action.id} and {seen.get(slot)}"
            seen[slot] = owned.action.id


def machine_with(examples: tuple[Example, ...] | str) -> Machine:
    """A machine in memory with examples, or with all that the named profile means."""
    machine = Machine()
    if isinstance(examples, str):
        grown = graft_profile(machine.hive, "ControlSet001", examples)
    else:
        grown = graft(machine.hive, "ControlSet001", examples)
    machine.hive = grown  # type: ignore[assignment]
    return machine


@pytest.mark.parametrize("name", SHIPPED)
def test_every_action_on_services_has_an_example_that_fits(name: str) -> None:
    facts = machine_with(name).facts()
    for owned in STORE.get(name).actions:
        target = owned.action.names_services
        if target is not None:
            matched = [one.name for one in targets(target, facts.boot) if fits(target, one)]
            exact = [pattern for pattern in target.names if set(pattern) - {"*"}]
            assert len(matched) >= max(1, len(exact)), f"{owned.name}: only {matched}"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_example_is_meant_by_one_action(name: str) -> None:
    facts = machine_with(name).facts()
    for service in facts.boot.services:
        meant = [
            owned.action.id
            for owned in STORE.get(name).actions
            if owned.action.names_services is not None
            and owned.action.kind != "filter-remove"
            and service in targets(owned.action.names_services, facts.boot)
            and fits(owned.action.names_services, service)
        ]
        assert len(meant) == 1, f"{service.name}: {meant}"


NOT_ON_2008_R2 = {"UPS"}


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in TELLING])
def test_a_source_profile_switches_off_all_it_knows_and_nothing_else(name: str) -> None:
    """With every parameter on; filters leave their lists in the same plan, and a second plan is empty."""
    profile = STORE.get(name)
    machine = machine_with(name)
    assert isinstance(machine.hive, ChangedHive)
    hive = graft(machine.hive, "ControlSet001", [Example("Spooler"), Example("AcmeAgent")])
    machine.hive = hive  # type: ignore[assignment]
    hives = {"SYSTEM": hive}
    plan = finish(draft(machine.facts(), hives, [profile], overrides=everything_on(profile)), hives)
    changed = {
        change.key.rpartition("\\")[2]
        for change in plan.changes
        if isinstance(change, ValueChange) and change.name == "Start"
    }
    assert changed == {example.name for example in EXAMPLES[name]} - NOT_ON_2008_R2
    assert plan.hazards == ()
    hive.carry_out(plan.changes)
    assert machine.facts().boot.filters == ()
    again = finish(draft(machine.facts(), hives, [profile], overrides=everything_on(profile)), hives)
    assert again.changes == ()


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_profile_finds_its_own_machine_and_does_nothing_to_an_empty_one(name: str) -> None:
    profile = STORE.get(name)
    assert detect([profile], Machine().facts()) == ()
    assert Machine().plan(profile, overrides=everything_on(profile)).changes == ()
    if profile.detect.services:
        (found,) = detect([profile], machine_with(name).facts())
        assert found.applies
    wanted = profile.detect
    assert wanted.services or wanted.bios or wanted.devices or name in TELLING


def test_only_what_the_guard_knows_is_asked_for_with_boot_start() -> None:
    asked = {
        name
        for profile in STORE.all()
        for owned in profile.actions
        if isinstance(owned.action.target, DisableTarget) and owned.action.target.boot_start
        for name in owned.action.target.names
    }
    programs = {"BalloonService", "VirtIO-FS"}
    known = (*GUEST_BOOT_DRIVERS, *PROCESSOR_DRIVERS)
    assert {fold(name) for name in asked - programs} == {fold(name) for name in known}


def test_legacy_xen_drivers_are_left_alone_as_they_would_stop_the_start() -> None:
    machine = machine_with("xen-guest")
    assert isinstance(machine.hive, ChangedHive)
    machine.hive = graft(  # type: ignore[assignment]
        machine.hive, "ControlSet001", [Example("xenevtchn", type=1, start=0)]
    )
    hives = {"SYSTEM": machine.hive}
    plan = finish(draft(machine.facts(), hives, [STORE.get("xen-guest")]), hives)
    changed = {change.key.rpartition("\\")[2] for change in plan.changes if isinstance(change, ValueChange)}
    assert not changed & {"xenfilt", "scsifilt", "xenbus", "xen", "xenvbd", "xendisk"}
    assert {"xenfilt", "xenbus"} <= {skip.subject for skip in plan.skips}
    assert not any(change.rule == "filter-remove" for change in plan.changes)


def test_a_team_protocol_that_something_needs_at_start_is_kept_and_goes_once_that_goes_too() -> None:
    profile, on = STORE.get("nic-teaming"), {"ians-protocol": "disable"}
    for name, code in (("iANSMiniport", None), ("AcmeVpn", "dependency")):
        machine = machine_with("nic-teaming")
        path = rf"ControlSet001\Services\{name}"
        hive = graft(machine.hive, "ControlSet001", [Example(name, type=1, start=2)])
        hive.put(path, "DependOnService", Data.multi_sz(["iANSProtocol"]))
        machine.hive = hive  # type: ignore[assignment]
        plan = finish(draft(machine.facts(), {"SYSTEM": hive}, [profile], overrides=on), {"SYSTEM": hive})
        changed = {
            change.key.rpartition("\\")[2] for change in plan.changes if isinstance(change, ValueChange)
        }
        assert ("iANSProtocol" in changed) is (code is None)
        assert [hazard.code for hazard in plan.hazards] == ([] if code is None else [code])


def test_parallels_disk_filter_stays_with_its_driver_where_the_list_cannot_be_read() -> None:
    machine = machine_with("parallels")
    assert isinstance(machine.hive, ChangedHive)
    machine.hive.put(DISK_CLASS, "LowerFilters", Data.sz("prl_strg"))
    hives = {"SYSTEM": machine.hive}
    plan = finish(draft(machine.facts(), hives, [STORE.get("parallels")]), hives)
    changed = {change.key.rpartition("\\")[2] for change in plan.changes if isinstance(change, ValueChange)}
    assert "prl_strg" not in changed
    assert [hazard.code for hazard in plan.hazards] == ["still-a-filter"]


def test_multipath_does_nothing_where_a_disk_came_through_mpio() -> None:
    machine = machine_with("multipath")
    assert isinstance(machine.hive, ChangedHive)
    machine.hive.put(r"ControlSet001\Enum\MPIO\Disk&Ven_DGC\1&2", "Service", Data.sz("disk"))
    profile, hives = STORE.get("multipath"), {"SYSTEM": machine.hive}
    plan = finish(draft(machine.facts(), hives, [profile], overrides=everything_on(profile)), hives)
    assert plan.changes == ()
    assert {"hdlmdsm", "EmcpBase", "PowerPath"} <= {skip.subject for skip in plan.skips}


# --- stages ------------------------------------------------------------------------------------


def test_sealing_forgets_what_belongs_to_one_machine_and_nothing_else() -> None:
    one, machine = Data.sz("x"), Machine()
    gone = {
        r"Microsoft\Windows\CurrentVersion\WindowsUpdate": ("SusClientId", "PingID", "AccountDomainSid"),
        r"Microsoft\MSMQ\Parameters\MachineCache": ("QMId",),
    }
    held = {key: dict.fromkeys((*names, "Kept"), one) for key, names in gone.items()}
    held |= {
        r"Microsoft\SystemCertificates\SMS\Certificates\A1": {"Blob": one},
        r"Microsoft\MSMQ\Parameters": {},
    }
    software = MemoryHive(held)
    machine.put(r"Services\Tcpip6\Parameters", Dhcpv6DUID="x", Kept="x")
    machine.put(r"Services\Tcpip\Parameters\DNSRegisteredAdapters\{a}", a=1)
    machine.put(r"Services\Netlogon\Parameters", DisablePasswordChange=0)
    machine.put(r"Control\Power", HibernateEnabled=1)
    hives = {"SYSTEM": machine.hive, "SOFTWARE": software}
    seal = STORE.get("seal")
    wanted = draft(machine.facts(), hives, [seal], overrides=everything_on(seal))
    there = FileState("0" * 64, 1)
    plan = finish(wanted, hives, files={"/Windows/SMSCFG.INI": there})
    values = {change.name for change in plan.changes if isinstance(change, ValueChange)}
    keys = {change.key for change in plan.changes if isinstance(change, KeyChange)}
    ours = {name for names in gone.values() for name in names}
    assert values == ours | {"Dhcpv6DUID", "DisablePasswordChange", "HibernateEnabled", "SysPrep"}
    assert keys == {
        r"ControlSet001\Services\Tcpip\Parameters\DNSRegisteredAdapters",
        r"Microsoft\SystemCertificates\SMS\Certificates",
    }
    assert [change.path for change in plan.changes if isinstance(change, FileChange)] == [
        "/Windows/SMSCFG.INI"
    ]
    assert {hazard.code for hazard in plan.hazards} <= {"winsock-providers"}
    assert plan.first_boot == ()


def test_a_connected_first_boot_parks_less_than_an_isolated_one() -> None:
    parked = {
        stage: {name for one in STORE.get(stage).actions if one.action.park for name in one.action.park.names}
        for stage in ("isolated-first-boot", "connected-first-boot")
    }
    assert {fold(name) for name in parked["connected-first-boot"]} < {
        fold(name) for name in parked["isolated-first-boot"]
    }


# --- HPE ProLiant ------------------------------------------------------------------------------


def test_hpe_proliant_disables_all_it_knows_and_nothing_else() -> None:
    profile = STORE.get("hpe-proliant")
    machine = machine_with((*HPE_PROLIANT, *LEFT_ALONE, Example("Spooler")))
    facts = machine.facts()
    hives = {"SYSTEM": machine.hive}
    plan = finish(draft(facts, hives, [profile], overrides=everything_on(profile)), hives)
    changed = {change.key.rpartition("\\")[2] for change in plan.changes if isinstance(change, ValueChange)}
    assert changed == {example.name for example in HPE_PROLIANT}
    assert all(
        isinstance(change, ValueChange) and change.name == "Start" and change.after == Data.dword(4)
        for change in plan.changes
    )
    assert plan.hazards == ()


@pytest.mark.parametrize("profile_name", SOURCES)
def test_namesakes_of_other_vendors_are_left_alone_with_a_reason(profile_name: str) -> None:
    profile = STORE.get(profile_name)
    services = [owned.action.services for owned in profile.actions if owned.action.services is not None]
    plain = {fold(name) for target in services if not target.conditioned for name in target.names}
    conditioned = {
        name
        for target in services
        if target.conditioned
        for name in target.names
        if "*" not in name and fold(name) not in plain
    }
    strangers = tuple(Example(name, "Acme Thing", r"C:\Acme\thing.exe", start=2) for name in conditioned)
    strangers += tuple(Example(name + "2", "Acme Thing", r"C:\Acme\thing.exe") for name in plain)
    machine = machine_with(strangers)
    hives = {"SYSTEM": machine.hive}
    plan = finish(draft(machine.facts(), hives, [profile], overrides=everything_on(profile)), hives)
    assert plan.changes == ()
    typed = {fold(name) for target in services if target.type == "driver" for name in target.names}
    told = {fold(skip.subject) for skip in plan.skips}
    assert {fold(name) for name in conditioned} - typed - NOT_ON_2008_R2 <= told


def test_drivers_that_start_the_machine_are_refused_whatever_the_profile_says() -> None:
    early = tuple(replace(example, start=1) for example in HPE_PROLIANT if example.type == 1)
    machine = machine_with(early)
    hives = {"SYSTEM": machine.hive}
    plan = finish(draft(machine.facts(), hives, [STORE.get("hpe-proliant")]), hives)
    assert plan.changes == ()
    assert {hazard.code for hazard in plan.hazards} == {"boot-driver"}


def test_a_drive_filter_leaves_its_list_and_is_disabled_in_one_plan() -> None:
    machine = machine_with(tuple(one for one in HPE_PROLIANT if one.name == "hpdskflt"))
    assert isinstance(machine.hive, ChangedHive)
    machine.hive.put(DISK_CLASS, "UpperFilters", Data.multi_sz(["PartMgr", "hpdskflt"]))
    hives = {"SYSTEM": machine.hive}
    plan = finish(draft(machine.facts(), hives, [STORE.get("hpe-proliant")]), hives)
    after = {change.name: change.after for change in plan.changes if isinstance(change, ValueChange)}
    assert after == {"UpperFilters": Data.multi_sz(["PartMgr"]), "Start": Data.dword(4)}
    assert plan.hazards == ()
    assert {skip.rule for skip in plan.skips} == {"uninstall", "values"}


# --- real hives --------------------------------------------------------------------------------


def short(plan: Plan) -> dict[str, Any]:
    """A plan in few lines, for the golden files."""
    changes = {}
    for change in plan.changes:
        assert not isinstance(change, FileChange)
        if isinstance(change, KeyChange):
            changes[f"{change.rule}: {change.key}"] = "made" if change.exists_after else "deleted"
        else:
            before, after = (
                None if data is None else data.show(24) for data in (change.before, change.after)
            )
            changes[f"{change.rule}: {change.key}: {change.name}"] = f"{before} -> {after}"
    return {
        "guest": f"{plan.guest.product} {plan.guest.version} {plan.guest.role.value}",
        "control_sets": list(plan.control_sets),
        "changes": changes,
        "hazards": [f"{hazard.code}: {hazard.message}" for hazard in plan.hazards],
        "skips": [f"{skip.rule}: {skip.subject}: {skip.reason}" for skip in plan.skips],
        "first_boot": [_given_back(item) for item in plan.first_boot],
    }


def _given_back(item: FirstBootItem) -> str:
    if isinstance(item, RestoreService):
        return f"{item.service}: start {item.start}, delayed {item.delayed}"
    if isinstance(item, RestoreValue):
        return f"{item.key}: {item.name}: {None if item.data is None else item.data.show()}"
    return type(item).__name__


@pytest.mark.corpus
@pytest.mark.parametrize("name", SYSTEM_HIVES)
def test_golden_plan_of_an_hpe_server_on_an_isolated_network(name: str) -> None:
    """The whole plan for every real hive with HP's agents grafted onto it.

    ``P2VPREP_GOLDEN=write`` writes the files anew; look at the difference before you keep it.
    """
    grown = graft(real(name), "ControlSet001", (*HPE_PROLIANT, *LEFT_ALONE))
    plan = make_plan(grown, STORE.get("hpe-proliant"), STORE.get("isolated-first-boot"))
    found = short(plan)
    path = GOLDEN / f"hpe-isolated.{name}.json"
    if os.environ.get("P2VPREP_GOLDEN") == "write":
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))
    grown.carry_out(plan.changes)
    again = make_plan(grown, STORE.get("hpe-proliant"), STORE.get("isolated-first-boot"))
    assert again.changes == ()
    assert again.first_boot == plan.first_boot
    assert again.refusals == ()


@pytest.mark.corpus
@pytest.mark.parametrize("name", [name for name in SOURCES if name != "hpe-proliant"])
def test_golden_plan_of_a_source_on_a_real_hive(name: str) -> None:
    """What a profile means, grafted onto a real hive; ``P2VPREP_GOLDEN=write`` writes the file anew.

    The hives of VMware and VirtualBox guests hold their tools already.
    """
    grown = graft_profile(real(golden_hive(name)), "ControlSet001", name)
    plan = make_plan(grown, STORE.get(name), overrides={"stale-dhcp": "keep"})
    found = {"hive": golden_hive(name), **short(plan)}
    path = GOLDEN / f"source.{name}.json"
    if os.environ.get("P2VPREP_GOLDEN") == "write":
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))
    grown.carry_out(plan.changes)
    again = make_plan(grown, STORE.get(name), overrides={"stale-dhcp": "keep"})
    assert (again.changes, again.refusals) == ((), ())


_TARGET_HIVES = {
    "virtual-machine": (_SMALL, _WIN10),
    "hyper-v-gen1": (_XP, _SMALL, _WIN7, _WIN81, _WIN10),
    "hyper-v-gen2": (_WIN7, _WIN10),
    "vmware": (_SMALL, _WIN7, _WIN10),
    "kvm": (_XP, _WIN7, _WIN81),
    "any-hypervisor": (_WIN81,),
}
_STAGE_HIVES = {"seal": (_XP, _WIN7, _WIN10)}
AHEAD = [
    pytest.param(name, hive, id=f"{name}-{hive.partition('_')[0]}")
    for names, hives in ((TARGETS, _TARGET_HIVES), (STAGES, _STAGE_HIVES))
    for name in names
    for hive in hives.get(name, (_WIN7,))
]
DRIVER_FILES = frozenset(
    fold(file) for driver in STORAGE_DRIVERS.values() for file in (*driver.files, *driver.needs)
)


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "hive"), AHEAD)
def test_golden_plan_of_a_target_or_stage_on_a_real_hive(name: str, hive: str) -> None:
    """With every driver file of the table on the disk; ``P2VPREP_GOLDEN=write`` writes the file anew."""
    grown, profile = ChangedHive(real(hive)), STORE.get(name)
    overrides = {} if profile.kind == "stage" else {"stale-dhcp": "keep"}

    def made() -> Plan:
        facts = gather(grown, None, system_root="/Windows")
        return planned(replace(facts, driver_files=DRIVER_FILES), grown, profile, overrides=overrides)

    plan = made()
    found = {"hive": hive, **short(plan)}
    path = GOLDEN / f"{profile.kind}.{name}.{hive.partition('_')[0]}.json"
    if os.environ.get("P2VPREP_GOLDEN") == "write":
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))
    grown.carry_out(plan.changes)
    again = made()
    assert again.changes == ()
    assert {hazard.code for hazard in again.refusals} <= {"target-cannot-boot"}


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "profile_name"), ON_HIVES)
def test_every_action_is_done_or_refused_with_a_reason_and_nothing_vital_is_touched(
    name: str, profile_name: str
) -> None:
    profile = STORE.get(profile_name)
    grown = graft_profile(real(name), "ControlSet001", profile_name)
    facts = gather(grown, None, system_root="/Windows")
    on = {"stale-dhcp": "keep", **everything_on(profile)}
    plan = planned(facts, grown, profile, overrides=on)
    assert {hazard.code for hazard in plan.refusals} <= {"target-cannot-boot"}
    if profile_name in TELLING:
        assert plan.changes == ()
        assert plan.hazards
        return
    skipped = {fold(skip.subject) for skip in plan.skips if skip.reason}
    started = {
        fold(change.key): change
        for change in plan.changes
        if isinstance(change, ValueChange) and fold(change.name) == "START"
    }
    for example in EXAMPLES[profile_name]:
        key = fold(rf"ControlSet001\Services\{example.name}")
        meant = {fold(name) for name in (example.name, *actions_that_mean(profile, example.name))}
        assert key in started or meant & skipped, example.name
    services = {fold(one.key): one for control_set in facts.sets for one in control_set.services}
    for key in started:
        service = services.get(key)
        if service is None:
            assert key.startswith("P2VPREP\\PARKED\\")
            continue
        assert never(service, facts.guest) is None
        after = started[key].after
        assert after is not None
        if after.number == 0:
            assert profile.kind == "target"
            assert obstacle(service, facts) is None
            continue
        assert not in_box(service)
        early = service.kind == "driver" and service.start in {0, 1}
        assert not early or guest_boot_driver(service) or processor_driver(service, facts.guest)
    for change in plan.changes:
        if isinstance(change, ValueChange) and change.rule == "filter-remove":
            kept = () if change.after is None else change.after.strings or ()
            left = set((change.before.strings if change.before else None) or ()) - set(kept)
            assert not [one for one in left if in_box_filter(one)]


@pytest.mark.corpus
@pytest.mark.parametrize("name", FEW_HIVES)
def test_detection_on_real_hives(name: str) -> None:
    sources = STORE.all("source")
    plain = detect(sources, gather(real(name), None, system_root="/Windows"))
    assert "hpe-proliant" not in choose_sources(plain), "no machine of the corpus is a ProLiant"
    grown = graft(real(name), "ControlSet001", HPE_PROLIANT)
    found = detect(sources, gather(grown, None, system_root="/Windows"))
    assert choose_sources(found)[0] == "hpe-proliant"
    assert "sure" in found[0].words
