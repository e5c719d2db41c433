"""What the first boot does, as people read it: every kind of item has its words."""

from __future__ import annotations

from io import StringIO
from typing import get_args

from rich.console import Console, Group

from p2vprep.cli.render_firstboot import first_boot_view
from p2vprep.core.model import (
    ConfigureInterface,
    FirstBootItem,
    OnlineDisks,
    RemoveDevice,
    ResetNetwork,
    RestoreService,
    RestoreValue,
    RunCommands,
    RunScript,
    TuneNetwork,
)
from p2vprep.core.values import Data
from tests.support.networks import interface

EVERYTHING = (
    "name: Production, addresses: [192.0.2.10/24, '2001:db8::10/64'], "
    "gateways: [{via: 192.0.2.1, metric: 5}], dns: [192.0.2.53], wins: [192.0.2.54], "
    "routes: [{to: 10.0.0.0/8, via: 192.0.2.2, metric: 3}], mtu: 1400, "
    "metric: 7, dns-suffix: corp.example, register-dns: false, netbios: off, carry-over: Old LAN"
)
ITEMS: dict[FirstBootItem, tuple[str, ...]] = {
    RestoreService("Spooler", 2, None, "why"): ("gives back  (2)", "services: Spooler"),
    RestoreValue("SYSTEM\\X", "Probe", Data.dword(1), "why"): ("values: Probe",),
    ConfigureInterface(interface(EVERYTHING), "the document asks", "{GUID}"): (
        "adapter: the only adapter",
        "Old LAN",
        "Production",
        "192.0.2.10/24, 2001:db8::10/64",
        "192.0.2.1 (metric 5)",
        "192.0.2.53",
        "192.0.2.54",
        "10.0.0.0/8 via 192.0.2.2 (metric 3)",
        "1400",
        "corp.example",
        "takes over {GUID}",
    ),
    TuneNetwork(("interface", "tcp", "set", "global", "rss=disabled"), "why"): (
        "netsh interface tcp set global rss=disabled",
    ),
    RunCommands("clean-up", ("del x", "del y"), "last", 10, "why"): ("clean-up (last, 2 commands)",),
    RunScript("user/010-tools.cmd", "after-network", 10, "why"): ("user/010-tools.cmd (after-network)",),
    RemoveDevice(r"PCI\VEN_1\0", "why"): (r"devices: PCI\VEN_1\0",),
    ResetNetwork("both", "why"): ("resets: TCP/IP and Winsock",),
    OnlineDisks("why"): ("brought online",),
}


def shown(items: list[FirstBootItem], *, verbose: bool = False) -> str:
    stream = StringIO()
    Console(file=stream, width=120).print(Group(*first_boot_view(items, verbose=verbose)))
    return stream.getvalue()


def test_every_kind_is_shown() -> None:
    assert {type(item) for item in ITEMS} == set(get_args(FirstBootItem))
    told = shown(list(ITEMS))
    for words in ITEMS.values():
        for word in words:
            assert word in told
    assert "first boot does  (7)" in told


def test_verbose_tells_commands_and_reasons() -> None:
    told = shown(list(ITEMS), verbose=True)
    assert "del y" in told
    assert "the document asks" in told


def test_an_adapter_with_dhcp() -> None:
    told = shown([ConfigureInterface(interface("dhcp: true, register-dns: true"), "why")])
    assert "DHCP" in told
    assert "gateways" not in told


def test_nothing_is_shown_for_nothing() -> None:
    assert list(first_boot_view([])) == []


def test_control_signs_of_a_guest_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in shown([RemoveDevice("PCI\\\x1b[2J", "why")])
