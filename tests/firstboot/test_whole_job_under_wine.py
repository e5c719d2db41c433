"""Whole first boots, executed by Wine: the engine with the network and everything beside it."""

from __future__ import annotations

import time
from ipaddress import ip_interface

import pytest

from p2vprep.core.model import (
    ConfigureInterface,
    FirstBootItem,
    OnlineDisks,
    PutFile,
    RemoveDevice,
    ResetNetwork,
    RestoreService,
    RunCommands,
    RunScript,
    TuneNetwork,
)
from p2vprep.core.network import InterfaceConfig, Match
from p2vprep.core.registry import MemoryHive
from p2vprep.core.regtext import Section
from p2vprep.core.values import Data
from p2vprep.firstboot import build, read_result
from p2vprep.firstboot.result import FirstBootResult, StepResult
from p2vprep.firstboot.starts import Surroundings
from tests.firstboot import network_machine as nm
from tests.firstboot.machine import WHY, control_set, facts, service
from tests.firstboot.network_machine import FIRST, GHOST
from tests.support.wine import Prefix

pytestmark = pytest.mark.long

ALPHA = RestoreService("P2VAlpha", 2, None, WHY)
ADDRESS = ConfigureInterface(
    InterfaceConfig(Match(mac="00:15:5d:0a:0b:0c"), addresses=(ip_interface("192.0.2.10/24"),)), WHY
)
SERVICE = r"HKLM\SYSTEM\CurrentControlSet\Services"
LATEST = (10, 0)


def put(
    windows: Prefix,
    *items: FirstBootItem,
    nics: tuple[nm.Nic, ...] = (FIRST,),
    more: dict[str, bytes] | None = None,
) -> None:
    """The job with stand-ins, and a parked service."""
    known = facts(control_set("ControlSet001", (service("P2VAlpha"),)), nt=LATEST)
    entry = Section(rf"{nm.ROOT}\Services\p2vprep", (("Start", Data.dword(3)),))
    alpha = Section(rf"{nm.ROOT}\Services\P2VAlpha", (("Type", Data.dword(16)), ("Start", Data.dword(3))))
    windows.apply(build(items, known, ["ControlSet001"]), [entry, alpha])
    for name, content in (more or {}).items():
        windows.put(f"/p2vprep/{name}", content)
    nm.prepare(windows, *nics, ping=nm.ONE_SECOND)


def boot(windows: Prefix) -> FirstBootResult:
    assert windows.script(r"C:\p2vprep\firstboot.cmd") == 0
    return report(windows)


def report(windows: Prefix) -> FirstBootResult:
    hive = MemoryHive({"ControlSet001": {}})
    for key, values in windows.tree(r"HKLM\SYSTEM\p2vprep").items():
        held = hive.root.make(key.removeprefix("HKLM\\SYSTEM\\"))
        for name, shown in values.items():
            held.set(name, Data.sz(shown))
    files = {
        "/" + file.relative_to(windows.drive).as_posix(): file.read_bytes()
        for file in (windows.drive / "p2vprep").rglob("*")
        if file.is_file()
    }
    return read_result(hive, "ControlSet001", files)


def step(result: FirstBootResult, name: str) -> StepResult:
    return next(held for held in result.steps if held.name == name)


def start_of(windows: Prefix, name: str) -> str | None:
    return windows.tree(rf"{SERVICE}\{name}").get(rf"{SERVICE}\{name}", {}).get("Start")


def works(held: StepResult) -> list[tuple[str, str, str]]:
    return [(work.subject, work.outcome, work.detail) for work in held.works]


def test_when_the_network_fails_the_parked_services_still_come_back(windows: Prefix) -> None:
    put(windows, ADDRESS, ALPHA, nics=(GHOST,))
    content = (windows.drive / "p2vprep" / "lib" / "find.cmd").read_bytes()
    windows.put("/p2vprep/lib/find.cmd", content.replace(b"set MOST=60", b"set MOST=2"))
    result = boot(windows)
    adapter = step(result, "200-adapter")
    assert adapter.status == "failed because no adapter with this address appeared in time"
    assert start_of(windows, "P2VAlpha") == "0x2"
    assert step(result, "500-give-back").outcome == "done"
    assert (result.state, result.ok) == ("failed", False)
    assert nm.calls(windows, "shutdown") == []


