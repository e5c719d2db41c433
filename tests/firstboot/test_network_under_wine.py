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
    (windows.drive / "p2vprep" / "results" / f"{step}.txt").unlink(missing_ok=True)
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


# --- which adapter -----------------------------------------------------------------------------


def test_before_vista_the_name_is_used_and_getmac_knows_the_address(windows: Prefix) -> None:
    old = dataclasses.replace(FIRST, old_layout=True, place="PCI bus 0, device 3, function 0")
    config = dataclasses.replace(
        STATIC, addresses=STATIC.addresses[:2], gateways=STATIC.gateways[:1], dns=STATIC.dns[:2], routes=()
    )
    put(windows, configure(config), given=known(nt=(5, 2)), nics=(old, SECOND))
    windows.put(
        "/standin/getmac.txt",
        b'"00-15-5D-0A-0B-0D","\\Device\\Tcpip_{22222222-2222-2222-2222-222222222222}"\r\n'
        b'"00-15-5D-0A-0B-0C","\\Device\\Tcpip_{11111111-1111-1111-1111-111111111111}"\r\n',
    )
    code, lines = run(windows)
    assert (code, lines[-2]) == (0, f"adapter as-planned {FIRST.guid}"), lines
    first = next(call for call in nm.calls(windows, "netsh") if "set address" in call)
    assert first == (
        'interface ip set address name="Ethernet 2" source=static addr=192.0.2.10 mask=255.255.255.0 '
        "gateway=192.0.2.1 gwmetric=1"
    )
    held = interface(windows, FIRST.guid)
    assert (held["InterfaceMetric"], held["MTU"]) == ("0x5", "0x578")


@pytest.mark.parametrize(
    ("match", "nics", "told"),
    [
        (Match(only=True), (FIRST, GHOST), "found only {11111111"),
        (Match(only=True), (FIRST, SECOND), "adapter several"),
        (Match(index=0), (SECOND, FIRST), "found order {11111111"),
        (Match(index=1), (SECOND, FIRST), "found order {22222222"),
        (Match(index=2), (SECOND, FIRST), "adapter too-few"),
        (MAC, (GHOST, SECOND), "adapter not-found"),
        (MAC, (dataclasses.replace(FIRST, ready=False),), "adapter not-found"),
        (Match(only=True), (dataclasses.replace(FIRST, instance=r"ROOT\NET\0000"),), "adapter not-found"),
        (Match(replaces="Production"), (FIRST, GHOST), "found mac {11111111"),
    ],
)
def test_the_adapter_is_found_or_the_reason_is_told(
    windows: Prefix, match: Match, nics: tuple[Nic, ...], told: str
) -> None:
    config = InterfaceConfig(match, dhcp=True)
    put(windows, configure(config), given=known(GHOST), nics=nics)
    windows.put("/p2vprep/work/waited.tmp", b"an earlier step has waited\r\n")
    code, lines = run(windows)
    assert lines[1].startswith(told), lines
    assert code == (0 if told.startswith("found") else 1)


def test_an_unknown_address_falls_back_to_the_order_where_the_number_is_right(windows: Prefix) -> None:
    gone = dataclasses.replace(GHOST, mac="00155D0A0BFF")
    config = InterfaceConfig(Match(replaces="Production"), dhcp=True)
    put(windows, configure(config), given=known(gone), nics=(FIRST, gone))
    code, lines = run(windows)
    assert lines[1].startswith(f"found order {FIRST.guid}"), lines
    assert code == 0


def test_two_parts_never_take_one_adapter(windows: Prefix) -> None:
    config = InterfaceConfig(MAC, dhcp=True)
    put(windows, configure(config), configure(config), nics=(FIRST,))
    windows.put("/p2vprep/work/waited.tmp", b"an earlier step has waited\r\n")
    assert run(windows)[0] == 0
    code, lines = run(windows, "201-adapter")
    assert (code, lines[1]) == (1, "adapter taken")
    assert run(windows)[0] == 0


# --- what can go wrong -------------------------------------------------------------------------


def test_where_netsh_fails_the_registry_is_the_last_way_and_a_restart_is_asked_for_once(
    windows: Prefix,
) -> None:
    put(windows, configure(STATIC), nics=(FIRST,))
    windows.put("/standin/address-fails", b"")
    code, lines = run(windows)
    assert (code, lines[-2]) == (3011, f"adapter by-registry {FIRST.guid}"), lines
    assert "check differs 1" in lines
    held = interface(windows, FIRST.guid)
    assert (held["EnableDHCP"], held["SubnetMask"]) == ("0x0", r"255.255.255.0\0255.255.255.0")
    assert held["NameServer"] == "192.0.2.53,192.0.2.54"
    assert sum("set address" in call for call in nm.calls(windows, "netsh")) == 3


def test_what_a_restart_would_not_mend_asks_for_none(windows: Prefix) -> None:
    put(windows, configure(dataclasses.replace(ONE_ADDRESS, metric=7)), nics=(FIRST,))
    windows.put("/standin/metric.txt", b"25\r\n")
    windows.put("/standin/mtu-only", b"")
    code, lines = run(windows)
    assert code == 1
    assert next(line for line in lines if "differs" in line) == "check differs 5", lines


