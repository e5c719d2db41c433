"""Searching, autoruns, tasks and old event logs."""

from __future__ import annotations

import struct
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2vprep.core.hand import evt, tasks
from p2vprep.core.hand.autoruns import (
    cached_tasks,
    of_filters,
    of_machine,
    of_tasks,
    of_user,
    of_winsock,
    once,
)
from p2vprep.core.hand.listing import rows
from p2vprep.core.hand.search import search, texts
from p2vprep.core.regf.reader import HiveReader
from p2vprep.core.regf.replay import recover
from p2vprep.core.registry import Hive, MemoryHive, find
from p2vprep.core.values import Data
from tests.support.by_hand import TASK
from tests.support.corpus import hive_bytes, hive_logs
from tests.support.machines import DRIVER, Machine

# --- search ------------------------------------------------------------------------------------

HIVE = MemoryHive(
    {
        r"Top\HP Agent": {"Path": Data.sz(r"C:\hp\agent.exe"), "Port": Data.dword(0x1F90)},
        r"Top\Other": {"hp": Data.multi_sz(["one", "hp two"]), "Raw": Data.binary(b"\xde\xad")},
    }
)


def hits(text: str, **more: object) -> list[tuple[str, str, str | None]]:
    key = find(HIVE, "Top")
    assert key is not None
    return [(hit.key, hit.where, hit.name) for hit in search(key, text, **more)]  # type: ignore[arg-type]


def test_everything_is_searched_without_regard_to_case() -> None:
    assert hits("HP") == [
        (r"Top\HP Agent", "keys", None),
        (r"Top\HP Agent", "data", "Path"),
        (r"Top\Other", "names", "hp"),
    ]
    assert hits("hp", where=["data"]) == [(r"Top\HP Agent", "data", "Path"), (r"Top\Other", "data", "hp")]
    assert hits("hp agent", whole=True) == [(r"Top\HP Agent", "keys", None)]
    assert hits("agent", whole=True) == []
    assert hits("top") == []
    assert hits("8080") == hits("0x1f90") == [(r"Top\HP Agent", "data", "Port")]
    assert hits("dead") == [(r"Top\Other", "data", "Raw")]
    assert hits("one", whole=True, where=["data"]) == [(r"Top\Other", "data", "hp")]


def test_data_as_text() -> None:
    assert texts(Data.dword(10)) == ("10", "0xa", "0x0000000a")
    assert texts(Data.sz("x")) == ("x",)


# --- autoruns ----------------------------------------------------------------------------------


@lru_cache
def real(name: str) -> Hive:
    return HiveReader(recover(hive_bytes(name), hive_logs(name), accept_dirty=True).data)


@pytest.mark.corpus
def test_the_winsock_providers_of_a_real_machine() -> None:
    control_set = find(real("win7-sp1-x86_regipy_1.SYSTEM"), "ControlSet001")
    assert control_set is not None
    found = once(of_winsock(control_set))
    others = {one.name: one.command for one in found if not one.in_box}
    assert set(others) == {"VMCI sockets DGRAM", "VMCI sockets STREAM"}
    assert all(command.endswith("vsocklib.dll") for command in others.values())
    assert any(one.command.endswith("winrnr.dll") for one in found)


def test_a_provider_in_a_folder_of_windows_is_not_taken_for_its_own() -> None:
    machine = Machine()
    packed = (
        b"%windir%\\system32\\vsocklib.dll".ljust(260, b"\0") + bytes(116) + "vSockets".encode("utf-16-le")
    )
    entries = r"Services\WinSock2\Parameters\Protocol_Catalog9\Catalog_Entries"
    machine.put(rf"{entries}\000000000001", PackedCatalogItem=Data.binary(packed + bytes(200)))
    machine.put(rf"{entries}\000000000002", PackedCatalogItem=Data.binary(b"C:\\evil\\lsp.dll"))
    machine.put(rf"{entries}\000000000003", PackedCatalogItem=Data.binary(b""))
    (first, second) = once(of_winsock(machine.sets[0]))
    assert (first.name, first.in_box) == ("vSockets", None)
    assert (second.name, second.command, second.in_box) == ("", r"C:\evil\lsp.dll", False)


def test_run_keys_and_the_logon() -> None:
    run = r"Microsoft\Windows\CurrentVersion\Run"
    winlogon = r"Microsoft\Windows NT\CurrentVersion\Winlogon"
    software = MemoryHive(
        {
            run: {"HP": Data.sz("hp.exe"), "": Data.sz("default.exe"), "Empty": Data.sz("")},
            rf"Wow6432Node\{run}": {"Old": Data.expand_sz("%x%.exe")},
            winlogon: {
                "Shell": Data.sz("evil.exe"),
                "Userinit": Data.sz(r"C:\Windows\system32\userinit.exe,"),
            },
        }
    )
    found = {(one.kind, one.name): one for one in of_machine(software)}
    assert set(found) == {
        ("run", "HP"), ("run", "(default)"), ("run", "Old"), ("logon", "Shell"), ("logon", "Userinit")
    }  # fmt: skip
    assert found["logon", "Shell"].in_box is False
    assert found["logon", "Userinit"].in_box is True
    user = MemoryHive({rf"Software\{run}": {"Tray": Data.sz("tray.exe")}})
    assert [(one.name, one.where) for one in of_user(r"HKU\Anna", user)] == [
        ("Tray", rf"HKU\Anna\Software\{run}")
    ]


