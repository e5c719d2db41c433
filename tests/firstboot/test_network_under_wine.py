"""The real steps that find and configure adapters, executed by Wine's cmd with Wine's reg."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

import pytest

from p2vprep.core.model import ConfigureInterface, Facts
from p2vprep.core.network import Gateway, InterfaceConfig, Match, Route
from p2vprep.firstboot import build
from tests.firstboot import network_machine as nm
from tests.firstboot.machine import WHY, control_set, facts
from tests.firstboot.network_machine import FIRST, GHOST, SECOND, Nic
from tests.support.wine import Prefix

pytestmark = pytest.mark.long

MAC = Match(mac="00:15:5d:0a:0b:0c")
STATIC = InterfaceConfig(
    MAC,
    name="Production",
    addresses=(ip_interface("192.0.2.10/24"), ip_interface("192.0.2.11/24"), ip_interface("2001:db8::10/64")),
    gateways=(Gateway(ip_address("192.0.2.1"), 1), Gateway(ip_address("2001:db8::1"))),
    metric=5,
    dns=(ip_address("192.0.2.53"), ip_address("192.0.2.54"), ip_address("2001:db8::53")),
    dns_suffix="corp.example",
    register_dns=False,
    wins=(IPv4Address("192.0.2.60"), IPv4Address("192.0.2.61")),
    netbios="off",
    routes=(
        Route(ip_network("198.51.100.0/24"), ip_address("192.0.2.254"), 5),
        Route(ip_network("2001:db8:1::/48"), ip_address("2001:db8::fe")),
    ),
    mtu=1400,
)
ONE_ADDRESS = InterfaceConfig(MAC, addresses=(ip_interface("192.0.2.10/24"),))


def known(*nics: Nic, nt: tuple[int, int] = (10, 0)) -> Facts:
    held = dataclasses.replace(control_set(), adapters=tuple(nm.as_adapter(nic) for nic in nics))
    return facts(held, nt=nt)


def put(
    windows: Prefix, *items: ConfigureInterface, given: Facts | None = None, nics: tuple[Nic, ...]
) -> None:
    windows.apply(build(items, given or known(), ["ControlSet001"]))
    nm.prepare(windows, *nics)
    windows.put("/p2vprep/work/readme.txt", b"")
    windows.put("/p2vprep/results/readme.txt", b"")


def configure(config: InterfaceConfig) -> ConfigureInterface:
    return ConfigureInterface(config, WHY)


def run(windows: Prefix, step: str = "200-adapter") -> tuple[int, list[str]]:
    """One step as the engine starts it: its exit code and the lines it wrote."""
    windows.script(r"C:\p2vprep\firstboot.cmd", "step", step)
    lines = (windows.drive / "p2vprep" / "results" / f"{step}.txt").read_text("cp437").splitlines()
    return int(lines[-1].removeprefix("exit ")), lines


def interface(windows: Prefix, guid: str) -> dict[str, str]:
    key = nm.INTERFACES.replace("HKEY_LOCAL_MACHINE", "HKLM") + "\\" + guid
    return windows.tree(key).get(key, {})


def test_an_adapter_gets_everything_and_reads_back_as_planned(windows: Prefix) -> None:
    put(windows, configure(STATIC), nics=(FIRST, SECOND, GHOST))
    code, lines = run(windows)
    assert f"adapter as-planned {FIRST.guid}" in lines, lines
    assert code == 0
    assert [line for line in lines if line.startswith("found")] == [
        f'found mac {FIRST.guid} "{FIRST.instance}"'
    ]
    assert not [line for line in lines if line.startswith("check differs")]
    held = interface(windows, FIRST.guid)
    assert held["IPAddress"] == r"192.0.2.10\0192.0.2.11"
    assert held["Domain"] == "corp.example"
    assert not windows.tree(r"HKLM\SYSTEM\p2vprep\Adapters")
