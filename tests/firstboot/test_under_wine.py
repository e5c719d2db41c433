"""The real scripts, executed by Wine's cmd with Wine's reg; sc is Wine's or a recording stand-in."""

from __future__ import annotations

import time

import pytest

from p2vprep.core.model import FirstBootItem, RestoreService, RestoreValue
from p2vprep.core.registry import MemoryHive
from p2vprep.core.regtext import Section
from p2vprep.core.values import Data
from p2vprep.firstboot import build, read_result
from p2vprep.firstboot.result import FirstBootResult
from tests.firstboot.machine import NCSI, WHY, control_set, facts, service
from tests.support.wine import Prefix

pytestmark = pytest.mark.long

SERVICES = r"HKLM\SYSTEM\CurrentControlSet\Services"
MACHINE = "HKEY_LOCAL_MACHINE"
PARKED = r"HKLM\SYSTEM\p2vprep\Parked"
ENGINE = "/p2vprep/firstboot.cmd"

VALUE = RestoreValue(NCSI, "EnableActiveProbing", Data.dword(1), WHY)
ALPHA = RestoreService("P2VAlpha", 2, True, WHY)
BETA = RestoreService("P2V Beta & (co)", 2, None, WHY)
GAMMA = RestoreService("P2V 100% Gämma", 3, None, WHY)
ITEMS: tuple[FirstBootItem, ...] = (ALPHA, BETA, GAMMA, VALUE)


def prepare(windows: Prefix, items: tuple[FirstBootItem, ...] = ITEMS, *, start: int = 3) -> None:
    """Puts the job on the machine, with the services parked (Start 3) and recorded.

    The entry itself gets Start 3 too, so that only the test runs the engine.
    """
    services = [item for item in items if isinstance(item, RestoreService)]
    known = control_set("ControlSet001", tuple(service(item.service) for item in services))
    parked: tuple[tuple[str, Data | None], ...] = (("Type", Data.dword(0x10)), ("Start", Data.dword(3)))
    more = [
        Section(rf"{MACHINE}\{NCSI}", (("EnableActiveProbing", Data.dword(0)),)),
        Section(rf"{MACHINE}\SYSTEM\CurrentControlSet\Services\p2vprep", (("Start", Data.dword(start)),)),
        Section(rf"{MACHINE}\SYSTEM\p2vprep\ParkedValues\ncsi", (("Data", Data.dword(1)),)),
    ]
    for item in services:
        entry = rf"{MACHINE}\SYSTEM\CurrentControlSet\Services\{item.service}"
        more += [Section(entry, delete=True), Section(entry, parked)]
        record = rf"{MACHINE}\SYSTEM\p2vprep\Parked\{item.service}"
        more.append(Section(record, (("Start", Data.dword(item.start)),)))
    windows.apply(build(items, facts(known), ["ControlSet001"]), more)


def stand_in(windows: Prefix, *answers: str) -> None:
    """Lets a script answer in place of sc: it notes the call, then does what the lines say, else succeeds."""
    lines = ["@echo off", r'>>"C:\standin\calls.txt" echo %*', *answers, "exit 0"]
    windows.put("/standin/sc.cmd", "".join(f"{line}\r\n" for line in lines).encode("ascii"))
    edit(windows, ENGINE, rb'set "SC=%SYS%\sc.exe"', rb'set "SC=%SYS%\cmd.exe /d /c C:\standin\sc.cmd"')


def edit(windows: Prefix, path: str, old: bytes, new: bytes) -> None:
    file = windows.drive / path.lstrip("/")
    content = file.read_bytes()
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, new))


def calls(windows: Prefix) -> list[str]:
    file = windows.drive / "standin" / "calls.txt"
    return [line.rstrip() for line in file.read_text("ascii").splitlines()] if file.exists() else []


def boot(windows: Prefix) -> FirstBootResult:
    """Runs the engine as the service entry does, and reads what it reports."""
    assert windows.script(r"C:\p2vprep\firstboot.cmd") == 0
    return report(windows)


def report(windows: Prefix) -> FirstBootResult:
    hive = MemoryHive({"ControlSet001": {}})
    for key, values in windows.tree(r"HKLM\SYSTEM\p2vprep").items():
        held = hive.root.make(key.removeprefix("HKLM\\SYSTEM\\"))
        for name, shown in values.items():
            held.set(name, Data.sz(shown))
    if has_entry(windows):
        hive.root.make(r"ControlSet001\Services\p2vprep")
    files = {
        "/" + file.relative_to(windows.drive).as_posix(): file.read_bytes()
        for file in (windows.drive / "p2vprep").rglob("*")
        if file.is_file()
    }
    return read_result(hive, "ControlSet001", files)


def has_entry(windows: Prefix) -> bool:
    return bool(windows.tree(rf"{SERVICES}\p2vprep"))


def probing(windows: Prefix) -> str:
    return windows.tree(rf"HKLM\{NCSI}")[rf"HKLM\{NCSI}"]["EnableActiveProbing"]


def start_of(windows: Prefix, name: str) -> tuple[str | None, str | None]:
    values = windows.tree(rf"{SERVICES}\{name}").get(rf"{SERVICES}\{name}", {})
    return values.get("Start"), values.get("DelayedAutostart")


