"""The sample machine with everything that commands by hand look at: users, tasks, logs, tools."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from p2vprep.core.registry import MemoryHive
from p2vprep.core.values import Data
from testdata.kit.disks import DiskSpec
from testdata.kit.evtxwriter import Entry, build_evtx
from testdata.kit.hivewriter import build_hive
from tests.support.flow import CONFIG, Shelf, sample, sample_machine, with_files

RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
USER_HIVE = "/Users/Anna/NTUSER.DAT"
SID = "S-1-5-21-1004336348-1177238915-682003330-1001"
EVENTS = (
    Entry(1456941851, "2016-03-02T18:04:11.1234567Z", 2, "Service Control Manager", 7000, ("hpqams", "%%2")),
    Entry(1456941852, "2016-03-02T18:04:12.0Z", 4, "Tcpip", 4201),
    Entry(1456941860, "2016-03-02T18:04:20.0Z", 1, "Microsoft-Windows-Kernel-Power", 41, ("159",)),
    Entry(1456941870, "2016-03-02T18:04:30.0Z", 3, "Tcpip", 4199),
)
TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Author>CONTOSO\\backup</Author></RegistrationInfo>
  <Triggers><CalendarTrigger><StartBoundary>2015-01-01T02:00:00</StartBoundary></CalendarTrigger></Triggers>
  <Settings><Enabled>true</Enabled></Settings>
  <Actions Context="Author"><Exec><Command>C:\\Backup\\run.cmd</Command><Arguments>/full</Arguments></Exec>
  </Actions>
</Task>
"""


def user_hive(**values: str) -> bytes:
    """A small NTUSER.DAT with these values in its Run key."""
    hive = MemoryHive()
    key = hive.root.make(RUN)
    for name, text in values.items():
        key.set(name, Data.sz(text))
    return build_hive(hive, file_name="NTUSER.DAT")


def software() -> bytes:
    """SOFTWARE of the sample machine with a profile list, a Run key and a task that the cache knows."""
    hive = sample_machine().software()
    top = r"Microsoft\Windows NT\CurrentVersion"
    listed = hive.root.make(rf"{top}\ProfileList\{SID}")
    listed.set("ProfileImagePath", Data.expand_sz(r"C:\Users\Anna"))
    hive.root.make(r"Microsoft\Windows\CurrentVersion\Run").set("HP agent", Data.sz("agent.exe"))
    hive.root.make(rf"{top}\Winlogon").set("Shell", Data.sz("explorer.exe"))
    lost = hive.root.make(rf"{top}\Schedule\TaskCache\Tree\Lost")
    lost.set("Id", Data.sz("{00000000-0000-0000-0000-000000000001}"))
    return build_hive(hive, file_name="SOFTWARE")


@lru_cache
def spec() -> DiskSpec:
    """The machine's disk."""
    files: dict[str, bytes | None] = {
        USER_HIVE: user_hive(HPTray="hptray.exe"),
        "/Users/Default/NTUSER.DAT": user_hive(),
        f"{CONFIG}/SOFTWARE": software(),
        f"{CONFIG}/DEFAULT": user_hive(Logon="logon.exe"),
        f"{CONFIG}/SAM": user_hive(),
        f"{CONFIG}/SECURITY": user_hive(),
        "/Windows/System32/Tasks/Nightly backup": TASK.encode("utf-16"),
        "/Windows/System32/Tasks/Microsoft/Windows/Defrag/ScheduledDefrag": TASK.encode("utf-16"),
        "/Windows/System32/Tasks/Broken": b"<Task",
        "/Tools/readme.txt": b"tools\r\n",
        "/Windows/System32/winevt/Logs/System.evtx": build_evtx(EVENTS),
    }
    return with_files(sample(), {**_without_logs(), **files})


def _without_logs() -> dict[str, bytes | None]:
    return {f"{CONFIG}/SOFTWARE.{suffix}": None for suffix in ("LOG", "LOG1", "LOG2")}


def disk(shelf: Shelf, folder: Path) -> Path:
    """A raw disk of the machine for the fake appliance."""
    return shelf.disk(folder, spec=spec(), name="by-hand")
