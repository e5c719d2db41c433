"""Tuning by version: the value or the command that this Windows obeys, or why it ignores the switch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from p2vprep.core.documents import first_boot
from p2vprep.core.model import TuneNetwork
from p2vprep.core.netsettings import NETWORK_SETTINGS
from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from tests.support.machines import Machine, carry_out
from tests.support.networks import (
    CLASS,
    Plain,
    add_adapter,
    codes,
    configured,
    guid,
    network,
    plan_for,
    values,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
VERSIONS = {
    "2003": (5, 2, 3790),
    "2008r2": (6, 1, 7601),
    "2012r2": (6, 3, 9600),
    "2016": (10, 0, 14393),
    "2019": (10, 0, 17763),
    "2022": (10, 0, 20348),
    "2025": (10, 0, 26100),
}
TCPIP = r"ControlSet001\Services\Tcpip\Parameters"
EVERYTHING = """\
interfaces:
  - match: {stays: LAN}
    name: Production
    addresses: [192.0.2.20/24, 192.0.2.21/24, "2001:db8::20/64"]
    gateways: [{via: 192.0.2.1, metric: 5}, "2001:db8::1"]
    dns: [192.0.2.53, "2001:db8::53"]
    dns-suffix: corp.example
    register-dns: false
    wins: [192.0.2.55]
    netbios: on
    routes: [{to: 10.0.0.0/8, via: 192.0.2.2, metric: 3}]
    mtu: 1400
  - match: {mac: 00155d0a0b0c}
    carry-over: Old LAN
settings:
  multi-homing: on
  autotuning: highlyrestricted
  heuristics: off
  window-scaling: off
  timestamps: on
  task-offload: off
  chimney: off
  rss: off
  netdma: off
  jumbo-frames: off
  interrupt-moderation: off
  sr-iov: off
  ipv6: prefer-ipv4
  ncsi-passive: off
  domain-detection: insist
  network-location: private
  proxy-discovery: off
  policy-wait: park
  network-reset: winsock
