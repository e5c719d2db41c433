"""Waits for the network, probes, and the network's location: told, done, parked and given back."""

from __future__ import annotations

import struct

import pytest

from p2vprep.core.model import ResetNetwork, RestoreValue, RunCommands
from p2vprep.core.registry import MemoryHive
from p2vprep.core.rules.location import known_networks
from p2vprep.core.values import Data
from tests.support.machines import Machine, carry_out
from tests.support.networks import codes, plan_for, values

WINSOCK = r"Services\WinSock2\Parameters"
POLICIES = r"Policies\Microsoft\Windows"
WINLOGON = r"Policies\Microsoft\Windows NT\CurrentVersion\Winlogon"
NCSI = rf"{POLICIES}\NetworkConnectivityStatusIndicator"
UNIDENTIFIED = (
    r"Policies\Microsoft\Windows NT\CurrentVersion\NetworkList\Signatures"
    r"\010103000F0000F0010000000F0000F0C967A3643C3AD745950DA7859209176EF5B87C875FA20DF21951640E807D7C24"
)


def machine(*version: int) -> Machine:
    major, minor, build = version or (10, 0, 17763)
    return Machine().windows(major, minor, build)


def software(*held: tuple[str, str, Data]) -> MemoryHive:
    hive = MemoryHive()
    for key, name, data in held:
        hive.root.make(key).set(name, data)
    return hive


# --- the Winsock catalogue ---------------------------------------------------------------------


def provider(path: str) -> Data:
    return Data.binary(path.encode("latin-1").ljust(260, b"\0") + bytes(628))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (r"%SystemRoot%\system32\mswsock.dll", False),
        (r"%windir%\system32\MSWSOCK.dll", False),
        (r"C:\WINNT\System32\rsvpsp.dll", False),
        (r"%windir%\system32\vsocklib.dll", True),
        (r"C:\Program Files\Vendor\lsp.dll", True),
        (r"C:\Program Files\Vendor\mswsock.dll", True),
    ],
)
def test_providers_of_other_makers_are_found(path: str, told: bool) -> None:
    made = machine()
    made.put(rf"{WINSOCK}\Protocol_Catalog9\Catalog_Entries\000000000001", PackedCatalogItem=provider(path))
    made.put(rf"{WINSOCK}\NameSpace_Catalog5\Catalog_Entries64\000000000001", LibraryPath=path)
    plan = plan_for(made, None)
    assert codes(plan) == ({"winsock-providers"} if told else set())
    if told:
        assert plan.hazards[0].evidence == (path,)


def test_an_entry_without_a_path_is_passed_over() -> None:
    made = machine().put(rf"{WINSOCK}\Protocol_Catalog9\Catalog_Entries\000000000001", ProtocolName="x")
    made.put(rf"{WINSOCK}\NameSpace_Catalog5\Catalog_Entries\000000000001", LibraryPath="")
    assert not codes(plan_for(made, None))


@pytest.mark.parametrize("what", ["winsock", "tcpip", "both"])
def test_a_reset_is_a_step_of_the_first_boot(what: str) -> None:
    made = machine().put(
        rf"{WINSOCK}\NameSpace_Catalog5\Catalog_Entries\000000000001", LibraryPath=r"C:\v\lsp.dll"
    )
    plan = plan_for(made, None, overrides={"network-reset": what})
    (item,) = plan.first_boot
    assert isinstance(item, ResetNetwork)
    assert item.what == what
    assert ("winsock-providers" in codes(plan)) == (what == "tcpip")


# --- policies, update server, IPv6 -------------------------------------------------------------


