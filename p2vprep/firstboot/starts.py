r"""How the job is started: a service entry, and the ways around it where a service may not be made.

- ``service``: the entry starts cmd.exe (no program of ours). The direct process hands over to a shell
  of its own console with ``start`` and ends at once, so that the service manager does not wait its 30
  seconds for a service that never reports; what it logs (7000, 7009) is expected. On a booted system of
  the NT 5.2 family a script run by the direct process stalled at its first redirected output; with
  ``start`` it ran (windows-facts 15). ErrorControl 0 keeps Windows from showing a message or falling
  back to another control set.
- ``wrapper``: the same, started by rhsrvany.exe or srvany.exe that the user supplies (windows-facts 9.1).
- ``cmdline``: ``Setup\CmdLine`` with SetupType 2 (windows-facts 9.3). The first thing the job does is to
  set both back and to make the service entry for the case that this boot is cut short.
- ``startup-script``: a startup script of the local group policy (windows-facts 9.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from p2vprep.core import regtext
from p2vprep.core.model import ControlSet, Edit, Facts, PutFile, SetValue, Start
from p2vprep.core.registry import Hive, fold, join, value
from p2vprep.core.values import Data
from p2vprep.errors import RefusedError, UsageError

StartKind = Literal["service", "wrapper", "cmdline", "startup-script"]
START_KINDS: tuple[StartKind, ...] = get_args(StartKind)

RULE = "first-boot"
SERVICE = "p2vprep"
COMMAND = (
    r'%SystemRoot%\System32\cmd.exe /d /e:on /v:off /c start "" /min '
    r"%SystemRoot%\System32\cmd.exe /d /e:on /v:off /c %SystemDrive%\p2vprep\firstboot.cmd"
)
IMAGE_PATH = COMMAND
WRAPPERS = ("rhsrvany.exe", "srvany.exe")
ENTRY_DATA = "entry.reg"
SETUP_DATA = "setup.reg"
_WRAPPED = r"cmd.exe /d /e:on /v:off /c C:\p2vprep\firstboot.cmd"
_OWN_PROCESS = 0x10
_WANTED_DEPENDENCIES = ("RpcSs", "nsi")
"""What sc, reg and netsh talk to. Few on purpose: where one of them fails, the job never runs."""
_SETUP = "Setup"
_BUSY = ("SystemSetupInProgress", "OOBEInProgress")
_SCRIPT_EXTENSION = "[{42B5FAAE-6536-11D2-AE5A-0000F87571E3}{40B6664F-4972-11D1-A7CA-0000F87571E3}]"
_POLICY = "System32/GroupPolicy"
_STARTED = "p2vprep.cmd"


@dataclass(frozen=True)
class Surroundings:
    """What a start may need to know beside the facts."""

    system: Hive | None = None
    exists: Callable[[str], bool] | None = None
    """Whether a guest file is there."""
    added: tuple[str, ...] = ()
    """Guest files that the plan itself puts there."""


@dataclass(frozen=True)
class StartPlan:
    """Edits and files that start the job, and what the engine says at its begin and when it goes."""

    edits: tuple[Edit, ...]
    data: dict[str, bytes]
    begin: str = ""
    remove: str = ""


def plan_start(
    kind: str, facts: Facts, control_sets: Sequence[ControlSet], waiting: set[str], around: Surroundings
) -> StartPlan:
    """What starts the job once. Raises UsageError or RefusedError where this way is not possible."""
    if kind == "service":
        return StartPlan(tuple(_entries(control_sets, waiting, {"ImagePath": Data.expand_sz(COMMAND)})), {})
    if kind == "wrapper":
        return _wrapper(control_sets, waiting, around)
    if kind == "cmdline":
        return _cmdline(facts, control_sets, waiting, around)
    if kind == "startup-script":
        return _startup_script(facts, around)
    raise UsageError(
        f"the first boot cannot be started by {kind!r}",
        code="first-boot-start",
        hint=f"There are: {', '.join(START_KINDS)}.",
    )


# --- the service entry -------------------------------------------------------------------------


def _entry(needs: Sequence[str], how: dict[str, Data]) -> dict[str, Data]:
    held: dict[str, Data] = {
        "Type": Data.dword(_OWN_PROCESS),
        "Start": Data.dword(Start.AUTO),
        "ErrorControl": Data.dword(0),
        **how,
        "DisplayName": Data.sz("p2vprep first boot"),
        "ObjectName": Data.sz("LocalSystem"),
    }
    if needs:
        held["DependOnService"] = Data.multi_sz(needs)
    return held


def _entries(
    control_sets: Sequence[ControlSet], waiting: set[str], how: dict[str, Data]
) -> Iterator[SetValue]:
    for control_set in control_sets:
        key = join(control_set.name, "Services", SERVICE)
        for name, data in _entry(_dependencies(control_set, waiting), how).items():
            yield SetValue("SYSTEM", key, name, data, RULE, "starts the first-boot job once", create=True)


def _dependencies(control_set: ControlSet, waiting: set[str]) -> tuple[str, ...]:
    """What the job waits for: only what exists, can start, and is not parked itself."""
    startable = {
        fold(service.name): service.name
        for service in control_set.services
        if service.start < Start.DISABLED and not service.deleted
    }
    return tuple(
        startable[fold(name)]
        for name in _WANTED_DEPENDENCIES
        if fold(name) in startable and fold(name) not in waiting
    )


def _wrapper(control_sets: Sequence[ControlSet], waiting: set[str], around: Surroundings) -> StartPlan:
    supplied = {path.rsplit("/", 1)[-1].lower(): path for path in around.added if path.count("/") == 3}
    found = next((supplied[name] for name in WRAPPERS if name in supplied), None)
    if found is None:
        raise UsageError(
            "the wrapper service needs rhsrvany.exe or srvany.exe",
            code="first-boot-start",
            hint="Put one into the folder that --add-files names; p2vprep ships no program for Windows.",
        )
    program = "%SystemDrive%" + found.replace("/", "\\")
    if found.lower().endswith("rhsrvany.exe"):
        program += f" -s {SERVICE}"
    edits = list(_entries(control_sets, waiting, {"ImagePath": Data.expand_sz(program)}))
    for control_set in control_sets:
        key = join(control_set.name, "Services", SERVICE, "Parameters")
        held = {
            # rhsrvany reads CommandLine and PWD, srvany Application and AppParameters.
            "CommandLine": Data.sz(_WRAPPED),
            "PWD": Data.sz(r"C:\p2vprep"),
            "Application": Data.expand_sz(r"%SystemRoot%\System32\cmd.exe"),
            "AppParameters": Data.expand_sz(r"/d /e:on /v:off /c %SystemDrive%\p2vprep\firstboot.cmd"),
        }
        edits += [
            SetValue("SYSTEM", key, name, data, RULE, "tells the wrapper what to run", create=True)
            for name, data in held.items()
        ]
    return StartPlan(tuple(edits), {})


# --- Setup\CmdLine -----------------------------------------------------------------------------


def _cmdline(
    facts: Facts, control_sets: Sequence[ControlSet], waiting: set[str], around: Surroundings
) -> StartPlan:
    system = around.system
    if system is None:
        raise UsageError("the start by CmdLine needs the SYSTEM hive", code="first-boot-start")
    kind, line = _setup_at_rest(system)
    running = r"HKEY_LOCAL_MACHINE\SYSTEM"
    rest = regtext.Section(join(running, _SETUP), (("SetupType", kind), ("CmdLine", line)))
    needs = _dependencies(facts.boot, waiting)
    entry = regtext.Section(
        join(running, "CurrentControlSet", "Services", SERVICE),
        tuple(_entry(needs, {"ImagePath": Data.expand_sz(COMMAND)}).items()),
    )
    why = "starts the first-boot job once, before the first logon"
    edits = (
        SetValue("SYSTEM", _SETUP, "CmdLine", Data.sz(_setup_command()), RULE, why, create=True),
        SetValue("SYSTEM", _SETUP, "SetupType", Data.dword(2), RULE, why, create=True),
    )
    data = {
        SETUP_DATA: regtext.encode(regtext.render([rest])),
        ENTRY_DATA: regtext.encode(regtext.render([entry])),
    }
    assert control_sets
    begin = "\n".join(
        [
            "rem Setup's entry goes back first, else every start would come here.",
            rf'%REG% import "%P2V%\data\{SETUP_DATA}" >nul 2>&1',
            "if errorlevel 1 %REG% add HKLM\\SYSTEM\\Setup /v SetupType /t REG_DWORD /d 0 /f >nul 2>&1",
            '%REG% query "%KEY%" /v Finished >nul 2>&1',
            rf'if errorlevel 1 %REG% import "%P2V%\data\{ENTRY_DATA}" >nul 2>&1',
        ]
    )
    return StartPlan(edits, data, begin)


def _setup_at_rest(system: Hive) -> tuple[Data, Data | None]:
    """SetupType and CmdLine as they are to be given back. Raises RefusedError where a setup is under way."""
    kind, line = value(system, _SETUP, "SetupType"), value(system, _SETUP, "CmdLine")
    if line == Data.sz(_setup_command()):
        return Data.dword(0), Data.sz("")
    busy = [name for name in _BUSY if (held := value(system, _SETUP, name)) is not None and held.number]
    if busy or (kind is not None and kind.number):
        raise RefusedError(
            "Windows is in the middle of a setup of its own, CmdLine is in use",
            code="setup-in-progress",
            hint="Start the first boot by a service (the default).",
            details=tuple(busy),
        )
    return kind or Data.dword(0), line


def _setup_command() -> str:
    """Winlogon may not expand variables: the shell does it, which is found by the path."""
    return COMMAND.replace("%SystemRoot%\\System32\\", "")


# --- a startup script --------------------------------------------------------------------------


def _startup_script(facts: Facts, around: Surroundings) -> StartPlan:
    if around.exists is None:
        raise UsageError("the start by a startup script needs the guest's files", code="first-boot-start")
    folder = f"{facts.guest.system_root}/{_POLICY}"
    policy, listed = f"{folder}/gpt.ini", f"{folder}/Machine/Scripts/scripts.ini"
    script = f"{folder}/Machine/Scripts/Startup/{_STARTED}"
    if not around.exists(script):
        for path in (policy, listed):
            if around.exists(path):
                raise RefusedError(
                    "this Windows has a local group policy already, it is not changed",
                    code="local-policy-exists",
                    subject=path,
                    hint="Start the first boot by a service (the default).",
                )
    if facts.guest.domain_member:
        raise RefusedError(
            "a member of a domain runs startup scripts only once it has reached its domain",
            code="startup-script-waits",
            hint="Start the first boot by a service (the default).",
        )
    why = "starts the first-boot job by a startup script of the local policy"
    ini = "[General]\r\ngPCFunctionalityVersion=2\r\n"
    ini += f"gPCMachineExtensionNames={_SCRIPT_EXTENSION}\r\nVersion=1\r\n"
    scripts = "[Startup]\r\n0CmdLine=p2vprep.cmd\r\n0Parameters=\r\n"
    starter = f"@echo off\r\n{COMMAND}\r\n"
    edits = (
        PutFile(policy, ini.encode("ascii"), RULE, why, locked=False),
        PutFile(listed, b"\xff\xfe" + scripts.encode("utf-16-le"), RULE, why, locked=False),
        PutFile(script, starter.encode("ascii"), RULE, why, locked=False),
    )
    place = r"%SYS%\GroupPolicy"
    started = rf"{place}\Machine\Scripts\Startup\{_STARTED}"
    remove = (
        rf'if exist "{started}" del /q "{place}\gpt.ini" "{place}\Machine\Scripts\scripts.ini" '
        rf'"{started}" >nul 2>&1'
    )
    return StartPlan(edits, {}, remove=remove)