"""


def windows(*version: int) -> Machine:
    major, minor, build = version
    made = Machine().windows(major, minor, build)
    made.put(r"Services\Tcpip\Parameters")
    return made.put(r"Services\Tcpip6\Parameters") if major > 5 else made


def server(version: tuple[int, ...]) -> Machine:
    """A server with a card that stays and an old one, as the facts tell of the version."""
    made = windows(*version)
    fixed: dict[str, Plain] = {"EnableDeadGWDetect": 1} if version < (10,) else {}
    add_adapter(made, 1, "LAN", held={"EnableDHCP": 1, "Domain": "", "NameServer": "", **fixed})
    old: dict[str, Plain] = {
        "EnableDHCP": 0,
        "IPAddress": ["203.0.113.5"],
        "SubnetMask": ["255.255.255.0"],
        "DefaultGateway": [],
        "NameServer": "203.0.113.53",
        **fixed,
    }
    add_adapter(made, 2, "Old LAN", instance=r"PCI\VEN_14E4&DEV_1657\3&1&0&02", held=old)
    if version < (10,):
        for number in (1, 2):
            made.put(rf"Services\{guid(number)}\Parameters\Tcpip", EnableDHCP=number % 2)
    if version >= (6,):
        card = rf"Control\Class\{CLASS}\0001"
        made.set_value(card, "*JumboPacket", "9014").set_value(card, "*InterruptModeration", "1")
        jumbo = rf"{card}\Ndi\params\*JumboPacket\enum"
        made.set_value(jumbo, "1514", "Disabled").set_value(jumbo, "9014", "9014 Bytes")
        moderation = rf"{card}\Ndi\params\*InterruptModeration\enum"
        made.set_value(moderation, "0", "Disabled").set_value(moderation, "1", "Enabled")
        made.put(r"Services\NlaSvc\Parameters\Internet", EnableActiveProbing=1)
    made.put(r"Services\Netlogon\Parameters")
    return made.put(r"Services\Dnscache\Parameters")


@pytest.mark.parametrize("name", VERSIONS)
def test_golden_plans_by_version(name: str) -> None:
    """The whole network of a server, made to the facts of each version: written, handed on, ignored."""
    made = server(VERSIONS[name])
    software = MemoryHive()
    plan = plan_for(made, network(EVERYTHING), software=software, member=True)
    found = {
        "changes": [change.to_json() for change in plan.changes],
        "first_boot": [first_boot.to_plain(item) for item in plan.first_boot],
        "hazards": [hazard.to_json() for hazard in plan.hazards],
        "skips": [skip.to_json() for skip in plan.skips],
    }
    path = GOLDEN / f"network.{name}.json"
    if os.environ.get("P2VPREP_WRITE_GOLDEN"):
        path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(path.read_text())
    carry_out(plan.changes, {"SYSTEM": made.hive, "SOFTWARE": software})
    again = plan_for(made, network(EVERYTHING), software=software, member=True)
    assert again.changes == ()
    assert configured(again) == configured(plan)
    assert len(again.first_boot) == len(plan.first_boot)


def told(version: tuple[int, ...], **switches: str) -> tuple[dict[str, object], list[str], dict[str, str]]:
    """Values, netsh commands, and skips for some switches."""
    plan = plan_for(
        windows(*version), None, overrides={name.replace("_", "-"): value for name, value in switches.items()}
    )
    commands = [" ".join(item.arguments) for item in plan.first_boot if isinstance(item, TuneNetwork)]
    return values(plan, below=TCPIP), commands, {skip.subject: skip.reason for skip in plan.skips}


@pytest.mark.parametrize("version", VERSIONS.values())
def test_nothing_is_tuned_by_default(version: tuple[int, ...]) -> None:
    assert all(setting.default == "keep" for setting in NETWORK_SETTINGS.values())
    plan = plan_for(windows(*version), None)
    assert (plan.changes, plan.first_boot, plan.skips, plan.hazards) == ((), (), (), ())


@pytest.mark.parametrize(
    ("version", "registry", "commands"),
    [
        ((5, 1, 2600), {}, []),
        ((5, 2, 3790), {"EnableTCPChimney": 0, "EnableRSS": 0, "EnableTCPA": 0}, []),
        ((6, 0, 6002), {"EnableTCPA": 0}, ["chimney", "rss"]),
        ((6, 1, 7601), {}, ["chimney", "rss", "netdma"]),
        ((6, 3, 9600), {}, ["chimney", "rss"]),
        ((10, 0, 10240), {}, ["chimney", "rss"]),
        ((10, 0, 14393), {}, ["rss"]),
        ((10, 0, 26100), {}, ["rss"]),
    ],
)
def test_offloads(version: tuple[int, ...], registry: dict[str, int], commands: list[str]) -> None:
    found, netsh, skips = told(version, chimney="off", rss="off", netdma="off", task_offload="off")
    assert found == {**registry, "DisableTaskOffload": 1}
    assert sorted(netsh) == sorted(f"interface tcp set global {name}=disabled" for name in commands)
    assert len(skips) == 3 - len(registry) - len(commands)
    assert all(reason.startswith("ignored by this Windows") for reason in skips.values())


def test_auto_tuning_heuristics_and_time_stamps_by_command_from_vista_on() -> None:
    found, netsh, skips = told((6, 0, 6002), autotuning="disabled", heuristics="off", timestamps="on")
    assert (found, skips) == ({}, {})
    assert netsh == [
        "interface tcp set global autotuninglevel=disabled",
        "interface tcp set heuristics disabled",
        "interface tcp set global timestamps=enabled",
    ]
    _, netsh, skips = told((5, 2, 3790), autotuning="disabled", heuristics="off")
    assert netsh == []
    assert all("no auto-tuning before Vista" in reason for reason in skips.values())
    assert len(skips) == 2


@pytest.mark.parametrize(
    ("held", "switches", "expected"),
    [
        (None, {"window-scaling": "off"}, 2),
        (None, {"window-scaling": "on"}, None),
        (0, {"window-scaling": "on"}, 1),
        (0, {"timestamps": "on"}, 2),
        (3, {"timestamps": "off"}, 1),
        (3, {"timestamps": "off", "window-scaling": "off"}, 0),
    ],
)
def test_rfc_1323_options_keep_the_other_bit_and_warn(
    held: int | None, switches: dict[str, str], expected: int | None
) -> None:
    made = windows(5, 2, 3790)
    if held is not None:
        made.put(r"Services\Tcpip\Parameters", Tcp1323Opts=held)
    plan = plan_for(made, None, overrides=switches)
    assert values(plan, below=TCPIP) == {"Tcp1323Opts": 3 if expected is None else expected}
    assert codes(plan) == {"tcp1323-hides-a-fault"}


def test_window_scaling_is_ignored_from_vista_on() -> None:
    found, netsh, skips = told((6, 1, 7601), window_scaling="off")
    assert (found, netsh) == ({}, [])
    assert "follows auto-tuning" in skips["window-scaling off"]


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [("on", 0xFF, None), ("prefer-ipv4", None, 0x20), ("off", None, 0xFF)],
)
def test_ipv6(wanted: str, held: int | None, expected: int | None) -> None:
    made = windows(6, 1, 7601)
    if held is not None:
        made.put(r"Services\Tcpip6\Parameters", DisabledComponents=held)
    plan = plan_for(made, None, overrides={"ipv6": wanted})
    assert values(plan) == {r"ControlSet001\Services\Tcpip6\Parameters\DisabledComponents": expected}
    assert codes(plan) == ({"ipv6-off"} if wanted == "off" else set())
    old = plan_for(windows(5, 2, 3790), None, overrides={"ipv6": wanted})
    assert old.changes == ()
    assert len(old.skips) == 1


def test_the_documents_settings_count_and_set_counts_more() -> None:
    wanted = network("settings: {rss: off, autotuning: disabled}")
    made = windows(6, 1, 7601)
    plan = plan_for(made, wanted)
    assert len(plan.first_boot) == 2
    plan = plan_for(made, wanted, overrides={"rss": "keep", "autotuning": "normal"})
    (item,) = plan.first_boot
    assert isinstance(item, TuneNetwork)
    assert item.arguments[-1] == "autotuninglevel=normal"


def test_without_a_first_boot_job_a_command_is_a_skip() -> None:
    plan = plan_for(windows(6, 1, 7601), None, overrides={"rss": "off"}, first_boot=False)
    assert (plan.first_boot, plan.refusals) == ((), ())
    assert any("nothing would do it" in skip.reason for skip in plan.skips)


# --- dead gateways -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({"multi-homing": "on"}, 0),
        ({"dead-gateway-detection": "off"}, 0),
        ({"dead-gateway-detection": "on"}, 1),
        ({"dead-gateway-detection": "on", "multi-homing": "on"}, 1),
    ],
)
def test_dead_gateway_detection_global_and_per_interface(switches: dict[str, str], expected: int) -> None:
    made = windows(5, 2, 3790)
    add_adapter(made, 1, "LAN", held={"EnableDHCP": 1, "EnableDeadGWDetect": 1 - expected})
    assert values(plan_for(made, None, overrides=switches), below=TCPIP) == {
        "EnableDeadGWDetect": expected,
        "DeadGWDetectDefault": expected,
        rf"Interfaces\{guid(1)}\EnableDeadGWDetect": expected,
    }
    carry_out(plan_for(made, None, overrides=switches).changes, {"SYSTEM": made.hive})
    assert plan_for(made, None, overrides=switches).changes == ()


@pytest.mark.parametrize("version", [(6, 0, 6002), (6, 1, 7601), (10, 0, 20348)])
def test_from_vista_on_there_is_no_dead_value_but_a_word(version: tuple[int, ...]) -> None:
    plan = plan_for(windows(*version), None, overrides={"multi-homing": "on"})
    assert plan.changes == ()
    (skip,) = plan.skips
    assert skip.reason.startswith("ignored by this Windows")


# --- drivers' keywords -------------------------------------------------------------------------


def card(instance: str | None = None) -> Machine:
    made = windows(10, 0, 17763)
    add_adapter(made, 1, "LAN", instance=instance)
    key = rf"Control\Class\{CLASS}\0001"
    made.set_value(key, "*JumboPacket", "9014").set_value(rf"{key}\Ndi\params\*JumboPacket", "type", "enum")
    return made


def test_a_keyword_takes_only_what_the_driver_allows() -> None:
    made = card()
    plan = plan_for(made, None, overrides={"jumbo-frames": "off"})
    assert plan.changes == ()
    assert "has no 1514" in plan.skips[0].reason
    made.set_value(rf"Control\Class\{CLASS}\0001\Ndi\params\*JumboPacket\enum", "1514", "Disabled")
    plan = plan_for(made, None, overrides={"jumbo-frames": "off"})
    assert list(values(plan).values()) == ["1514"]


def test_a_keyword_within_a_range() -> None:
    made = card()
    parameter = rf"Control\Class\{CLASS}\0001\Ndi\params\*JumboPacket"
    made.set_value(parameter, "min", "1514").set_value(parameter, "max", "9014")
    assert list(values(plan_for(made, None, overrides={"jumbo-frames": "off"})).values()) == ["1514"]
    made.set_value(parameter, "min", "2000")
    assert plan_for(made, None, overrides={"jumbo-frames": "off"}).changes == ()


def test_cards_that_are_gone_and_cards_without_the_keyword_are_left_alone() -> None:
    gone = card(r"PCI\VEN_14E4&DEV_1657\3&1&0&01")
    for made, setting in ((gone, "jumbo-frames"), (card(), "sr-iov")):
        plan = plan_for(made, None, ghosts="keep", overrides={setting: "off"})
        assert plan.changes == ()
        (skip,) = plan.skips
        assert "its driver's defaults" in skip.reason


def test_before_vista_keywords_are_ignored() -> None:
    plan = plan_for(windows(5, 2, 3790), None, overrides={"interrupt-moderation": "off"})
    assert plan.changes == ()
    assert plan.skips[0].reason.startswith("ignored by this Windows")


def test_of_several_control_sets_all_are_tuned_and_the_first_boot_is_asked_once() -> None:
    made = Machine("ControlSet001", "ControlSet002").windows(6, 1, 7601)
    made.put(r"Services\Tcpip\Parameters", Hostname=Data.sz("x"))
    plan = plan_for(made, None, overrides={"task-offload": "off", "rss": "off", "netdma": "off"})
    assert len(plan.changes) == 2
    assert len(plan.first_boot) == 2