def test_policies_that_make_a_member_wait() -> None:
    held = software(
        (WINLOGON, "SyncForegroundPolicy", Data.dword(1)),
        (rf"{POLICIES}\System", "GpNetworkStartTimeoutPolicyValue", Data.dword(120)),
        (r"Microsoft\Windows\CurrentVersion\Policies\System", "MaxGPOScriptWait", Data.dword(0)),
    )
    plan = plan_for(machine(), None, software=held, member=True)
    (hazard,) = plan.hazards
    assert hazard.code == "policy-waits"
    assert len(hazard.evidence) == 3
    assert not codes(plan_for(machine(), None, software=held, member=False))
    assert not codes(plan_for(machine(), None, software=held, member=None))


def test_waits_no_longer_than_windows_own_are_no_news() -> None:
    held = software(
        (WINLOGON, "SyncForegroundPolicy", Data.dword(0)),
        (rf"{POLICIES}\System", "GpNetworkStartTimeoutPolicyValue", Data.dword(30)),
        (r"Microsoft\Windows\CurrentVersion\Policies\System", "MaxGPOScriptWait", Data.dword(600)),
    )
    assert not codes(plan_for(machine(), None, software=held, member=True))


def test_the_wait_is_short_until_the_first_boot_is_done() -> None:
    made = machine()
    held = software((rf"{POLICIES}\System", "GpNetworkStartTimeoutPolicyValue", Data.dword(120)))
    plan = plan_for(made, None, software=held, member=True, overrides={"policy-wait": "park"})
    assert {item.name: item.data for item in plan.first_boot if isinstance(item, RestoreValue)} == {
        "SyncForegroundPolicy": None,
        "GpNetworkStartTimeoutPolicyValue": Data.dword(120),
    }
    assert values(plan)[rf"{POLICIES}\System\GpNetworkStartTimeoutPolicyValue"] == 1
    assert not codes(plan)
    carry_out(plan.changes, {"SYSTEM": made.hive, "SOFTWARE": held})
    again = plan_for(made, None, software=held, member=True, overrides={"policy-wait": "park"})
    assert (again.changes, again.first_boot) == ((), plan.first_boot)
    unasked = plan_for(made, None, software=held, member=True)
    assert unasked.first_boot == plan.first_boot, "what was parked is given back in any case"


def test_the_wait_of_a_machine_that_is_no_member_is_left_alone() -> None:
    plan = plan_for(machine(), None, software=software(), overrides={"policy-wait": "park"}, member=False)
    assert (plan.changes, plan.first_boot) == ((), ())
    assert plan.skips


def test_without_the_software_hive_its_values_are_skipped() -> None:
    plan = plan_for(machine(), None, member=True, overrides={"policy-wait": "park"})
    assert plan.changes == ()
    assert {skip.reason for skip in plan.skips} == {"the SOFTWARE hive is not here"}


def test_an_update_server_of_the_old_network() -> None:
    held = software((rf"{POLICIES}\WindowsUpdate", "WUServer", Data.sz("http://wsus.corp.example:8530")))
    (hazard,) = plan_for(machine(), None, software=held).hazards
    assert (hazard.code, hazard.evidence) == ("update-server", ("http://wsus.corp.example:8530",))


CHAINS = r"Policies\Microsoft\SystemCertificates\ChainEngine\Config"


@pytest.mark.parametrize(
    ("name", "wait", "told"),
    [
        ("ChainUrlRetrievalTimeoutMilliseconds", 60_500, "60.5 seconds (Windows' own: 15)"),
        ("ChainUrlRetrievalTimeoutMilliseconds", 15_000, None),
        ("ChainRevAccumulativeUrlRetrievalTimeoutMilliseconds", 120_000, "120 seconds (Windows' own: 20)"),
        ("ChainRevAccumulativeUrlRetrievalTimeoutMilliseconds", 1_000, None),
    ],
)
def test_long_checks_of_signatures_by_policy(name: str, wait: int, told: str | None) -> None:
    hazards = plan_for(machine(), None, software=software((CHAINS, name, Data.dword(wait)))).hazards
    expected = [] if told is None else [("revocation-waits", (f"{name} is {told}",))]
    assert [(hazard.code, hazard.evidence) for hazard in hazards] == expected


