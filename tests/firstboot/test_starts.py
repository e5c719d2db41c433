"""How the job is started, and what refuses each way."""

from __future__ import annotations

import dataclasses

import pytest

from p2vprep.core import regtext
from p2vprep.core.model import Edit, Facts, PutFile, RestoreService, RestoreValue, SetValue
from p2vprep.core.registry import MemoryHive
from p2vprep.core.rules import start
from p2vprep.core.values import Data
from p2vprep.errors import RefusedError, UsageError
from p2vprep.firstboot import Surroundings, build
from p2vprep.firstboot.starts import COMMAND, START_KINDS
from tests.firstboot.machine import WHY, control_set, facts

ITEM = RestoreService("BITS", 2, True, WHY)
POLICY = "/Windows/System32/GroupPolicy"


def built(how: str, around: Surroundings | None = None, given: Facts | None = None) -> list[Edit]:
    return build([ITEM], given or facts(), ["ControlSet001"], start=how, around=around)


def values(edits: list[Edit]) -> dict[str, Data]:
    return {f"{edit.key}\\{edit.name}": edit.data for edit in edits if isinstance(edit, SetValue)}


def files(edits: list[Edit]) -> dict[str, bytes]:
    return {edit.path: edit.content for edit in edits if isinstance(edit, PutFile)}


def hive(**held: Data) -> Surroundings:
    return Surroundings(MemoryHive({"Setup": held}))


def test_the_setting_offers_exactly_these() -> None:
    (setting,) = start.SETTINGS
    assert setting.values == START_KINDS
    assert setting.default == "service"


def test_another_way_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        built("magic")
    assert caught.value.code == "first-boot-start"


# --- a wrapper ---------------------------------------------------------------------------------


def test_a_wrapper_of_the_users_is_the_service() -> None:
    edits = built("wrapper", Surroundings(added=("/p2vprep/files/RHSrvAny.exe",)))
    held = values(edits)
    service = r"ControlSet001\Services\p2vprep"
    assert held[rf"{service}\ImagePath"] == Data.expand_sz(
        r"%SystemDrive%\p2vprep\files\RHSrvAny.exe -s p2vprep"
    )
    assert held[rf"{service}\Start"] == Data.dword(2)
    assert r"firstboot.cmd" in (held[rf"{service}\Parameters\CommandLine"].text or "")
    plain = values(built("wrapper", Surroundings(added=("/p2vprep/files/srvany.exe",))))
    assert plain[rf"{service}\ImagePath"] == Data.expand_sz(r"%SystemDrive%\p2vprep\files\srvany.exe")


@pytest.mark.parametrize("added", [(), ("/p2vprep/files/sub/srvany.exe",), ("/srvany.exe",)])
def test_without_a_wrapper_it_is_refused(added: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"rhsrvany.exe"):
        built("wrapper", Surroundings(added=added))


# --- CmdLine -----------------------------------------------------------------------------------


def test_setups_command_line_is_used_and_given_back() -> None:
    edits = built("cmdline", hive(SetupType=Data.dword(0), CmdLine=Data.sz("setup -newsetup")))
    held = values(edits)
    assert held[r"Setup\SetupType"] == Data.dword(2)
    assert (held[r"Setup\CmdLine"].text or "").startswith("cmd.exe /d ")
    assert not any("Services" in key for key in held)
    contents = files(edits)
    (rest,) = regtext.parse(contents["/p2vprep/data/setup.reg"])
    assert dict(rest.values) == {"SetupType": Data.dword(0), "CmdLine": Data.sz("setup -newsetup")}
    (entry,) = regtext.parse(contents["/p2vprep/data/entry.reg"])
    assert dict(entry.values)["ImagePath"] == Data.expand_sz(COMMAND)
    engine = contents["/p2vprep/firstboot.cmd"].decode("ascii")
    begin = engine.index(r"%REG% import \"%P2V%\data\setup.reg\"".replace('\\"', '"'))
    assert begin < engine.index(r"entry.reg") < engine.index("set BOOT=1")
    undo = {section.key: dict(section.values) for section in regtext.parse(contents["/p2vprep/undo.reg"])}
    assert undo[r"HKEY_LOCAL_MACHINE\p2vprep-system\Setup"]["SetupType"] == Data.dword(0)


