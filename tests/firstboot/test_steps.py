"""Every kind of item becomes a step, or a typed error: none is dropped."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import ip_address, ip_interface
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core import regtext
from p2vprep.core.model import (
    ConfigureInterface,
    Facts,
    FirstBootItem,
    OnlineDisks,
    PutFile,
    RemoveDevice,
    ResetNetwork,
    RestoreService,
    RestoreValue,
    RunCommands,
    RunScript,
    TuneNetwork,
)
from p2vprep.core.network import Gateway, InterfaceConfig, Match
from p2vprep.core.values import Data
from p2vprep.errors import P2vprepError, UsageError
from p2vprep.firstboot import build
from p2vprep.firstboot.quoting import is_plain_instance, is_word
from p2vprep.firstboot.steps import CARRIED_OUT, make_steps
from tests.firstboot import network_machine as nm
from tests.firstboot.machine import WHY, control_set, facts

MAC = Match(mac="00:15:5d:0a:0b:0c")
ADDRESS = ConfigureInterface(InterfaceConfig(MAC, addresses=(ip_interface("192.0.2.10/24"),)), WHY)
EVERYTHING: tuple[FirstBootItem, ...] = (
    RunScript("user/001-a.cmd", "last", 60, WHY),
    RunScript("user/002-b.cmd", "before-network", 60, WHY),
    RunScript("user/003-c.cmd", "after-network", 60, WHY),
    RunCommands("late", ("exit 0",), "last", 60, WHY),
    RunCommands("early", ("exit 0",), "before-network", 60, WHY),
    RunCommands("between", ("exit 0",), "after-network", 60, WHY),
    RemoveDevice(r"PCI\VEN_1&DEV_2\3&4&0&18", WHY),
    RestoreService("BITS", 2, None, WHY),
    RestoreValue(r"SOFTWARE\X", "A", Data.dword(1), WHY),
    TuneNetwork(("interface", "tcp", "set", "global", "autotuninglevel=normal"), WHY),
    ADDRESS,
    dataclasses.replace(ADDRESS, config=InterfaceConfig(Match(index=1), dhcp=True)),
    OnlineDisks(WHY),
    ResetNetwork("tcpip", WHY),
)


def known(*nics: nm.Nic, nt: tuple[int, int] = (10, 0)) -> Facts:
    held = dataclasses.replace(control_set(), adapters=tuple(nm.as_adapter(nic) for nic in nics))
    return facts(held, nt=nt)


def named(*items: FirstBootItem, given: Facts | None = None) -> list[str]:
    return [step.name for step in make_steps(items, given or known(), ["ControlSet001"])]


def script_of(*items: FirstBootItem, given: Facts | None = None) -> str:
    (step,) = make_steps(items, given or known(), ["ControlSet001"])
    return step.script


def refused(*items: FirstBootItem, given: Facts | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        named(*items, given=given)
    assert caught.value.subject
    return caught.value


def test_the_order_of_the_steps() -> None:
    assert named(*EVERYTHING) == [
        "050-early",
        "075-002-b-cmd",
        "100-reset",
        "150-disks",
        "200-adapter",
        "201-adapter",
        "300-tuning",
        "400-values",
        "500-give-back",
        "600-start",
        "700-devices",
        "800-between",
        "840-late",
        "900-003-c-cmd",
        "960-001-a-cmd",
    ]


def test_every_kind_of_item_is_known() -> None:
    assert set(get_args(FirstBootItem)) == set(CARRIED_OUT)
    assert {type(item) for item in EVERYTHING} == set(CARRIED_OUT)


@pytest.mark.parametrize("item", EVERYTHING, ids=lambda item: type(item).__name__)
def test_each_item_alone_makes_a_job(item: FirstBootItem) -> None:
    edits = build([item], known(), ["ControlSet001"])
    paths = [edit.path for edit in edits if isinstance(edit, PutFile)]
    assert any(path.startswith("/p2vprep/steps/") for path in paths)
    assert all(re.fullmatch(r"/p2vprep/([a-z]+/)?[\w.-]+", path) for path in paths)


def test_an_item_that_nobody_knows_is_an_error() -> None:
    @dataclasses.dataclass(frozen=True)
    class Dance:
        why: str = WHY

    with pytest.raises(P2vprepError) as caught:
        named(Dance())  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.subject) == ("first-boot-unknown", "Dance")


def test_scripts_and_data_are_what_cmd_reads() -> None:
    for edit in build(EVERYTHING, known(), ["ControlSet001"]):
        if isinstance(edit, PutFile) and edit.path.endswith(".cmd"):
            text = edit.content.decode("ascii")
            assert "\n" not in text.replace("\r\n", "")
            assert max(len(line) for line in text.splitlines()) < 2000
            assert "@STEPS@" not in text
            assert not re.search(r"@[A-Z]+@", text)
        if isinstance(edit, PutFile) and edit.path.endswith(".reg"):
            regtext.parse(edit.content)


def test_labels_that_are_gone_to_are_there() -> None:
    for edit in build(EVERYTHING, known(), ["ControlSet001"]):
        if isinstance(edit, PutFile) and edit.path.endswith(".cmd"):
            text = edit.content.decode("ascii")
            labels = {found.upper() for found in re.findall(r"^:(\w+)", text, re.MULTILINE)}
            used = {found.upper() for found in re.findall(r"(?:goto|call :)\s*(\w+)", text)}
            assert used <= labels, edit.path


def test_nothing_is_read_through_a_shell_of_its_own() -> None:
    """``for /f ('…')`` would start a shell with whatever AutoRun says."""
    for edit in build(EVERYTHING, known(), ["ControlSet001"]):
        if isinstance(edit, PutFile) and edit.path.endswith(".cmd"):
            assert not re.search(r"in \(['`]", edit.content.decode("ascii")), edit.path


def test_at_most_as_many_as_there_is_room_for() -> None:
    scripts = [RunScript(f"user/{number:03d}-x.cmd", "before-network", 60, WHY) for number in range(26)]
    assert len(named(*scripts[:25])) == 25
    with pytest.raises(UsageError, match="25 such steps"):
        named(*scripts)
    adapters = [dataclasses.replace(ADDRESS, why=str(number)) for number in range(101)]
    assert len(named(*adapters[:100])) == 100
    with pytest.raises(UsageError, match="100 adapters"):
        named(*adapters)


# --- commands and scripts ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["", "  ", "a\nb", "a\r", "ü", "x" * 2001, "\x1a"])
def test_a_command_is_one_line(command: str) -> None:
    assert refused(RunCommands("x", (command,), "last", 60, WHY)).code == "first-boot-argument"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", "ü", "x" * 101, "a&b"])
def test_names_of_steps_are_plain(name: str) -> None:
    with pytest.raises(UsageError):
        named(RunCommands(name, ("exit",), "last", 60, WHY))


def test_two_steps_never_have_one_name() -> None:
    with pytest.raises(P2vprepError, match="one name"):
        named(RunCommands("x", ("a",), "last", 60, WHY), RunCommands("X", ("b",), "after-network", 60, WHY))


@pytest.mark.parametrize("timeout", [0, -1, 86_401])
def test_time_limits_have_limits(timeout: int) -> None:
    refused(RunCommands("x", ("exit",), "last", timeout, WHY))
    refused(RunScript("user/a.cmd", "last", timeout, WHY))


def test_there_is_something_to_run() -> None:
    refused(RunCommands("x", (), "last", 60, WHY))


def test_exit_codes_are_told_as_cmd_shows_them() -> None:
    item = RunCommands("x", ("exit",), "last", 60, WHY, good=(0, 0x80070005), reboot=(3010, -1))
    text = script_of(item)
    assert 'set "GOOD=0 -2147024891"' in text
    assert 'set "REBOOT=3010 -1"' in text


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("user/a.cmd", r'%SHELL% "%P2V%\user\a.cmd" >'),
        ("user/a.exe", r'"%P2V%\user\a.exe" >'),
        ("user/a.reg", r'%REG% import "%P2V%\user\a.reg" >'),
        ("user/a.msi", r'%SYS%\msiexec.exe /i "%P2V%\user\a.msi" /qn /norestart >'),
        ("user/a.vbs", r'%SYS%\cscript.exe //nologo //b "%P2V%\user\a.vbs" >'),
    ],
)
def test_how_files_are_run(path: str, runs: str) -> None:
    assert f"\n{runs}" in script_of(RunScript(path, "last", 60, WHY))


@pytest.mark.parametrize(
    "path", ["user/../x.cmd", "a.cmd", "user/a b.cmd", "user/a.sh", "user/%PATH%.cmd", "user/a.cmd\n"]
)
def test_a_file_outside_the_folder_is_refused(path: str) -> None:
    assert refused(RunScript(path, "last", 60, WHY)).code == "first-boot-step"


@given(st.text())
def test_arguments_of_netsh_are_plain_words(word: str) -> None:
    item = TuneNetwork(("interface", word), WHY)
    if is_word(word):
        assert not set(word) & set('"%!^&|<>() ')
        assert f"interface {word} >>" in script_of(item)
    else:
        with pytest.raises(UsageError):
            named(item)


# --- devices, disks, reset ---------------------------------------------------------------------


@given(st.text())
def test_a_device_that_no_command_line_may_hold_never_gets_into_one(instance: str) -> None:
    (step,) = make_steps([RemoveDevice(instance, WHY)], known(), ["ControlSet001"])
    listed = step.data["700-devices.txt"]
    assert listed.count(b"\r\n") == 1
    if is_plain_instance(instance):
        assert not set(instance) & set('"%!^|<> \r\n')
        assert listed == f"001 plain {instance}\r\n".encode("ascii")
    else:
        assert listed == b"001 odd -\r\n"


@pytest.mark.parametrize(("number", "means"), [(0, "no"), (19040, "no"), (19041, "yes"), (26100, "yes")])
def test_only_newer_windows_can_remove_devices(number: int, means: str) -> None:
    held = known()
    version = dataclasses.replace(held.guest.version, build=number)
    held = dataclasses.replace(held, guest=dataclasses.replace(held.guest, version=version))
    assert f"set MEANS={means}\n" in script_of(RemoveDevice(r"PCI\A\B", WHY), given=held)


def test_before_vista_there_is_no_policy_for_disks() -> None:
    assert "not-needed" in script_of(OnlineDisks(WHY), given=known(nt=(5, 2)))
    assert "san policy=OnlineAll" in script_of(OnlineDisks(WHY), given=known(nt=(6, 0)))


def test_what_is_reset() -> None:
    both = script_of(ResetNetwork("winsock", WHY), ResetNetwork("tcpip", WHY))
    assert "winsock reset" in both
    assert "interface ipv6 reset" in both
    assert "ipv6" not in script_of(ResetNetwork("winsock", WHY))
    assert "%NETSH% interface ip reset" in script_of(ResetNetwork("both", WHY), given=known(nt=(5, 2)))


# --- adapters ----------------------------------------------------------------------------------


def test_what_the_finding_script_is_asked_for() -> None:
    text = script_of(ADDRESS)
    for line in ("WANTMAC=00155D0A0B0C", "WANTDASH=00-15-5D-0A-0B-0C", "WANTORDER=", "WANTLEAST=1"):
        assert f'set "{line}"' in text
    replaced = dataclasses.replace(ADDRESS, config=InterfaceConfig(Match(replaces="production"), dhcp=True))
    text = script_of(replaced, given=known(nm.SECOND, nm.GHOST))
    for line in ("WANTMAC=00155D0A0B0C", "WANTORDER=0", "WANTCOUNT=2"):
        assert f'set "{line}"' in text


def test_an_adapter_that_cannot_be_told_is_refused() -> None:
    nameless = InterfaceConfig(Match(replaces="Nobody"), dhcp=True)
    assert refused(ConfigureInterface(nameless, WHY)).code == "adapter-not-known"
    software = dataclasses.replace(nm.GHOST, instance=r"ROOT\NET\0000")
    held = known(software)
    adapters = tuple(dataclasses.replace(one, mac=None) for one in held.boot.adapters)
    held = dataclasses.replace(held, sets=(dataclasses.replace(held.boot, adapters=adapters),))
    item = ConfigureInterface(InterfaceConfig(Match(replaces="Production"), dhcp=True), WHY)
    assert refused(item, given=held).code == "adapter-not-known"


def test_an_address_with_a_zone_is_refused() -> None:
    zoned = InterfaceConfig(MAC, gateways=(Gateway(ip_address("fe80::1%eth0")),))
    assert refused(ConfigureInterface(zoned, WHY)).code == "address-with-zone"


def test_where_an_identity_can_be_taken_over() -> None:
    item = dataclasses.replace(ADDRESS, takeover_guid=nm.GHOST.guid)
    text = script_of(item, given=known(nm.GHOST))
    assert rf"lib\takeover.cmd\" {nm.GHOST.guid} {nm.CLASS}\0003".replace('\\"', '"') in text
    assert refused(item, given=known(nm.GHOST, nt=(6, 3))).code == "takeover-not-here"
    assert refused(item, given=known(nm.SECOND)).code == "adapter-not-known"
    keyless = dataclasses.replace(nm.GHOST, driver="")
    assert refused(item, given=known(keyless)).code == "takeover-not-here"


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), st.sampled_from([(5, 2), (10, 0)])
)
def test_names_never_change_a_script(name: str, nt: tuple[int, int]) -> None:
    config = InterfaceConfig(MAC, name=name, dns_suffix=name, dhcp=True)
    edits = build([ConfigureInterface(config, WHY)], known(nt=nt), ["ControlSet001"])
    contents = {edit.path: edit.content for edit in edits if isinstance(edit, PutFile)}
    text = contents["/p2vprep/steps/200-adapter.cmd"].decode("ascii")
    for line in text.splitlines():
        if re.search(r"(rename|equal con Name) ", line):
            assert line.count('"') == 4
            assert not set(line.replace("%P2V%", "")) & set("%!^|<>")
    held = {
        value: data
        for section in regtext.parse(contents["/p2vprep/data/200-adapter.reg"])
        for value, data in section.values
    }
    assert held["Domain"] == Data.sz(name)
    assert ("Name" in held) != ('rename "' in text)


def test_no_file_has_a_name_that_windows_keeps_for_a_device() -> None:
    """``com1.cmd`` would be the serial port itself."""
    device = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
    for edit in build(EVERYTHING, known(), ["ControlSet001"]):
        if isinstance(edit, PutFile):
            assert not any(device.fullmatch(part) for part in edit.path.split("/")), edit.path