def test_after_a_reset_windows_is_restarted_once_and_adapters_are_configured_then(windows: Prefix) -> None:
    put(windows, ResetNetwork("both", WHY), ADDRESS, ALPHA)
    result = boot(windows)
    assert result.state == "again"
    assert step(result, "100-reset").outcome == "done"
    assert step(result, "200-adapter").outcome == "restart"
    assert step(result, "200-adapter").status == "not run"
    assert start_of(windows, "P2VAlpha") == "0x2"
    assert nm.calls(windows, "shutdown") == ["-r -f -t 10"]
    assert [call for call in nm.calls(windows, "netsh") if "reset" in call] == [
        "winsock reset",
        'interface ipv4 reset "C:\\p2vprep\\work\\reset.log"',
        'interface ipv6 reset "C:\\p2vprep\\work\\reset.log"',
    ]
    result = boot(windows)
    assert (result.state, result.boots) == ("finished", 2)
    assert step(result, "200-adapter").status == "as planned"
    assert nm.calls(windows, "shutdown") == ["-r -f -t 10"]


def test_commands_and_their_exit_codes(windows: Prefix) -> None:
    put(
        windows,
        RunCommands("good", ("exit 0", "exit 7"), "after-network", 60, WHY, good=(0, 7)),
        RunCommands("bad", ("exit 5", "echo ran>C:\\standin\\ran.txt"), "last", 60, WHY),
        RunCommands("boots", ("exit 3010",), "before-network", 60, WHY),
        RunCommands("percent", ('if not "%SystemRoot%"=="" exit 0',), "last", 60, WHY),
        ALPHA,
    )
    result = boot(windows)
    assert works(step(result, "800-good")) == [("exit 0", "ok", "0"), ("exit 7", "ok", "7")]
    assert works(step(result, "840-bad"))[0] == ("exit 5", "failed", "5")
    assert (windows.drive / "standin" / "ran.txt").exists()
    assert works(step(result, "050-boots")) == [("exit 3010", "restart", "3010")]
    assert step(result, "841-percent").outcome == "done"
    assert (result.state, step(result, "840-bad").outcome) == ("failed", "failed")
    assert nm.calls(windows, "shutdown") == ["-r -f -t 10"]
    assert result.log[-1].endswith("restarts Windows, once")


def test_a_command_that_hangs_is_left_behind_and_done_ones_are_not_repeated(windows: Prefix) -> None:
    hang = r"%SystemRoot%\System32\ping.exe -n 60 127.0.0.1 >nul"
    put(windows, RunCommands("slow", (hang, "echo x>>C:\\standin\\ran.txt"), "last", 2, WHY))
    done = ("840-slow.2", Data.sz("ok"))
    windows.import_reg([Section(r"HKEY_LOCAL_MACHINE\SYSTEM\p2vprep\Result", (done,))])
    result = boot(windows)
    assert [outcome for _, outcome, _ in works(step(result, "840-slow"))] == ["late", "ok"]
    assert not (windows.drive / "standin" / "ran.txt").exists()


def test_the_users_own_scripts_run_in_their_places(windows: Prefix) -> None:
    put(
        windows,
        RunScript("user/001-first.cmd", "before-network", 60, WHY),
        RunScript("user/002-second.cmd", "after-network", 60, WHY),
        RunScript("user/003-gone.cmd", "last", 60, WHY),
        more={
            "user/001-first.cmd": b"@echo off\r\n>>C:\\standin\\ran.txt echo first %CD%\r\n",
            "user/002-second.cmd": b"@>>C:\\standin\\ran.txt echo second %P2VFILES%\r\n@exit 4\r\n",
        },
    )
    result = boot(windows)
    ran = (windows.drive / "standin" / "ran.txt").read_text().splitlines()
    assert [line.strip() for line in ran] == ["first C:\\p2vprep\\user", "second C:\\p2vprep\\files"]
    assert [held.outcome for held in result.steps] == ["done", "failed", "failed"]
    assert [held.detail for held in result.steps] == ["", "4", "2"]


def test_tuning_disks_and_devices(windows: Prefix) -> None:
    gone, here, odd = GHOST.instance, FIRST.instance, 'PCI\\a"b\\1'
    put(
        windows,
        OnlineDisks(WHY),
        TuneNetwork(("interface", "tcp", "set", "global", "autotuninglevel=normal"), WHY),
        RemoveDevice(gone, WHY),
        RemoveDevice(here, WHY),
        RemoveDevice(odd, WHY),
        nics=(FIRST, GHOST),
    )
    listed = "  Datentr\x84ger 0    Online           40 GB\n  Disk ###  Status\n  Disk 1    Offline   1 TB\n"
    windows.put("/standin/disks.txt", listed.replace("\n", "\r\n").encode("latin-1"))
    nm.answers(windows, "diskpart", "type C:\\standin\\disks.txt\nexit /b 0\n")
    key = nm.ROOT.replace("HKEY_LOCAL_MACHINE", "HKLM")
    nm.answers(
        windows,
        "pnputil",
        f'%SystemRoot%\\System32\\reg.exe delete "{key}\\Enum\\{gone}" /f >nul\nexit /b 0\n',
    )
    put_means(windows)
    result = boot(windows)
    assert works(step(result, "150-disks")) == [("0", "online", ""), ("1", "online", "")]
    assert len(nm.calls(windows, "diskpart")) == 3
    assert works(step(result, "300-tuning"))[0][1] in ("ok", "failed")
    assert works(step(result, "700-devices")) == [
        (gone, "removed", "0"),
        (here, "present", "-"),
        (odd, "no-means", "-"),
    ]
    assert nm.calls(windows, "pnputil") == [f'/remove-device "{gone}"']