def test_planned_again_the_command_line_from_before_is_not_ours() -> None:
    first = values(built("cmdline", hive(SetupType=Data.dword(0), CmdLine=Data.sz(""))))
    again = built("cmdline", hive(SetupType=first[r"Setup\SetupType"], CmdLine=first[r"Setup\CmdLine"]))
    (rest,) = regtext.parse(files(again)["/p2vprep/data/setup.reg"])
    assert dict(rest.values) == {"SetupType": Data.dword(0), "CmdLine": Data.sz("")}


@pytest.mark.parametrize(
    "held",
    [
        {"SetupType": Data.dword(1), "CmdLine": Data.sz("oobe")},
        {"SetupType": Data.dword(0), "OOBEInProgress": Data.dword(1)},
        {"SystemSetupInProgress": Data.dword(1)},
    ],
)
def test_a_setup_of_windows_own_is_not_disturbed(held: dict[str, Data]) -> None:
    with pytest.raises(RefusedError) as caught:
        built("cmdline", hive(**held))
    assert caught.value.code == "setup-in-progress"


def test_without_the_hive_it_cannot_be_told() -> None:
    with pytest.raises(UsageError):
        built("cmdline")


# --- a startup script --------------------------------------------------------------------------


def test_a_startup_script_where_there_is_no_local_policy() -> None:
    edits = built("startup-script", Surroundings(exists=lambda path: False))
    contents = files(edits)
    assert b"Version=1" in contents[f"{POLICY}/gpt.ini"]
    listed = contents[f"{POLICY}/Machine/Scripts/scripts.ini"]
    assert "0CmdLine=p2vprep.cmd" in listed.decode("utf-16")
    assert COMMAND.encode() in contents[f"{POLICY}/Machine/Scripts/Startup/p2vprep.cmd"]
    # Windows' own folders are not ours to lock.
    assert not any(edit.locked for edit in edits if isinstance(edit, PutFile) and POLICY in edit.path)
    assert not values(edits)
    assert b"GroupPolicy" in contents["/p2vprep/firstboot.cmd"]


def test_planned_again_the_startup_script_is_ours() -> None:
    first = built("startup-script", Surroundings(exists=lambda path: False))
    again = built("startup-script", Surroundings(exists=lambda path: True))
    assert files(first) == files(again)


@pytest.mark.parametrize("there", ["gpt.ini", "Machine/Scripts/scripts.ini"])
def test_a_local_policy_is_not_changed(there: str) -> None:
    with pytest.raises(RefusedError) as caught:
        built("startup-script", Surroundings(exists=lambda path: path == f"{POLICY}/{there}"))
    assert caught.value.code == "local-policy-exists"


def test_a_member_of_a_domain_would_wait_for_it() -> None:
    held = facts()
    member = dataclasses.replace(held, guest=dataclasses.replace(held.guest, domain_member=True))
    with pytest.raises(RefusedError) as caught:
        built("startup-script", Surroundings(exists=lambda path: False), member)
    assert caught.value.code == "startup-script-waits"
    with pytest.raises(UsageError):
        built("startup-script")


# --- undo --------------------------------------------------------------------------------------


def test_undo_gives_back_in_every_place() -> None:
    value = RestoreValue(r"SOFTWARE\Policies\X", "NoActiveProbe", None, WHY)
    other = RestoreValue(r"SYSTEM\CurrentControlSet\Control\X", "A", Data.dword(7), WHY)
    second = control_set("ControlSet002")
    edits = build([ITEM, value, other], facts(control_set(), second), ["ControlSet001", "ControlSet002"])
    offline = {part.key: part for part in regtext.parse(files(edits)["/p2vprep/undo.reg"])}
    root = r"HKEY_LOCAL_MACHINE\p2vprep-system"
    for name in ("ControlSet001", "ControlSet002"):
        assert dict(offline[rf"{root}\{name}\Services\BITS"].values)["Start"] == Data.dword(2)
        assert offline[rf"{root}\{name}\Services\p2vprep"].delete
    assert dict(offline[rf"{root}\ControlSet001\Control\X"].values) == {"A": Data.dword(7)}
    software = offline[r"HKEY_LOCAL_MACHINE\p2vprep-software\Policies\X"]
    assert dict(software.values) == {"NoActiveProbe": None}
    assert not any("CurrentControlSet" in key for key in offline)
    inside = {part.key for part in regtext.parse(files(edits)["/p2vprep/undo-inside.reg"])}
    assert r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\BITS" in inside
    readme = files(edits)["/p2vprep/readme.txt"]
    assert b"reg load HKLM\\p2vprep-system" in readme