@pytest.mark.parametrize(("number", "told"), [(0xFFFFFFFF, True), (0xFF, False), (0x20, False)])
def test_the_slow_way_of_switching_ipv6_off(number: int, told: bool) -> None:
    made = machine().put(r"Services\Tcpip6\Parameters", DisabledComponents=number)
    assert codes(plan_for(made, None)) == ({"ipv6-start-delay"} if told else set())
    assert "ipv6-start-delay" not in codes(plan_for(made, None, overrides={"ipv6": "off"}))


# --- proxy discovery ---------------------------------------------------------------------------

WPAD = r"Microsoft\Windows\CurrentVersion\Internet Settings\WinHttp\DisableWpad"


@pytest.mark.parametrize(
    ("version", "wanted", "done", "back"),
    [
        ((10, 0, 17763), "park", True, True),
        ((10, 0, 20348), "off", True, False),
        ((10, 0, 14393), "park", False, False),
        ((6, 3, 9600), "off", False, False),
    ],
)
def test_proxy_discovery(version: tuple[int, ...], wanted: str, done: bool, back: bool) -> None:
    plan = plan_for(machine(*version), None, software=software(), overrides={"proxy-discovery": wanted})
    assert (values(plan).get(WPAD) == 1) == done
    assert bool(plan.first_boot) == back
    assert bool(plan.skips) == (not done)


# --- probes ------------------------------------------------------------------------------------


def test_passive_probing_is_a_policy_from_7_on() -> None:
    plan = plan_for(machine(6, 1, 7601), None, software=software(), overrides={"ncsi-passive": "park"})
    assert values(plan)[rf"{NCSI}\DisablePassivePolling"] == 1
    (item,) = plan.first_boot
    assert isinstance(item, RestoreValue)
    assert (item.key, item.data) == (rf"SOFTWARE\{NCSI}", None)
    old = plan_for(machine(6, 0, 6002), None, software=software(), overrides={"ncsi-passive": "park"})
    assert old.changes == ()
    assert "from 7 on" in old.skips[0].reason


def test_a_policy_that_has_switched_the_probe_off_is_left_to_rule() -> None:
    made = machine().put(r"Services\NlaSvc\Parameters\Internet", EnableActiveProbing=1)
    held = software((NCSI, "NoActiveProbe", Data.dword(1)))
    plan = plan_for(made, None, software=held, overrides={"ncsi": "park"})
    assert plan.changes == ()
    assert "NoActiveProbe" in plan.skips[0].reason


@pytest.mark.parametrize(("build", "moved"), [(17763, False), (20348, True), (26100, True)])
def test_from_2022_on_the_reason_says_that_the_probe_may_stay(build: int, moved: bool) -> None:
    made = machine(10, 0, build).put(r"Services\NlaSvc\Parameters\Internet", EnableActiveProbing=1)
    plan = plan_for(made, None, overrides={"ncsi": "park"})
    assert ("HTTP probe all the same" in plan.first_boot[0].why) == moved


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((6, 3, 9600), {"NegativeCachePeriod", "MaxNegativeCacheTtl"}),
        ((10, 0, 14393), {"NegativeCachePeriod", "MaxNegativeCacheTtl"}),
        ((10, 0, 17763), {"NegativeCachePeriod", "MaxNegativeCacheTtl", "AlwaysExpectDomainController"}),
    ],
)
@pytest.mark.parametrize("wanted", ["park", "insist"])
def test_domain_detection_of_members(version: tuple[int, ...], expected: set[str], wanted: str) -> None:
    made = machine(*version)
    for key in ("NlaSvc", "Netlogon", "Dnscache"):
        made.put(rf"Services\{key}\Parameters")
    plan = plan_for(made, None, overrides={"domain-detection": wanted}, member=True)
    found = {path.rpartition("\\")[2] for path in values(plan) if path.startswith("ControlSet001")}
    assert found == expected
    back = {item.name for item in plan.first_boot if isinstance(item, RestoreValue)}
    assert back == (expected if wanted == "park" else set())
    alone = plan_for(made, None, overrides={"domain-detection": wanted}, member=False)
    assert alone.changes == ()
    assert "no member" in alone.skips[0].reason