def test_a_second_failure_after_the_restart_is_told(windows: Prefix) -> None:
    put(windows, configure(dataclasses.replace(ONE_ADDRESS, mtu=1400)), nics=(FIRST,))
    windows.put("/standin/netsh-fails", b"")
    assert run(windows)[0] == 3011
    windows.import_reg([*nm.sections(FIRST)])
    code, lines = run(windows)
    assert (code, lines[-2]) == (1, f"adapter differs {FIRST.guid}"), lines


def test_a_name_that_is_taken_is_told_and_the_address_is_set_all_the_same(windows: Prefix) -> None:
    put(windows, configure(dataclasses.replace(ONE_ADDRESS, name="Production")), nics=(FIRST,))
    windows.put("/standin/rename-fails", b"")
    code, lines = run(windows)
    assert (code, lines[-2]) == (1, f"adapter differs {FIRST.guid}"), lines
    assert interface(windows, FIRST.guid)["IPAddress"] == "192.0.2.10"


@pytest.mark.parametrize("name", ["100% %PATH% !x! ^c & d", "LAN-Verbindung für Büro", ";semi = x"])
def test_a_name_is_never_code(windows: Prefix, name: str) -> None:
    put(windows, configure(ONE_ADDRESS), nics=(dataclasses.replace(FIRST, name=name),))
    shown = f"  11          25        1500  connected     {name}\r\n"
    windows.put("/standin/names.txt", shown.encode("cp437"))
    code, lines = run(windows)
    assert (code, lines[-2]) == (0, f"adapter as-planned {FIRST.guid}"), lines
    assert 'set address name="11"' in " ".join(nm.calls(windows, "netsh"))
    assert not list(windows.drive.glob("**/*owned*"))


def test_a_name_with_a_quotation_mark_is_never_given_to_a_program(windows: Prefix) -> None:
    """Windows takes no such name; somebody would have put it into the registry."""
    evil = dataclasses.replace(FIRST, name='a" & echo x >C:\\owned & "')
    put(windows, configure(dataclasses.replace(ONE_ADDRESS, name="Production")), nics=(evil,))
    code, lines = run(windows)
    assert (code, lines[-2]) == (3011, f"adapter by-registry {FIRST.guid}"), lines
    assert not list(windows.drive.glob("**/*owned*"))
    assert not any("set " in call for call in nm.calls(windows, "netsh"))


def test_a_new_name_that_no_command_line_may_hold_goes_through_the_registry(windows: Prefix) -> None:
    name = 'Büro & "100%" !x!'
    put(windows, configure(dataclasses.replace(ONE_ADDRESS, name=name)), nics=(FIRST,))
    code, lines = run(windows)
    assert (code, lines[-2]) == (3010, f"adapter as-planned {FIRST.guid}"), lines
    root = nm.ROOT.replace("HKEY_LOCAL_MACHINE", "HKLM")
    kernel = rf"{root}\Control\NetworkSetup2\Interfaces\{FIRST.guid}\Kernel"
    assert windows.tree(kernel)[kernel]["IfAlias"].endswith('ro & "100%" !x!')
    assert not any("newname" in call for call in nm.calls(windows, "netsh"))


# --- taking an identity over -------------------------------------------------------------------


def test_an_old_identity_is_taken_over_and_configured_after_the_restart(windows: Prefix) -> None:
    item = ConfigureInterface(ONE_ADDRESS, WHY, takeover_guid=GHOST.guid)
    put(windows, item, given=known(GHOST), nics=(FIRST, GHOST))
    code, lines = run(windows)
    assert (code, lines[2:4]) == (3011, ["takeover prepared", f"adapter after-restart {FIRST.guid}"]), lines
    root = nm.ROOT.replace("HKEY_LOCAL_MACHINE", "HKLM")
    driver = rf"{root}\Control\Class\{nm.CLASS}\{FIRST.driver}"
    keys = windows.tree(driver)
    assert keys[driver]["NetCfgInstanceId"] == GHOST.guid
    assert keys[rf"{driver}\Linkage"]["Export"] == rf"\Device\{GHOST.guid}"
    connection = rf"{root}\Control\Network\{nm.CLASS}\{GHOST.guid}\Connection"
    assert windows.tree(connection)[connection] == {"Name": "Production", "PnpInstanceID": FIRST.instance}
    saved = windows.tree(rf"HKLM\SYSTEM\p2vprep\Takeover\{GHOST.guid}")
    assert saved[rf"HKLM\SYSTEM\p2vprep\Takeover\{GHOST.guid}"]["New"] == FIRST.guid
    windows.put("/standin/guid.txt", GHOST.guid.encode() + b"\r\n")
    (windows.drive / "p2vprep" / "work" / f"{FIRST.guid}.claim").unlink()
    code, lines = run(windows)
    assert (code, lines[-2]) == (0, f"adapter as-planned {GHOST.guid}"), lines


def test_a_takeover_that_cannot_be_done_leaves_everything_as_it_was(windows: Prefix) -> None:
    item = ConfigureInterface(ONE_ADDRESS, WHY, takeover_guid=GHOST.guid)
    put(windows, item, given=known(GHOST), nics=(FIRST,))
    code, lines = run(windows)
    assert "takeover failed" in lines
    assert (code, lines[-2]) == (0, f"adapter as-planned {FIRST.guid}"), lines
    driver = nm.ROOT.replace("HKEY_LOCAL_MACHINE", "HKLM") + rf"\Control\Class\{nm.CLASS}\{FIRST.driver}"
    assert windows.tree(driver)[driver]["NetCfgInstanceId"] == FIRST.guid
