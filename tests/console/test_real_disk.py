"""The console on a real disk with the real appliance: looked at, changed, proved, taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from p2vprep.console.backend import Machine
from p2vprep.core import registry
from p2vprep.engine.options import Options
from p2vprep.events import silent
from testdata.build import disk_spec
from testdata.demo import fingerprint
from testdata.kit.disks import DiskSpec, copy_disk
from testdata.machines import load
from tests.console import driving as driving_module
from tests.console.driving import Drive, driving
from tests.console.fakes import host_file

pytestmark = [pytest.mark.appliance, pytest.mark.long]
AGENT = "ControlSet001\\Services\\CIMnotify"
SLOW = 240.0


def test_an_evening_in_the_recovery_environment(
    built: Callable[[Sequence[DiskSpec]], dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents disabled, a value changed, tools copied over, applied, and all of it taken back."""
    monkeypatch.setattr(driving_module, "PATIENCE", SLOW)
    spec = disk_spec(load("proliant-2012r2"))
    disk = copy_disk(built([spec])[spec.name], tmp_path, "srv-erp01.vhd")
    tool = host_file(tmp_path, "tool.cmd", b"@echo off\r\n")
    before = fingerprint(disk)

    async def play() -> None:
        async with driving(Machine([disk], Options())) as drive:
            await drive.opened()
            await work(drive, tool)
            check(disk)
            assert fingerprint(disk) != before
            await drive.press("r")
            await drive.dialog("Rollback")
            await drive.press("right", "enter")
            await drive.dialog("Taken back")

    asyncio.run(play())
    assert fingerprint(disk) == before


async def work(drive: Drive, tool: Path) -> None:
    await drive.press("slash")
    await drive.type("cimnotify")
    await drive.press("enter", "x")
    await drive.until(lambda: len(drive.collected) == 1)
    await drive.press("4")
    await drive.at_key("SYSTEM", "ControlSet001\\Services\\Tcpip\\Parameters")
    await drive.press("n")
    await drive.until(lambda: len(drive.app.screen.query("#name")) == 1)
    await drive.type("Note")
    await drive.press("tab", "tab")
    await drive.type("moved")
    await drive.press("ctrl+s")
    await drive.until(lambda: len(drive.collected) == 2)
    await drive.at_key("SOFTWARE", "Microsoft\\Windows NT\\CurrentVersion")
    assert "ProductName" in drive.column("#registry", 1)
    await drive.press("5")
    await drive.until(lambda: "Windows/" in drive.column("#files", 1), "the files")
    await drive.press("p")
    await drive.until(lambda: len(drive.app.screen.query("#line")) == 1)
    drive.input().value = str(tool)
    await drive.press("enter")
    await drive.until(lambda: len(drive.collected) == 3)
    await drive.press("a")
    await drive.dialog("What will be done: 3 changes")
    await drive.press("tab", "tab", "enter")
    await drive.dialog("Applied")
    await drive.press("enter")
    await drive.opened()


def check(disk: Path) -> None:
    """What the console wrote, read by a machine that was opened anew."""
    with Machine([disk], Options()).browse(silent) as machine:
        system = machine.hive("SYSTEM")
        start = registry.value(system, AGENT, "Start")
        note = registry.value(system, "ControlSet001\\Services\\Tcpip\\Parameters", "Note")
        assert start is not None
        assert start.number == 4
        assert note is not None
        assert note.text == "moved"
        assert machine.read("/tool.cmd", 100) == b"@echo off\r\n"