def is_parked(windows: Prefix, name: str) -> bool:
    return bool(windows.tree(rf"{PARKED}\{name}"))


def outcomes(result: FirstBootResult) -> dict[str, str]:
    return {step.name: step.outcome for step in result.steps}


def test_everything_is_given_back_in_one_boot_and_the_job_takes_itself_out(windows: Prefix) -> None:
    prepare(windows)
    stand_in(windows)
    result = boot(windows)
    assert (result.state, result.boots, result.ok) == ("finished", 1, True)
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")
    assert start_of(windows, "P2V Beta & (co)") == ("0x2", None)
    assert calls(windows) == [
        'config "P2VAlpha" start= delayed-auto',
        'config "P2V Beta & (co)" start= auto',
        'start "P2V Beta & (co)"',
        'start "P2VAlpha"',
        "delete p2vprep",
    ]
    assert probing(windows) == "0x1"
    assert not windows.tree(r"HKLM\SYSTEM\p2vprep\ParkedValues")
    assert not has_entry(windows)
    assert not is_parked(windows, "P2VAlpha")
    assert not is_parked(windows, "P2V Beta & (co)")
    assert result.log[-1].endswith("service entry removed")
    assert (windows.drive / "p2vprep" / "results" / "500-give-back.txt").exists()


def test_a_name_that_no_command_line_may_hold_is_given_back_through_the_registry(windows: Prefix) -> None:
    evil = RestoreService('a" & echo x >C:\\owned & "%PATH%', 2, None, WHY)
    prepare(windows, (GAMMA, RestoreService(evil.service.replace("\\", "_"), 2, None, WHY)))
    stand_in(windows)
    result = boot(windows)
    assert result.ok
    assert calls(windows) == ["delete p2vprep"]
    assert [(s.service, s.outcome, s.reg) for s in result.steps[0].services] == [
        ("P2V 100% Gämma", "given-back", "0"),
        ('a" & echo x >C:_owned & "%PATH%', "given-back", "0"),
    ]
    assert not list(windows.drive.glob("*owned*"))
    assert not list((windows.drive / "p2vprep").glob("*owned*"))


def test_wines_own_sc_fails_to_configure_and_the_registry_is_the_way_out(windows: Prefix) -> None:
    prepare(windows, (ALPHA,))
    result = boot(windows)
    (given,) = result.steps[0].services
    assert (given.outcome, given.reg) == ("given-back", "0")
    assert given.sc != "0"
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")
    assert not has_entry(windows)


def test_a_service_that_does_not_exist_is_not_invented(windows: Prefix) -> None:
    prepare(windows, (ALPHA,))
    assert windows.run("reg", "delete", rf"{SERVICES}\P2VAlpha", "/f") == 0
    stand_in(windows, 'if "%1"=="start" exit 1060')
    result = boot(windows)
    assert result.ok
    assert [s.outcome for step in result.steps for s in step.services] == ["gone", "gone"]
    assert not windows.tree(rf"{SERVICES}\P2VAlpha")
    assert not is_parked(windows, "P2VAlpha")


def test_when_the_registry_files_are_unusable_sc_alone_gives_back(windows: Prefix) -> None:
    prepare(windows, (ALPHA,))
    (windows.drive / "p2vprep" / "data" / "001.reg").unlink()
    stand_in(windows)
    result = boot(windows)
    assert result.ok
    assert result.steps[0].services[0].reg != "0"
    assert 'config "P2VAlpha" start= delayed-auto' in calls(windows)


def test_a_failed_step_does_not_keep_the_services_parked(windows: Prefix) -> None:
    prepare(windows)
    (windows.drive / "p2vprep" / "data" / "values.reg").unlink()
    stand_in(windows)
    result = boot(windows)
    assert outcomes(result) == {"400-values": "failed", "500-give-back": "done", "600-start": "done"}
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")
    assert (result.state, result.boots) == ("again", 1)
    assert windows.tree(r"HKLM\SYSTEM\p2vprep\ParkedValues")
    assert has_entry(windows)


def test_what_could_not_be_given_back_is_tried_in_three_boots_and_then_left(windows: Prefix) -> None:
    prepare(windows, (ALPHA,))
    (windows.drive / "p2vprep" / "data" / "001.reg").unlink()
    stand_in(windows, 'if "%1"=="config" exit 5')
    states = []
    for _ in range(3):
        result = boot(windows)
        states.append((result.state, result.boots, has_entry(windows)))
    assert states == [("again", 1, True), ("again", 2, True), ("failed", 3, False)]
    assert is_parked(windows, "P2VAlpha")
    assert calls(windows).count('config "P2VAlpha" start= delayed-auto') == 3
    assert calls(windows).count('start "P2VAlpha"') == 1


def test_a_step_with_a_broken_script_stops_only_itself(windows: Prefix) -> None:
    prepare(windows, (ALPHA, VALUE))
    windows.put("/p2vprep/steps/400-values.cmd", b"@echo off\r\nif ((( x==\r\nfor %%A in do (\r\nexit 9\r\n")
    stand_in(windows)
    result = boot(windows)
    assert outcomes(result)["500-give-back"] == "done"
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")