def test_parked_probes_of_domains_that_are_wanted_for_good_lose_their_record() -> None:
    made = machine().put(r"Services\Netlogon\Parameters").put(r"Services\Dnscache\Parameters")
    made.put(r"Services\NlaSvc\Parameters")
    for wanted in ("park", "insist"):
        plan = plan_for(made, None, overrides={"domain-detection": wanted}, member=True)
        carry_out(plan.changes, {"SYSTEM": made.hive})
    assert plan.first_boot == ()
    records = made.hive.root.make(r"p2vprep\ParkedValues")
    assert list(records.subkeys()) == []


# --- location ----------------------------------------------------------------------------------


def profile(name: str, category: int, year: int) -> list[tuple[str, str, Data]]:
    key = rf"Microsoft\Windows NT\CurrentVersion\NetworkList\Profiles\{{{name}}}"
    last = struct.pack("<8H", year, 5, 1, 3, 10, 0, 0, 0)
    return [
        (key, "ProfileName", Data.sz(name)),
        (key, "Category", Data.dword(category)),
        (key, "DateLastConnected", Data.binary(last)),
    ]


def test_networks_are_listed_with_the_last_one_first() -> None:
    held = software(*profile("old", 0, 2012), *profile("new", 1, 2021), *profile("odd", 7, 2022))
    assert [(one.name, one.category) for one in known_networks(held)] == [
        ("new", "private"),
        ("old", "public"),
    ]


@pytest.mark.parametrize(
    ("category", "wanted", "private"),
    [(1, "carry-over", True), (0, "carry-over", False), (2, "carry-over", False), (0, "private", True)],
)
def test_the_location_of_the_last_network_is_carried_over(category: int, wanted: str, private: bool) -> None:
    made, held = machine(), software(*profile("old", 0, 2012), *profile("last", category, 2021))
    plan = plan_for(made, None, software=held, overrides={"network-location": wanted})
    commands = [item for item in plan.first_boot if isinstance(item, RunCommands)]
    assert bool(commands) == private
    assert (values(plan).get(rf"{UNIDENTIFIED}\Category") == 1) == private
    assert bool(plan.skips) == (not private)
    if private:
        assert commands[0].phase == "after-network"
        carry_out(plan.changes, {"SYSTEM": made.hive, "SOFTWARE": held})
        again = plan_for(made, None, software=held, overrides={"network-location": wanted})
        assert (again.changes, again.first_boot) == ((), plan.first_boot)


def test_where_there_is_no_command_for_it_the_operator_is_told() -> None:
    plan = plan_for(machine(6, 1, 7601), None, software=software(), overrides={"network-location": "private"})
    assert codes(plan) == {"network-location-by-hand"}
    assert not [item for item in plan.first_boot if isinstance(item, RunCommands)]


@pytest.mark.parametrize("version", [(5, 2, 3790), (10, 0, 17763)])
def test_no_location_before_vista_and_none_without_a_known_network(version: tuple[int, ...]) -> None:
    plan = plan_for(
        machine(*version), None, software=software(), overrides={"network-location": "carry-over"}
    )
    assert (plan.changes, plan.first_boot) == ((), ())
    assert len(plan.skips) == 1


def test_without_a_first_boot_job_nothing_is_parked_that_nobody_would_give_back() -> None:
    switches = {"network-location": "private", "ncsi-passive": "park", "policy-wait": "park"}
    held = software()
    plan = plan_for(machine(), None, software=held, member=True, overrides=switches, first_boot=False)
    assert (plan.changes, plan.first_boot) == ((), ())
    assert {skip.subject for skip in plan.skips} == {f"setting {name}" for name in switches}