def put_means(windows: Prefix) -> None:
    """As on a Windows that has pnputil /remove-device."""
    path = windows.drive / "p2vprep" / "steps" / "700-devices.cmd"
    path.write_bytes(path.read_bytes().replace(b"set MEANS=no", b"set MEANS=yes"))


def test_the_disks_of_a_cluster_are_left_alone(windows: Prefix) -> None:
    put(windows, OnlineDisks(WHY))
    windows.import_reg([Section(rf"{nm.ROOT}\Services\ClusSvc", (("Start", Data.dword(2)),))])
    result = boot(windows)
    assert works(step(result, "150-disks")) == [("", "cluster", "")]
    assert nm.calls(windows, "diskpart") == []


def test_the_result_is_told_on_the_first_serial_port(windows: Prefix) -> None:
    """Into a file here: Wine makes its serial ports when it starts, and this host has none."""
    put(windows, ALPHA)
    path = windows.drive / "p2vprep" / "lib" / "serial.cmd"
    content = path.read_bytes()
    assert content.count(b"\r\n>COM1 echo") == 1
    path.write_bytes(content.replace(b">COM1", rb">C:\standin\told.txt"))
    assert boot(windows).ok
    told = windows.drive / "standin" / "told.txt"
    deadline = time.monotonic() + 20
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert told.read_text().strip() == "p2vprep first-boot finished boots=1"


def test_without_a_serial_port_the_job_ends_all_the_same(windows: Prefix) -> None:
    put(windows, ALPHA)
    windows.put("/p2vprep/lib/serial.cmd", b"@%SystemRoot%\\System32\\ping.exe -n 300 127.0.0.1 >nul\r\n")
    assert boot(windows).ok  # the port blocks for five minutes, longer than a run may last here
    assert report(windows).log[-1].endswith("service entry removed")


def test_only_one_engine_runs_at_a_time(windows: Prefix) -> None:
    """A second start finds the file open that the first one holds."""
    put(windows, ALPHA)
    windows.put(
        "/standin/two.cmd",
        b"@echo off\r\ncall :held 2>C:\\p2vprep\\running.tmp\r\nexit\r\n"
        b":held\r\n%SystemRoot%\\System32\\cmd.exe /d /c C:\\p2vprep\\firstboot.cmd\r\ngoto :eof\r\n",
    )
    windows.script(r"C:\standin\two.cmd")
    assert report(windows).boots == 0
    assert boot(windows).boots == 1


def test_undo_gives_everything_back_and_takes_the_job_out(windows: Prefix) -> None:
    put(windows, ALPHA)
    parked = Section(r"HKEY_LOCAL_MACHINE\SYSTEM\p2vprep\Parked\P2VAlpha", (("Start", Data.dword(2)),))
    windows.import_reg([parked])
    assert windows.script(r"C:\p2vprep\undo.cmd") == 0
    assert start_of(windows, "P2VAlpha") == "0x2"
    assert not windows.tree(r"HKLM\SYSTEM\p2vprep\Parked")


def test_undo_says_so_where_it_fails(windows: Prefix) -> None:
    put(windows, ALPHA)
    (windows.drive / "p2vprep" / "undo-inside.reg").unlink()
    assert windows.script(r"C:\p2vprep\undo.cmd") == 1
    assert b"NOT everything" in windows.output.read_bytes()


def test_started_by_setups_command_line_it_gives_that_back_first(windows: Prefix) -> None:
    setup = MemoryHive({"Setup": {"SetupType": Data.dword(0), "CmdLine": Data.sz("setup -newsetup")}})
    known = facts(control_set("ControlSet001", (service("P2VAlpha"),)))
    edits = build([ALPHA], known, ["ControlSet001"], start="cmdline", around=Surroundings(setup))
    windows.apply([edit for edit in edits if isinstance(edit, PutFile)])
    nm.prepare(windows, ping=nm.ONE_SECOND)
    armed = (("SetupType", Data.dword(2)), ("CmdLine", Data.sz("armed")))
    windows.import_reg([Section(r"HKEY_LOCAL_MACHINE\SYSTEM\Setup", armed)])
    result = boot(windows)
    held = windows.tree(r"HKLM\SYSTEM\Setup")[r"HKLM\SYSTEM\Setup"]
    assert (held["SetupType"], held["CmdLine"]) == ("0x0", "setup -newsetup")
    assert result.state == "finished"
    assert not windows.tree(rf"{SERVICE}\p2vprep")