def test_a_step_that_hangs_is_left_behind_after_its_limit(windows: Prefix) -> None:
    prepare(windows, (ALPHA, VALUE))
    windows.put("/p2vprep/steps/400-values.cmd", b"@echo off\r\n:on\r\n%PING% -n 60 127.0.0.1 >nul\r\n")
    edit(windows, ENGINE, b"call :run 400-values 120 always", b"call :run 400-values 2 always")
    stand_in(windows)
    result = boot(windows)
    assert outcomes(result) == {"400-values": "late", "500-give-back": "done", "600-start": "done"}
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")
    assert any("400-values did not end within 2 seconds" in line for line in result.log)


def test_after_three_boots_that_were_cut_short_it_gives_back_and_goes(windows: Prefix) -> None:
    prepare(windows)
    stand_in(windows)
    begun = tuple((f"Boot{number}", Data.sz("begun")) for number in (1, 2, 3))
    windows.import_reg([Section(r"HKEY_LOCAL_MACHINE\SYSTEM\p2vprep\Result", begun)])
    result = boot(windows)
    assert (result.state, result.boots) == ("gave-up", 3)
    assert outcomes(result) == {"400-values": "done", "500-give-back": "done", "600-start": "not-run"}
    assert start_of(windows, "P2V Beta & (co)") == ("0x2", None)
    assert not has_entry(windows)


def test_a_boot_that_was_cut_short_goes_on_where_it_stopped(windows: Prefix) -> None:
    prepare(windows, (ALPHA, VALUE))
    stand_in(windows)
    held = (("Boot1", Data.sz("begun")), ("400-values", Data.sz("done")), ("400-values.over", Data.sz("yes")))
    windows.import_reg([Section(r"HKEY_LOCAL_MACHINE\SYSTEM\p2vprep\Result", held)])
    result = boot(windows)
    assert (result.state, result.boots, result.ok) == ("finished", 2, True)
    assert probing(windows) == "0x0"
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")


def test_started_again_after_it_has_finished_it_only_takes_itself_out(windows: Prefix) -> None:
    prepare(windows, (ALPHA,))
    stand_in(windows)
    windows.import_reg(
        [Section(r"HKEY_LOCAL_MACHINE\SYSTEM\p2vprep\Result", (("Finished", Data.sz("yes")),))]
    )
    boot(windows)
    assert calls(windows) == ["delete p2vprep"]
    assert start_of(windows, "P2VAlpha") == ("0x3", None)
    assert not has_entry(windows)


def test_a_busy_service_manager_is_asked_again(windows: Prefix) -> None:
    prepare(windows, (ALPHA, BETA))
    stand_in(
        windows,
        r'if "%1 %~2"=="start P2VAlpha" if not exist C:\standin\asked (echo x>C:\standin\asked& exit 1055)',
        'if "%1"=="start" exit 1056',
    )
    result = boot(windows)
    assert result.ok
    assert [(s.service, s.outcome, s.sc) for s in result.steps[1].services] == [
        ("P2V Beta & (co)", "started", "1056"),
        ("P2VAlpha", "started", "1056"),
    ]
    assert calls(windows).count('start "P2VAlpha"') == 2


def test_a_service_that_cannot_start_is_told_and_holds_up_nothing(windows: Prefix) -> None:
    prepare(windows, (ALPHA,))
    stand_in(windows, 'if "%1"=="start" exit 1058')
    result = boot(windows)
    assert (result.state, outcomes(result)["600-start"]) == ("failed", "failed")
    assert [(s.outcome, s.sc) for s in result.steps[1].services] == [("not-started", "1058")]
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")
    assert not has_entry(windows)


def test_without_a_way_to_wait_the_steps_run_one_after_the_other(windows: Prefix) -> None:
    prepare(windows, (ALPHA, VALUE))
    stand_in(windows)
    edit(windows, ENGINE, rb'set "PING=%SYS%\ping.exe"', rb'set "PING=%SYS%\no-such-program.exe"')
    result = boot(windows)
    assert (result.state, result.ok) == ("finished", True)
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")


def test_results_of_an_earlier_run_are_cleared(windows: Prefix) -> None:
    prepare(windows, (VALUE,))
    stand_in(windows)
    windows.put("/p2vprep/results/600-start.txt", b"step 600-start\r\nexit 0\r\n")
    assert boot(windows).ok
    assert not (windows.drive / "p2vprep" / "results" / "600-start.txt").exists()


def test_the_service_entry_starts_it_at_boot(windows: Prefix) -> None:
    prepare(windows, (ALPHA, VALUE), start=2)
    stand_in(windows)
    windows.close()
    windows.keep_running()
    windows.run("cmd", "/c", "exit")
    deadline = time.monotonic() + 120
    while report(windows).state not in ("finished", "failed") and time.monotonic() < deadline:
        time.sleep(1)
    result = report(windows)
    assert (result.state, result.ok) == ("finished", True)
    assert start_of(windows, "P2VAlpha") == ("0x2", "0x1")
    assert probing(windows) == "0x1"