def test_filters_with_and_without_their_driver() -> None:
    machine = Machine().service("Watcher", 3, DRIVER, ImagePath=r"C:\x\watcher.sys")
    key = r"Control\Class\{4D36E967-E325-11CE-BFC1-08002BE10318}"
    machine.put(key, UpperFilters=["PartMgr", "Watcher", "Gone"])
    facts = machine.facts()
    found = {one.name: one for one in of_filters(facts.boot, rows(facts.boot, machine.hive))}
    assert (found["Watcher"].enabled, found["Watcher"].in_box) == (True, None)
    assert (found["Gone"].enabled, found["Gone"].command) == (False, "(there is no such driver)")
    assert found["PartMgr"].in_box is True


# --- tasks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["utf-16", "utf-8", "utf-8-sig"])
def test_a_task_is_read(form: str) -> None:
    task = tasks.from_xml(r"\Backup", TASK.encode(form))
    assert task is not None
    assert (task.command, task.where, task.enabled, task.in_box, task.vendor) == (
        r"C:\Backup\run.cmd /full",
        "when: calendar",
        True,
        None,
        r"CONTOSO\backup",
    )


def test_a_task_that_is_switched_off_or_of_windows() -> None:
    off = tasks.from_xml(r"\Microsoft\Windows\X", TASK.replace("<Enabled>true", "<Enabled>false").encode())
    assert off is not None
    assert (off.enabled, off.in_box) == (False, True)
    com = TASK.replace("Exec", "ComHandler").replace("Command>", "ClassId>")
    handled = tasks.from_xml(r"\X", com.encode())
    assert handled is not None
    assert handled.command == r"COM C:\Backup\run.cmd"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<Task",
        b"\xff\xfe\x00",
        b"<Other/>",
        b'<!DOCTYPE x [<!ENTITY a "aaa">]><Task>&a;</Task>',
        b"\x80",
    ],
)
def test_what_is_no_task(content: bytes) -> None:
    assert tasks.from_xml(r"\X", content) is None


def job(program: str, arguments: str, flags: int = 0) -> bytes:
    """A .job file as far as it is read."""
    head = bytearray(70)
    struct.pack_into("<H", head, 20, 70)
    struct.pack_into("<I", head, 48, flags)
    for text in (program, arguments):
        raw = (text + "\0").encode("utf-16-le")
        head += struct.pack("<H", len(raw) // 2) + raw
    return bytes(head)


def test_an_old_task_is_read() -> None:
    task = tasks.from_job(r"\Backup.job", job(r"C:\backup.cmd", "/full"))
    assert task is not None
    assert (task.command, task.enabled) == (r"C:\backup.cmd /full", True)
    off = tasks.from_job(r"\B.job", job("x", "", flags=4))
    assert off is not None
    assert not off.enabled
    assert tasks.from_job(r"\B.job", b"short") is None
    assert tasks.from_job(r"\B.job", job("x", "y")[:-2]) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(content: bytes) -> None:
    tasks.from_job("x", content)
    tasks.from_xml("x", content)
    list(evt.records(content))


def test_tasks_of_the_cache_that_have_no_file() -> None:
    tree = r"Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tree"
    software = MemoryHive({rf"{tree}\A": {"Id": Data.sz("{1}")}, rf"{tree}\Folder\B": {"Id": Data.sz("{2}")}})
    assert set(cached_tasks(software)) == {r"\A", r"\Folder\B"}
    found = {one.name: one.command for one in of_tasks({r"\a": None}, sorted(cached_tasks(software)))}
    assert found == {r"\a": "(cannot be read)", r"\Folder\B": "(its file is missing)"}


# --- old event logs ----------------------------------------------------------------------------


def record(number: int, seconds: int, kind: int, event: int, *texts: str) -> bytes:
    """An EVENTLOGRECORD."""
    source = "Service Control Manager\0SRV\0".encode("utf-16-le")
    strings = "".join(text + "\0" for text in texts).encode("utf-16-le")
    at = 56 + len(source)
    length = at + len(strings)
    length += -length % 4 + 4
    head = struct.pack(
        "<I4s4I4H6I",
        length,
        b"LfLe",
        number,
        seconds,
        seconds,
        event,
        kind,
        len(texts),
        0,
        0,
        0,
        at,
        0,
        at,
        0,
        at,
    )
    return (head + source + strings).ljust(length - 4, b"\0") + struct.pack("<I", length)


def test_an_old_log_is_read() -> None:
    header = struct.pack("<I4s10I", 0x30, b"LfLe", *[1] * 9, 0x30)
    log = header + record(1, 100, 1, 0xC0001B58, "hpqams", "%%2") + record(2, 200, 4, 7036)
    first, second = evt.records(log)
    assert first == evt.Event(1, 100.0, "error", "Service Control Manager", 7000, ("hpqams", "%%2"))
    assert (second.level, second.id, second.texts) == ("information", 7036, ())
    damaged = header + record(1, 100, 1, 7000, "x")[:-4] + b"\0\0\0\0" + record(2, 200, 2, 7001)
    assert [event.record for event in evt.records(damaged)] == [2]
    assert list(evt.records(log[: len(header) + 30])) == []
