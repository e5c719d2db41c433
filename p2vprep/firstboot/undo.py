r"""Gives back by hand what was borrowed: ``undo.cmd`` inside Windows, ``undo.reg`` for a recovery prompt.

Both give back the parked services and registry values and take the job's entries away. What apply
changed for good (a vendor's driver disabled, stale leases cleared) is not theirs: ``p2vprep rollback``
takes that back.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2vprep.core import regtext
from p2vprep.core.model import Facts, RestoreService, RestoreValue
from p2vprep.core.registry import fold, join, split
from p2vprep.firstboot.giveback import places, service_values
from p2vprep.firstboot.quoting import script
from p2vprep.firstboot.starts import SERVICE

LOADED = {"SYSTEM": "p2vprep-system", "SOFTWARE": "p2vprep-software"}
"""The names under which ``undo.reg`` expects the hives that ``reg load`` has loaded."""
_MACHINE = "HKEY_LOCAL_MACHINE"
_RECORDS = ("Parked", "ParkedValues", "Adapters")

UNDO = r"""@echo off
rem For the person at the console: gives back now what p2vprep borrowed for the first boot, and takes the
rem job out. Run it as an administrator. In a recovery prompt use undo.reg; readme.txt tells how.
setlocal EnableExtensions DisableDelayedExpansion
set "P2V=%~dp0"
set "REG=%SystemRoot%\System32\reg.exe"
set "SC=%SystemRoot%\System32\sc.exe"
set BAD=0
%REG% import "%P2V%undo-inside.reg"
if errorlevel 1 set BAD=1
if not exist "%P2V%data\services.txt" goto entry
for /f "usebackq tokens=1,2*" %%A in ("%P2V%data\services.txt") do (
  set "NAME=%%C"
  call :one %%B
)
:entry
%SC% delete p2vprep >nul 2>&1
if %BAD%==0 echo Everything was given back. Restart Windows.
if %BAD%==1 echo NOT everything could be given back. Are you an administrator?
exit /b %BAD%

:one
if "%1"=="registry-only" goto :eof
%SC% config "%NAME%" start= %1 >nul 2>&1
goto :eof
"""

README = """p2vprep left this folder to finish the preparation of this machine at its first boot.

firstboot.log    what it did, for people
results          what each step did
undo.cmd         run it as an administrator: gives everything back that was borrowed
undo.reg         the same for a recovery prompt, where Windows is not running. There, with C: as the
                 letter of this disk:
                   reg load HKLM\\p2vprep-system C:\\Windows\\System32\\config\\SYSTEM
                   reg load HKLM\\p2vprep-software C:\\Windows\\System32\\config\\SOFTWARE
                   reg import C:\\p2vprep\\undo.reg
                   reg unload HKLM\\p2vprep-system
                   reg unload HKLM\\p2vprep-software
Where the job is finished (firstboot.log says so), nothing is left to undo and the folder may be deleted.
"""


def undo_files(
    services: Sequence[RestoreService],
    values: Sequence[RestoreValue],
    facts: Facts,
    control_sets: Sequence[str],
    setup: bytes | None,
) -> dict[str, bytes]:
    """The files by their names in the job's folder. ``setup`` gives Setup's own entry back, where used."""
    running: list[regtext.Section] = []
    offline: list[regtext.Section] = []
    for item in services:
        held = service_values(item)
        key = join(r"SYSTEM\CurrentControlSet\Services", item.service)
        running += [
            regtext.Section(join(_MACHINE, place), held) for place in places(key, facts, control_sets)
        ]
        offline += [regtext.Section(_offline(place), held) for place in _on_disk(key, facts, control_sets)]
    for value in values:
        one = ((value.name, value.data),)
        running += [
            regtext.Section(join(_MACHINE, place), one) for place in places(value.key, facts, control_sets)
        ]
        offline += [
            regtext.Section(_offline(place), one) for place in _on_disk(value.key, facts, control_sets)
        ]
    offline = [section for section in offline if section.key]
    for part in regtext.parse(setup) if setup is not None else ():
        if "CurrentControlSet" not in part.key:
            running.append(part)
            offline.append(regtext.Section(_offline(join(*split(part.key)[1:])), part.values))
    for name in _RECORDS:
        running.append(regtext.Section(join(_MACHINE, r"SYSTEM\p2vprep", name), delete=True))
        offline.append(regtext.Section(_offline(join(r"SYSTEM\p2vprep", name)), delete=True))
    for name in control_sets:
        offline.append(regtext.Section(_offline(join("SYSTEM", name, "Services", SERVICE)), delete=True))
    return {
        "undo.cmd": script(UNDO),
        "readme.txt": script(README),
        "undo-inside.reg": regtext.encode(regtext.render(running)),
        "undo.reg": regtext.encode(regtext.render(offline)),
    }


def _on_disk(key: str, facts: Facts, control_sets: Sequence[str]) -> tuple[str, ...]:
    r"""The places of a key where no set is the current one: every numbered set that has it."""
    every = places(key, facts, control_sets)
    return every[1:] if len(every) > 1 else tuple(_numbered(place, facts) for place in every)


def _numbered(key: str, facts: Facts) -> str:
    names = split(key)
    if len(names) > 1 and fold(names[1]) == "CURRENTCONTROLSET":
        return join(names[0], facts.boot_set, *names[2:])
    return key


def _offline(key: str) -> str:
    """The key below the loaded hive; empty for a hive that is not loaded."""
    hive, *rest = split(key)
    loaded = LOADED.get(hive.upper())
    return "" if loaded is None else join(_MACHINE, loaded, *rest)
