"""The console on the real engine: what is applied is on the disk, and comes off it again."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from p2vprep.console.backend import Machine
from p2vprep.core import registry
from p2vprep.core.values import Data
from p2vprep.engine import byhand
from p2vprep.engine.options import Options
from p2vprep.errors import RefusedError, StalePlanError
from p2vprep.events import silent
from tests.console.driving import Drive, driven, driving
from tests.support.flow import change_system, read_system, set_value

AGENT = "ControlSet001\\Services\\CIMnotify"


def start_of(path: Path) -> int | None:
    data = registry.value(read_system(path), AGENT, "Start")
    return None if data is None else data.number


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def disable_and_apply(drive: Drive) -> None:
    """Disables an agent."""
    await drive.press("down", "down", "x", "a")
    assert "auto (2) → disabled (4)" in await drive.dialog("What will be done: 1 change")
    await drive.press("tab", "tab", "enter")
    assert "1 change; " in await drive.dialog("Applied")
    await drive.press("enter")
    await drive.opened()
    assert drive.cells("#services")[:3] == ["", "CIMnotify", "disabled"]


def test_a_service_is_disabled_and_the_disk_taken_back(disk: Path, fake: None) -> None:
    before = sha256(disk)
    seen: list[int | None] = []

    async def scene(drive: Drive) -> None:
        await disable_and_apply(drive)
        seen.append(start_of(disk))
        await drive.press("r")
        await drive.dialog("Rollback")
        await drive.press("right", "enter")
        await drive.dialog("Taken back")
        await drive.press("enter")
        await drive.opened()
        assert drive.cells("#services")[2] == "auto"

    driven(scene, Machine([disk], Options()))
    assert seen == [4]
    assert start_of(disk) == 2
    assert sha256(disk) == before
    assert sorted(path.name for path in disk.parent.iterdir()) == [disk.name, f"{disk.name}.p2vprep"]


@pytest.mark.long
def test_everything_of_the_machine_can_be_looked_at(disk: Path, fake: None) -> None:
    backend = Machine([disk], Options())
    with backend.browse(silent) as machine:
        assert [one.name for one in machine.hives()][:2] == ["SYSTEM", "SOFTWARE"]
        assert machine.facts.guest.computer_name == "SRV-ERP01"
        entries = machine.folder("/")
        assert "Windows" in [one.name for one in entries if one.kind == "folder"]
        assert [one.kind for one in entries] == sorted(
            (one.kind for one in entries), key=["folder", "file", "other"].index
        )
        hive = machine.hive("SOFTWARE")
        assert registry.find(hive, "Microsoft\\Windows NT\\CurrentVersion") is not None
        assert machine.read("/Windows/System32/config/SYSTEM", 64 << 20)[:4] == b"regf"
        assert isinstance(machine.findings, tuple)
    assert not list(disk.parent.glob("*.p2vprep"))


def test_a_disk_that_changed_after_the_review_is_not_touched(disk: Path, fake: None) -> None:
    backend = Machine([disk], Options())
    edits = byhand.service_edits("CIMnotify", "disabled")
    with backend.browse(silent) as machine:
        reviewed = machine.plan(edits)
    change_system(disk, lambda hive: set_value(hive, AGENT, "Start", Data.dword(3)))
    before = sha256(disk)
    with pytest.raises(StalePlanError):
        backend.apply(edits, reviewed, silent)
    assert sha256(disk) == before


@pytest.mark.long
def test_what_the_engine_refuses_is_told_and_nothing_is_lost(disk: Path, fake: None) -> None:
    """RpcSs is on the never-list: no option disables it."""

    async def play() -> None:
        async with driving(Machine([disk], Options())) as drive:
            await drive.opened()
            await drive.press("slash")
            await drive.type("rpcss")
            await drive.press("enter")
            await drive.until(lambda: drive.rows("#services") == 1)
            await drive.press("x", "a")
            assert "stop: never-disable: RpcSs" in await drive.dialog("What will be done")
            await drive.press("tab", "tab", "enter")
            await drive.dialog("Error: never-disable")
            await drive.press("enter")
            await drive.opened()
            assert drive.collected == [("service RpcSs", "auto → disabled")]

    before = sha256(disk)
    asyncio.run(play())
    assert sha256(disk) == before


@pytest.mark.long
def test_a_refused_edit_is_refused_by_apply_as_well(disk: Path, fake: None) -> None:
    backend = Machine([disk], Options())
    edits = byhand.service_edits("RpcSs", "disabled")
    with backend.browse(silent) as machine, pytest.raises(RefusedError):
        backend.apply(edits, machine.plan(edits), silent)
