from __future__ import annotations

import hashlib

import pytest

from p2vprep.core.model import DeleteFile, FileState, PutFile
from p2vprep.core.planner import file_paths, finish
from p2vprep.core.rules.files import as_text, in_guest
from tests.support.machines import Machine
from tests.support.profiles import actions


def test_a_file_is_written_once_with_the_ends_of_lines_that_windows_wants() -> None:
    machine = Machine("ControlSet001", "ControlSet002")
    line = r"file: {path: /Tools/a.cmd, content: \"one\ntwo\r\nthree\"}".replace('\\"', '"')
    wanted = machine.draft(actions(line))
    (edit,) = wanted.edits
    assert edit == PutFile("/Tools/a.cmd", b"one\r\ntwo\r\nthree", "files", "a good reason 0", locked=True)
    hives = {"SYSTEM": machine.hive}
    (change,) = finish(wanted, hives, files={"/Tools/a.cmd": None}).changes
    assert change.to_json()["kind"] == "file"
    there = FileState(hashlib.sha256(b"one\r\ntwo\r\nthree").hexdigest(), 15)
    assert finish(wanted, hives, files={"/Tools/a.cmd": there}).changes == ()


def test_a_file_may_stay_open_to_others() -> None:
    (edit,) = Machine().draft(actions("file: {path: /a.txt, content: x, locked: false}")).edits
    assert isinstance(edit, PutFile)
    assert not edit.locked


def test_a_file_is_deleted_where_it_is() -> None:
    machine = Machine()
    wanted = machine.draft(actions("file-delete: {path: '%systemroot%/SMSCFG.INI'}"))
    assert wanted.edits == (DeleteFile("/Windows/SMSCFG.INI", "files", "a good reason 0"),)
    assert file_paths(wanted) == ("/Windows/SMSCFG.INI",)
    hives = {"SYSTEM": machine.hive}
    assert finish(wanted, hives, files={"/Windows/SMSCFG.INI": None}).changes == ()
    assert len(finish(wanted, hives, files={"/Windows/SMSCFG.INI": FileState("0" * 64, 1)}).changes) == 1


def test_the_windows_folder_is_where_it_is() -> None:
    assert in_guest("%SystemRoot%/a/b.ini", "/WINNT") == "/WINNT/a/b.ini"
    assert in_guest("/Windows/a", "/WINNT") == "/Windows/a"


def test_text_that_is_not_ascii_is_utf8_without_a_mark() -> None:
    assert as_text("grün\r") == "grün\r\n".encode()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("%SystemRoot%/System32/config/SYSTEM", "registry"),
        ("%SystemRoot%/system32/CONFIG/RegBack/SAM", "registry"),
        ("%SystemRoot%/System32/drivers/disk.sys", "drivers"),
        ("%SystemRoot%/explorer.exe", "programs of Windows"),
        ("%SystemRoot%/System32/ntdll.dll", "programs of Windows"),
        ("/bootmgr", "does not start"),
        ("/ntldr", "does not start"),
        ("/Boot/BCD", "does not start"),
        ("/EFI/Microsoft/Boot/BCD", "does not start"),
        ("/p2vprep", "first-boot job"),
        ("/p2vprep/firstboot.cmd", "first-boot job"),
        ("/P2VPREP/steps/a.cmd", "first-boot job"),
    ],
)
@pytest.mark.parametrize("kind", ["file: {{path: '{}', content: x}}", "file-delete: {{path: '{}'}}"])
def test_what_windows_and_the_first_boot_live_on_is_left_alone(path: str, reason: str, kind: str) -> None:
    made = Machine().plan(actions(kind.format(path)))
    assert made.changes == ()
    assert [hazard.code for hazard in made.hazards] == ["edit-refused"]
    assert reason in made.skips[0].reason


@pytest.mark.parametrize(
    "path",
    ["/p2vprep/tools/a.cmd", "/Tools/bootmgr", "%SystemRoot%/SMSCFG.INI", "/Windows.old/System32/a.dll"],
)
def test_other_files_are_free(path: str) -> None:
    assert len(Machine().draft(actions(f"file-delete: {{path: '{path}'}}")).edits) == 1


def test_a_list_of_hosts_may_be_written_beside_the_drivers() -> None:
    path = "%SystemRoot%/System32/drivers/etc/hosts"
    assert len(Machine().draft(actions(f"file: {{path: '{path}', content: x}}")).edits) == 1
    assert Machine().draft(actions(f"file-delete: {{path: '{path}'}}")).edits == ()
